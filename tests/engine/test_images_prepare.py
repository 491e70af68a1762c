"""Images without ipykernel: a derived one is made, once for each state of its parent, and the start uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import docker
import pytest
import registries
from homes import MODERN, Home
from jupyter_client.kernelspec import KernelSpecManager
from kernels import kernel, value
from servers import OURS, Server, session
from test_images_pulls import begin, ended, of, operations

from jupyter_tfcontainer.engine import candidates, connect, labels
from jupyter_tfcontainer.images import prepare
from jupyter_tfcontainer.manager import ContainerManager

BARE = "tfcontainer/python:bare"
DEBIAN = "tfcontainer/python:debian"
# Seconds that an installation from the index of packages may take.
PATIENCE = 180
NAME = f"tfcontainer/test-images-prepare-{registries.TOKEN}"
# Beside all of its child's, and with what an image may say of how it is run.
SETTINGS = ['ENTRYPOINT ["env"]', 'CMD ["true"]', "USER nobody", "ENV GREETING=hello", "WORKDIR /srv"]


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


def made(client: docker.APIClient, tag: str, parent: str, *content: bytes) -> str:
    """An image that only this test uses, with a name of its own."""
    if client.images(f"{NAME}:{tag}"):
        client.remove_image(f"{NAME}:{tag}")
    registries.image(client, f"{NAME}:{tag}", *content, parent=parent)
    return f"{NAME}:{tag}"


@pytest.mark.parametrize(
    ("parent", "python", "version"), [(BARE, "python2.7", "2.7.18 4."), (DEBIAN, None, "3.11.2 ")], ids=["2.7", "3"]
)
def test_a_kernel(home: Home, client: docker.APIClient, parent: str, python: str | None, version: str) -> None:
    """The first start makes it, of which events tell; the next one has it."""
    image = made(client, "kernel", parent, b"1")
    name = home.add("tf", image, **(cast("Any", {"python": python}) if python else {}))
    steps: list[str] = []
    manager = ContainerManager.instance()
    manager.listen(lambda event: steps.append(event.get("step", "")))
    show = "import sys, ipykernel; print('%d.%d.%d' % sys.version_info[:3] + ' ' + ipykernel.__version__)"
    for count in (1, 1):
        with kernel(name) as (_, page):
            assert value(page, show).startswith(version)
        assert steps.count("prepare") == count
    (model,) = [one for one in manager.images.list(KernelSpecManager()) if one["parent"] == image]
    assert model["references"] == [prepare.name(image, python)]
    assert (model["origin"], model["used_by"]["environments"]) == ("prepared", ["tf"])
    assert model["inside"]["python"] == version.split(maxsplit=1)[0]


async def test_over_rest(server: Server, client: docker.APIClient) -> None:
    """One layer, the settings of its parent, and nothing of this machine in it."""
    repository, _, tag = made(client, "settings", DEBIAN, b"1").rpartition(":")
    image = f"{repository}:{tag}"
    container = client.create_container(image, "true")["Id"]
    client.commit(container, repository, tag, changes=SETTINGS)
    client.remove_container(container)
    parent = client.inspect_image(image)
    async with server.events() as socket:
        operation = await begin(server, source="prepare", reference=image)
        told = await ended(socket, operation["id"], PATIENCE)
    assert told[-1]["state"] == "done", told[-1]
    assert "was prepared with ipykernel 7." in told[-1]["message"]
    result = told[-1]["result"]
    assert result["reference"] == prepare.name(image, None)
    child = client.inspect_image(result["reference"])
    assert child["RootFS"]["Layers"][:-1] == parent["RootFS"]["Layers"]
    settings = ("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "Volumes", "ExposedPorts")
    assert {key: child["Config"].get(key) for key in settings} == {key: parent["Config"].get(key) for key in settings}
    assert child["Config"]["Labels"][labels.PARENT] == image
    output = client.create_container(child["Id"], ["sh", "-c", "ls -A /run /tmp /root; find / -xdev -name '*.pem'"])
    try:
        client.start(output["Id"])
        client.wait(output["Id"])
        listing = client.logs(output["Id"]).decode()
    finally:
        client.remove_container(output["Id"])
    assert "tfcontainer" not in listing
    assert "ca.pem" not in listing
    log = (await server.get(f"{OURS}/operations/{operation['id']}"))["log"]
    assert any(line.startswith("Successfully installed") for line in log)


async def test_made_again_when_its_parent_changes(
    server: Server, client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before is not left without a name."""
    found: list[str] = []
    registries.without_ipykernel(client, f"{NAME}:without")
    with registries.index() as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", url)
        for content in (b"1", b"1", b"2"):
            found.append(await prepared(server, made(client, "changes", f"{NAME}:without", content)))
    assert found[0] == found[1] != found[2]
    ids = {one["id"] for one in await server.get(f"{OURS}/images")}
    assert found[0] not in ids
    assert found[2] in ids


async def prepared(server: Server, image: str) -> str:
    """Prepare an image; the id of what was made comes back."""
    async with server.events() as socket:
        operation = await begin(server, source="prepare", reference=image)
        last = (await ended(socket, operation["id"], PATIENCE))[-1]
    assert last["state"] == "done", last
    return str(last["result"]["image"])


async def test_what_needs_none(server: Server) -> None:
    async with server.events() as socket:
        operation = await begin(server, source="prepare", reference=MODERN)
        last = (await ended(socket, operation["id"], PATIENCE))[-1]
    assert last["message"] == f"The image {MODERN} has ipykernel already."


def test_a_workshop_is_gone_at_once(client: docker.APIClient) -> None:
    """The engine removes it when its input ends, and we do: whoever comes second waits for the other."""
    with closing(connect(candidates(""))) as engine:
        image = engine.image(MODERN)
        assert image is not None
        for _ in range(25):  # one in eight was still listed
            with engine.held(image, {}) as container:
                pass
            assert container not in {one["Id"] for one in client.containers(all=True)}


async def test_cancel(server: Server, client: docker.APIClient) -> None:
    """In the middle of an installation, for the start that waits as well."""
    image = made(client, "cancel", DEBIAN, b"1")
    server.home.add("tf", image)
    async with server.events() as socket:
        start = asyncio.create_task(server.ask("POST", "api/sessions", session("tf")))
        (first, *_) = await socket.heard(
            lambda messages: [one for one in operations(messages) if "Installing" in one["message"]]
        )
        assert first["kind"] == "prepare"
        await server.ask("DELETE", f"{OURS}/operations/{first['id']}")
        last = (await ended(socket, first["id"]))[-1]
        answer = await start
    assert last["state"] == "cancelled"
    assert (answer.status, answer.model["message"]) == (500, last["message"])
    assert last["message"].startswith(f"Preparing {image} for Jupyter was cancelled by ")
    assert not [one for one in client.containers(all=True) if "workshop" in one["Names"][0]]
    assert prepare.name(image, None) not in json.dumps(client.images())


@pytest.mark.parametrize("config", [{"pull_policy": "never"}, {"network": "none"}])
async def test_who_does_not_want_it(server: Server, client: docker.APIClient, config: dict[str, Any]) -> None:
    image = made(client, "never", DEBIAN, b"1")
    server.home.add("tf", image, **config)
    answer = await server.ask("POST", f"{OURS}/containers", {"environment": "tf"})
    assert (answer.status, answer.model["reason"]) == (409, "IPykernelMissing")
    assert await server.get(f"{OURS}/operations") == []


async def test_that_fails(server: Server, client: docker.APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has what pip said; and the start says both."""
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{registries.free_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    image = made(client, "fails", DEBIAN, b"1")
    server.home.add("tf", image)
    answer = await server.ask("POST", f"{OURS}/containers", {"environment": "tf"})
    assert (answer.status, answer.model["reason"]) == (409, "IPykernelMissing")
    assert f"The image {image} on" in answer.model["message"]
    assert "It could not be made by itself: " in answer.model["message"]
    (operation,) = await server.get(f"{OURS}/operations")
    assert (operation["state"], operation["reason"]) == ("failed", "ImageBuildFailed")


async def test_no_python(server: Server, client: docker.APIClient) -> None:
    image = made(client, "empty", "scratch", b"1")
    async with server.events() as socket:
        operation = await begin(server, source="prepare", reference=image)
        last = (await ended(socket, operation["id"], PATIENCE))[-1]
        assert of(socket.messages, operation["id"])
    assert (last["state"], last["reason"]) == ("failed", "IPykernelMissing")
    assert "it has no Python" in last["message"]
