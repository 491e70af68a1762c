"""The last step to a port in a container: one connection of this process, handed on as if it went to a Unix socket.

The proxy library connects to an address; what we have is a connection. So each gets an address of its own that nobody
can guess and that is in no folder, which a container could write to, and at which this very process is let in, once.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
from contextlib import suppress

# As much as is read at a time.
PIECE = 2**16
# Process, user and group of who connected (unix(7), SO_PEERCRED).
CREDENTIALS = struct.Struct("iII")


class Relay:
    """Hands a connection on to who connects to an address.

    Parameters
    ----------
    there
        the connection; it is closed at the end
    """

    def __init__(self, there: socket.socket) -> None:
        #: Where to connect, in the abstract namespace.
        self.address = f"\0tfcontainer-{secrets.token_hex(16)}"
        self._there = there
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(self.address)
        self._listener.listen(1)
        self._here: socket.socket | None = None
        self._task = asyncio.create_task(self._run())
        # Whatever becomes of the task, be it cancelled before it began.
        self._task.add_done_callback(self._ended)

    def close(self) -> None:
        """End it, unless somebody has connected: then it ends with that connection."""
        if self._here is None:
            self._task.cancel()

    async def _run(self) -> None:
        self._here = await self._accept()
        self._listener.close()
        await _join(self._here, self._there)

    def _ended(self, task: asyncio.Task[None]) -> None:
        for one in (self._listener, self._there, self._here):
            if one is not None:
                one.close()
        if not task.cancelled() and (error := task.exception()):
            raise error

    async def _accept(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            here, _ = await loop.sock_accept(self._listener)
            credentials = here.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            if CREDENTIALS.unpack(credentials)[0] == os.getpid():
                here.setblocking(False)
                return here
            here.close()  # somebody else of this machine, who looks at what there is


async def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what each says, until one of them has no more to say: in HTTP that is the end of both."""
    directions = {asyncio.create_task(_pass(one, other)), asyncio.create_task(_pass(other, one))}
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def _pass(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):  # the other side has gone
        while data := await loop.sock_recv(source, PIECE):
            await loop.sock_sendall(sink, data)
