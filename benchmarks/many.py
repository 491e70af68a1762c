"""From one kernel to fifty: when all are ready, what they cost, and how it goes when all of them compute."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psutil

from .client import Session, clock
from .rows import Wanted
from .stage import Side, Stage, in_turns

MEGA = 1_000_000
# How often local kernels are started, if not all of them get their ports.
TRIES = 3
# What each prints when all compute: no line may be missing, or in another's place.
LINES = 200
CELL = f"import sys\nfor line in range({LINES}): print(line); sys.stdout.flush()"
PRINTED = "".join(f"{line}\n" for line in range(LINES))


async def measure(stage: Stage, wanted: Wanted) -> None:
    """Measure kernels that are started at once, on servers that have had kernels before."""
    sides = await stage.sides(*wanted.of("local", "legacy"))
    for turn, count in enumerate(stage.effort.many):
        for side in in_turns(sides, turn):
            await _together(stage, side, count)
            stage.say(f"{side.name}: {count} at once, {stage.samples.of(f'ready_{count}', side.name)[-1]:.1f} s")


async def _together(stage: Stage, side: Side, count: int) -> None:
    server, samples = side.server, stage.samples
    sessions = await _ready(stage, side, count)
    await side.quiet()
    cpu = server.cpu
    await asyncio.sleep(stage.effort.rest)
    samples.add(f"cpu_at_rest_{count}", side.name, (server.cpu - cpu) / stage.effort.rest)
    samples.add(f"server_memory_{count}", side.name, server.memory / MEGA)
    samples.add(f"kernel_memory_{count}", side.name, await asyncio.to_thread(_memory, await side.processes()) / MEGA)
    await _compute(stage, side, sessions)
    begun = clock()
    await asyncio.gather(*(server.client.close(session) for session in sessions))
    samples.add(f"stop_{count}", side.name, clock() - begun)


async def _ready(stage: Stage, side: Side, count: int) -> list[Session]:
    """Start all of them at once."""
    server, client = side.server, side.server.client
    for turn in range(TRIES):
        cpu, begun = server.cpu, clock()
        opened = await asyncio.gather(*(client.open(side.kernel) for _ in range(count)), return_exceptions=True)
        sessions = [one for one in opened if isinstance(one, Session)]
        errors = [one for one in opened if isinstance(one, BaseException)]
        if not errors:
            break
        if server.ours or turn == TRIES - 1:
            raise errors[0]
        # jupyter_client chooses ports that are free, and another kernel may have one by the time its own binds it.
        stage.say(f"{side.name}: {len(errors)} of {count} kernels did not start; all of them once more")
        for session in sessions:
            await client.close(session)
        for model in await client.request("GET", "api/sessions"):
            await client.request("DELETE", f"api/sessions/{model['id']}")
    stage.samples.add(f"ready_{count}", side.name, clock() - begun)
    stage.samples.add(f"cpu_{count}", side.name, server.cpu - cpu)
    return sessions


async def _compute(stage: Stage, side: Side, sessions: list[Session]) -> None:
    """Have all of them compute at once."""
    client, count, begun = side.server.client, len(sessions), clock()
    await client.request("POST", "benchmark/lateness")
    done = await asyncio.gather(*(session.channels.run(CELL) for session in sessions))
    stage.samples.add(f"compute_{count}", side.name, clock() - begun)
    stage.samples.add(f"stall_{count}", side.name, (await client.request("DELETE", "benchmark/lateness"))["longest"])
    if wrong := [one.printed for one in done if one.printed != PRINTED]:
        raise RuntimeError(
            f"Of {count} kernels of {side.name}, {len(wrong)} lost lines, or mixed them: {wrong[0][:200]!r}"
        )


def _memory(processes: list[psutil.Process]) -> int:
    """The bytes that processes have in memory; what several share counts once."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total
