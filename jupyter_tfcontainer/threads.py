"""Blocking calls off the event loop.

Those that ask an engine, those that ask a kernel, and long ones have pools of their own: neither a start that pulls nor
an engine that does not answer keeps an interrupt waiting.
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
# A supervisor answers in no time.
SIGNALS = 4
# More starts than this at a time wait for their turn: on a machine that starts so many, waiting is not what takes the
# time.
STARTS = 32


class Threads:
    """Three pools, and a thread that starts threads. All begin with the first call and end with :meth:`close`."""

    def __init__(self) -> None:
        self._calls = ThreadPoolExecutor(CALLS, "tfcontainer-call")
        self._signals = ThreadPoolExecutor(SIGNALS, "tfcontainer-signal")
        self._starts = ThreadPoolExecutor(STARTS, "tfcontainer-start")
        self._begin = ThreadPoolExecutor(1, "tfcontainer-begin")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that takes as long as one answer of the engine."""
        return await _result(self._calls, partial(function, *args, **kwargs))

    async def signal(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that asks a supervisor, and no engine."""
        return await _result(self._signals, partial(function, *args, **kwargs))

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run something that may take minutes.

        A pool that lacks a thread waits until that runs, and on a machine where many kernels start this takes long
        (measured: the longest stall of the event loop with 20 kernels). So the loop does not do it itself.
        """
        result: Future[T] = Future()
        self._begin.submit(self._submit, result, partial(function, *args, **kwargs))
        return result

    def _submit(self, result: Future[T], work: Callable[[], T]) -> None:
        try:
            self._starts.submit(_settle, result, work)
        except RuntimeError as error:  # the interpreter ends
            result.set_exception(error)

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
        self._begin.shutdown()
        self._starts.shutdown()

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self.finish_starts()
        self._signals.shutdown()
        self._calls.shutdown()


async def _result(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    try:
        future = pool.submit(work)
    except RuntimeError:
        # There are no threads any more: the interpreter ends, and so late `jupyter run` shuts its kernel down. Nobody
        # else waits for this event loop.
        return work()
    return await asyncio.wrap_future(future)


def _settle(result: Future[T], work: Callable[[], T]) -> None:
    if result.set_running_or_notify_cancel():
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            result.set_exception(error)
