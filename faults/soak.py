"""Start and stop kernels, again and again: a server must not grow by that (``make soak``).

What it has is counted: descriptors, threads, containers, folders, objects of the extension's classes. Memory is
compared: Jupyter itself takes some 40 kB more with each kernel's life. So another server, without the extension, does
the same with local kernels, and what that one grows by is Jupyter's.

python -m faults.soak                 a thousand times
python -m faults.soak --cycles 100    less often
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from homes import MODERN, Home, temporary_home
from servers import Message, Page, session

from benchmarks.servers import Server, server

from . import interruptible, objects

ROOT = Path(__file__).parent.parent
CYCLES = 1000
# Before them a server's pools and caches fill.
WARM_UP = 10
# Cycles between two words of how it gets on.
REPORT = 10
LOCAL = "python3"
# Seconds that a server gets to be rid of a kernel, and between two looks at whether it is.
SETTLING, INTERVAL = 5.0, 0.1
# Bytes that a server may take more at the end than the other one: its allocator gives back what it will.
MEMORY = 8 * 2**20


@dataclass(frozen=True)
class Figures:
    """What a server has while no kernel runs."""

    memory: int
    descriptors: int
    threads: int
    containers: int
    folders: int
    #: how many objects there are of each class of the extension
    objects: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return all figures that must not grow at all."""
        counts = {"descriptors": self.descriptors, "threads": self.threads}
        return {**counts, "containers": self.containers, "folders": self.folders, **self.objects}


@dataclass(frozen=True)
class Cycle:
    """What our server has after a number of kernels, and the bytes of the local one after as many, if there is one."""

    ours: Figures
    local: int | None = None


def growth(found: list[Cycle]) -> dict[str, int]:
    """Return what there is more of in the last quarter of the cycles than in the first, of that which must not grow.

    Parameters
    ----------
    found
        after each cycle
    """
    every = [one.ours.counts() for one in found]
    grown = {name: _more([counts.get(name, 0) for counts in every]) for name in sorted(set().union(*every))}
    grown = {name: more for name, more in grown.items() if more > 0}
    local = [one.local for one in found if one.local is not None]
    if local:
        more = _more([one.ours.memory for one in found]) - max(0, _more(local))
        if more > MEMORY:
            grown["memory"] = more
    return grown


def _more(found: list[int]) -> int:
    quarter = max(1, len(found) // 4)
    return int(median(found[-quarter:]) - median(found[:quarter]))


async def soak(cycles: int, *, warm_up: int = WARM_UP, memory: bool = True) -> list[Cycle]:
    """Start and stop kernels; return what the servers have after each.

    Parameters
    ----------
    cycles
        how often
    warm_up
        how often before that
    memory
        whether a server with local kernels does the same, to compare memory with
    """
    found: list[Cycle] = []
    with temporary_home() as home:
        home.configure(standby=0)
        home.add("tf", MODERN)
        async with AsyncExitStack() as stack:
            ours = await stack.enter_async_context(server(ours=True, home=home, more=(objects.__name__,)))
            plain = await stack.enter_async_context(server()) if memory else None
            for number in range(warm_up + cycles):
                lives = [_cycle(ours, "tf"), *([_cycle(plain, LOCAL)] if plain else [])]
                await asyncio.gather(*lives)
                cycle = Cycle(
                    await _settled(home, ours, found[-1].ours if found else None), plain.memory if plain else None
                )
                if number >= warm_up:
                    found.append(cycle)
                if number % REPORT == 0:
                    print(f"{number:5d} {cycle}", flush=True)
    return found


async def _cycle(there: Server, kernelspec: str) -> None:
    """A kernel's life: start, cell, restart, cell, end."""
    made = await there.client.request("POST", "api/sessions", session(kernelspec))
    kernel = made["kernel"]["id"]
    page = Page(await there.client.socket(f"api/kernels/{kernel}/channels", session_id=uuid.uuid4().hex))
    assert await page.value("print(6 * 7)") == "42"
    old = _kernels(page.messages)
    await there.client.request("POST", f"api/kernels/{kernel}/restart")
    if not there.ours:
        # Jupyter's own websocket connects to the new kernel's output some time after the restart is answered, and what
        # is printed before that is lost. The extension's is connected by then.
        await page.heard(lambda messages: _kernels(messages) - old)
    assert await page.value("print(6 * 7)") == "42"
    await page.close()
    await there.client.request("DELETE", f"api/sessions/{made['id']}")


def _kernels(messages: list[Message]) -> set[str]:
    """Return which processes have put something out: each has a session of its own."""
    return {one["header"]["session"] for one in messages if one["channel"] == "iopub"}


async def _settled(home: Home, there: Server, before: Figures | None) -> Figures:
    """Return what a server has once that is no more than before, or at the end of its time."""
    end = asyncio.get_running_loop().time() + SETTLING
    while True:
        found = await _look(home, there)
        counts, known = found.counts(), before.counts() if before else {}
        grown = before and any(count > known.get(name, 0) for name, count in counts.items())
        if not grown or asyncio.get_running_loop().time() > end:
            return found
        await asyncio.sleep(INTERVAL)


async def _look(home: Home, there: Server) -> Figures:
    process = there.process
    return Figures(
        memory=there.memory,
        descriptors=process.num_fds(),
        threads=process.num_threads(),
        containers=len(await asyncio.to_thread(home.containers)),
        folders=len(list((home.data / "tfcontainer" / "c").glob("*"))),
        objects=await there.client.request("GET", objects.PATH),
    )


def main() -> int:
    """Parse the command line and do what it says; the exit status is 1 if something has grown."""
    parser = argparse.ArgumentParser(prog="make soak", description="Start and stop kernels, again and again.")
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "soak.json")
    options = parser.parse_args()
    found = asyncio.run(soak(options.cycles))
    grown = growth(found)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    model = {"cycles": options.cycles, "grown": grown, "first": asdict(found[0]), "last": asdict(found[-1])}
    options.output.write_text(json.dumps(model, indent=1) + "\n")
    print(f"{json.dumps(model)}\n{options.output}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(interruptible(main))
