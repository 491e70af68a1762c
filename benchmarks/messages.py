"""Messages between page and kernel: how long one takes, and how much goes through."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack

from .client import PATIENCE, Channels, clock
from .rows import Wanted
from .stage import Side, Stage, in_turns

LINE = 100
MEGA = 1_000_000
STDOUT = f"for _ in range({{size}} // {LINE}): print('x' * {LINE - 1})"
DISPLAY = "from IPython.display import display\ndisplay({{'text/plain': 'x' * {size}}}, raw=True)"
# The kernel answers a message of a comm with its size: what a widget does with its data.
COMM = """
def opened(comm, message):
    comm.on_msg(lambda message: comm.send({"size": len(message["content"]["data"]["text"])}))
get_ipython().kernel.comm_manager.register_target("benchmark", opened)
"""
PAIRS = (("legacy", "bare"), ("modern", "bare_modern"))

Pages = dict[Side, Channels]


async def measure(stage: Stage, wanted: Wanted) -> None:
    """Measure messages, ours and bare in turns on kernels that are there all the time."""
    for pair in PAIRS:
        sides = await stage.sides(*wanted.of(*pair))
        async with AsyncExitStack() as stack:
            pages: Pages = {}
            for side in sides:
                session = await stack.enter_async_context(side.server.client.opened(side.kernel))
                pages[side] = session.channels
                await side.quiet()
            if "round_trip" in wanted.quantities:
                await _round_trips(stage, pages)
            if any(one.startswith("throughput") for one in wanted.quantities):
                await _throughputs(stage, pages)


async def _round_trips(stage: Stage, pages: Pages) -> None:
    for channels in pages.values():
        await _trips(channels, stage.effort.trips)
    for turn in range(stage.effort.trip_blocks):
        for side in in_turns(list(pages), turn):
            stage.samples.add("round_trip", side.name, *await _trips(pages[side], stage.effort.trips))
    stage.say(f"{stage.effort.trip_blocks * stage.effort.trips} round trips: {', '.join(one.name for one in pages)}")


async def _throughputs(stage: Stage, pages: Pages) -> None:
    megabytes = stage.effort.megabytes
    for turn in range(stage.effort.throughputs):
        for side in in_turns(list(pages), turn):
            times = await _through(pages[side], megabytes * MEGA)
            for name, seconds in times.items():
                stage.samples.add(f"throughput_{name}", side.name, megabytes / seconds)
            stage.samples.add("throughput", side.name, len(times) * megabytes / sum(times.values()))
    stage.say(f"{stage.effort.throughputs} times {megabytes} MB: {', '.join(one.name for one in pages)}")


async def _trips(channels: Channels, count: int) -> list[float]:
    """Seconds of round trips: from a cell's execution to its reply."""
    trips = []
    for _ in range(count):
        begun = clock()
        exchange = await channels.run("pass")
        trips.append(exchange.replied - begun)
    return trips


async def _through(channels: Channels, size: int) -> dict[str, float]:
    """Seconds that so many bytes take: printed, displayed, and sent to the kernel."""
    begun = clock()
    printed = await channels.run(STDOUT.format(size=size))
    _check(len(printed.printed), size)
    begun_display = clock()
    displayed = await channels.run(DISPLAY.format(size=size))
    _check(len(displayed.contents["display_data"]["data"]["text/plain"]), size)
    await channels.run(COMM)
    comm = uuid.uuid4().hex
    channels.send("comm_open", {"comm_id": comm, "target_name": "benchmark", "data": {}})
    begun_sent = clock()
    sent = channels.send("comm_msg", {"comm_id": comm, "data": {"text": "x" * size}})
    await asyncio.wait_for(sent.idle.wait(), PATIENCE)
    _check(sent.contents["comm_msg"]["data"]["size"], size)
    return {
        "stdout": printed.over - begun,
        "display": displayed.over - begun_display,
        "to_kernel": sent.over - begun_sent,
    }


def _check(came: int, size: int) -> None:
    if came != size:
        raise RuntimeError(f"{came} of {size} bytes came through.")
