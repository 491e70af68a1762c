"""Podman without root does all that Docker does in a kernel's life, and what only Podman can do."""

from __future__ import annotations

from collections.abc import Iterator

import engine_life
import pytest
from engine_life import IMAGES, LIFE
from engine_worlds import World
from homes import LEGACY, MODERN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[World]:
    with engine_life.living("rootless podman", LEGACY, MODERN) as made:
        yield made


def test_a_kernels_life(engine: World) -> None:
    # Whole here: it is the engine that differs most from Docker.
    engine_life.all_pass(engine, *LIFE)


def test_images(engine: World) -> None:
    engine_life.all_pass(engine, IMAGES)


def test_found_at_its_usual_place(engine: World) -> None:
    engine_life.is_found(engine)


def test_podman(engine: World) -> None:
    engine_life.podmans_own_pass(engine)
