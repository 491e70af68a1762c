"""What a page does, with a clock: REST requests to a Jupyter server, and a kernel's messages over a websocket."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.httputil import url_concat
from tornado.simple_httpclient import HTTPStreamClosedError, SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

# Seconds that anything may take, with fifty kernels starting on a small machine.
PATIENCE = 180.0
MESSAGE_LIMIT = 64 * 2**20
# A client that holds requests back would be what is measured.
MAX_REQUESTS = 1000
LOOK_INTERVAL = 0.01
clock = time.perf_counter


@dataclass
class Exchange:
    """A request to a kernel, and what came of it.

    Parameters
    ----------
    kind
        type of the request's message
    """

    kind: str
    #: when the reply came
    replied: float = 0.0
    #: when the kernel had printed all, too
    over: float = 0.0
    #: what was printed, message by message
    pieces: list[str] = field(default_factory=list)
    #: the contents of other messages, by type
    contents: dict[str, dict[str, Any]] = field(default_factory=dict)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    reply: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def printed(self) -> str:
        """All that was printed."""
        return "".join(self.pieces)

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message that answers it."""
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            self.pieces.append(content["text"])
            self.begun.set()
        elif kind == "status" and content["execution_state"] == "idle":
            self.over = clock()
            self.idle.set()
        elif kind == self.kind.replace("request", "reply"):
            self.replied = clock()
            self.contents[kind] = content
            self.reply.set()
        else:
            self.contents[kind] = content


class Channels:
    """A kernel's messages over one websocket."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self._session = uuid.uuid4().hex
        self._exchanges: dict[str, Exchange] = {}
        self._listener = asyncio.create_task(self._listen())

    def _acknowledge(self) -> None:
        """Have what comes acknowledged at once.

        The server holds each small message back until the one before is acknowledged (Nagle's algorithm), and the
        system does that 40 ms late: ten times what is compared.
        """
        stream = getattr(self._connection.protocol, "stream", None)
        if stream and stream.socket:  # else the server has closed it
            stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def _listen(self) -> None:
        self._acknowledge()
        while (text := await self._connection.read_message()) is not None:
            self._acknowledge()
            message = json.loads(text)
            if exchange := self._exchanges.get(message["parent_header"].get("msg_id", "")):
                exchange.hear(message)

    def send(self, kind: str, content: dict[str, Any]) -> Exchange:
        """Send a request."""
        identity = uuid.uuid4().hex
        exchange = self._exchanges[identity] = Exchange(kind)
        header = {"msg_id": identity, "session": self._session, "username": "", "msg_type": kind, "version": "5.3"}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._connection.write_message(json.dumps(message))
        return exchange

    def execute(self, code: str) -> Exchange:
        """Have code executed."""
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        return self.send("execute_request", {**content, "user_expressions": {}, "stop_on_error": False})

    async def first_reply(self) -> float:
        """Ask who the kernel is, as each page does first, and answer when its reply came."""
        return (await finished(self.send("kernel_info_request", {}), whole=False)).replied

    async def run(self, code: str) -> Exchange:
        """Have code executed, which must go well."""
        exchange = await finished(self.execute(code))
        status = exchange.contents["execute_reply"]
        if status["status"] != "ok":
            raise RuntimeError(f"{code[:80]!r} failed: {status.get('ename')}: {status.get('evalue')}")
        return exchange

    async def close(self) -> None:
        """Hang up."""
        self._connection.close()
        await self._listener


async def finished(exchange: Exchange, *, whole: bool = True) -> Exchange:
    """The exchange, once the reply is there, and all that was printed as well."""
    await asyncio.wait_for(exchange.reply.wait(), PATIENCE)
    if whole:
        await asyncio.wait_for(exchange.idle.wait(), PATIENCE)
    return exchange


@dataclass
class Session:
    """A notebook's session on a server."""

    id: str
    kernel: str
    channels: Channels
    #: when it was asked for, when that was answered, when the websocket was open, when the kernel first replied
    times: tuple[float, float, float, float]

    @property
    def seconds(self) -> float:
        """From ``POST /api/sessions`` to the first reply on the websocket."""
        return self.times[-1] - self.times[0]


class Client:
    """A client of one Jupyter server.

    Parameters
    ----------
    address
        URL of the server
    token
        of a person who may do everything
    """

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address.rstrip("/"), token
        self._http = SimpleAsyncHTTPClient(force_instance=True, max_clients=MAX_REQUESTS)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    async def request(self, method: str, path: str, model: Any = None) -> Any:
        """Send a request, which must go well, and answer its model."""
        response = await self._http.fetch(
            f"{self.address}/{path}",
            method=method,
            headers=self._headers,
            body=None if model is None else json.dumps(model),
            allow_nonstandard_methods=True,
            connect_timeout=PATIENCE,
            request_timeout=PATIENCE,
        )
        return json.loads(response.body) if response.body else None

    async def answers(self) -> None:
        """Wait until the server answers."""
        end = clock() + PATIENCE
        while True:
            try:
                await self.request("GET", "api")
            # The second is the engine's proxy, which takes the connection before anybody listens behind it.
            except (OSError, HTTPStreamClosedError):
                if clock() > end:
                    raise
                await asyncio.sleep(LOOK_INTERVAL)
            else:
                return

    async def socket(self, path: str, **parameters: str) -> WebSocketClientConnection:
        """Open a websocket."""
        url = url_concat(f"{self.address.replace('http', 'ws', 1)}/{path}", {"token": self.token, **parameters})
        request = HTTPRequest(url, headers=self._headers, connect_timeout=PATIENCE, request_timeout=PATIENCE)
        return await websocket_connect(request, max_message_size=MESSAGE_LIMIT)

    async def open(self, kernel: str) -> Session:
        """Open a notebook, with a kernel of a kernelspec."""
        name = f"{uuid.uuid4().hex}.ipynb"
        begun = clock()
        model = {"path": name, "name": name, "type": "notebook", "kernel": {"name": kernel}}
        made = await self.request("POST", "api/sessions", model)
        answered = clock()
        identity = made["kernel"]["id"]
        socket = await self.socket(f"api/kernels/{identity}/channels", session_id=uuid.uuid4().hex)
        opened = clock()
        channels = Channels(socket)
        replied = await channels.first_reply()
        return Session(made["id"], identity, channels, (begun, answered, opened, replied))

    async def close(self, session: Session) -> float:
        """Shut a notebook down; the seconds until the server had done so come back."""
        await session.channels.close()
        begun = clock()
        await self.request("DELETE", f"api/sessions/{session.id}")
        return clock() - begun

    @asynccontextmanager
    async def opened(self, kernel: str) -> AsyncIterator[Session]:
        """A notebook, shut down afterwards."""
        session = await self.open(kernel)
        try:
            yield session
        finally:
            await self.close(session)
