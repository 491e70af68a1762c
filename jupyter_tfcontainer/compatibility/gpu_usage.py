"""What NVIDIA's cards do at a time: how busy they are, how much of their memory is in use, and by which containers.

The driver is asked through its own library, as in :mod:`.hardware`. What it does not tell stays unknown: None, never 0.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import hardware

# Seconds for which an answer serves all who ask, and after which the driver is let go of: until then cards without
# persistence mode stay awake, which else takes seconds each time.
FRESH = 0.5
IDLE = 30
# The numbers of processes that the driver tells are those of the machine's first namespace (PROC_PID_INIT_INO in
# Linux). It tells no others to a program in a container.
FIRST_NAMESPACE = "pid:[4026531836]"
CONTAINER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CardUse:
    """What one card does.

    Parameters
    ----------
    uuid
        which
    memory, memory_total
        bytes in use, and that there are
    utilization
        share of the time that it computed lately, from 0 to 1
    """

    uuid: str
    memory: int | None
    memory_total: int | None
    utilization: float | None


@dataclass(frozen=True)
class Use:
    """What all cards do.

    Parameters
    ----------
    cards
        each that answers
    containers
        bytes on all cards, by the id of the container whose processes have them; None for one of which the driver does
        not tell. None altogether where it tells of no processes
    """

    cards: tuple[CardUse, ...] = ()
    containers: Mapping[str, int | None] | None = None

    def memory(self, container: str, pid: int, *, has_gpu: bool) -> int | None:
        """Bytes that a container has on the cards; None where that cannot be told.

        Parameters
        ----------
        container
            its id
        pid
            its first process, as its engine counts
        has_gpu
            whether it was given any card: else what it does not use is not worth a figure
        """
        if self.containers is None:
            return None
        if container in self.containers:
            return self.containers[container]
        # That it uses none is known only if its processes would have been recognized.
        return 0 if has_gpu and _in_first_namespace() and _container_of(pid) == container else None


class Cards:
    """The driver, for who asks again and again. Calls may block: not for an event loop.

    Parameters
    ----------
    idle
        seconds after the last question when the driver is let go of
    """

    def __init__(self, idle: float = IDLE) -> None:
        self._idle = idle
        self._lock = threading.Lock()
        self._pynvml: Any = None
        self._timer: threading.Timer | None = None
        self._kept: tuple[float, Use] | None = None

    def use(self) -> Use:
        """What the cards do; of no card where there is no driver that answers."""
        with self._lock:
            if self._kept is None or time.monotonic() - self._kept[0] > FRESH:
                use = self._read()
                self._kept = time.monotonic(), use
            return self._kept[1]

    def close(self) -> None:
        """Let go of the driver."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._release()

    def _read(self) -> Use:
        pynvml = self._pynvml or hardware.driver()
        if pynvml is None:
            return Use()
        self._pynvml = pynvml
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError:
            # The driver may have been replaced: the next question begins anew.
            self._release()
            return Use()
        self._rest_later()
        handles = [_told(pynvml, pynvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
        found = [handle for handle in handles if handle is not None]
        cards = [card for handle in found if (card := _card(pynvml, handle))]
        return Use(tuple(cards), _containers(pynvml, found) if len(found) == count else None)

    def _rest_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._idle, self._rest)
            self._timer.name, self._timer.daemon = "tfcontainer-cards", True
            self._timer.start()

    def _rest(self) -> None:
        with self._lock:
            self._timer = None
            if self._kept and time.monotonic() - self._kept[0] < self._idle:
                self._rest_later()
            else:
                self._release()

    def _release(self) -> None:
        pynvml, self._pynvml, self._kept = self._pynvml, None, None
        if pynvml:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()


def _told(pynvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the driver tells; None where it does not."""
    with suppress(pynvml.NVMLError):
        return function(*arguments)
    return None


def _card(pynvml: Any, handle: Any) -> CardUse | None:
    uuid = _told(pynvml, pynvml.nvmlDeviceGetUUID, handle)
    if uuid is None:
        return None
    memory = _told(pynvml, pynvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _told(pynvml, pynvml.nvmlDeviceGetUtilizationRates, handle)
    return CardUse(
        hardware.text(uuid), memory and memory.used, memory and memory.total, rates and min(rates.gpu, 100) / 100
    )


def _containers(pynvml: Any, handles: list[Any]) -> dict[str, int | None] | None:
    """Bytes by container, on all cards; None if one card does not tell of its processes."""
    found: dict[str, int | None] = {}
    for handle in handles:
        processes = _processes(pynvml, handle)
        if processes is None:
            return None
        for process in processes:
            if container := _container_of(process.pid):
                before, more = found.get(container, 0), process.usedGpuMemory
                found[container] = None if before is None or more is None else before + more
    return found


def _processes(pynvml: Any, handle: Any) -> list[Any] | None:
    # Drivers before 510 lack the third version of the question, and so do bindings of their age.
    for version in ("_v3", "_v2"):
        function = getattr(pynvml, f"nvmlDeviceGetComputeRunningProcesses{version}", None)
        processes: list[Any] | None = _told(pynvml, function, handle) if function else None
        if processes is not None:
            return processes
    return None


def _container_of(pid: int) -> str | None:
    """The id of the container that a process is in, by the names of its control groups, of version 1 or 2.

    Docker and Podman put it there, each in its own way: ``/docker/ID``, ``docker-ID.scope``, ``libpod-ID.scope/…``.
    """
    try:
        ids = CONTAINER.findall(Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return None  # it has just ended, or is hidden from us
    return ids[-1] if ids else None


def _in_first_namespace() -> bool:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink()) == FIRST_NAMESPACE
    return False
