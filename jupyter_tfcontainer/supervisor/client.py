"""Our side of the supervisor's control socket. The protocol is described in ``supervisor.py``."""

from __future__ import annotations

import itertools
import json
import os
import socket
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ContainerError

PROTOCOL = 1
# How long a supervisor may take to answer: it does nothing that blocks, so more means that the machine stands still.
ANSWER_TIMEOUT = 30.0

Message = dict[str, Any]
# The supervisor's last word on a kernel in the container's log.
ENDED = "[supervisor] launch {} ended"


class SupervisorClient:
    """The owner's connection to one container. Thread-safe.

    Parameters
    ----------
    path
        the control socket
    owner
        who speaks, shown to whoever comes second
    on_event
        called with each pushed event, and with None when the connection has ended; from this object's own thread
    """

    def __init__(self, path: Path, owner: str, on_event: Callable[[Message | None], None]) -> None:
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._pending: dict[int, Future[Message]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(self._socket, path)
        except BaseException:
            self._socket.close()
            raise
        self._thread = threading.Thread(target=self._read, name=f"tfcontainer {path.parent.name}", daemon=True)
        self._thread.start()
        try:
            self.hello = self.request("own", owner=owner)
            if self.hello["protocol"] != PROTOCOL:
                raise ContainerError(
                    f"The container speaks version {self.hello['protocol']} of the control protocol, this extension "
                    f"version "
                    f"{PROTOCOL}. Shut the kernel down and start it again."
                )
        except BaseException:
            self.close()
            raise

    def request(self, op: str, **fields: Any) -> Message:
        """Ask the supervisor, and wait for its answer.

        Raises
        ------
        ContainerError
            when it refuses, does not answer in time, or has gone
        """
        answer: Future[Message] = Future()
        with self._lock:
            if self._closed:
                raise ContainerError("The container has ended.")
            number = next(self._ids)
            self._pending[number] = answer
            line = json.dumps({"id": number, "op": op, **fields}).encode() + b"\n"
            try:
                self._socket.sendall(line)
            except OSError as error:
                del self._pending[number]
                raise ContainerError("The container has ended.") from error
        try:
            reply = answer.result(ANSWER_TIMEOUT)
        except FutureTimeoutError:
            raise ContainerError(f"The container has not answered for {ANSWER_TIMEOUT:.0f} s.") from None
        finally:
            self._pending.pop(number, None)
        if "error" in reply:
            raise ContainerError(f"The container refused: {reply['error']}.")
        return reply

    @property
    def connected(self) -> bool:
        """Whether the container is still there."""
        return not self._closed

    def close(self) -> None:
        """End the connection, and wait for its thread unless that is who calls."""
        with self._lock:
            self._closed = True
        with suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join(ANSWER_TIMEOUT)

    def _read(self) -> None:
        with self._socket, self._socket.makefile("rb") as lines:
            try:
                for line in lines:
                    self._hear(json.loads(line))
            except (OSError, ValueError, KeyError):
                pass  # the connection broke, or what answers is no supervisor of ours: that is its end as well
        with self._lock:
            self._closed = True
            pending = list(self._pending.values())
        for answer in pending:
            with suppress(InvalidStateError):  # answered at the last moment
                answer.set_result({"error": "it has ended"})
        self._on_event(None)

    def _hear(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
        elif answer := self._pending.get(message["id"]):
            answer.set_result(message)


def _connect(client: socket.socket, path: Path) -> None:
    """Connect to a socket in a folder that the container can change.

    Whoever could be led from there to another one, such as the engine's, would speak to it as us. So the socket is
    looked at before, and it is what was looked at that is connected to (proc(5), ``/proc/PID/fd``).
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ContainerError(f"What should be the socket of the container's supervisor is none: {path}.")
        client.connect(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
