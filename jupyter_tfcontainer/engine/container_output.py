"""What containers print: their logs, and the wait for a word in them."""

from __future__ import annotations

import codecs
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any

from docker.errors import APIError
from docker.utils.socket import frames_iter

from .connection import Connection

# Seconds that the end of a log is waited for.
LOG_TIMEOUT = 2.0


class ContainerOutput:
    """The output of the containers of one engine.

    Parameters
    ----------
    connection
        the way to the engine
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api, self._door = connection.api, connection.door
        #: The outputs that are listened to until a container has said its word.
        self._awaited: dict[str, Any] = {}

    def start_until(self, container: str, marker: bytes, meanwhile: Callable[[], None]) -> tuple[str, int | None]:
        """Start a container and wait for a word in its output, or for its end.

        Nothing is polled: both come through one stream.

        Parameters
        ----------
        container
            its id
        marker
            the word
        meanwhile
            called once the container runs

        Returns
        -------
        tuple of str and int or None
            its output so far, and its exit code if it ended

        Raises
        ------
        GPURouteMissing
            when the engine cannot hand over what was asked
        """
        output = b""
        with self._door():
            stream = self._api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1, "logs": 1})
            self._awaited[container] = stream
            try:
                with closing(stream), closing(stream._response):  # noqa: SLF001 - only docker-py keeps it
                    self._api.start(container)
                    meanwhile()
                    for _, chunk in frames_iter(stream, tty=False):
                        output += chunk
                        if marker in output:
                            return output.decode(errors="replace"), None
            finally:
                del self._awaited[container]
            # docker-py would wait for ever.
            code = self._api.wait(container, timeout=self._connection.timeout)["StatusCode"]
            if self._connection.facts.kind == "docker":
                # What was printed while we were being attached came twice. Podman's log may come behind.
                with suppress(APIError):  # it was removed, since somebody gave it up
                    output = self._api.logs(container)
        return output.decode(errors="replace"), code

    def hang_up(self, container: str) -> None:
        """Have :meth:`start_until` hear no more of a container: an engine that does not answer ends no stream."""
        if stream := self._awaited.get(container):
            with suppress(OSError, ValueError):  # it has just ended
                stream._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - a close would not wake who listens

    def logs(self, container: str, tail: int) -> str:
        """The last lines of a container's log."""
        with self._door():
            return str(self._api.logs(container, tail=tail).decode(errors="replace"))

    def logs_until(self, container: str, tail: int, word: str) -> str:
        """The last lines of a running container's log, once they have a word in them.

        Podman writes the log beside the container: what that has printed comes a moment later (seen: 4.3.1).
        """
        log = self.logs(container, tail)
        if word in log:
            return log
        log = ""
        with closing(self.follow(container, tail, LOG_TIMEOUT)) as pieces:
            for piece in pieces:
                log += piece
                if word in log:
                    break
        return log

    def follow(
        self,
        container: str,
        tail: int,
        seconds: float | None = None,
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Generator[str, None, None]:
        """The last lines of a container's log, and what it prints from then on, until it ends.

        Parameters
        ----------
        container
            its id
        tail
            how many lines
        seconds
            how long at most; None for any time
        opened
            is told how to end it, from whichever thread
        """
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with self._door():
            log: Any = self._api.logs(container, tail=tail, stream=True, follow=True)
            opened(log.close)
            patience = threading.Timer(seconds or 0.0, log.close)
            if seconds is not None:
                patience.start()
            try:
                with closing(log._response):  # noqa: SLF001 - only docker-py keeps it
                    for piece in log:
                        yield decode(piece)
            finally:
                patience.cancel()
