"""After a start that failed nothing is left, and whoever asked is told why."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import docker
import pytest
from homes import MODERN, Home
from kernels import TIMEOUT, until
from servers import OURS, Server, Socket, session
from traitlets.config import Config

from jupyter_tfcontainer.kernels import host_folders
from jupyter_tfcontainer.kernels.state_file import Record
from jupyter_tfcontainer.manager import launcher

BARE = "tfcontainer/python:bare"
# So many, since it is a matter of microseconds.
STARTS = 300
# Each kernel ends by itself, once it has become ready and its event loop turns.
STARTUP = "import os\nfrom tornado.ioloop import IOLoop\nIOLoop.current().call_later(0.2, os._exit, 3)\n"


@pytest.fixture(autouse=True)
def restart_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter's restarter looks thirty times as often here, so that what it leaves may be removed sooner, too."""
    monkeypatch.setattr(launcher, "RESTART_GRACE", 1.0)


@pytest.fixture
def jp_server_config(jp_server_config: Config) -> Config:
    jp_server_config.KernelRestarter.restart_limit = 2
    return jp_server_config


@pytest.fixture
def image() -> Iterator[str]:
    """An image that only this test uses, so that it may be removed."""
    name = "tfcontainer/python:removed"
    tag(name)
    yield name
    untag(name)


def tag(name: str) -> None:
    """Give an image one more name."""
    repository, name = name.split(":")
    with closing(docker.APIClient()) as client:
        client.tag(MODERN, repository, name)


def untag(name: str) -> None:
    """Remove a name of an image, if it is there."""
    with closing(docker.APIClient()) as client:
        if client.images(name):
            client.remove_image(name, noprune=True)


def left(home: Home) -> list[str]:
    """What is left of containers while the manager lives, which keeps its pools of threads."""
    return [
        *(one for one in home.leftovers() if not one.startswith("tfcontainer-")),
        *(thread.name for thread in threading.enumerate() if isinstance(thread, threading.Timer)),
    ]


async def nothing_is_left(home: Home) -> None:
    """Wait for the removal of the containers that there are, as the engine tells it."""

    def wait() -> bool:
        with closing(docker.APIClient()) as client:
            filters = {"type": "container", "event": "destroy"}
            with closing(client.events(filters=filters, until=int(time.time()) + TIMEOUT)) as events:
                for _ in chain([""], events):
                    if not home.containers():
                        break
        # The folder and the thread go right after the container.
        return until(lambda: not left(home), TIMEOUT)

    assert await asyncio.to_thread(wait), left(home)


def failures(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of failed starts."""
    return [one for one in messages if one.get("state") == "failed"]


async def failure(socket: Socket) -> str:
    """What a page is told of a failed start."""
    return str((await socket.heard(failures))[0]["message"])


# Starts.


@pytest.mark.parametrize(
    ("image", "config", "reason", "words"),
    [
        (
            BARE,
            {"pull_policy": "never"},
            "IPykernelMissing",
            f"The image {BARE} on {os.uname().nodename} cannot run a kernel",
        ),
        ("nowhere/nothing:1", {"pull_policy": "never"}, "ImageMissing", "The image nowhere/nothing:1 is not on"),
        (MODERN, {"gpu": "all"}, "EnvironmentInvalid", "a field that is not known: gpu"),
        (MODERN, {"gpus": "all"}, "GPURouteMissing", "GPU"),
    ],
    ids=["no ipykernel", "no image", "unknown field", "no GPU"],
)
async def test_start(server: Server, image: str, config: dict[str, Any], reason: str, words: str) -> None:
    """Ahead, as a session, and as a kernel; of the latter Jupyter itself tells nothing, so an event does."""
    server.home.add("tf", image, **config)
    ahead = await server.ask("POST", f"{OURS}/containers", {"environment": "tf"})
    assert ahead.model["reason"] == reason
    assert words in ahead.model["message"]
    answer = await server.ask("POST", "api/sessions", session("tf"))
    assert (answer.status, answer.model["message"]) == (500, ahead.model["message"])
    async with server.events() as socket:
        assert (await server.ask("POST", "api/kernels", {"name": "tf"})).status == 500
        if reason != "EnvironmentInvalid":  # nothing was started that could have failed
            assert await failure(socket) == ahead.model["message"]
    assert await server.get("api/kernels") == []
    assert await server.get("api/sessions") == []
    assert not left(server.home)


def test_sweep_does_not_take_a_start_for_what_a_crash_left(tmp_path: Path) -> None:
    """Each process sweeps when it first meets the engine, at which moment it, or another, may start a container."""
    ended = threading.Event()

    def sweep() -> None:
        while not ended.is_set():
            for folder in host_folders.abandoned_folders(set(), str(tmp_path)):
                shutil.rmtree(folder, ignore_errors=True)

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        for number in range(STARTS):
            folder = tmp_path / str(number)
            folder.mkdir()
            with closing(Record(folder)):
                assert (folder / "lock").exists(), number
    finally:
        ended.set()
        thread.join()


async def test_kernel_that_ends_before_it_is_ready(server: Server) -> None:
    """The answer carries what it said."""
    name = server.home.add("tf", MODERN)
    folder = server.home.data / "tfcontainer" / "homes" / name / ".ipython" / "profile_default"
    folder.mkdir(parents=True)
    (folder / "ipython_config.py").write_text("import os\nos.write(2, b'out of order\\n')\nos._exit(7)\n")
    answer = await server.ask("POST", "api/sessions", session("tf"))
    assert answer.status == 500
    assert "ended with exit code 7" in answer.model["message"]
    assert not left(server.home)


async def test_start_that_is_cancelled(server: Server) -> None:
    server.home.add("tf", MODERN)
    async with server.events() as socket:
        start = asyncio.create_task(server.app.kernel_manager.start_kernel(kernel_name="tf"))
        await socket.heard(lambda messages: [one for one in messages if one.get("step") == "boot"])
        assert server.home.containers()
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        await nothing_is_left(server.home)


async def test_client_that_hangs_up_during_the_start(server: Server, jp_http_port: int) -> None:
    """As with any kernel, it is there then, for whoever comes back; and goes like any other."""
    server.home.add("tf", MODERN)
    body = json.dumps({"name": "tf"})
    headers = {"Host": "localhost", "Authorization": f"token {server.app.identity_provider.token}"}
    lines = [f"{name}: {value}" for name, value in {**headers, "Content-Length": len(body)}.items()]
    async with server.events() as socket:
        _, writer = await asyncio.open_connection("127.0.0.1", jp_http_port)
        request = "\r\n".join([f"POST {server.url('api/kernels')} HTTP/1.1", *lines, "", body])
        writer.write(request.encode())
        await socket.heard(lambda messages: [one for one in messages if one.get("step") == "boot"])
        writer.close()
        await writer.wait_closed()
        await socket.heard(lambda messages: [one for one in messages if one.get("action") == "start"])
    (kernel,) = await server.get("api/kernels")
    assert (await server.container())["kernel"]["id"] == kernel["id"]
    assert (await server.ask("DELETE", f"api/kernels/{kernel['id']}")).status == 204
    assert not left(server.home)


# Restarts.


async def test_crash_loop(server: Server) -> None:
    """Jupyter's restarter gives up, and cleans nothing up."""
    name = server.home.add("tf", MODERN)
    folder = server.home.data / "tfcontainer" / "homes" / name / ".ipython" / "profile_default" / "startup"
    folder.mkdir(parents=True)
    (folder / "end.py").write_text(STARTUP)
    async with server.events() as socket:
        await server.start("tf")

        def deaths(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
            dead = [one for one in messages if one.get("state") == "dead"]
            return dead if len(dead) == 3 else []

        assert {one["exit_code"] for one in await socket.heard(deaths)} == {3}
        await nothing_is_left(server.home)
    assert await server.get("api/kernels") == []


@pytest.mark.parametrize("how", ["by the restarter", "asked", "fresh"])
async def test_restart_that_fails(server: Server, image: str, how: str) -> None:
    """The container is gone or given up, and its image as well. Once that is back, so is the kernel."""
    server.home.add("tf", image, pull_policy="never")
    kernel = await server.start("tf")
    container = (await server.container())["id"]
    async with server.events() as socket, server.page(kernel) as page:
        untag(image)
        if how == "fresh":
            answer = await server.ask("POST", f"{OURS}/containers/{container}/restart-fresh")
            assert (answer.status, answer.model["reason"]) == (409, "ImageMissing")
        elif how == "asked":
            server.app.kernel_manager.get_kernel(kernel).stop_restarter()
            with closing(docker.APIClient()) as client:
                client.kill(container)
            assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 500
        else:
            with closing(docker.APIClient()) as client:
                client.kill(container)
        message = await failure(socket)
        assert f"The image {image} is not on" in message
        await nothing_is_left(server.home)

        tag(image)
        assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
        # The page was connected all the time.
        assert await page.value("print(6 * 7)") == "42"
    assert (await server.ask("DELETE", f"api/kernels/{kernel}")).status == 204
    assert not left(server.home)


async def test_container_that_ends_ahead(server: Server) -> None:
    """One that waits for its kernel, and is killed."""
    server.home.add("tf", MODERN)
    standby = await server.ahead("tf")
    with closing(docker.APIClient()) as client:
        client.kill(standby["id"])
    await nothing_is_left(server.home)
