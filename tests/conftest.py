"""What tests of one process share. Those in ``browser`` have a process, and a conftest, of their own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupyter_core.paths
import pytest
from homes import Home, temporary_home
from jupyter_server.serverapp import ServerApp
from servers import Server
from traitlets.config import Config

from jupyter_tfcontainer.manager import ContainerManager

# A shell has a job in the background ignore this, and all that the job starts as well; here programs are interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["nvml_standin", "pytest_jupyter.jupyter_server", "timekeeping"]


@pytest.fixture(autouse=True)
def with_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a test may use an engine: one of a single module, in `unit/`, finds none."""
    if "unit" not in request.path.relative_to(request.config.rootpath).parts:
        return True
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return False


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, with_engine: bool) -> Iterator[Home]:
    """Folders of its own for each test, which this process takes for the person's."""
    with temporary_home(with_engine=with_engine) as home:
        for name, value in home.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("JUPYTER_PATH", raising=False)
        monkeypatch.chdir(home.workspace)
        ContainerManager.clear_instance()
        yield home
        if ContainerManager.initialized():
            ContainerManager.instance().close()
        os.chdir("/")


@pytest.fixture
def jp_nbconvert_templates() -> None:
    """Nothing is converted here, so the templates need not be copied for each test."""


@pytest.fixture
def jp_environ(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's folders are the home's, and those of the system and the virtual environment are out of sight."""
    for name in ("SYSTEM_JUPYTER_PATH", "ENV_JUPYTER_PATH", "SYSTEM_CONFIG_PATH", "ENV_CONFIG_PATH"):
        monkeypatch.setattr(jupyter_core.paths, name, [])


@pytest.fixture
def jp_root_dir(home: Home) -> Path:
    return home.workspace


@pytest.fixture
def jp_server_config() -> Config:
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"jupyter_tfcontainer": True, "jupyter_server_terminals": False},
                "allow_unauthenticated_access": False,
            },
            # Tests look at what runs: nothing is started that they do not ask for.
            "ContainerManager": {"standby": 0},
            # A test need not wait as long as a person can.
            "KernelRestarter": {"time_to_dead": 0.1},
        }
    )


@pytest.fixture
def jp_serverapp(jp_serverapp: ServerApp, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[ServerApp]:
    """The server is stopped before the home looks at what is left."""
    yield jp_serverapp
    jp_asyncio_loop.run_until_complete(jp_serverapp._cleanup())
    jp_serverapp.kernel_manager.context.destroy()
    ServerApp.clear_instance()


@pytest.fixture
def server(home: Home, jp_serverapp: ServerApp, jp_fetch: Any, jp_auth_header: dict[str, str]) -> Server:
    return Server(jp_serverapp, home, jp_fetch, jp_auth_header)
