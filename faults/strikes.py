"""What goes wrong, one function each."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
from docker.errors import APIError
from homes import MODERN, engine_client, processes

from .scene import Fault, Scene

# Bytes that a full disk has left.
NEXT_TO_NOTHING = 4096
HOG = "held = []\nwhile True: held.append(bytearray(10**7))"
# Bytes that are left for all of them.
SCARCE = 400 * 2**20
# How often a process is killed at most, and the seconds within which a person is told.
STRIKES, TOLD_WITHIN = 5, 4.0
# A day more than a container waits for the server after the one that has died.
JUMP = 2 * 86400


async def kill_server(scene: Scene) -> None:
    """The Jupyter server is killed, and another is started."""
    await scene.kill_server()
    await asyncio.sleep(scene.chance.uniform(0, 1))
    await scene.serve()


async def jump_clock(scene: Scene) -> None:
    """The machine's clock jumps two days ahead and back while a server lives, and while it does not."""
    for days in (JUMP, -JUMP):
        (scene.home.workspace / "clock").write_text(str(days))
        await asyncio.sleep(scene.chance.uniform(0, 1))
    await scene.kill_server()
    (scene.home.workspace / "clock").write_text(str(JUMP))
    await scene.serve()


# Processes of a container.


async def kill_shim(scene: Scene) -> None:
    """The engine's own process beside a container is killed."""
    await _kill_and_tell(scene, _shim)


async def kill_supervisor(scene: Scene) -> None:
    """A container's main process is killed."""
    await _kill_and_tell(scene, _supervisor)


async def kill_kernel(scene: Scene) -> None:
    """A kernel is killed."""
    await _kill_and_tell(scene, lambda container: _interpreter(container, kernel=True))


async def kill_spare(scene: Scene) -> None:
    """The interpreter that waits beside a kernel is killed: the kernel has no loss of that."""
    await _kill(scene, "kept", lambda container: _interpreter(container, kernel=False))


async def _kill_and_tell(scene: Scene, find: Callable[[str], int | None]) -> None:
    """Kill a process of a container, and another if that was just ending by itself: then there is nothing to tell."""
    for _ in range(STRIKES):

        def told(before: int = scene.told) -> bool:
            return scene.told > before

        await _kill(scene, "other", find)
        if await scene.until(told, seconds=TOLD_WITHIN):
            return


async def _kill(scene: Scene, environment: str, find: Callable[[str], int | None]) -> None:
    """Kill a process of a container, as soon as there is one."""

    def kill() -> bool:
        try:
            container = scene.container(environment)
            pid = find(container) if container else None
            if pid:
                os.kill(pid, signal.SIGKILL)
            return bool(pid)
        except (APIError, OSError, psutil.Error):
            return False  # the container has just ended: another comes

    assert await scene.until(kill), "there was nothing to be killed"


def _shim(container: str) -> int | None:
    for one in psutil.process_iter(["name", "cmdline"]):
        if "containerd-shim" in (one.info["name"] or "") and container in (one.info["cmdline"] or ()):
            return int(one.pid)
    return None


def _supervisor(container: str) -> int:
    with closing(engine_client()) as engine:
        return int(engine.inspect_container(container)["State"]["Pid"])


def _interpreter(container: str, *, kernel: bool) -> int | None:
    """The kernel's process, which has threads; or the one that waits, which has none."""
    for pid in processes(container):
        process = psutil.Process(pid)
        if any(word.endswith("kernel.py") for word in process.cmdline()) and (process.num_threads() > 1) == kernel:
            return pid
    return None


async def exhaust_memory(scene: Scene) -> None:
    """A kernel takes more memory than its container may have."""
    kernel = await scene.open("limited")
    async with scene.page(kernel) as page:
        page.ask(HOG)
        assert await scene.until(lambda: kernel in scene.deaths), "nobody was told"


async def exhaust_machine(scene: Scene) -> None:
    """A kernel without a limit takes more memory than there is for all containers together."""
    assert scene.engine
    with scene.engine.scarce_memory(SCARCE):
        kernel = await scene.open("other")
        async with scene.page(kernel) as page:
            page.ask(HOG)
            assert await scene.until(lambda: kernel in scene.deaths), "nobody was told"


# Files.


async def remove_image(scene: Scene) -> None:
    """The image under a running container is removed, as far as an engine does that."""
    with closing(engine_client()) as engine:
        await asyncio.to_thread(engine.remove_image, scene.image, force=True, noprune=True)
    try:
        await scene.use()
    finally:
        with closing(engine_client()) as engine:
            repository, tag = scene.image.split(":")
            engine.tag(MODERN, repository, tag)


async def rename_workspace(scene: Scene) -> None:
    """The workspace has another name for a while."""
    other = scene.home.root / "renamed"
    scene.home.workspace.rename(other)
    await scene.use()
    await asyncio.sleep(scene.chance.uniform(0, 1))
    other.rename(scene.home.workspace)


async def fill_own_disk(scene: Scene) -> None:
    """There is no room for the folders of containers."""
    await _fill(scene, scene.home.data)


async def fill_engine_disk(scene: Scene) -> None:
    """There is no room where the engine has its images and containers."""
    assert scene.engine
    await _fill(scene, scene.engine.folder / "data")


async def _fill(scene: Scene, disk: Path) -> None:
    ballast = disk / "ballast"

    def fill() -> bool:
        size = shutil.disk_usage(disk).free - NEXT_TO_NOTHING
        with ballast.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, size))
            except OSError:  # a kernel that starts has just taken some of that
                return False
        return True

    try:
        assert await scene.until(fill), "the disk does not get full"
        await scene.use()
    finally:
        ballast.unlink(missing_ok=True)


# The engine.


async def kill_engine(scene: Scene) -> None:
    """The engine is killed, and started again."""
    assert scene.engine
    await scene.prepare_outage()
    await asyncio.to_thread(scene.engine.kill)
    await scene.sit_out()
    await asyncio.to_thread(scene.engine.begin)


async def freeze_engine(scene: Scene) -> None:
    """The engine stands still."""
    assert scene.engine
    await scene.prepare_outage()
    scene.engine.signal(signal.SIGSTOP)
    try:
        await scene.sit_out()
    finally:
        scene.engine.signal(signal.SIGCONT)


async def silence_engine(scene: Scene) -> None:
    """The engine's socket accepts connections, and nobody answers."""
    assert scene.door
    await scene.prepare_outage()
    scene.door.fall_silent()
    await scene.sit_out()
    scene.door.talk()


async def break_engine(scene: Scene) -> None:
    """The engine answers each request with an error."""
    assert scene.door
    await scene.prepare_outage()
    scene.door.refuses = True
    await scene.sit_out()
    scene.door.refuses = False


FAULTS = (
    Fault("server killed", kill_server),
    Fault("engine killed", kill_engine, takes="engine"),
    Fault("shim killed", kill_shim),
    Fault("supervisor killed", kill_supervisor),
    Fault("spare killed", kill_spare),
    Fault("kernel killed", kill_kernel),
    Fault("out of memory in the container", exhaust_memory),
    Fault("out of memory on the machine", exhaust_machine, takes="engine"),
    Fault("disk full, the engine's", fill_engine_disk, takes="engine"),
    Fault("disk full, the person's", fill_own_disk, takes="disk"),
    Fault("image removed", remove_image),
    Fault("workspace renamed", rename_workspace),
    Fault("engine silent", silence_engine, takes="door"),
    Fault("engine answers 500", break_engine, takes="door"),
    Fault("clock jumps", jump_clock, takes="clock"),
    Fault("engine stopped (SIGSTOP)", freeze_engine, takes="engine"),
)
