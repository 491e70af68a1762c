"""Images in files: written, read again, cancelled; and what is not one."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
import registries
from homes import Home
from servers import OURS, Message, Server
from test_images_pulls import begin, ended

from jupyter_tfcontainer.errors import ImageArchiveFailed, OperationCancelled, PolicyRefused
from jupyter_tfcontainer.images import archive
from jupyter_tfcontainer.images.operations import Operation
from jupyter_tfcontainer.manager import ContainerManager

MEGABYTE = 1_000_000
NAME = f"tfcontainer/test-images-archives-{registries.TOKEN}"


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


@pytest.fixture
def image(client: docker.APIClient) -> str:
    """An image that only this test uses."""
    registries.image(client, f"{NAME}:1", os.urandom(20 * MEGABYTE))
    return f"{NAME}:1"


async def done(server: Server, source: str, **fields: str) -> list[Message]:
    """All events of an operation that succeeds."""
    async with server.events() as socket:
        operation = await begin(server, source=source, **fields)
        told = await ended(socket, operation["id"], 60)
    assert told[-1]["state"] == "done", told[-1]
    return told


async def test_there_and_back(server: Server, image: str, client: docker.APIClient) -> None:
    before = client.inspect_image(image)["Id"]
    told = await done(server, "save", reference=image, path="image.tar")
    file = server.home.workspace / "image.tar"
    progress = told[-1]["progress"]
    assert progress["bytes"] == progress["total"] == file.stat().st_size > 20 * MEGABYTE
    assert [one.name for one in server.home.workspace.iterdir()] == ["image.tar"]
    assert archive.names(file) == [image]
    client.remove_image(image)
    told = await done(server, "load", path="image.tar")
    assert told[-1]["result"] == {"image": before, "reference": image, "environment": None}
    progress = told[-1]["progress"]
    assert progress["bytes"] == progress["total"] == file.stat().st_size
    assert client.inspect_image(image)["Id"] == before


async def test_archive_of_docker_itself(server: Server, image: str, client: docker.APIClient) -> None:
    """Compressed; and what had the name before is not left without one."""
    before = client.inspect_image(image)["Id"]
    command = f"docker save {image} | gzip -1 > {server.home.workspace}/image.tgz"
    await asyncio.to_thread(subprocess.run, ["sh", "-c", command], check=True)
    client.remove_image(image)
    other = registries.image(client, image, b"another")
    await done(server, "load", path="image.tgz")
    assert client.inspect_image(image)["Id"] == before
    assert other not in registries.images(client)


def test_cancel(home: Home, image: str, client: docker.APIClient, tmp_path: Path) -> None:
    """What was written is gone, and what was read is not there."""
    manager, file = ContainerManager.instance(), tmp_path / "image.tar"

    def cancelled(operation: Operation) -> None:
        def listen() -> None:
            if operation.progress:
                operation.cancel("a test")

        operation.watch(listen)
        with pytest.raises(OperationCancelled, match="was cancelled by a test"):
            operation.wait()

    cancelled(manager.images.save(image, file))
    assert list(tmp_path.iterdir()) == []
    manager.images.save(image, file).wait()
    client.remove_image(image)
    cancelled(manager.images.load(file))
    assert client.images(image) == []
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "content", [b"", b"no archive\n" * 1000, os.urandom(3 * MEGABYTE)], ids=["empty", "text", "noise"]
)
async def test_no_archive(server: Server, content: bytes) -> None:
    (server.home.workspace / "image.tar").write_bytes(content)
    async with server.events() as socket:
        operation = await begin(server, source="load", path="image.tar")
        last = (await ended(socket, operation["id"]))[-1]
    assert (last["state"], last["reason"]) == ("failed", "ImageArchiveFailed")
    assert "image.tar" in last["message"]


async def test_archive_that_is_cut(server: Server, image: str) -> None:
    await done(server, "save", reference=image, path="image.tar")
    with (server.home.workspace / "image.tar").open("r+b") as file:
        file.truncate(5 * MEGABYTE)
    async with server.events() as socket:
        operation = await begin(server, source="load", path="image.tar")
        last = (await ended(socket, operation["id"]))[-1]
    assert (last["state"], last["reason"]) == ("failed", "ImageArchiveFailed")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"source": "save", "path": "../image.tar"}, 422, "is not in the workspace"),
        ({"source": "save", "path": "there.tar"}, 409, "There is a file"),
        ({"source": "save", "path": "no/image.tar"}, 409, "There is no folder"),
        ({"source": "save", "path": "image.tar", "reference": "no/image:1"}, 404, "There is no image"),
        ({"source": "load", "path": "image.tar"}, 409, "There is no file"),
        ({"source": "load", "path": "/etc/passwd"}, 422, "is not in the workspace"),
    ],
)
async def test_what_cannot_begin(server: Server, image: str, body: dict[str, str], status: int, words: str) -> None:
    (server.home.workspace / "there.tar").write_text("mine")
    answer = await server.ask("POST", f"{OURS}/images", {"reference": image, **body})
    assert (answer.status, words in answer.model["message"]) == (status, True), answer.model
    assert (server.home.workspace / "there.tar").read_text() == "mine"


def test_policy(home: Home, image: str, tmp_path: Path) -> None:
    """The names in an archive are looked at before it is loaded."""
    subprocess.run(["docker", "save", "-o", tmp_path / "image.tar", image], check=True)
    home.configure(allowed_images=["tensorflow/*"])
    manager = ContainerManager.instance()
    with pytest.raises(PolicyRefused, match="allowed_images"):
        manager.images.load(tmp_path / "image.tar")
    with pytest.raises(PolicyRefused, match="allowed_images"):
        manager.images.save(image, tmp_path / "other.tar")
    (tmp_path / "text").write_text("text")
    with pytest.raises(ImageArchiveFailed, match="is no archive of images"):
        manager.images.load(tmp_path / "text")
