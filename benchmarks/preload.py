"""What a module costs that was imported ahead."""

from __future__ import annotations

from .client import clock
from .lives import ahead
from .rows import Wanted
from .stage import Stage, in_turns


async def measure(stage: Stage, wanted: Wanted) -> None:
    """Measure ``import tensorflow`` in the first cell, with ``preload`` and without."""
    sides = await stage.sides(*wanted.of("preload", "legacy"))
    for turn in range(stage.effort.imports):
        for side in in_turns(sides, turn):
            await ahead(side)
            async with side.server.client.opened(side.kernel) as session:
                begun = clock()
                exchange = await session.channels.run("import tensorflow")
                stage.samples.add("import", side.name, exchange.replied - begun)
    stage.say(f"import {stage.effort.imports} times")
