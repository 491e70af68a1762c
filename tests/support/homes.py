"""Folders of their own for Jupyter, and a look at what is left in them afterwards."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from jupyter_tfcontainer.engine import labels

LEGACY = "tfcontainer/tensorflow:1.2.1-cpu"
MODERN = "tfcontainer/python:modern"


def engine_client() -> docker.APIClient:
    """A client of the engine that our manager uses too."""
    return docker.APIClient(os.environ.get("DOCKER_HOST"))


def is_rootless() -> bool:
    """Whether the engine runs without root."""
    with closing(engine_client()) as engine:
        info = engine.info()
    return info.get("Rootless") or "name=rootless" in info["SecurityOptions"]


def user_inside() -> int:
    """Who the person is in a container: without root, an engine has them as root there."""
    return 0 if is_rootless() else os.getuid()


def can_limit_memory() -> bool:
    """Whether the engine can keep a container to its limit of memory: cgroup v2 lets a person do that."""
    return not is_rootless() or Path("/sys/fs/cgroup/cgroup.controllers").exists()


def processes(container: str) -> list[int]:
    """The processes in a container, as this machine numbers them."""
    with closing(engine_client()) as engine:
        first = engine.inspect_container(container)["State"]["Pid"]
    space = Path(f"/proc/{first}/ns/pid").readlink()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is another's
            if (path / "ns" / "pid").readlink() == space:
                found.append(int(path.name))
    return found


@dataclass(frozen=True)
class Home:
    """Jupyter's folders for one test, and the workspace.

    Its path is short: sockets lie in it.
    """

    root: Path

    @property
    def workspace(self) -> Path:
        """The folder that kernels work in."""
        return self.root / "ws"

    @property
    def data(self) -> Path:
        """Jupyter's data folder."""
        return self.root / "data"

    def add(self, name: str, image: str, *, env: dict[str, str] | None = None, **config: Any) -> str:
        """Write the kernelspec of an environment."""
        spec = {
            "argv": ["jupyter-tfcontainer", "kernel", "-f", "{connection_file}"],
            "display_name": name.upper(),
            "language": "python",
            "interrupt_mode": "signal",
            "env": env or {},
            "metadata": {
                "kernel_provisioner": {
                    "provisioner_name": "tfcontainer-provisioner",
                    "config": {"image": image, **config},
                }
            },
        }
        folder = self.data / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.json").write_text(json.dumps(spec))
        return name

    def configure(self, **settings: Any) -> None:
        """Write our own configuration file."""
        folder = self.root / "config"
        folder.mkdir(exist_ok=True)
        (folder / "jupyter_tfcontainer_config.json").write_text(json.dumps({"ContainerManager": settings}))

    def variables(self) -> dict[str, str]:
        """The variables that lead programs to these folders."""
        return {
            "HOME": str(self.root / "home"),
            "JUPYTER_DATA_DIR": str(self.data),
            "JUPYTER_CONFIG_DIR": str(self.root / "config"),
            "JUPYTER_RUNTIME_DIR": str(self.root / "run"),
            "IPYTHONDIR": str(self.root / "ipython"),
        }

    def containers(self) -> list[dict[str, Any]]:
        """The containers, running or not, that were started from these folders."""
        with closing(engine_client()) as client:
            found: list[dict[str, Any]] = client.containers(all=True, filters={"label": labels.FOLDER})
        return [one for one in found if Path(one["Labels"][labels.FOLDER]).is_relative_to(self.root)]

    def leftovers(self) -> list[str]:
        """What is left of containers: themselves, their folders, their threads."""
        return [*(one["Id"] for one in self.containers()), *self.left_on_host()]

    def left_on_host(self) -> list[str]:
        """What is left of containers without asking the engine: their folders, their threads."""
        return [
            *map(str, (self.data / "tfcontainer" / "c").glob("*")),
            *(thread.name for thread in threading.enumerate() if thread.name.startswith("tfcontainer")),
        ]


@contextmanager
def temporary_home(*, with_engine: bool = True) -> Iterator[Home]:
    """Make a home; whatever ran from it must be gone at the end.

    Parameters
    ----------
    with_engine
        whether there is an engine that may have run something
    """
    home = Home(Path(tempfile.mkdtemp(prefix="tfc-")))
    for folder in ("home", "ws", "data", "config", "run"):
        (home.root / folder).mkdir()
    try:
        yield home
        left = home.leftovers() if with_engine else home.left_on_host()
        assert not left
    finally:
        if with_engine:
            with closing(engine_client()) as client:
                for one in home.containers():
                    client.remove_container(one["Id"], force=True)
        shutil.rmtree(home.root, ignore_errors=True)
