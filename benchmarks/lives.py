"""The life of a kernel: start, restart, interrupt, shutdown."""

from __future__ import annotations

import asyncio

from . import by_hand
from .breakdown import Events
from .client import PATIENCE, Session, clock, finished
from .rows import Wanted
from .stage import OURS, Side, Stage, in_turns

# Seconds between a restart's end and the next restart, so that this comes within a second of the first.
AGAIN = 0.3
# Seconds that the cell has run for when it is interrupted.
RUNS = 0.1
CELL = "import sys, time\nprint('begun'); sys.stdout.flush()\ntime.sleep(60)"


async def measure(stage: Stage, wanted: Wanted) -> None:
    """Measure all that is in a kernel's life.

    Parameters
    ----------
    stage
        where
    wanted
        what is asked for
    """
    sides = await stage.sides(*wanted.of("local", "legacy", "modern", "bare", "bare_modern"))
    names = [one for one in ("legacy", "modern") if wanted.of(f"standby_{one}")]
    others = await stage.peer_sides(lambda name: bool(wanted.of(name)))
    for side in [*sides, *others]:
        # What is imported or made with the first kernel of a server, or of a person, is not what is compared.
        await _warm_up(stage, side)
    others = [one for one in others if one.name not in stage.samples.excuses]
    standbys = await stage.sides(*names)
    for turn in range(stage.effort.lives):
        for side in in_turns(sides, turn):
            await _life(stage, side)
        for side in standbys:
            await _standby(stage, side)
        if turn < stage.effort.peer_lives:
            for side in in_turns(others, turn):
                await _short_life(stage, side)
            if wanted.of("by_hand"):
                home = (await stage.side("legacy")).server.home
                stage.samples.add("start", "by_hand", await by_hand.first_start(home.workspace))
        stage.say(f"life {turn + 1} of {stage.effort.lives}: {_starts(stage)}")
    if wanted.of("legacy"):
        await _breakdown(stage)


def _starts(stage: Stage) -> str:
    names = ("local", "legacy", "modern", "standby_legacy", "standby_modern", "bare", "bare_modern")
    last = {name: stage.samples.of("start", name)[-1:] for name in names}
    return ", ".join(f"{name} {value[0]:.2f}" for name, value in last.items() if value)


async def _warm_up(stage: Stage, side: Side) -> None:
    try:
        async with side.server.client.opened(side.kernel) as session:
            await session.channels.run("pass")
    except (TimeoutError, asyncio.TimeoutError, RuntimeError) as error:
        stage.samples.excuses[side.name] = f"its kernel does not start: {error}"


async def _life(stage: Stage, side: Side) -> None:
    client, samples = side.server.client, stage.samples
    session = await client.open(side.kernel)
    samples.add("start", side.name, session.seconds)
    await side.quiet()
    samples.add("restart", side.name, await _restart(side, session))
    await side.quiet()
    await _restart(side, session)
    await asyncio.sleep(AGAIN)
    samples.add("restart_again", side.name, await _restart(side, session))
    await side.quiet()
    samples.add("interrupt", side.name, await _interrupt(side, session))
    samples.add("shutdown", side.name, await client.close(session))


async def _short_life(stage: Stage, side: Side) -> None:
    session = await side.server.client.open(side.kernel)
    stage.samples.add("start", side.name, session.seconds)
    await side.quiet()
    stage.samples.add("shutdown", side.name, await side.server.client.close(session))


async def _standby(stage: Stage, side: Side) -> None:
    await ahead(side)
    async with side.server.client.opened(side.kernel) as session:
        stage.samples.add("start", f"standby_{side.name}", session.seconds)


async def ahead(side: Side) -> None:
    """Start a container ahead, and wait until its spare is warm."""
    await side.server.client.request("POST", f"{OURS}/containers", {"environment": side.kernel})
    await side.quiet()


async def _restart(side: Side, session: Session) -> float:
    begun = clock()
    await side.server.client.request("POST", f"api/kernels/{session.kernel}/restart")
    return await session.channels.first_reply() - begun


async def _interrupt(side: Side, session: Session) -> float:
    exchange = session.channels.execute(CELL)
    await asyncio.wait_for(exchange.begun.wait(), PATIENCE)
    await asyncio.sleep(RUNS)
    begun = clock()
    await side.server.client.request("POST", f"api/kernels/{session.kernel}/interrupt")
    await finished(exchange)
    if exchange.contents["execute_reply"].get("ename") != "KeyboardInterrupt":
        raise RuntimeError(f"The cell was not interrupted: {exchange.contents}")
    return exchange.replied - begun


async def _breakdown(stage: Stage) -> None:
    for side in await stage.sides("legacy", "modern"):
        async with Events.heard(side.server.client) as events:
            for _ in range(stage.effort.lives):
                session = await side.server.client.open(side.kernel)
                stage.steps.setdefault(side.name, []).append(await events.steps(session))
                await side.server.client.close(session)
