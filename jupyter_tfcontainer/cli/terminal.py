"""Our own streams, joined to those of a process in a container."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ..engine.exec import PIECE, STDERR, Exec

INPUT, OUTPUT, ERROR = 0, 1, 2
# What ends this process ends the one inside: the engine would leave it running.
PASSED = {signal.SIGTERM: "TERM", signal.SIGHUP: "HUP", signal.SIGQUIT: "QUIT", signal.SIGINT: "INT"}
# A shell at its terminal heeds no other.
TO_TERMINAL = "HUP"
# With the signal's number added it is what a shell says of a command that a signal ended.
SIGNALLED = 128


def drive(process: Exec) -> int:
    """Pass input, output and signals on until a process ends.

    Returns
    -------
    int
        its exit status; where a signal to this program has ended it that of a program which that signal ended
    """
    sys.stdout.flush()
    with _wakeups() as wakeups, _raw(process.tty):
        try:
            if process.tty:
                _resize(process)
            ended_by = _pump(process, wakeups)
        except BaseException:
            process.signal(TO_TERMINAL)
            raise
        finally:
            process.close()
    return SIGNALLED + ended_by if ended_by else process.exit_code()


def _pump(process: Exec, wakeups: int) -> int:
    """Pass everything on; the number of the signal that hung up its terminal comes back, or 0."""
    ended_by = 0
    waiting = b""
    more = True
    while True:
        readers: list[int | Exec] = [process, wakeups]
        # Only as much as the process takes is read ahead.
        readers += [INPUT] if more and not waiting else []
        timeout = 0 if process.pending else None
        readable, writable, _ = select.select(readers, [process] if waiting else [], [], timeout)
        if wakeups in readable:
            ended_by = _pass_signals(process, os.read(wakeups, PIECE)) or ended_by
        if INPUT in readable:
            waiting = _read_input()
            if not waiting:
                more = False
                process.write_end()
        if writable or (waiting and INPUT in readable):
            waiting = waiting[process.write(waiting) :]
        if process in readable or process.pending:
            pieces = process.read()
            if pieces is None:
                return ended_by
            for stream, piece in pieces:
                _write(ERROR if stream == STDERR else OUTPUT, piece)


def _read_input() -> bytes:
    try:
        return os.read(INPUT, PIECE)
    except OSError:
        return b""  # a terminal that has gone


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _pass_signals(process: Exec, numbers: bytes) -> int:
    """Pass signals on; the number of the last that hung up its terminal comes back, or 0."""
    hung_up = 0
    for number in numbers:
        if number == signal.SIGWINCH:
            if process.tty:
                _resize(process)
        elif number in tuple(PASSED):
            process.signal(TO_TERMINAL if process.tty else PASSED[signal.Signals(number)])
            hung_up = number if process.tty else 0
    return hung_up


def _resize(process: Exec) -> None:
    with suppress(OSError):
        columns, rows = os.get_terminal_size(OUTPUT)
        process.resize(rows, columns)


@contextmanager
def _wakeups() -> Iterator[int]:
    """A descriptor from which the numbers of signals can be read, in place of what they would do."""
    ours, theirs = os.pipe()
    for descriptor in (ours, theirs):
        os.set_blocking(descriptor, False)

    def ignore(_: int, __: FrameType | None) -> None:
        """Python writes the number for those that have a handler."""

    before = {number: signal.signal(number, ignore) for number in (*PASSED, signal.SIGWINCH)}
    descriptor_before = signal.set_wakeup_fd(theirs)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(descriptor_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(ours)
        os.close(theirs)


@contextmanager
def _raw(wanted: bool) -> Iterator[None]:
    """Let each key through to the process inside, Ctrl-C too; afterwards the terminal is what it was."""
    if not wanted:
        yield
        return
    before = termios.tcgetattr(INPUT)
    try:
        # Not flushed: keys that were typed before the shell is up are for it.
        tty.setraw(INPUT, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(INPUT, termios.TCSADRAIN, before)
