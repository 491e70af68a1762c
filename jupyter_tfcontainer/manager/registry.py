"""The containers that this process owns."""

from __future__ import annotations

import threading
from pathlib import Path

from ..kernels.container import RunningContainer


class Registry:
    """Knows the containers of this process by their ids. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._containers: dict[str, RunningContainer] = {}

    def add(self, *containers: RunningContainer) -> None:
        """Note containers that this process owns from now on."""
        with self._lock:
            self._containers.update((one.id, one) for one in containers)

    def discard(self, container: RunningContainer) -> None:
        """Forget a container; one that is not known is no error."""
        with self._lock:
            self._containers.pop(container.id, None)

    def get(self, container_id: str) -> RunningContainer | None:
        """The container of that id; None if this process does not own it."""
        with self._lock:
            return self._containers.get(container_id)

    def running(self) -> list[RunningContainer]:
        """All containers of this process."""
        with self._lock:
            return list(self._containers.values())

    def by_folder(self) -> dict[Path, str]:
        """The ids of those containers by their folders."""
        return {one.folders.state: one.id for one in self.running()}
