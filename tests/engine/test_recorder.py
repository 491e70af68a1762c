"""What kernels say while no server runs is not lost."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import requests
from homes import LEGACY, MODERN, temporary_home
from kernels import until
from servers import ANSWER_TIMEOUT, OURS, Page, Server
from test_takeover import TOKEN, Process
from test_takeover import server as another_server
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_tfcontainer.errors import ContainerError
from jupyter_tfcontainer.kernels import page_cursor
from jupyter_tfcontainer.kernels.container import RunningContainer
from jupyter_tfcontainer.kernels.output_log import Recording, text
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.provisioner import TFContainerProvisioner
from jupyter_tfcontainer.threads import CALLS

# Seconds that a loaded machine may take for what takes one on an idle one.
LOADED = 60.0
# Seconds in which twenty kernels are back.
BACK = 5.0
COUNTS = """import os, time
n = 0
while not os.path.exists("stop"):
    print(n)
    n += 1
    time.sleep(0.01)
print("end %d" % n)"""
COMPUTES = """import os, time
n = 0
while not os.path.exists({!r}):
    n += 1
    time.sleep(0.02)
print("computed")"""


class PageLeftOpen:
    """What a page left open does: it talks to a kernel through its server, and to the next one as the same page.

    Parameters
    ----------
    kernel
        id of the kernel
    """

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel
        self.id = uuid.uuid4().hex
        #: All that it has been sent.
        self.messages: list[dict[str, Any]] = []
        self._connection: WebSocketClientConnection | None = None

    async def connect(self, process: Process) -> None:
        """Connect, and hear until the connection breaks."""
        url = f"{process.url.replace('http', 'ws', 1)}api/kernels/{self.kernel}/channels?session_id={self.id}"
        headers = {"Authorization": f"token {TOKEN}"}
        self._connection = await websocket_connect(HTTPRequest(url, headers=headers, request_timeout=LOADED))
        self._listener = asyncio.ensure_future(self._listen(self._connection))

    async def _listen(self, connection: WebSocketClientConnection) -> None:
        while (message := await connection.read_message()) is not None:
            self.messages.append(json.loads(message))

    async def execute(self, code: str) -> str:
        """Ask for an execution; answers the id of the request."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True}
        return await self.send("shell", "execute_request", content)

    async def send(self, channel: str, kind: str, content: dict[str, Any]) -> str:
        """Send a message; answers its id."""
        assert self._connection
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": kind, "session": self.id, "username": "", "version": "5.3"}
        message = {"channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._connection.write_message(json.dumps(message))
        return number

    def of(self, request: str, kind: str) -> list[dict[str, Any]]:
        """What it has been sent of one type for a request."""
        return [
            one["content"]
            for one in self.messages
            if one["parent_header"].get("msg_id") == request and one["header"]["msg_type"] == kind
        ]

    def lines(self, request: str) -> list[str]:
        """The lines that an execution has printed."""
        return "".join(one["text"] for one in self.of(request, "stream")).splitlines()

    async def replied(self, request: str) -> dict[str, Any]:
        """Wait for an execution's reply; there is one, and no more."""
        await soon(lambda: self.of(request, "execute_reply"))
        (reply,) = self.of(request, "execute_reply")
        return reply

    async def value(self, code: str) -> list[str]:
        """The lines that code prints."""
        request = await self.execute(code)
        reply = await self.replied(request)
        assert reply["status"] == "ok", reply
        await soon(lambda: self.lines(request))
        return self.lines(request)


async def soon(condition: Callable[[], object], seconds: float = LOADED) -> None:
    """Wait for what other processes do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def taking_over(log: list[str]) -> float:
    """Seconds that a server took for the kernels of the one before, by its own log; the rest is Jupyter's start."""
    first = next(number for number, line in enumerate(log) if "Kernel started" in line)
    last = next(number for number, line in enumerate(log) if "tfcontainer | extension was successfully loaded" in line)
    begun, ended = (datetime.fromisoformat(" ".join(log[number].split()[1:3])) for number in (first - 1, last))
    return (ended - begun).total_seconds()


def is_recorded(process: Process, container: str) -> bool:
    """Whether what a kernel says is kept from now on: the reply to a cell that began before is not known afterwards."""
    try:
        process.get(f"{OURS}/containers/{container}/output")
    except requests.HTTPError:
        return False
    return True


async def start(process: Process, names: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, PageLeftOpen]]:
    """Start a kernel for each, with its name in a variable; answers the sessions and the pages."""
    places = asyncio.Semaphore(4)

    async def page_of(name: str) -> tuple[dict[str, Any], PageLeftOpen]:
        async with places:
            environment = "old" if name.endswith("old") else "new"
            session = await asyncio.to_thread(process.session, f"{name}.ipynb", environment)
        page = PageLeftOpen(session["kernel"]["id"])
        await page.connect(process)
        assert await page.value(f"kept = {name!r}\nprint(kept)") == [name]
        return session, page

    started = await asyncio.gather(*map(page_of, names))
    models = await asyncio.to_thread(process.get, f"{OURS}/containers")
    containers = [one["id"] for one in models if one["kernel"] and one["workspace"] == str(process.home.workspace)]
    assert len(containers) == len(names)
    for one in containers:
        assert await asyncio.to_thread(until, partial(is_recorded, process, one), LOADED)
    return (
        {name: session for name, (session, _) in zip(names, started, strict=True)},
        {name: page for name, (_, page) in zip(names, started, strict=True)},
    )


def check_sessions(process: Process, sessions: dict[str, dict[str, Any]]) -> None:
    """See that all are there, with their kernels."""
    found = {one["id"]: (one["path"], one["kernel"]["id"]) for one in process.get("api/sessions")}
    assert found == {one["id"]: (one["path"], one["kernel"]["id"]) for one in sessions.values()}


async def check_lines(page: PageLeftOpen, request: str, fewest: int) -> None:
    """See that all is there that was counted, once and in order."""
    assert (await page.replied(request))["status"] == "ok"
    await soon(lambda: page.lines(request)[-1].startswith("end"))
    *lines, end = page.lines(request)
    assert lines == [str(number) for number in range(len(lines))]
    assert end == f"end {len(lines)}"
    assert len(lines) > fewest


async def test_twenty_kernels() -> None:
    """All are back, with their variables; what they computed has come to its end, and no line is missing."""
    prints, soons, later = ["prints", "prints old"], ["soon 1", "soon 2", "soon 3"], ["late 1", "late 2", "late 3"]
    asks = ["asks", "asks in vain"]
    names = [*prints, *soons, *later, *asks, *(f"idle {number}" for number in range(10))]
    codes = {**dict.fromkeys(prints, COUNTS), **dict.fromkeys(asks, "print(input('Yes?'))")}
    codes |= {name: COMPUTES.format(name[:4]) for name in soons + later}
    with temporary_home() as home:
        home.add("old", LEGACY)
        home.add("new", MODERN)
        first = Process(home, home.workspace)
        try:
            sessions, pages = await start(first, names)
            asked = {name: await pages[name].execute(code) for name, code in codes.items()}
            await soon(lambda: all(len(pages[name].lines(asked[name])) > 100 for name in prints))
            await soon(lambda: all(pages[name].of(asked[name], "input_request") for name in asks))
            # Between a page's getting a message and the note of that is the one moment at which an end has it come
            # twice: on a busy machine, where the page has the processor then, it would be hit too often.
            await soon(first.waits)
        finally:
            first.end(signal.SIGKILL)
        # Some come to their end while nobody hears them.
        (home.workspace / "soon").touch()
        begun = time.monotonic()
        with another_server(home) as second:
            check_sessions(second, sessions)
            took = taking_over(second.log)
            print(
                f"20 kernels are back {time.monotonic() - begun:.1f} s after the start of the server; {took} s are ours"
            )
            assert took < BACK
            heard = {name: len(pages[name].lines(asked[name])) for name in prints}
            await asyncio.gather(*(page.connect(second) for page in pages.values()))
            (home.workspace / "late").touch()
            for name in soons + later:
                reply = await pages[name].replied(asked[name])
                assert (reply["status"], reply["execution_count"]) == ("ok", 2)
                assert pages[name].lines(asked[name]) == ["computed"]
            (home.workspace / "stop").touch()
            for name in prints:
                await check_lines(pages[name], asked[name], heard[name])
            await pages["asks"].send("stdin", "input_reply", {"value": "yes", "status": "ok"})
            assert (await pages["asks"].replied(asked["asks"]))["status"] == "ok"
            assert pages["asks"].lines(asked["asks"]) == ["yes"]
            second.ask("POST", f"api/kernels/{pages['asks in vain'].kernel}/interrupt")
            assert (await pages["asks in vain"].replied(asked["asks in vain"]))["ename"] == "KeyboardInterrupt"
            for name in names:
                assert await pages[name].value("print(kept)") == [name]
        assert home.containers() == []


def recorded(container: RunningContainer) -> bool:
    """Whether the recorder has heard anything printed."""
    try:
        return bool(text(Recording(container).read()))
    except ContainerError:
        return False  # there is none yet


async def test_a_page_catches_up_whatever_the_engine_does(server: Server) -> None:
    """It asks the kernel's container, and waits for nothing that others have asked the engine."""
    server.home.add("tf", MODERN)
    kernel = await server.start("tf")
    path, parameters = f"api/kernels/{kernel}/channels", {"session_id": uuid.uuid4().hex}
    page = Page(await server.connect(path, parameters))
    assert await page.value("print('seen')") == "seen"
    await page.close()
    provisioner = server.app.kernel_manager.get_kernel(kernel).provisioner
    assert isinstance(provisioner, TFContainerProvisioner)
    container = provisioner.container
    assert container
    # Another page meanwhile: else Jupyter itself keeps for the first what it misses.
    async with server.page(kernel) as other:
        # The recorder begins a moment after the kernel.
        end = time.monotonic() + LOADED
        while not await asyncio.to_thread(recorded, container):
            assert time.monotonic() < end
            assert await other.value("print('missed')") == "missed"
    # As if a server had died in between.
    container.left_open.add(page_cursor.name(parameters["session_id"]))
    answered, threads = threading.Event(), ContainerManager.instance().threads
    waiting = [asyncio.ensure_future(threads.call(answered.wait)) for _ in range(CALLS)]
    try:
        page = Page(await server.connect(path, parameters))
        texts = await page.heard(
            lambda messages: [one["content"]["text"] for one in messages if "text" in one["content"]], ANSWER_TIMEOUT
        )
        assert set(texts) == {"missed\n"}
        await page.close()
    finally:
        answered.set()
        await asyncio.gather(*waiting)
