"""What the tests of single modules share: they need no engine, and find none."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead whoever looks for an engine to where there is none."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")


@pytest.fixture
def with_engine() -> bool:
    return False
