"""The images that there are, what uses them, and removing them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import docker
import pytest
import registries
from homes import LEGACY, MODERN
from kernels import TIMEOUT, until
from servers import OURS, Server

NAME = f"tfcontainer/test-images-rest-{registries.TOKEN}"


@pytest.fixture
def image() -> Iterator[str]:
    """An image with two names, in which a kernel runs, and which only this test uses."""
    with closing(docker.APIClient()) as client:
        registries.image(client, f"{NAME}:1", b"one", parent=MODERN)
        client.tag(f"{NAME}:1", NAME, "2")
        yield f"{NAME}:1"
        for name in (f"{NAME}:1", f"{NAME}:2"):
            if client.images(name):
                client.remove_image(name, force=True)


async def listed(server: Server, reference: str, **parameters: str) -> dict[str, Any]:
    """The model of one image."""
    (model,) = [one for one in await server.get(f"{OURS}/images", **parameters) if reference in one["references"]]
    return dict(model)


async def delete(server: Server, reference: str, **parameters: str) -> tuple[int, str]:
    """Remove an image; status and sentence come back."""
    answer = await server.ask("DELETE", f"{OURS}/images", reference=reference, **parameters)
    return answer.status, answer.model["message"] if answer.model else ""


async def test_list(server: Server, image: str) -> None:
    server.home.add("tf", image)
    server.home.add("other", LEGACY)
    model = await listed(server, image)
    assert sorted(model["references"]) == [f"{NAME}:1", f"{NAME}:2"]
    assert model["used_by"] == {"environments": ["tf"], "containers": []}
    assert (model["origin"], model["parent"], model["freeable"]) == ("other", None, False)
    assert model["unique_size"] is None
    age = datetime.now().astimezone() - datetime.fromisoformat(model["created"])
    assert 0 <= age.total_seconds() < 600
    sized = await listed(server, image, sizes="true")
    # One small layer of its own, all else is its parent's.
    assert sized["unique_size"] < 1000 < sized["size"]


async def test_what_is_inside_is_known_once_a_kernel_has_run(server: Server, image: str) -> None:
    server.home.add("tf", image)
    assert (await listed(server, image))["inside"] is None
    kernel = await server.start("tf")
    model = await listed(server, image)
    assert model["used_by"]["containers"] == [(await server.container())["id"]]
    assert await asyncio.to_thread(until, (server.home.data / "tfcontainer" / "images.json").exists, TIMEOUT)
    await server.ask("DELETE", f"api/kernels/{kernel}")
    assert (await listed(server, image))["inside"]["ipykernel"].startswith("7.")


async def test_delete(server: Server, image: str) -> None:
    """One name and then the image, unless an environment would miss it."""
    server.home.add("tf", image)
    status, message = await delete(server, image)
    assert (status, f"The image {image} on" in message, "the environment tf" in message) == (409, True, True)
    assert (await delete(server, f"{NAME}:2"))[0] == 204
    assert (await listed(server, image))["references"] == [image]
    assert (await delete(server, image, force="true"))[0] == 204
    assert image not in str(await server.get(f"{OURS}/images"))
    status, message = await delete(server, image)
    assert (status, message.startswith(f"There is no image {image} on ")) == (404, True)


async def test_delete_what_a_container_runs_in(server: Server, image: str) -> None:
    # One that stands by would give way.
    await server.start(server.home.add("tf", f"{NAME}:2"))
    container = (await server.container())["id"]
    # The other name may go.
    assert (await delete(server, image))[0] == 204
    for force in ("false", "true"):
        status, message = await delete(server, f"{NAME}:2", force=force)
        assert status == 409
        assert f"a container runs in it ({container[:12]})" in message
    await server.ask("DELETE", f"{OURS}/containers/{container}")
    assert (await delete(server, f"{NAME}:2", force="true"))[0] == 204


async def test_delete_what_an_ended_container_was_made_from(server: Server, image: str) -> None:
    with closing(docker.APIClient()) as client:
        client.remove_image(f"{NAME}:2")
        container = client.create_container(image, "true")["Id"]
        try:
            status, message = await delete(server, image)
            assert (status, f"the container {container[:12]}" in message) == (409, True)
            assert (await delete(server, image, force="true"))[0] == 204
        finally:
            client.remove_container(container, force=True)


@pytest.mark.parametrize(
    ("method", "body", "parameters", "words"),
    [
        ("POST", {"source": "steal"}, {}, "source must be one of pull"),
        ("POST", {}, {}, "must have the field source"),
        ("POST", {"source": "pull"}, {}, "must have the field reference"),
        ("POST", {"source": "pull", "reference": "tf", "platform": 3}, {}, "platform must be of type str"),
        ("DELETE", None, {}, "reference must name the image"),
        ("DELETE", None, {"reference": "tf", "force": "maybe"}, "force must be true or false"),
        ("GET", None, {"sizes": "1"}, "sizes must be true or false"),
    ],
)
async def test_what_is_no_request(
    server: Server, method: str, body: object, parameters: dict[str, str], words: str
) -> None:
    answer = await server.ask(method, f"{OURS}/images", body, **parameters)
    assert answer.status == 400
    assert words in answer.model["message"]


async def test_no_such_operation(server: Server) -> None:
    for method in ("GET", "DELETE"):
        answer = await server.ask(method, f"{OURS}/operations/{16 * '0'}")
        assert (answer.status, answer.model["reason"]) == (404, "OperationNotFound")
    assert await server.get(f"{OURS}/operations") == []
