"""A further process in a running container, with the streams to it: what `docker exec` is made of."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any, cast

from docker import APIClient
from docker.errors import APIError

# Standard output and standard error, as the engine numbers them in front of each piece. With a terminal all is the one.
STDOUT, STDERR = 1, 2
HEADER = struct.Struct(">BxxxL")
PIECE = 65536
# Pressed one after another these would leave the process. The engine's own sequence begins with Ctrl-P, which it holds
# back until the next key: in a shell that is the command before. Nobody presses these, nor are they of use alone.
DETACH_KEYS = ",".join(["ctrl-_", "ctrl-^"] * 4)
# The engine answers before the process is there, so that its terminal cannot be sized yet, and it ends the streams
# before it knows how the process ended: seconds to wait for either.
SOON = 5.0
INTERVAL = 0.02
# As a shell says that a signal ended its command: the container was killed, and the process with it.
KILLED = 137

Door = Callable[[], AbstractContextManager[None]]

# How often, and after how many seconds each, an engine is asked for the number of a process that has just begun.
PID_TRIES = 50
PID_INTERVAL = 0.02


class Exec:
    """A process that runs beside a container's own. Nothing here blocks but for one answer of the engine.

    Parameters
    ----------
    api, door
        the way to the engine
    container
        id of the container
    command
        program and arguments
    tty
        whether it gets a terminal
    user
        as ``UID:GID``; empty for the container's own
    workdir
        folder in the container that it starts in
    env
        variables beyond those of the container
    """

    def __init__(
        self,
        api: APIClient,
        door: Door,
        container: str,
        command: Sequence[str],
        *,
        tty: bool = False,
        user: str = "",
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._api = api
        self._door = door
        self.container = container
        self.tty = tty
        with door():
            self.id = str(
                api.exec_create(
                    container,
                    list(command),
                    stdin=True,
                    tty=tty,
                    user=user,
                    workdir=workdir,
                    environment=dict(env or {}),
                    detach_keys=DETACH_KEYS,
                )["Id"]
            )
            # It is a file whatever the engine's address is, and docker-py has more of it than its types say.
            self._stream = cast("Any", api.exec_start(self.id, tty=tty, socket=True))
        self._socket: socket.socket = self._stream._sock  # noqa: SLF001 - docker-py gives the file only
        self._socket.setblocking(False)
        # What was read together with the head of the engine's answer.
        self._incoming: bytes = self._stream._response.raw._fp.fp.peek()  # noqa: SLF001 - there it is

    def fileno(self) -> int:
        """What ``select`` looks at."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether there is something to read already, of which ``select`` does not know."""
        return bool(self._incoming)

    def read(self) -> list[tuple[int, bytes]] | None:
        """What the process has printed meanwhile, each piece with its stream, or None when that was all."""
        ended = False
        with suppress(BlockingIOError):
            try:
                data = self._socket.recv(PIECE)
            except ConnectionError:
                data = b""
            ended = not data
            self._incoming += data
        if self.tty:
            pieces = [(STDOUT, self._incoming)] if self._incoming else []
            self._incoming = b""
        else:
            pieces = self._frames()
        return None if ended and not pieces else pieces

    def _frames(self) -> list[tuple[int, bytes]]:
        pieces = []
        while len(self._incoming) >= HEADER.size:
            stream, size = HEADER.unpack_from(self._incoming)
            end = HEADER.size + size
            if len(self._incoming) < end:
                break
            pieces.append((stream, self._incoming[HEADER.size : end]))
            self._incoming = self._incoming[end:]
        return pieces

    def write(self, data: bytes | memoryview) -> int:
        """Give the process input; how much of it was taken comes back."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except ConnectionError:
            return len(data)  # it has ended, and read() says so

    def write_end(self) -> None:
        """Tell the process that its input has ended."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the process the size of its terminal."""
        end = time.monotonic() + SOON
        while rows and columns:
            try:
                self._api.exec_resize(self.id, rows, columns)
            except APIError:
                if not self._begins() or time.monotonic() > end:
                    return  # it has ended
                time.sleep(INTERVAL)
            else:
                return

    def _begins(self) -> bool:
        with self._door():
            state = self._api.exec_inspect(self.id)
        return state["ExitCode"] is None

    def exit_code(self) -> int:
        """How the process ended, once :meth:`read` has said that it did."""
        end = time.monotonic() + SOON
        while True:
            try:
                state = self._api.exec_inspect(self.id)
            except APIError:
                return KILLED  # with the container
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            if time.monotonic() > end:
                return KILLED
            time.sleep(INTERVAL)

    def signal(self, name: str) -> None:
        """Send the process and its children a signal: the engine leaves them running when whoever started it has gone.

        A terminal does so too when Ctrl-C is pressed: a shell that waits for a command heeds nothing before that ends.

        Parameters
        ----------
        name
            such as ``HUP``
        """
        with suppress(APIError, OSError):
            state = self._api.exec_inspect(self.id)
            # Docker knows the number of a process a moment after its first output may have come, and tells nobody.
            for _ in range(PID_TRIES):
                if state["Pid"] or not state["Running"]:
                    break
                time.sleep(PID_INTERVAL)
                state = self._api.exec_inspect(self.id)
            if state["Running"] and (inside := _number_inside(state["Pid"])):
                user = state["ProcessConfig"].get("user", "")
                # Engines have each exec lead a group of its own.
                command = f"kill -s {name} -- -{inside} || kill -s {name} {inside}"
                kill = self._api.exec_create(self.container, ["sh", "-c", command], user=user)
                self._api.exec_start(kill["Id"])

    def close(self) -> None:
        """Let go of the streams."""
        self._stream._response.close()  # noqa: SLF001 - only docker-py keeps it
        self._stream.close()


def converse(process: Exec, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give a process its input, and have what it prints until it ends, each piece with the number of its stream.

    Parameters
    ----------
    process
        just started, and without a terminal
    data
        its whole input
    """
    waiting: memoryview | None = memoryview(data)
    with closing(process):
        while True:
            timeout = 0 if process.pending else None
            _, writable, _ = select.select([process], [process] if waiting is not None else [], [], timeout)
            if writable and waiting is not None:
                waiting = waiting[process.write(waiting) :]
                if not waiting:
                    process.write_end()
                    waiting = None
            pieces = process.read()
            if pieces is None:
                return
            yield from pieces


def _number_inside(pid: int) -> int | None:
    """The number that a process of this machine has in its container."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name == "NSpid":
            return int(numbers.split()[-1])
    return None
