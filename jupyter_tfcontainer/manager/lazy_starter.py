"""Connects to the engine at first use, and gives what needs one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..engine import Engine, candidates, connect
from ..errors import EngineNotSupported
from ..images.image_store import Images
from ..images.operations import Operations
from ..kernels.starter import Starter
from .settings import Settings


class LazyStarter:
    """The engine, its images, and what starts containers on it. Thread-safe.

    Parameters
    ----------
    settings
        say where the engine is
    operations
        where what takes long on images goes on
    on_connect
        called once, after the engine has been found
    """

    def __init__(self, settings: Settings, operations: Operations, on_connect: Callable[[], None]) -> None:
        self._settings = settings
        self._operations = operations
        self._on_connect = on_connect
        self._lock = threading.RLock()
        self._starter: Starter | None = None

    @property
    def connected(self) -> Starter | None:
        """What starts containers, if the engine has been found already."""
        with self._lock:
            return self._starter

    @property
    def starter(self) -> Starter:
        """What starts containers.

        Raises
        ------
        EngineError
            when no engine answers, or none that we can serve
        """
        with self._lock:
            if self._starter is None:
                engine = connect(candidates(self._settings.engine_url))
                try:
                    _check_supported(engine)
                except EngineNotSupported:
                    engine.close()
                    raise
                self._starter = Starter(engine, Images(engine, self._operations))
                self._on_connect()
            return self._starter

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises
        ------
        EngineError
            when none answers, or none that we can serve
        """
        return self.starter.engine

    @property
    def images(self) -> Images:
        """The images of that engine.

        Raises
        ------
        EngineError
            when none answers, or none that we can serve
        """
        return self.starter.images


def _check_supported(engine: Engine) -> None:
    facts = engine.facts
    how = None
    if facts.virtual_machine:
        how = "in a virtual machine"
    elif facts.user_namespaces:
        how = "with remapped users (userns-remap)"
    elif not facts.url.startswith("unix://"):
        how = f"on another machine ({facts.url})"
    if how:
        raise EngineNotSupported(
            f"{facts.name} runs {how}. Kernels talk to JupyterLab through sockets in a shared folder, which needs an "
            f"engine of this very machine: "
            "Docker Engine for Linux or Podman, with root or rootless."
        )
