"""Blocking calls off the event loop.

Short ones and long ones have pools of their own, so that a start that pulls never keeps a stop waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# As many short calls at a time as the engine answers side by side.
CALLS = 8
# More starts than this at a time wait for their turn: on a machine that starts so many, waiting is not what takes the
# time.
STARTS = 32


class Threads:
    """Two pools. Their threads start with the first call and end with :meth:`close`."""

    def __init__(self) -> None:
        self._calls = ThreadPoolExecutor(CALLS, "tfcontainer-call")
        self._starts = ThreadPoolExecutor(STARTS, "tfcontainer-start")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that takes as long as one answer of the engine."""
        try:
            future = self._calls.submit(partial(function, *args, **kwargs))
        except RuntimeError:
            # There are no threads any more: the interpreter ends, and so late `jupyter run` shuts its kernel down.
            # Nobody else waits for this event loop.
            return function(*args, **kwargs)
        return await asyncio.wrap_future(future)

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run something that may take minutes."""
        return self._starts.submit(partial(function, *args, **kwargs))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that may take minutes, and wait for it."""
        return await asyncio.wrap_future(self.start(function, *args, **kwargs))

    def soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a short call that nobody waits for.

        After :meth:`close` it is not run: there is nothing left to do it for.
        """
        try:
            self._calls.submit(function, *args)
        except RuntimeError:
            return

    def finish_starts(self) -> None:
        """Let no further start begin, and wait for those that are under way."""
        self._starts.shutdown()

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self._starts.shutdown()
        self._calls.shutdown()
