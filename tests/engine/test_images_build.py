"""Images that people make: from a Dockerfile in the workspace, or from packages; and environments of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
import registries
from homes import MODERN, Home
from jupyter_client.kernelspec import KernelSpecManager
from servers import OURS, Message, Server
from test_images_pulls import begin, ended, operations

from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.errors import PolicyRefused
from jupyter_tfcontainer.images.build import Packages, bases
from jupyter_tfcontainer.manager import ContainerManager

NAME = f"tfcontainer/test-images-build-{registries.TOKEN}"
# Seconds that an installation from the index of packages may take.
PATIENCE = 180
MARK = f"LABEL {registries.LABEL}={registries.TOKEN}"


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


@pytest.fixture
def base(client: docker.APIClient) -> str:
    """An image in which a kernel runs, and which only this test uses."""
    registries.image(client, f"{NAME}:base", b"1", parent=MODERN)
    return f"{NAME}:base"


def write(home: Home, *lines: str, **others: str) -> Path:
    """A folder in the workspace with a Dockerfile and other files."""
    folder = home.workspace / "image"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("\n".join((f"FROM {MODERN}", MARK, *lines)))
    for name, content in others.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


async def last(server: Server, **source: Any) -> Message:
    """The last event of an operation."""
    async with server.events() as socket:
        operation = await begin(server, **source)
        return (await ended(socket, operation["id"], PATIENCE))[-1]


async def test_dockerfile(server: Server, client: docker.APIClient) -> None:
    """What it copies is imported in a notebook, in an environment that was made of it."""
    write(
        server.home,
        "COPY . /opt/mine",
        "ENV PYTHONPATH=/opt/mine",
        mine__py="answer = 42",
        other__txt="not this",
        __dockerignore="# not these\n*.txt\n",
    )
    environment = {"name": "mine", "display_name": "Mine", "memory": "1g"}
    told = await last(server, source="build", dockerfile="image", reference=f"{NAME}:file", environment=environment)
    assert told["state"] == "done", told
    image = client.inspect_image(f"{NAME}:file")
    assert told["result"] == {"image": image["Id"], "reference": f"{NAME}:file", "environment": "mine"}
    assert "the environment mine made for it" in told["message"]
    made = await server.get(f"{OURS}/environments/mine")
    assert (made["image"], made["display_name"], made["memory"]) == (f"{NAME}:file", "Mine", 1024**3)
    kernel = await server.start("mine")
    async with server.page(kernel) as page:
        code = "import mine, os; print(mine.answer, sorted(one for one in os.listdir('/opt/mine') if one[0] != '_'))"
        assert await page.value(code) == "42 ['.dockerignore', 'Dockerfile', 'mine.py']"
    await server.ask("DELETE", f"api/kernels/{kernel}")
    (listed,) = [one for one in await server.get(f"{OURS}/images") if one["id"] == image["Id"]]
    assert listed["origin"] == "built"
    assert listed["inside"]["ipykernel"].startswith("7.")
    (operation,) = await server.get(f"{OURS}/operations")
    assert "Step 3/5 : COPY . /opt/mine" in operation["log"]


async def test_environments_are_told_of(server: Server) -> None:
    """So that launchers show it at once."""
    write(server.home)
    async with server.events() as socket:
        await begin(
            server,
            source="build",
            dockerfile="image/Dockerfile",
            reference=f"{NAME}:told",
            environment={"name": "told"},
        )
        await socket.heard(lambda messages: [one for one in messages if one.get("change") == "created"], PATIENCE)


async def test_packages(server: Server, base: str, client: docker.APIClient) -> None:
    """They are there, with their versions in a label from which the same can be built again."""
    source: dict[str, Any] = {"source": "build", "base": base, "apt": ["hello"], "pip": ["colorama<0.4.6"]}
    told = await last(server, **source, reference=f"{NAME}:packages", environment={"name": "mine"})
    assert told["state"] == "done", told
    kernel = await server.start("mine")
    async with server.page(kernel) as page:
        code = "import colorama, subprocess; print(colorama.__version__, subprocess.getoutput('hello'))"
        assert await page.value(code) == "0.4.5 Hello, world!"
    await server.ask("DELETE", f"api/kernels/{kernel}")
    image = client.inspect_image(f"{NAME}:packages")
    parent = client.inspect_image(base)
    assert image["RootFS"]["Layers"][:-1] == parent["RootFS"]["Layers"]
    recipe = json.loads(image["Config"]["Labels"][labels.RECIPE])
    assert recipe["base"] == base
    assert recipe["pip"] == ["colorama==0.4.5"]
    assert [one.partition("=")[0] for one in recipe["apt"]] == ["hello"]
    again = {name: recipe[name] for name in ("base", "apt", "pip")}
    told = await last(server, source="build", **again, reference=f"{NAME}:again")
    assert told["state"] == "done", told
    marks = client.inspect_image(f"{NAME}:again")["Config"]["Labels"]
    assert json.loads(marks[labels.RECIPE]) == recipe


async def test_build_that_fails(server: Server, client: docker.APIClient) -> None:
    """The line is shown, and what its command printed; the steps before it are not left."""
    write(server.home, "RUN echo first > /first", "RUN echo this is why >&2; false", "RUN echo never")
    told = await last(server, source="build", dockerfile="image", reference=f"{NAME}:fails", environment={"name": "no"})
    assert (told["state"], told["reason"]) == ("failed", "ImageBuildFailed")
    assert "at step 4 of 6, `RUN echo this is why >&2; false`" in told["message"]
    assert "returned a non-zero code: 1" in told["message"]
    assert told["message"].endswith("this is why")
    assert "no" not in {one["name"] for one in await server.get(f"{OURS}/environments")}
    assert registries.images(client) == {}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["FETCH all"], "unknown instruction: FETCH"),
        (["COPY nothing /"], "at step 3 of 4, `COPY nothing /`"),
        (["FROM 127.0.0.1:9/not/there:1"], "connection refused"),
    ],
)
async def test_dockerfile_that_cannot_be_built(server: Server, lines: list[str], words: str) -> None:
    write(server.home, *lines)
    told = await last(server, source="build", dockerfile="image", reference=f"{NAME}:wrong")
    assert told["state"] == "failed"
    assert words in told["message"]


async def test_packages_that_are_not_there(server: Server, base: str) -> None:
    told = await last(server, source="build", base=base, pip=["tfcontainer-no-such-package"])
    assert (told["state"], told["reason"]) == ("failed", "ImageBuildFailed")
    assert "No matching distribution found for tfcontainer-no-such-package" in told["message"]


async def test_cancel(server: Server, client: docker.APIClient) -> None:
    """While a command of it runs."""
    write(server.home, "RUN echo first > /first", "RUN echo sleeping; sleep 600")
    async with server.events() as socket:
        operation = await begin(server, source="build", dockerfile="image", reference=f"{NAME}:cancel")
        await socket.heard(
            lambda messages: [
                one for one in operations(messages) if one["progress"] and one["progress"]["layers_done"] == 3
            ]
        )
        # Another of that name has to wait.
        answer = await server.ask(
            "POST", f"{OURS}/images", {"source": "build", "base": MODERN, "pip": ["six"], "reference": f"{NAME}:cancel"}
        )
        assert (answer.status, answer.model["reason"]) == (409, "ImageBusy")
        # The same is joined.
        assert (await begin(server, source="build", dockerfile="image", reference=f"{NAME}:cancel"))["id"] == operation[
            "id"
        ]
        await server.ask("DELETE", f"{OURS}/operations/{operation['id']}")
        told = (await ended(socket, operation["id"]))[-1]
    assert told["state"] == "cancelled"
    assert registries.images(client) == {}
    assert [one for one in client.containers(all=True) if "sleep 600" in one["Command"]] == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"dockerfile": "../image"}, 422, "is not in the workspace"),
        ({"dockerfile": "missing"}, 422, "cannot be read"),
        ({}, 400, "must have the field base"),
        ({"base": MODERN}, 422, "There is nothing to build"),
        ({"base": MODERN, "pip": ["--index-url=http://evil"]}, 422, "which is no Python package"),
        ({"base": MODERN, "apt": ["-o=x"]}, 422, "which cannot be a Debian package"),
        ({"base": MODERN, "pip": [1]}, 400, "pip must be a list of strings"),
        ({"base": MODERN, "pip": ["six"], "reference": "NO"}, 422, "cannot be the name of an image"),
        ({"base": MODERN, "pip": ["six"], "environment": {"name": "A B"}}, 422, "not possible for an environment"),
        ({"base": MODERN, "pip": ["six"], "environment": {"name": "x", "memory": "much"}}, 422, "memory"),
    ],
)
async def test_what_cannot_begin(server: Server, body: dict[str, Any], status: int, words: str) -> None:
    answer = await server.ask("POST", f"{OURS}/images", {"source": "build", **body})
    assert (answer.status, words in answer.model["message"]) == (status, True), answer.model
    assert await server.get(f"{OURS}/operations") == []


def test_policy(home: Home) -> None:
    """What is built on must be allowed, and the name of what is made as well: else any image could get one."""
    home.configure(allowed_images=["tensorflow/*", "tfcontainer/built:*"])
    manager, specs = ContainerManager.instance(), KernelSpecManager()
    for source, reference in (
        (Packages(base=MODERN, pip=("six",)), "tensorflow/mine:1"),
        (Packages(base="tensorflow/tensorflow:1.2.1", pip=("six",)), "mine:1"),
        (write(home) / "Dockerfile", None),
    ):
        with pytest.raises(PolicyRefused, match="allowed_images"):
            manager.images.build(source, reference, None, specs)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a:1", ["a:1"]),
        ("# comment\nfrom --platform=linux/amd64 a AS one\nFROM one\nFROM b", ["a", "b"]),
        ("FROM a\nCOPY --from=c:2 / /\nCOPY --chown=1:1 --from=0 / /", ["a", "c:2"]),
        ("FROM \\\n  a\nRUN --mount=type=bind,from=d,target=/x true", ["a", "d"]),
        ("ARG X=1\nFROM a:$X\nFROM scratch", ["a:$X"]),
    ],
)
def test_bases(text: str, found: list[str]) -> None:
    assert bases(text) == found
