"""Ctrl-C: the first ends what goes on and waits until that has cleaned up after itself, the second waits no longer."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from .output import complain

if TYPE_CHECKING:
    from ..images.operations import Operation

# As a shell says that a signal ended its command.
INTERRUPTED = 128 + signal.SIGINT
CLEANING = "Cancelling, and cleaning up. Ctrl-C again leaves it as it is."
LEFT = "What was begun is left as it is. Once the engine answers, `jupyter tfcontainer doctor --clean` removes it."


def wait(operation: Operation, say: Callable[[str], None]) -> int:
    """Wait for an operation's end; the first Ctrl-C cancels it, and the second waits no longer.

    Parameters
    ----------
    operation
        which
    say
        is given what the person should know meanwhile

    Returns
    -------
    int
        how many there were
    """
    # Imported here: every command can be interrupted, and few have an operation to wait for.
    import asyncio

    return asyncio.run(_interrupts(operation, say))


def leave() -> NoReturn:
    """End at once: the threads that wait for the engine, and what is done at an interpreter's end, would take long."""
    complain(LEFT)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


async def _interrupts(operation: Operation, say: Callable[[str], None]) -> int:
    """Wait in an event loop.

    An event loop hears of a signal whichever thread the kernel gives it to. A thread that waits for a lock does not:
    one that another thread takes, which it may while it starts a third, would leave it waiting.
    """
    import asyncio

    interrupts = 0
    over = asyncio.Event()

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            over.set()
            return
        say(CLEANING)
        # It may ask the engine, which may not answer.
        threading.Thread(target=operation.cancel, args=["Ctrl-C"], daemon=True).start()

    loop = asyncio.get_running_loop()
    # Who runs it in the background of a script wants it to go on.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    operation.done.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
    await over.wait()
    return interrupts
