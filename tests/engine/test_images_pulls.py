"""Pulls from a real registry: what is told of them, who shares them, how they end; and nothing of them is left."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest
import registries
from engines import private_engine
from homes import MODERN, Home
from kernels import TIMEOUT, until
from registries import PASSWORD, USER, Registry, Slow
from servers import OURS, Message, Server, session
from servers import Socket as Events

from jupyter_tfcontainer.errors import ImagePullFailed, PolicyRefused
from jupyter_tfcontainer.manager import ContainerManager

MEGABYTE = 1_000_000
HOST = os.uname().nodename
OPERATION = "https://events.jupyter.org/jupyter_tfcontainer/operation/v1"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with registries.registry() as one:
        yield one


@pytest.fixture(scope="module")
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture(scope="module")
def big(registry: Registry, client: docker.APIClient) -> str:
    """An image of three layers that cannot be made smaller, in the registry; its digest."""
    reference = f"{registry.name}/test/big:1"
    registries.image(client, reference, *(os.urandom(size * MEGABYTE) for size in (6, 3, 1)))
    return registries.push(client, reference)


@pytest.fixture(scope="module")
def runs(registry: Registry, client: docker.APIClient) -> str:
    """An image in which a kernel runs, of which one layer is in the registry only."""
    reference = f"{registry.name}/test/runs:1"
    registries.image(client, reference, os.urandom(3 * MEGABYTE), parent=MODERN)
    return registries.push(client, reference)


@pytest.fixture
def line(registry: Registry) -> Iterator[Slow]:
    """A slow connection to the registry."""
    with registries.slow(registry, 4 * MEGABYTE) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


async def begin(server: Server, **source: Any) -> Message:
    """Begin an operation."""
    answer = await server.ask("POST", f"{OURS}/images", source)
    assert answer.status == 202, answer
    assert answer.location == server.url(f"{OURS}/operations/{answer.model['id']}")
    assert isinstance(answer.model, dict)
    return answer.model


def operations(messages: list[Message]) -> list[Message]:
    """The events of operations."""
    return [one for one in messages if one["schema_id"] == OPERATION]


def of(messages: list[Message], number: str) -> list[Message]:
    """The events of one operation."""
    return [one for one in operations(messages) if one["id"] == number]


async def ended(socket: Events, number: str, seconds: float = TIMEOUT) -> list[Message]:
    """All events of an operation, once it has ended."""

    def end(messages: list[Message]) -> list[Message]:
        mine = of(messages, number)
        return mine if mine and mine[-1]["state"] != "running" else []

    return await socket.heard(end, seconds)


async def moving(socket: Events, number: str) -> Message:
    """Its first event with bytes in it."""
    found = await socket.heard(
        lambda messages: [one for one in of(messages, number) if one["progress"] and one["progress"]["bytes"] > 0]
    )
    return found[0]


async def failed(server: Server, reference: str) -> Message:
    """What a pull that fails ends as."""
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=reference)
        last = (await ended(socket, operation["id"]))[-1]
    assert last["state"] == "failed", last
    assert last["result"] is None
    return last


# What is told.


async def test_from_begin_to_end(server: Server, line: Slow, big: str, client: docker.APIClient) -> None:
    reference = f"{line.name}/test/big:1"
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=reference)
        assert (operation["kind"], operation["reference"], operation["state"]) == ("pull", reference, "running")
        told = await ended(socket, operation["id"])
    progress = [one["progress"] for one in told if one["progress"]]
    counts = [one["bytes"] for one in progress]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    last = progress[-1]
    # Random bytes take a little more room when they are packed.
    assert 10 * MEGABYTE <= last["bytes"] == last["total"] == last["extracted"] < 11 * MEGABYTE
    assert (last["layers_done"], last["layers"], last["final"]) == (3, 3, True)
    # Whoever shows a percentage does so once it can only grow.
    shares = [one["bytes"] / one["total"] for one in progress if one["final"]]
    assert shares == sorted(shares)
    assert any(one["bytes_per_second"] and one["seconds_left"] is not None for one in progress if one["final"])
    speeds = [one["bytes_per_second"] for one in progress if one["bytes_per_second"]]
    # What is under way in buffers makes the first of them too high.
    assert MEGABYTE < speeds[-1] < 16 * MEGABYTE

    image = client.inspect_image(reference)["Id"]
    assert told[-1]["result"] == {"image": image, "reference": reference, "environment": None}
    assert told[-1]["message"] == f"The image {reference} was pulled on {HOST}."
    assert all("log" not in one for one in told)
    model = await server.get(f"{OURS}/operations/{operation['id']}")
    assert {name: value for name, value in model.items() if name not in ("log", "lines")}.items() <= told[-1].items()
    (listed,) = [one for one in await server.get(f"{OURS}/images") if one["id"] == image]
    assert listed["references"] == [reference]
    assert (listed["origin"], listed["freeable"], listed["inside"]) == ("pulled", True, None)


async def test_events_are_few(server: Server, line: Slow, big: str) -> None:
    """Two a second at most, beside the first and the last, and the moment from which on all bytes are there."""
    told: list[tuple[float, Message]] = []
    ContainerManager.instance().operations.listen(lambda model: told.append((time.monotonic(), model)))
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=f"{line.name}/test/big:1")
        heard = await ended(socket, operation["id"])
    assert await asyncio.to_thread(until, lambda: len(told) == len(heard), TIMEOUT)
    assert (told[0][1]["state"], told[0][1]["progress"]) == ("running", None)
    whole = [number for number, (_, model) in enumerate(told) if (model["progress"] or {}).get("phase") == "extracting"]
    moments = [moment for moment, _ in told[:-1]]
    assert len(moments) > 3
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    del gaps[whole[0] - 1]
    assert all(gap > 0.49 for gap in gaps), moments


async def test_all_bytes_are_told_of_while_they_are_unpacked(server: Server, registry: Registry, big: str) -> None:
    """However soon that is after the last event, and however short."""
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=f"{registry.name}/test/big:1")
        told = await ended(socket, operation["id"])
    unpacking = [one["progress"] for one in told if one["progress"] and one["progress"]["phase"] == "extracting"]
    assert unpacking[0]["bytes"] == unpacking[0]["total"] > 10 * MEGABYTE
    assert unpacking[0]["layers_done"] < 3


async def test_once_more(server: Server, registry: Registry, big: str) -> None:
    reference = f"{registry.name}/test/big:1"
    for how in ("was pulled", "is up to date"):
        async with server.events() as socket:
            operation = await begin(server, source="pull", reference=reference)
            last = (await ended(socket, operation["id"]))[-1]
        assert (last["state"], last["message"]) == ("done", f"The image {reference} {how} on {HOST}.")


async def test_page_that_is_closed_and_opened_again(server: Server, line: Slow, big: str) -> None:
    reference = f"{line.name}/test/big:1"
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=reference)
        before = await moving(socket, operation["id"])
    models = await server.get(f"{OURS}/operations")
    (model,) = [one for one in models if one["state"] == "running"]
    assert model["id"] == operation["id"]
    assert model["progress"]["bytes"] >= before["progress"]["bytes"]
    async with server.events() as socket:
        # Whoever asks once more gets the same.
        assert (await begin(server, source="pull", reference=reference))["id"] == operation["id"]
        assert (await ended(socket, operation["id"]))[-1]["state"] == "done"


async def test_digest(server: Server, registry: Registry, big: str, client: docker.APIClient) -> None:
    reference = f"{registry.name}/test/big@{big}"
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=reference)
        last = (await ended(socket, operation["id"]))[-1]
    assert last["state"] == "done", last
    (listed,) = [one for one in await server.get(f"{OURS}/images") if one["id"] == last["result"]["image"]]
    assert listed["references"] == [reference]
    assert (await server.ask("DELETE", f"{OURS}/images", reference=reference)).status == 204
    assert listed["id"] not in {one["id"] for one in await server.get(f"{OURS}/images")}


async def test_what_is_inside(server: Server, registry: Registry, runs: str) -> None:
    """It is looked for when the pull is done, and written down."""
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=f"{registry.name}/test/runs:1")
        last = (await ended(socket, operation["id"]))[-1]
    (listed,) = [one for one in await server.get(f"{OURS}/images") if one["id"] == last["result"]["image"]]
    assert listed["inside"]["python"].startswith("3.11.")
    assert listed["inside"]["ipykernel"].startswith("7.")
    assert listed["inside"]["tensorflow"] is None
    known = json.loads((server.home.data / "tfcontainer" / "images.json").read_text())
    assert known[listed["id"]]["ipykernel"] == listed["inside"]["ipykernel"]


# Who shares it, and who ends it.


async def test_two_kernels_share_one_pull(server: Server, registry: Registry, runs: str) -> None:
    before = len(registry.requests)
    with registries.slow(registry, 2 * MEGABYTE) as line:
        reference = f"{line.name}/test/runs:1"
        server.home.add("tf", reference)
        async with server.events() as socket:
            starts = [asyncio.create_task(server.ask("POST", "api/kernels", {"name": "tf"})) for _ in range(2)]
            found = await socket.heard(operations)
            operation = await begin(server, source="pull", reference=reference)
            assert operation["id"] == found[0]["id"]
            for start in starts:
                assert (await start).status == 201
            told = await ended(socket, operation["id"])
            kernels = {one["kernel_id"] for one in socket.messages if one.get("step") == "pull" and "progress" in one}
        assert told[-1]["state"] == "done"
        # Both were told how it got on.
        assert len(kernels) == 2
        assert len(await server.get(f"{OURS}/operations")) == 1
        manifests = [one for one in registry.requests[before:] if "/manifests/" in one]
        blobs = [one for one in registry.requests[before:] if "/blobs/" in one]
        assert len(blobs) == len(set(blobs))
        assert len(manifests) == len(set(manifests)) <= 2  # by its tag, and by its digest
        for kernel in await server.get("api/kernels"):
            await server.ask("DELETE", f"api/kernels/{kernel['id']}")


async def test_cancel(server: Server, registry: Registry, line: Slow, big: str) -> None:
    """The engine ends it at once, and the registry is asked for nothing more."""
    reference = f"{line.name}/test/big:1"
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=reference)
        await moving(socket, operation["id"])
        assert (await server.ask("DELETE", f"{OURS}/operations/{operation['id']}")).status == 204
        last = (await ended(socket, operation["id"]))[-1]
    assert (last["state"], last["reason"]) == ("cancelled", "OperationCancelled")
    assert last["message"].startswith(f"The pull of {reference} was cancelled by ")
    assert await asyncio.to_thread(until, lambda: line.connections == 0, 10)
    # The registry's log tells of a request when it has ended, so those that are cut come last.
    accepted = line.accepted
    assert reference not in {name for one in await server.get(f"{OURS}/images") for name in one["references"]}
    assert (line.connections, line.accepted) == (0, accepted)
    # What has ended cannot be cancelled, and stays what it was.
    assert (await server.ask("DELETE", f"{OURS}/operations/{operation['id']}")).status == 204
    assert (await server.get(f"{OURS}/operations/{operation['id']}"))["state"] == "cancelled"


async def test_start_whose_pull_is_cancelled(server: Server, line: Slow, runs: str) -> None:
    """It is told who did it, and another start begins anew."""
    reference = f"{line.name}/test/runs:1"
    server.home.add("tf", reference)
    async with server.events() as socket:
        start = asyncio.create_task(server.ask("POST", "api/sessions", session("tf")))
        (event, *_) = await socket.heard(lambda messages: [one for one in operations(messages) if one["progress"]])
        await server.ask("DELETE", f"{OURS}/operations/{event['id']}")
        answer = await start
    assert answer.status == 500
    assert answer.model["message"].startswith(f"The pull of {reference} was cancelled by ")
    assert not server.home.containers()
    await server.ask("DELETE", f"api/kernels/{await server.start('tf')}")


async def test_registry_that_does_not_answer_can_be_cancelled(server: Server) -> None:
    """Nothing has come of the engine yet, not even the head of its answer."""
    with closing(_silent()) as listener:
        async with server.events() as socket:
            operation = await begin(
                server, source="pull", reference=f"127.0.0.1:{listener.getsockname()[1]}/test/big:1"
            )
            peer, _ = await asyncio.to_thread(listener.accept)
            with closing(peer):
                await server.ask("DELETE", f"{OURS}/operations/{operation['id']}")
                assert (await ended(socket, operation["id"]))[-1]["state"] == "cancelled"


def _silent() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.settimeout(TIMEOUT)
    return listener


async def test_pulls_keep_no_stop_waiting(
    server: Server, registry: Registry, client: docker.APIClient, big: str
) -> None:
    """More of them than there are threads for short calls."""
    server.home.add("tf", MODERN)
    container = await server.ahead("tf")
    with registries.slow(registry, MEGABYTE // 2) as line:
        async with server.events() as socket:
            operations = [
                await begin(server, source="pull", reference=f"{line.name}/test/big:1", platform=f"linux/amd64/v{one}")
                for one in range(1, 13)
            ]
            assert len({one["id"] for one in operations}) == 12
            await moving(socket, operations[0]["id"])
            answer = await asyncio.wait_for(server.ask("DELETE", f"{OURS}/containers/{container['id']}"), 10)
            assert answer.status == 204
            running = [one for one in await server.get(f"{OURS}/operations") if one["state"] == "running"]
            assert len(running) > 8
            for one in running:
                await server.ask("DELETE", f"{OURS}/operations/{one['id']}")
            for one in operations:
                await ended(socket, one["id"])


def test_end_of_the_program(home: Home, line: Slow, big: str) -> None:
    """It cancels what goes on, and waits until that has ended."""
    manager = ContainerManager.instance()
    heard: list[Message] = []
    moves = threading.Event()

    def listen(model: Message) -> None:
        heard.append(model)
        if model["progress"]:
            moves.set()

    manager.operations.listen(listen)
    operation = manager.images.pull(f"{line.name}/test/big:1")
    assert moves.wait(TIMEOUT)
    manager.close()
    assert heard[-1]["state"] == "cancelled"
    assert heard[-1]["message"] == f"The pull of {line.name}/test/big:1 was cancelled by the end of this program."
    assert operation.done.done()
    assert until(lambda: line.connections == 0, 10)


# What goes wrong.


async def test_unknown_tag(server: Server, registry: Registry, big: str) -> None:
    last = await failed(server, f"{registry.name}/test/big:2")
    assert last["reason"] == "ImageMissing"
    assert "See that its name and tag are spelt right" in last["message"]


async def test_no_registry(server: Server) -> None:
    last = await failed(server, f"127.0.0.1:{registries.free_port()}/test/big:1")
    assert last["reason"] == "ImagePullFailed"
    assert "The registry cannot be reached from there" in last["message"]


@pytest.mark.parametrize("reference", ["Big", "a b", "big:", "-big", "", "big@sha256:12", "a//b"])
async def test_no_reference(server: Server, reference: str) -> None:
    answer = await server.ask("POST", f"{OURS}/images", {"source": "pull", "reference": reference})
    assert (answer.status, answer.model["reason"]) == (422, "ImageInvalid")


def test_policy(home: Home) -> None:
    home.configure(allowed_images=["tensorflow/*"])
    with pytest.raises(PolicyRefused, match="allowed_images"):
        ContainerManager.instance().images.pull("debian:12")


@pytest.fixture
def locked(client: docker.APIClient) -> Iterator[str]:
    """An image in a registry that lets nobody in whom it does not know."""
    with registries.registry(auth=True) as one:
        reference = f"{one.name}/test/locked:1"
        registries.image(client, reference, os.urandom(1000))
        registries.push(client, reference, auth_config={"username": USER, "password": PASSWORD})
        yield reference


def configure_docker(home: Home, **config: Any) -> None:
    """Write the person's Docker configuration."""
    folder = home.root / "home" / ".docker"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))


def login(registry: str, password: str) -> dict[str, Any]:
    """What ``docker login`` writes."""
    return {"auths": {registry: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}}}


async def test_credentials(server: Server, locked: str) -> None:
    """None, wrong ones, right ones: each counts at once."""
    last = await failed(server, locked)
    assert last["reason"] == "ImagePullFailed"
    assert "docker login" in last["message"]
    registry = locked.partition("/")[0]
    configure_docker(server.home, **login(registry, "wrong"))
    last = await failed(server, locked)
    assert "docker login" in last["message"]
    assert "wrong" not in json.dumps(last)
    configure_docker(server.home, **login(registry, PASSWORD))
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=locked)
        assert (await ended(socket, operation["id"]))[-1]["state"] == "done"


async def test_credential_helper(server: Server, locked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that keeps the credentials; and one that is not there."""
    configure_docker(server.home, credsStore="tfc-test")
    last = await failed(server, locked)
    assert "docker-credential-tfc-test" in last["message"]
    helper = tmp_path / "docker-credential-tfc-test"
    answer = json.dumps({"ServerURL": locked.partition("/")[0], "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{answer}'\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    async with server.events() as socket:
        operation = await begin(server, source="pull", reference=locked)
        assert (await ended(socket, operation["id"]))[-1]["state"] == "done"


class Refusing(BaseHTTPRequestHandler):
    """Stands in for a registry that refuses: a real one cannot be made to say that its limit is reached."""

    status, code, message = 429, "TOOMANYREQUESTS", "You have reached your pull rate limit."

    def do_GET(self) -> None:
        """Answer."""
        probe = self.path == "/v2/"
        body = b"{}" if probe else json.dumps({"errors": [{"code": self.code, "message": self.message}]}).encode()
        self.send_response(200 if probe else self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Denying(Refusing):
    """Stands in for a registry that denies what it has."""

    status, code, message = 403, "DENIED", "requested access to the resource is denied"


@pytest.mark.parametrize(
    ("kind", "words"), [(Refusing, "The registry's limit of pulls is reached"), (Denying, "docker login")]
)
async def test_refusal(server: Server, kind: type[Refusing], words: str) -> None:
    with HTTPServer(("127.0.0.1", 0), kind) as stand_in:
        thread = threading.Thread(target=stand_in.serve_forever)
        thread.start()
        try:
            last = await failed(server, f"127.0.0.1:{stand_in.server_port}/test/big:1")
        finally:
            stand_in.shutdown()
            thread.join()
    assert last["reason"] == "ImagePullFailed"
    assert words in last["message"]


# Engines of a test's own.


def test_registry_that_dies(home: Home, tmp_path: Path) -> None:
    """The engine tries a few times, which is told; then it gives up."""
    with private_engine() as engine:
        subprocess.run(["ip", "-n", engine.namespace, "link", "set", "lo", "up"], check=True)
        engine.start("--bridge=none", "--max-download-attempts=2", "--max-concurrent-downloads=1")
        with registries.registry(engine.namespace) as registry, closing(docker.APIClient(engine.url)) as client:
            reference = f"{registry.name}/test/big:1"
            registries.image(client, reference, *(os.urandom(5 * MEGABYTE) for _ in range(4)))
            registries.push(client, reference)
            home.configure(engine_url=engine.url)
            phases: list[str] = []

            def listen(progress: Any) -> None:
                if progress.current:
                    registry.kill()
                if progress.phase not in phases:
                    phases.append(progress.phase)

            manager = ContainerManager.instance()
            operation = manager.images.pull(reference)
            with pytest.raises(ImagePullFailed, match="The registry cannot be reached from there"):
                operation.wait(listen)
            assert phases == ["downloading", "retrying"]
            assert client.images() == []
        manager.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (os.urandom(90 * MEGABYTE), "does not fit on the disk of"),
        # Little to fetch, and much to unpack: that cannot be known.
        (b"\0" * (120 * MEGABYTE), "The disk that holds the images is full"),
    ],
    ids=["known before", "found out by the engine"],
)
def test_full_disk(home: Home, tmp_path: Path, content: bytes, words: str) -> None:
    with private_engine() as engine:
        subprocess.run(["ip", "-n", engine.namespace, "link", "set", "lo", "up"], check=True)
        disk, data = tmp_path / "disk", engine.folder / "data"
        data.mkdir()
        subprocess.run(["truncate", "--size", "80M", disk], check=True)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, data], check=True)
        try:
            with registries.registry(engine.namespace) as registry, closing(docker.APIClient()) as client:
                reference = f"{registry.name}/test/big:1"
                with registries.registry() as staging:
                    staged = f"{staging.name}/test/big:1"
                    registries.image(client, staged, content)
                    registries.push(client, staged)
                    registries.copy(staging, registry)
                engine.start("--bridge=none")
                home.configure(engine_url=engine.url)
                manager = ContainerManager.instance()
                with pytest.raises(ImagePullFailed, match=words):
                    manager.images.pull(reference).wait()
                with closing(docker.APIClient(engine.url)) as theirs:
                    assert theirs.images(all=True) == []
                assert not list((data / "tmp").iterdir())
                manager.close()
        finally:
            engine.stop()
            subprocess.run(["umount", data], check=True)
