"""From one kernel to fifty: when all are ready, and what they cost, at the start and at rest."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psutil

from .client import Session, clock
from .rows import Wanted
from .stage import Side, Stage, in_turns

MEGA = 1_000_000
# Seconds for which a server is watched that has nothing to do.
REST = 5.0


async def measure(stage: Stage, wanted: Wanted) -> None:
    """Measure kernels that are started at once, on servers that have had kernels before."""
    sides = await stage.sides(*wanted.of("local", "legacy"))
    for turn, count in enumerate(stage.effort.many):
        for side in in_turns(sides, turn):
            await _together(stage, side, count)
            stage.say(f"{side.name}: {count} at once, {stage.samples.of(f'ready_{count}', side.name)[-1]:.1f} s")


async def _together(stage: Stage, side: Side, count: int) -> None:
    server, samples = side.server, stage.samples
    cpu, begun = server.cpu, clock()
    sessions: list[Session] = await asyncio.gather(*(server.client.open(side.kernel) for _ in range(count)))
    samples.add(f"ready_{count}", side.name, clock() - begun)
    samples.add(f"cpu_{count}", side.name, server.cpu - cpu)
    await side.quiet()
    cpu = server.cpu
    await asyncio.sleep(REST)
    samples.add(f"cpu_at_rest_{count}", side.name, (server.cpu - cpu) / REST)
    samples.add(f"server_memory_{count}", side.name, server.memory / MEGA)
    samples.add(f"kernel_memory_{count}", side.name, await asyncio.to_thread(_memory, await side.processes()) / MEGA)
    await asyncio.gather(*(server.client.close(session) for session in sessions))


def _memory(processes: list[psutil.Process]) -> int:
    """The bytes that processes have in memory; what several share counts once."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total
