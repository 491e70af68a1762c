"""Jupyter servers for tests, spoken to as pages speak to them."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import openapi
from homes import Home
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from kernels import TIMEOUT
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import url_concat
from tornado.websocket import WebSocketClientConnection, websocket_connect

T = TypeVar("T")
Message = dict[str, Any]
OURS = "api/tfcontainer"
# Seconds that one answer may take: some wait for kernels, on a machine that may have much else to do.
ANSWER_TIMEOUT = 60


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    model: Any
    location: str | None


class Socket:
    """A websocket that is listened to all the time."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self.messages: list[Message] = []
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (text := await self._connection.read_message()) is not None:
            async with self._news:
                self.messages.append(json.loads(text))
                self._news.notify_all()

    async def heard(self, find: Callable[[list[Message]], T], seconds: float = TIMEOUT) -> T:
        """What is found in the messages, as soon as it is something."""
        found: list[T] = []

        def look() -> bool:
            found[:] = [find(self.messages)]
            return bool(found[0])

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(look), seconds)
            except asyncio.TimeoutError:
                raise AssertionError(f"Not among what was heard: {str(self.messages)[-2000:]}") from None
        return found[0]

    def send(self, message: Message) -> None:
        """Send a message."""
        self._connection.write_message(json.dumps(message))

    async def close(self) -> None:
        """Hang up."""
        self._connection.close()
        await self._task


class Page(Socket):
    """A page with a notebook: it stays connected to a kernel whatever becomes of that."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        super().__init__(connection)
        self._session = uuid.uuid4().hex

    def ask(self, code: str) -> str:
        """Have code executed; the request's id comes back."""
        request = uuid.uuid4().hex
        header = {"msg_id": request, "session": self._session, "username": "", "msg_type": "execute_request"}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        # Else ipykernel aborts what it is asked next after an error, if that comes soon enough.
        content["stop_on_error"] = False
        self.send(
            {
                "channel": "shell",
                "header": {**header, "version": "5.3"},
                "parent_header": {},
                "metadata": {},
                "content": {**content, "user_expressions": {}},
            }
        )
        return request

    async def outputs(self, request: str) -> str:
        """All that one request printed, whoever asked, with the name of the error that ended it."""
        mine = await self.heard(lambda messages: _whole(of(messages, request)))
        return "".join(one["content"].get("text") or one["content"].get("ename", "") for one in mine)

    async def value(self, code: str) -> str:
        """What code prints."""
        return (await self.outputs(self.ask(code))).strip()

    async def state(self, state: str) -> None:
        """Wait until the page is told that the kernel is in a state."""
        await self.heard(lambda messages: [one for one in messages if one["content"].get("execution_state") == state])


def of(messages: list[Message], request: str) -> list[Message]:
    """What came on the output channel for one request."""
    return [one for one in messages if one["channel"] == "iopub" and one["parent_header"].get("msg_id") == request]


def _whole(messages: list[Message]) -> list[Message]:
    """The messages, once the last is there."""
    return messages if any(one["content"].get("execution_state") == "idle" for one in messages) else []


@dataclass(frozen=True)
class Server:
    """A server, and the ways to it."""

    app: ServerApp
    home: Home
    fetch: Callable[..., Awaitable[HTTPResponse]]
    headers: dict[str, str]

    async def ask(self, method: str, path: str, model: object = None, **parameters: str) -> Answer:
        """Send a request, and take whatever comes back."""
        body = None if model is None else json.dumps(model)
        try:
            response = await self.fetch(
                *path.split("/"),
                method=method,
                body=body,
                params=parameters,
                allow_nonstandard_methods=True,
                request_timeout=ANSWER_TIMEOUT,
            )
        except HTTPClientError as error:
            if error.response is None:
                raise
            response = error.response
        answer = json.loads(response.body) if response.body else None
        openapi.check(method, path, response.code, answer)
        return Answer(response.code, answer, response.headers.get("Location"))

    async def get(self, path: str, **parameters: str) -> Any:
        """The model at a path."""
        answer = await self.ask("GET", path, **parameters)
        assert answer.status == 200, answer
        return answer.model

    async def start(self, name: str) -> str:
        """Start a kernel as a launcher does, with a session; the kernel's id comes back."""
        answer = await self.ask("POST", "api/sessions", session(name))
        assert answer.status == 201, answer
        return str(answer.model["kernel"]["id"])

    async def ahead(self, name: str) -> Message:
        """Start a container that waits for a kernel."""
        answer = await self.ask("POST", f"{OURS}/containers", {"environment": name})
        assert answer.status == 201, answer
        assert isinstance(answer.model, dict)
        return answer.model

    async def containers(self) -> list[Message]:
        """The containers there are. Somebody may test beside us, as the same user on the same engine."""
        models = await self.get(f"{OURS}/containers")
        return [model for model in models if Path(model["workspace"]).is_relative_to(self.home.root)]

    async def container(self) -> Message:
        """The one container that there is."""
        (model,) = await self.containers()
        return model

    def url(self, path: str) -> str:
        """The path of an URL, from the host on."""
        return url_path_join(self.app.base_url, path)

    @asynccontextmanager
    async def page(self, kernel_id: str) -> AsyncIterator[Page]:
        """A page that is connected to a kernel."""
        # A session of its own, as each page has; with the same, one would take the other's place.
        parameters = {"session_id": uuid.uuid4().hex}
        page = Page(await self.connect(f"api/kernels/{kernel_id}/channels", parameters))
        try:
            yield page
        finally:
            await page.close()

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Socket]:
        """The server's events."""
        socket = Socket(await self.connect("api/events/subscribe"))
        try:
            yield socket
        finally:
            await socket.close()

    async def connect(self, path: str, parameters: dict[str, str] | None = None) -> WebSocketClientConnection:
        """Open a websocket."""
        # Jupyter opens the websocket of a kernel once that has answered.
        url = f"ws://localhost:{self.app.port}{url_concat(self.url(path), parameters or {})}"
        return await websocket_connect(
            HTTPRequest(url, headers=self.headers, connect_timeout=ANSWER_TIMEOUT, request_timeout=ANSWER_TIMEOUT)
        )


def session(name: str, path: str = "") -> Message:
    """What a launcher asks for."""
    path = path or f"{uuid.uuid4().hex}.ipynb"
    return {"path": path, "type": "notebook", "name": Path(path).name, "kernel": {"name": name}}
