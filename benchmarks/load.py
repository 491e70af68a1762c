"""A server at work: how soon it answers, and how long its event loop is held up, while kernels start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import registries
from homes import engine_client
from tornado.httpclient import HTTPClientError

from .client import Client, Session, clock
from .rows import Wanted
from .stage import OURS, Side, Stage, in_turns

LAYERS, LAYER_BYTES = 3, 20_000_000
# Seconds between two questions. Each is asked when it is due, whether or not the one before has been answered.
ASK_INTERVAL = 0.05
LOOK_INTERVAL = 0.1
SIDES = ("local", "legacy", "modern")


async def measure(stage: Stage, wanted: Wanted) -> None:
    """Measure ``/api/status`` and the longest stall, while kernels start at once and (with ours) an image is pulled."""
    sides = await stage.sides(*wanted.of(*SIDES))
    for side in sides:
        async with side.server.client.opened(side.kernel):
            pass
    with closing(engine_client()) as engine, registries.registry() as registry, registries.nothing_left(engine):
        name = f"{registry.name}/benchmark:1"
        layers = [os.urandom(LAYER_BYTES) for _ in range(LAYERS)]
        await asyncio.to_thread(registries.image, engine, name, *layers)
        await asyncio.to_thread(registries.push, engine, name)
        for turn in range(stage.effort.loads):
            for side in in_turns(sides, turn):
                if side.name == "local":
                    await _starts(stage, side)
                    continue
                operation = await side.server.client.request(
                    "POST", f"{OURS}/images", {"source": "pull", "reference": name}
                )
                await _starts(stage, side)
                await _over(side.server.client, operation["id"])
                await asyncio.to_thread(engine.remove_image, name)
            stage.say(f"{stage.effort.kernels_under_load} kernels at once, {turn + 1} of {stage.effort.loads}")


async def _starts(stage: Stage, side: Side) -> None:
    client = side.server.client
    await client.request("POST", "benchmark/lateness")
    async with _asked(client) as answers:
        starts = (client.open(side.kernel) for _ in range(stage.effort.kernels_under_load))
        sessions: list[Session] = await asyncio.gather(*starts)
    stage.samples.add("stall", side.name, (await client.request("DELETE", "benchmark/lateness"))["longest"])
    stage.samples.add("status", side.name, *answers)
    await asyncio.gather(*(client.close(session) for session in sessions))


@asynccontextmanager
async def _asked(client: Client) -> AsyncIterator[list[float]]:
    """Seconds that answers of ``/api/status`` take, complete at the end of the `with` block."""
    answers: list[float] = []
    questions: list[asyncio.Task[None]] = []

    async def question(due: float) -> None:
        # jupyter_server 2.21 answers 500 while a kernel has no "last activity" yet, be it local or not.
        with suppress(HTTPClientError):
            await client.request("GET", "api/status")
        answers.append(clock() - due)

    async def ask() -> None:
        due = clock()
        while True:
            questions.append(asyncio.create_task(question(due)))
            due += ASK_INTERVAL
            await asyncio.sleep(max(0.0, due - clock()))

    task = asyncio.create_task(ask())
    try:
        yield answers
    finally:
        task.cancel()
        await asyncio.gather(*questions)


async def _over(client: Client, operation: str) -> None:
    # Nothing is measured any more.
    while (model := await client.request("GET", f"{OURS}/operations/{operation}"))["state"] == "running":  # noqa: ASYNC110
        await asyncio.sleep(LOOK_INTERVAL)
    if model["state"] != "done":
        raise RuntimeError(f"The image was not pulled: {model}")
