"""Runs of faults, each on folders of its own; engine, disk and clock are its own where others would feel it."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

from homes import MODERN, Home, engine_client, temporary_home

from .door import door
from .engine import SmallEngine, disk
from .scene import MARK, MOMENT, Fault, Outcome, Scene

# The engine that all share, where no variable says another.
SHARED = "unix:///var/run/docker.sock"
# A person's disk, which is soon full.
DISK = "64m"
MEMORY = "300m"
CLOCK = Path(__file__).with_name("clock.c")


async def run(fault: Fault, engine: SmallEngine | None, seed: str, outage: float) -> Outcome:
    """Have something go wrong once, at a random moment.

    Parameters
    ----------
    fault
        what
    engine
        a private one, for faults that take it
    seed
        decides the moment
    outage
        seconds that an engine is away
    """
    async with _scene(fault, engine, seed, outage) as scene:
        await scene.begin()
        await asyncio.sleep(scene.chance.uniform(0, MOMENT))
        await fault.strike(scene)
        await scene.end()
    return scene.outcome


@asynccontextmanager
async def _scene(fault: Fault, engine: SmallEngine | None, seed: str, outage: float) -> AsyncIterator[Scene]:
    chance = random.Random(seed)  # noqa: S311 - it is to come again
    async with AsyncExitStack() as stack:
        if fault.takes == "engine":
            assert engine
            stack.enter_context(_asking(engine.url))
        home = stack.enter_context(temporary_home())
        if fault.takes == "disk":
            stack.enter_context(disk(home.data, DISK))
        scene = Scene(home, chance, outage, engine)
        image = stack.enter_context(_image(home.root.name))
        variables = {MARK: home.root.name}
        if fault.takes == "clock":
            variables |= _clock(home.workspace)
            scene.variables |= variables
        if fault.takes == "door":
            shared = os.environ.get("DOCKER_HOST", SHARED).removeprefix("unix://")
            scene.door = await stack.enter_async_context(door(Path(shared), home.root / "door.sock"))
            scene.variables["DOCKER_HOST"] = f"unix://{home.root}/door.sock"
        scene.image = image
        home.configure(standby=0)
        home.add("kept", image, env=variables)
        home.add("other", image, env=variables)
        home.add("limited", image, env=variables, memory=MEMORY)
        stack.callback(_clean, home)
        stack.push_async_callback(scene.stop)
        yield scene


def _clean(home: Home) -> None:
    """What was left is in the report, and not to be found by the next run."""
    with closing(engine_client()) as client:
        for one in home.containers():
            client.remove_container(one["Id"], force=True)
    subprocess.run(["rm", "-rf", home.data / "tfcontainer" / "c"], check=True)


@contextmanager
def _asking(url: str) -> Iterator[None]:
    """Have this process ask another engine."""
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = url
    try:
        yield
    finally:
        del os.environ["DOCKER_HOST"]
        if before is not None:
            os.environ["DOCKER_HOST"] = before


@contextmanager
def _image(name: str) -> Iterator[str]:
    """A name of an image that only one run uses."""
    with closing(engine_client()) as client:
        client.tag(MODERN, "tfcontainer-test/faults", name)
    try:
        yield f"tfcontainer-test/faults:{name}"
    finally:
        with closing(engine_client()) as client:
            client.remove_image(f"tfcontainer-test/faults:{name}", noprune=True)


def _clock(folder: Path) -> dict[str, str]:
    """The variables of programs whose clock is set by a file in a folder, inside containers as well."""
    library = folder / "clock.so"
    options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "-o", library, CLOCK], check=True)
    return {"LD_PRELOAD": str(library), "FAULTS_CLOCK": str(folder / "clock")}
