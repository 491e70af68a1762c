"""The last step to a port: the address at which a connection is handed on."""

from __future__ import annotations

import asyncio
import socket
import sys

from kernels import TIMEOUT

from jupyter_tfcontainer.server.relay import Relay

# Connects, and says what it is told.
OTHER = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.connect("\\0" + sys.argv[1])
one.settimeout(20)
try:
    print(one.recv(100))
except OSError as error:
    print(type(error).__name__)
"""


def test_nobody_else_is_let_in() -> None:
    """Everybody of the machine sees such an address (``/proc/net/unix``) and may connect to it."""

    async def meet() -> bytes:
        there, program = socket.socketpair()
        there.setblocking(False)
        relay = Relay(there)
        try:
            program.sendall(b"for us alone")
            other = await asyncio.create_subprocess_exec(
                sys.executable, "-c", OTHER, relay.address[1:], stdout=asyncio.subprocess.PIPE
            )
            said, _ = await asyncio.wait_for(other.communicate(), TIMEOUT)
            reader, writer = await asyncio.open_unix_connection(relay.address)
            assert await asyncio.wait_for(reader.read(100), TIMEOUT) == b"for us alone"
            writer.close()
            await writer.wait_closed()
        finally:
            relay.close()
            program.close()
        return said.strip()

    assert asyncio.run(meet()) in (b"b''", b"ConnectionResetError")
