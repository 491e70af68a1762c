"""Our side of the supervisor's control socket. The protocol is described in ``inside/supervisor.py``."""

from __future__ import annotations

import array
import itertools
import json
import logging
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

log = logging.getLogger(__name__)
PROTOCOL = 1
# How long a supervisor may take to answer: it does nothing that blocks, so more means that the machine stands still.
ANSWER_TIMEOUT = 30.0

Message = dict[str, Any]
# The longest line that a supervisor may say, in bytes: what runs in the container may say anything in its place.
LINE_LIMIT = 2**20
# Descriptors that come at once, more than are ever sent.
DESCRIPTORS = 4
GONE = "The container has ended."
# The supervisor's last word on a kernel in the container's log.
ENDED = "[supervisor] launch {} ended"
# Its word on a spare that was killed, as by the memory limit that ended the kernel as well: that is no last word of it.
SPARE_ENDED = "[supervisor] the spare ended"
# The same of another program.
PROGRAM_ENDED = "[supervisor] program {} ended"


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
        # Both now: no connection is made for a request, since what runs in the container can change what it leads to.
        self._socket = _connect(path)
        try:
            self._descriptors = _connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._thread = threading.Thread(target=self._read, name=f"tfcontainer {path.parent.name}", daemon=True)
        self._thread.start()
        try:
            self.hello = self.request("own", owner=owner)
            version = self.hello.get("protocol")
            if version != PROTOCOL:
                raise ContainerError(
                    f"The container speaks version {version} of the control protocol, this extension version "
                    f"{PROTOCOL}. Shut the kernel down and start it again."
                )
            if not _is_hello(self.hello):
                raise ContainerError("What answers in the container is no supervisor of ours. Pick another image.")
            self._take_descriptors(self.hello["token"])
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
        answer = self.ask(op, **fields)
        try:
            return answer.result(ANSWER_TIMEOUT)
        except FutureTimeoutError:
            raise ContainerError(f"The container has not answered for {ANSWER_TIMEOUT:.0f} s.") from None
        finally:
            answer.cancel()

    def ask(self, op: str, **fields: Any) -> Future[Message]:
        """Ask the supervisor, and do not wait: the answer fails as :meth:`request` does.

        That of ``dial`` has a ``socket``, where it is connected.

        Raises
        ------
        ContainerError
            when it has gone
        """
        answer: Future[Message] = Future()
        with self._lock:
            if self._closed:
                raise ContainerError(GONE)
            number = next(self._ids)
            self._pending[number] = answer
            line = json.dumps({"id": number, "op": op, **fields}).encode() + b"\n"
            try:
                self._socket.sendall(line)
            except OSError as error:
                del self._pending[number]
                raise ContainerError(GONE) from error
        return answer

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
        with self._socket, self._descriptors, self._socket.makefile("rb") as lines:
            try:
                while (line := lines.readline(LINE_LIMIT)).endswith(b"\n"):
                    self._hear(json.loads(line))
            except OSError:
                pass  # the connection broke
            except Exception as error:  # noqa: BLE001 - whatever it said, it is no supervisor of ours
                log.warning("The connection to a container is closed, for it said what is not understood: %r", error)
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        for number in pending:
            self._settle(number, {"error": "it has ended"})
        self._on_event(None)

    def _hear(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
            return
        if message.get("connected"):
            message["socket"] = self._descriptor()
        self._settle(message["id"], message)

    def _settle(self, number: int, reply: Message) -> None:
        answer = self._pending.pop(number, None)
        try:
            if answer is None or not answer.set_running_or_notify_cancel():
                pass
            elif "error" in reply:
                answer.set_exception(ContainerError(f"The container refused: {reply['error']}."))
            else:
                answer.set_result(reply)
                return
        except InvalidStateError:
            pass  # given up at the last moment
        if passed := reply.get("socket"):
            passed.close()  # nobody waits for it any more

    def _take_descriptors(self, token: str) -> None:
        """Have the second connection carry descriptors."""
        self._descriptors.settimeout(ANSWER_TIMEOUT)
        line = json.dumps({"op": "descriptors", "token": token}).encode() + b"\n"
        try:
            self._descriptors.sendall(line)
            with self._descriptors.makefile("rb", buffering=0) as answers:
                reply = json.loads(answers.readline(LINE_LIMIT) or b"{}")
            if not reply.get("ok"):
                raise ContainerError(f"The container refused: {reply.get('error', 'it gave no reason')}.")
            self._descriptors.setblocking(False)
        except (OSError, ValueError, RecursionError, AttributeError) as error:
            raise ContainerError(GONE) from error

    def _descriptor(self) -> socket.socket | None:
        """The connection that was passed before the reply that tells of it."""
        found = array.array("i")
        # Not by `recv_fds`, which has no ear for flags: a process that is started meanwhile shall not get them.
        with suppress(OSError):  # it was not
            size = socket.CMSG_LEN(DESCRIPTORS * found.itemsize)
            for level, kind, data in self._descriptors.recvmsg(1, size, socket.MSG_CMSG_CLOEXEC)[1]:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    found.frombytes(data[: len(data) - len(data) % found.itemsize])
        if len(found) == 1 and (passed := _tcp_socket(found[0])):
            return passed
        for one in found:
            with suppress(OSError):
                os.close(one)
        return None


def _is_hello(hello: Message) -> bool:
    """Whether that is what a supervisor says of itself: whoever is in the container may say anything."""
    kernel = {"kernel": str, "launch": int, "ready": bool}
    return (
        all(isinstance(hello.get(name), str) for name in ("python", "executable", "token"))
        and isinstance(hello.get("inodes"), dict)
        and all(isinstance(one, int | str) for one in hello["inodes"].values())
        and all(isinstance(hello.get(name), list) for name in ("devices", "kernels"))
        and all(isinstance(one, str) for one in hello["devices"])
        and all(
            isinstance(one, dict) and all(isinstance(one.get(name), kind) for name, kind in kernel.items())
            for one in hello["kernels"]
        )
    )


def _connect(path: Path) -> socket.socket:
    """Connect to a socket in a folder that the container can change.

    Whoever could be led from there to another one, such as the engine's, would speak to it as us. So the socket is
    looked at before, and it is what was looked at that is connected to (proc(5), ``/proc/PID/fd``).
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                raise ContainerError(f"What should be the socket of the container's supervisor is none: {path}.")
            connection.connect(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
    except BaseException:
        connection.close()
        raise
    return connection


def _tcp_socket(descriptor: int) -> socket.socket | None:
    """What was passed, if it is a TCP connection: whoever is in the container may pass anything."""
    try:
        passed = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        if passed.family in (socket.AF_INET, socket.AF_INET6) and passed.type == socket.SOCK_STREAM:
            passed.getpeername()
            passed.setblocking(False)
            return passed
    except OSError:
        pass  # it is not connected
    passed.detach()
    return None
