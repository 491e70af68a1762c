"""A socket before an engine's own: it notes requests, and can take the engine's part, silent or refusing everything."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PIECE = 65536
REQUEST = re.compile(rb"^([A-Z]+ /\S*) HTTP/1\.1\r$", re.MULTILINE)
_WORDS = json.dumps({"message": "driver failed (done on purpose)"}).encode()
REFUSAL = b"\r\n".join(
    [
        b"HTTP/1.1 500 Internal Server Error",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(_WORDS),
        b"Connection: close",
        b"",
        _WORDS,
    ]
)


class Door:
    """The way to an engine.

    Parameters
    ----------
    engine
        the engine's own socket
    """

    def __init__(self, engine: Path) -> None:
        self._engine = engine
        self._talks = asyncio.Event()
        self._talks.set()
        self._connections: set[asyncio.Task[None]] = set()
        #: Whether each request is answered by status 500.
        self.refuses = False
        #: Method and path of each request.
        self.requests: list[str] = []

    def fall_silent(self) -> None:
        """Accept connections and requests, and say nothing."""
        self._talks.clear()

    def talk(self) -> None:
        """Let through what has waited."""
        self._talks.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            # The second is this door's own end, which is no error.
            with suppress(OSError, asyncio.CancelledError):
                far_reader, far_writer = await asyncio.open_unix_connection(str(self._engine))
                try:
                    # What an engine says goes on after the last request: the end of that ends nothing.
                    await asyncio.gather(self._up(reader, far_writer, writer), self._down(far_reader, writer))
                finally:
                    await _hang_up(far_writer)
        finally:
            await _hang_up(writer)

    async def _up(
        self, reader: asyncio.StreamReader, engine: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(PIECE):
            self.requests += [one.decode() for one in REQUEST.findall(piece)]
            await self._talks.wait()
            if self.refuses:
                client.write(REFUSAL)
                engine.close()
                return
            engine.write(piece)
            await engine.drain()
        if engine.can_write_eof():
            engine.write_eof()

    async def _down(self, engine: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while piece := await engine.read(PIECE):
            await self._talks.wait()
            client.write(piece)
            await client.drain()
        client.close()

    async def close(self) -> None:
        """End all connections."""
        for one in self._connections:
            one.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def door(engine: Path, socket: Path) -> AsyncIterator[Door]:
    """A door to an engine, at a socket of its own."""
    one = Door(engine)
    async with await asyncio.start_unix_server(one.serve, str(socket)):
        try:
            yield one
        finally:
            await one.close()
