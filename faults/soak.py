"""Start and stop kernels, again and again: a server must not grow by that (``make soak``).

Jupyter itself does, by some 40 kB with each kernel's life. So another server, without us, does the same with local
kernels beside it, and what that one grows by is not ours.

python -m faults.soak                 a thousand times
python -m faults.soak --cycles 100    less often
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from homes import MODERN, Home, temporary_home
from servers import Page, session

from benchmarks.servers import Server, server

from . import interruptible

ROOT = Path(__file__).parent.parent
CYCLES = 1000
# Before them a server's pools and caches fill.
WARM_UP = 10
# Cycles between two words of how it gets on.
REPORT = 10
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


@dataclass(frozen=True)
class Cycle:
    """What our server has after a number of kernels, and how many bytes the other one has after as many."""

    ours: Figures
    local: int


def growth(found: list[Cycle]) -> dict[str, int]:
    """What there is more of in the last quarter of the cycles than in the first, of that which must not grow.

    Parameters
    ----------
    found
        after each cycle
    """
    grown = {}
    for name in asdict(found[0].ours):
        more = _more([getattr(one.ours, name) for one in found])
        if name == "memory":
            more -= max(0, _more([one.local for one in found]))
        if more > (MEMORY if name == "memory" else 0):
            grown[name] = more
    return grown


def _more(found: list[int]) -> int:
    quarter = max(1, len(found) // 4)
    return int(median(found[-quarter:]) - median(found[:quarter]))


async def soak(cycles: int) -> list[Cycle]:
    """Start and stop kernels; what the servers have after each comes back."""
    found = []
    with temporary_home() as home:
        home.configure(standby=0)
        home.add("tf", MODERN)
        async with server(ours=True, home=home) as ours, server() as plain:
            for number in range(WARM_UP + cycles):
                await asyncio.gather(_cycle(ours, "tf"), _cycle(plain, "python3"))
                cycle = Cycle(await asyncio.to_thread(_look, home, ours), plain.memory)
                if number >= WARM_UP:
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
    await there.client.request("POST", f"api/kernels/{kernel}/restart")
    assert await page.value("print(6 * 7)") == "42"
    await page.close()
    await there.client.request("DELETE", f"api/sessions/{made['id']}")


def _look(home: Home, there: Server) -> Figures:
    process = there.process
    return Figures(
        memory=there.memory,
        descriptors=process.num_fds(),
        threads=process.num_threads(),
        containers=len(home.containers()),
        folders=len(list((home.data / "tfcontainer" / "c").glob("*"))),
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
