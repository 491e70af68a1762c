"""The servers of one run, each started when it is first needed, and the sides that compete on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from homes import LEGACY, MODERN, processes, temporary_home

from . import bare, peers
from .figures import Samples
from .servers import Server, server

OURS = "api/tfcontainer"
# Seconds in which processes that are done compute for less than the second figure.
QUIET_INTERVAL, QUIET_CPU = 0.3, 0.025
# A standby that is started by itself would be a start that is no first one.
FIRST: dict[str, Any] = {"standby": 0}


@dataclass(frozen=True)
class Effort:
    """How often things are done.

    Parameters
    ----------
    lives
        kernels of each side that are started, restarted, interrupted and shut down
    peer_lives
        the same for each of the other programs
    imports
        of TensorFlow, with and without preload
    trips
        round trips at a time
    trip_blocks
        how many times
    throughputs
        of each kind
    megabytes
        of each throughput
    loads
        how often ten kernels start at once
    kernels_under_load
        which are so many
    many
        how many kernels there are at a time
    rest
        seconds for which a server is watched that has nothing to do
    """

    lives: int = 8
    peer_lives: int = 4
    imports: int = 5
    trips: int = 100
    trip_blocks: int = 10
    throughputs: int = 6
    megabytes: int = 10
    loads: int = 3
    kernels_under_load: int = 10
    many: tuple[int, ...] = (1, 10, 50)
    rest: float = 5.0


QUICK = Effort(
    lives=1,
    peer_lives=1,
    imports=1,
    trips=25,
    trip_blocks=2,
    throughputs=1,
    megabytes=2,
    loads=1,
    kernels_under_load=3,
    many=(1,),
    rest=0.5,
)


@dataclass(frozen=True)
class Side:
    """One of those who compete: a kernelspec of a server."""

    name: str
    server: Server
    kernel: str

    async def processes(self) -> list[psutil.Process]:
        """The processes of the kernels that there are, with the spares beside them if they have any."""
        if not self.server.ours:
            return list(self.server.process.children(recursive=True))
        models = await self.server.client.request("GET", f"{OURS}/containers")
        here = [one["id"] for one in models if Path(one["workspace"]).is_relative_to(self.server.home.root)]
        found = [await asyncio.to_thread(processes, container) for container in here]
        running = []
        for pid in (pid for pids in found for pid in pids):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                running.append(psutil.Process(pid))
        return running

    async def quiet(self) -> None:
        """Wait until they are done with what they do by themselves: a spare is warm then."""
        found, before = await self.processes(), -QUIET_CPU
        while (now := _used(found)) - before >= QUIET_CPU:
            before = now
            await asyncio.sleep(QUIET_INTERVAL)


class Stage:
    """The servers of one run.

    Parameters
    ----------
    folder
        for what is costly to make: root file systems, the peers' virtual environments
    effort
        how often things are done
    say
        tells a person how it gets on
    stack
        gets what is to be stopped at the end
    """

    def __init__(self, folder: Path, effort: Effort, say: Callable[[str], None], stack: AsyncExitStack) -> None:
        self.folder, self.effort, self.say = folder, effort, say
        self.samples = Samples()
        self._stack = stack
        self._servers: dict[str, Server] = {}
        #: The seconds of each step of first starts, by side.
        self.steps: dict[str, list[dict[str, float]]] = {}
        #: The peers' versions.
        self.versions: dict[str, str] = {}

    async def side(self, name: str) -> Side:
        """One of those who compete."""
        if name in ("legacy", "modern", "preload"):
            return Side(name, await self._server("ours"), name)
        if name == "local":
            return Side(name, await self._server("plain"), "python3")
        return Side(name, await self._server("bare"), "modern" if name == "bare_modern" else "legacy")

    async def sides(self, *names: str) -> list[Side]:
        """Several of those; bare ones only where that can be done."""
        found = []
        for name in names:
            if name.startswith("bare") and (why := bare.why_not()):
                self.samples.excuses[name] = why
            else:
                found.append(await self.side(name))
        return found

    async def peer_sides(self, wanted: Callable[[str], bool]) -> list[Side]:
        """The other programs that run kernels in containers, in each kind of image that they can run in."""
        found = []
        for peer in peers.PEERS:
            for kind in peers.IMAGES:
                name = f"{peer.name}_{kind}"
                if not wanted(name):
                    continue
                if kind in peer.excuses:
                    self.samples.excuses[name] = peer.excuses[kind]
                    continue
                try:
                    found.append(Side(name, await self._peer(peer), kind))
                except (OSError, RuntimeError) as error:
                    self.samples.excuses[name] = f"it could not be set up: {error}"
        return found

    async def _server(self, kind: str) -> Server:
        if kind not in self._servers:
            one = await self._stack.enter_async_context(
                server(ours=kind == "ours", transport="ipc" if kind == "bare" else "tcp")
            )
            self._servers[kind] = one
            if kind == "ours":
                one.home.add("legacy", LEGACY, **FIRST)
                one.home.add("modern", MODERN, **FIRST)
                one.home.add("preload", LEGACY, preload=["tensorflow"], **FIRST)
            elif kind == "bare":
                for name, image in peers.IMAGES.items():
                    root = await asyncio.to_thread(bare.root_filesystem, image, self.folder / "roots")
                    bare.add(one.home, name, root, peers.PYTHONS[name])
        return self._servers[kind]

    async def _peer(self, peer: peers.Peer) -> Server:
        if peer.name not in self._servers:
            path = await asyncio.to_thread(peers.environment, peer, self.folder / "peers")
            home = self._stack.enter_context(temporary_home())
            variables = {
                **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")},
                **home.variables(),
                "PATH": f"{path / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": "",
                **peer.variables,
            }
            await asyncio.to_thread(peers.install, peer, path, home, variables)
            one = await self._stack.enter_async_context(
                server(python=str(path / "bin" / "python"), variables=variables, home=home)
            )
            self.versions[peer.name] = peers.released(path, peer)
            self._servers[peer.name] = one
        return self._servers[peer.name]


@asynccontextmanager
async def stage(folder: Path, effort: Effort, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """A stage, cleared afterwards: its servers are stopped."""
    async with AsyncExitStack() as stack:
        yield Stage(folder, effort, say, stack)


def in_turns(sides: list[Side], turn: int) -> list[Side]:
    """The sides in the order of one turn: each time another begins."""
    first = turn % len(sides) if sides else 0
    return [*sides[first:], *sides[:first]]


def _used(found: list[psutil.Process]) -> float:
    """The seconds that processes have computed for."""
    used = 0.0
    for process in found:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used
