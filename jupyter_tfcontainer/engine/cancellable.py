"""A connection to an engine for what takes long, which another thread can cut."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, cast

import requests
from docker import APIClient

# While such a context lasts, a cancel calls what it was given.
Cuttable = Callable[[Callable[[], None]], AbstractContextManager[None]]


class LongClient(APIClient):
    """A client for one thing that takes long, and that another thread can end.

    Parameters
    ----------
    url, version
        where the engine is, and which API it is to speak
    """

    def __init__(self, url: str, version: str) -> None:
        # It may be minutes until the engine has something to say.
        super().__init__(base_url=url, version=version, timeout=cast("int", None))
        self._sockets: list[socket.socket] = []
        self._responses: list[requests.Response] = []
        self._cut = False
        adapter: Any = self.get_adapter(self.base_url)
        adapter.get_connection = partial(self._pool, adapter.get_connection)

    def _pool(self, get: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What gives docker-py its connections. There is no other way to a socket while an answer is awaited."""
        pool = get(*args, **kwargs)
        pool._new_conn = partial(self._connection, pool.__class__._new_conn, pool)  # noqa: SLF001
        return pool

    def _connection(self, make: Callable[[Any], Any], pool: Any) -> Any:
        new = make(pool)
        connect = new.connect

        def connected() -> None:
            connect()
            self._sockets.append(new.sock)
            if self._cut:
                self.cut()

        new.connect = connected
        return new

    def cut(self) -> None:
        """End it: the engine does when nobody listens any more."""
        self._cut = True
        for one in self._sockets:
            with suppress(OSError):  # it is closed already
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection, be an answer read to its end or not."""
        self.cut()
        for response in self._responses:
            response.close()
        super().close()
        for one in self._sockets:
            one.close()

    def _stream_helper(self, response: requests.Response, decode: bool = False) -> Any:
        self._responses.append(response)
        return super()._stream_helper(response, decode)  # type: ignore[misc]

    def _stream_raw_result(self, response: requests.Response, chunk_size: int = 1, decode: bool = True) -> Any:
        self._responses.append(response)
        return super()._stream_raw_result(response, chunk_size, decode)  # type: ignore[misc]
