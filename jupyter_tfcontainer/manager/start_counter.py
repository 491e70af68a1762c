"""Counts the starts that are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Starts:
    """The starts of kernels and containers that are under way in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Have something called each time the last start under way has ended, in that start's thread."""
        self._listeners.append(listener)

    @property
    def count(self) -> int:
        """How many are under way."""
        return self._count

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more, while this lasts."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                last = self._count == 0
            if last:
                for listener in self._listeners:
                    listener()
