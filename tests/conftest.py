"""What tests of one process share. Those in ``ui`` have a process, and a conftest, of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from homes import Home, temporary_home

from jupyter_tfcontainer.manager import ContainerManager

pytest_plugins = ["nvml_standin", "pytest_jupyter.jupyter_server"]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Folders of its own for each test, which this process takes for the person's."""
    with temporary_home() as home:
        for name, value in home.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("JUPYTER_PATH", raising=False)
        monkeypatch.chdir(home.workspace)
        ContainerManager.clear_instance()
        yield home
        if ContainerManager.initialized():
            ContainerManager.instance().close()
        os.chdir("/")
