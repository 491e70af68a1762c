"""One run: a server with kernels, something that goes wrong at a random moment, and a look at what became of all."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import psutil
from homes import Home
from servers import OURS, Page, Socket, of, session
from tornado.httpclient import HTTPClientError

from benchmarks.servers import Server, server

from . import extension
from .door import Door
from .engine import SmallEngine

# Seconds within which something goes wrong: a kernel's start, a cell, a restart, another cell and its end take less.
MOMENT = 2.0
# Seconds that the server gets to remove what is left of kernels that have ended: it waits for a restart first.
CLEANING = 20.0
# Seconds that its event loop may be held up: no call to an engine that does not answer is as short as that.
STALL = 5.0
# Seconds between two looks of an open side panel.
LOOK = 0.3
# Seconds between two looks at what there is no event for.
INTERVAL = 0.1
# Seconds until an interrupt or a restart must have been done, on a machine with much to do, too.
COMMAND = 20.0
# By which the processes of a run are known, inside and outside.
MARK = "FAULTS_RUN"
COMPUTE = """
import os, time
kept, rounds = {token!r}, 0
while not os.path.exists('stop'): rounds += 1; time.sleep(0.02)
finished = rounds > 0
"""


@dataclass
class Outcome:
    """What became of a run."""

    #: what was left behind
    leaks: list[str] = field(default_factory=list)
    #: what was lost that nobody killed
    lost: list[str] = field(default_factory=list)
    #: what a person was told
    seen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Parameters
    ----------
    name
        as the report has it
    strike
        does it; it is over when that returns
    takes
        what it needs: an engine of its own, a door before the engine, a small disk, a clock that can be set
    """

    name: str
    strike: Callable[[Scene], Awaitable[None]]
    takes: Literal["engine", "door", "disk", "clock", ""] = ""


class Scene:
    """A server, and what is on it.

    Parameters
    ----------
    home
        its folders
    chance
        decides when, and for how long
    outage
        seconds that an engine is away
    engine
        a private one, if it has one
    """

    def __init__(self, home: Home, chance: random.Random, outage: float, engine: SmallEngine | None) -> None:
        self.home, self.chance, self.outage, self.engine = home, chance, outage, engine
        #: The door before the engine, if there is one.
        self.door: Door | None = None
        #: The name of the image of all kernels, which nobody else uses.
        self.image = ""
        self.outcome = Outcome()
        #: The server at this time.
        self.server: Server
        #: Variables of the servers.
        self.variables: dict[str, str] = {}
        #: The id of the kernel that computes all the time.
        self.kept = ""
        #: The id of a kernel that is interrupted and restarted while the engine is away.
        self._asked = ""
        self._token = uuid.uuid4().hex
        self._stack = AsyncExitStack()
        self._over = asyncio.Event()

    # The server.

    async def serve(self) -> None:
        """Start a server, and be told what it tells."""
        self.server = await self._stack.enter_async_context(
            server(ours=True, home=self.home, variables=self.variables, more=(extension.__name__,))
        )
        events = Socket(await self.server.client.socket("api/events/subscribe"))
        self._stack.push_async_callback(events.close)
        self._events = events
        await self.server.client.request("POST", "benchmark/lateness")

    async def kill_server(self) -> None:
        """Kill the server, and see it dead."""
        self._hear()
        process = self.server.process
        process.kill()
        # It stays a zombie: whoever started it waits for it.
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    async def stop(self) -> None:
        """Stop all servers."""
        await self._stack.aclose()

    async def ask(self, method: str, path: str, model: Any = None) -> Any:
        """Ask the server; what it refuses is told, and raised."""
        try:
            return await self.server.client.request(method, path, model)
        except HTTPClientError as error:
            if error.response and error.response.body[:1] == b"{":  # else the server has gone
                self.tell(json.loads(error.response.body).get("message", ""))
            raise

    def tell(self, text: str) -> None:
        """Note what a person is told, once."""
        text = text.replace(str(self.home.root), "~").partition(" The log of its container ends:")[0].strip()
        text = re.sub(r"\b([0-9a-f]{12,64}|[0-9a-f-]{36})\b", "…", text)
        if text and text not in self.outcome.seen:
            self.outcome.seen.append(text)

    def _hear(self) -> None:
        for message in self._events.messages:
            if message.get("state") in ("dead", "failed"):
                self.tell(message["message"])

    @property
    def told(self) -> int:
        """How often a person has been told of something: by an event, or by what a request was answered."""
        events = sum(one.get("state") in ("dead", "failed") for one in self._events.messages)
        return events + len(self.outcome.seen)

    @property
    def deaths(self) -> list[str]:
        """The ids of the kernels that were declared dead."""
        return [str(one["kernel_id"]) for one in self._events.messages if one.get("state") == "dead"]

    # Kernels.

    async def open(self, name: str) -> str:
        """Start a kernel with a session; its id comes back."""
        made = await self.ask("POST", "api/sessions", session(name))
        return str(made["kernel"]["id"])

    @asynccontextmanager
    async def page(self, kernel: str) -> AsyncIterator[Page]:
        """A page that is connected to a kernel."""
        path = f"api/kernels/{kernel}/channels"
        page = Page(await self.server.client.socket(path, session_id=uuid.uuid4().hex))
        try:
            yield page
        finally:
            await page.close()

    def container(self, environment: str) -> str | None:
        """The newest container of an environment that runs."""
        found = [one for one in self.home.containers() if one["State"] == "running" and _of(one) == environment]
        return max(found, key=lambda one: one["Created"])["Id"] if found else None

    async def until(self, condition: Callable[[], Any], seconds: float = CLEANING) -> Any:
        """Wait for something that another process does; whether it did."""
        end = asyncio.get_running_loop().time() + seconds
        while not (found := await asyncio.to_thread(condition)):
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(INTERVAL)
        return found

    async def begin(self) -> None:
        """Have one kernel compute from now on, and others start, restart and end beside it."""
        await self.serve()
        self.kept = await self.open("kept")
        async with self.page(self.kept) as page:
            page.ask(COMPUTE.format(token=self._token))
            await page.state("busy")
        self._tasks = [asyncio.create_task(one()) for one in (self._live, self._look)]

    async def _live(self) -> None:
        """The life of kernels, one after the other."""
        while not self._over.is_set():
            try:
                kernel = await self.open("other")
                async with self.page(kernel) as page:
                    await page.value("import time; time.sleep(0.3)")
                    await self.ask("POST", f"api/kernels/{kernel}/restart")
                    await page.value("print(1)")
                await self.ask("DELETE", f"api/kernels/{kernel}")
            # The last is a page that waits for what does not come.
            except (HTTPClientError, OSError, AssertionError):
                await asyncio.sleep(LOOK)

    async def _look(self) -> None:
        """What an open side panel asks, without waiting for the answer before."""
        looks: set[asyncio.Task[None]] = set()
        while not self._over.is_set():
            for path in ("engine", "containers", "containers/stats"):
                looks.add(asyncio.create_task(self._look_at(path)))
            await asyncio.sleep(LOOK)
        await asyncio.gather(*looks)

    async def _look_at(self, path: str) -> None:
        with suppress(HTTPClientError, OSError):  # told
            model = await self.ask("GET", f"{OURS}/{path}")
            if isinstance(model, dict) and model.get("state") == "missing":
                self.tell(model["message"])

    async def use(self) -> None:
        """Try to start a kernel; what is told then is told."""
        with suppress(HTTPClientError):
            await self.open("other")

    async def prepare_outage(self) -> None:
        """Have a kernel that is asked for something while the engine is away."""
        self._asked = await self.open("kept")

    async def sit_out(self) -> None:
        """Wait while the engine is away: kernels go on meanwhile, and do what they are told."""
        # After that all wait for the engine who ask it anything.
        await asyncio.sleep(self.outage)
        await self._command()

    async def _command(self) -> None:
        """See that a kernel can be interrupted and restarted, whatever the engine does."""
        async with self.page(self._asked) as page:
            request = page.ask("import time\nprint('begun', flush=True)\ntime.sleep(60)")
            await page.heard(lambda messages: [one for one in of(messages, request) if one["msg_type"] == "stream"])
            answer = ""
            try:
                await asyncio.wait_for(self.ask("POST", f"api/kernels/{self._asked}/interrupt"), COMMAND)
                answer = await page.outputs(request)
                await asyncio.wait_for(self.ask("POST", f"api/kernels/{self._asked}/restart"), COMMAND)
                answer += await page.value("print(6 * 7)")
            except (HTTPClientError, AssertionError, asyncio.TimeoutError) as error:
                answer += repr(error)[:200]
        if answer != "begun\nKeyboardInterrupt42":
            self.outcome.lost.append(f"an interrupt and a restart while the engine was away: {answer}")

    # What became of it.

    async def end(self) -> None:
        """See what is there, and end it all."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        self._hear()
        await self._check_kept()
        await self._check_use()
        for kernel in await self.ask("GET", "api/kernels"):
            await self.ask("DELETE", f"api/kernels/{kernel['id']}")
        await self._check_server()
        await self.stop()
        await self._check_rest()

    async def _check_kept(self) -> None:
        """The kernel that computed still has its variables, and its computation ends."""
        if self.kept in self.deaths:
            self.outcome.lost.append("the kernel that computed: declared dead")
        (self.home.workspace / "stop").touch()
        try:
            async with self.page(self.kept) as page:
                found = await page.value("print(kept, finished)")
                await self.ask("POST", f"api/kernels/{self.kept}/restart")
                restarted = await page.value("print(6 * 7)")
        except (HTTPClientError, OSError, AssertionError) as error:
            self.outcome.lost.append(f"the kernel that computed: {error}"[:300])
            return
        if (found, restarted) != (f"{self._token} True", "42"):
            self.outcome.lost.append(f"the kernel that computed: {found!r}, {restarted!r}")

    async def _check_use(self) -> None:
        """A new kernel starts."""
        try:
            async with self.page(await self.open("other")) as page:
                assert await page.value("print(6 * 7)") == "42"
        except (HTTPClientError, OSError, AssertionError) as error:
            self.outcome.lost.append(f"a new kernel: {error}"[:300])

    async def _check_server(self) -> None:
        """Without kernels, the server has nothing of containers."""
        if not await self.until(lambda: not self._left()):
            self.outcome.leaks += [f"with the server: {one}" for one in self._left()]
        threads = await self.ask("GET", extension.PATH)
        # A connection to a supervisor, and a start that was never over.
        found = [one for one in threads if one.startswith("tfcontainer ") or one == "tfcontainer-patience"]
        self.outcome.leaks += [f"thread {one}" for one in found]
        stall = (await self.ask("DELETE", "benchmark/lateness"))["longest"]
        if stall > STALL:
            self.outcome.lost.append(f"the event loop: held up for {stall:.1f} s")

    async def _check_rest(self) -> None:
        """Without the server, nothing of it is left."""
        if not await self.until(lambda: not (self._left() or self._processes()), seconds=5):
            self.outcome.leaks += [*self._left(), *self._processes()]

    def _left(self) -> list[str]:
        return [
            *(f"container {one['Names'][0]} ({_of(one)}, {one['State']})" for one in self.home.containers()),
            *(f"folder {path.name}" for path in (self.home.data / "tfcontainer" / "c").glob("*")),
        ]

    def _processes(self) -> list[str]:
        """The processes in containers of this run, be there a container or not."""
        found = []
        for one in psutil.process_iter():
            try:
                if one.environ().get(MARK) == self.home.root.name and one.pid != self.server.process.pid:
                    found.append(f"process {one.pid}: {' '.join(one.cmdline())[:80]}")
            except psutil.Error:
                continue  # it has just ended, or is another's
        return found


def _of(container: dict[str, Any]) -> str:
    return str(container["Labels"]["org.jupyter.tfcontainer.environment"])
