"""What was installed in a container becomes an image: in a new session, on an empty home, it is there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
import registries
from homes import LEGACY, MODERN
from servers import OURS, Message, Server
from test_images_pulls import begin, ended

from jupyter_tfcontainer.images.snapshot import chosen

NAME = f"tfcontainer/test-images-snapshot-{registries.TOKEN}"
SNAP = f"snap-{registries.TOKEN}"
# Seconds that copying may take.
PATIENCE = 60
SECRET = "s3cret"  # noqa: S105 - a test's own
PIP = "import subprocess, sys\nsubprocess.check_output([sys.executable, '-m', 'pip', 'install', '--no-index', {!r}])"


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


def wheel(folder: Path, name: str, version: str, answer: int) -> str:
    """A Python package for every Python, with a program; the wheel's name comes back."""
    info = f"{name}-{version}.dist-info"
    content = {
        f"{name}.py": f"answer = {answer}\ndef main():\n    print(answer)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2.py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in (*content, f"{info}/RECORD")))
    file = f"{name}-{version}-py2.py3-none-any.whl"
    (folder / file).write_bytes(buffer.getvalue())
    return file


# What somebody does to a container as root.
CHANGES = "rm /layer0; echo changed > /layer1; mkdir /data; echo new > /data/file; ln -s file /data/link"
PRINT = "import mine; print(mine.answer)"


def as_root(client: docker.APIClient, container: str, command: str) -> None:
    """Run a shell's command beside a kernel."""
    process = client.exec_create(container, ["sh", "-c", command], user="0")
    client.exec_start(process["Id"])
    assert client.exec_inspect(process["Id"])["ExitCode"] == 0


async def snapshot(server: Server, **source: Any) -> Message:
    """Make a snapshot of the one container that there is, and end its kernel; the last event comes back."""
    container = await server.container()
    async with server.events() as socket:
        operation = await begin(server, source="snapshot", container=container["id"], **source)
        told = (await ended(socket, operation["id"], PATIENCE))[-1]
    assert told["state"] == "done", told
    # The container goes on, and has nothing of it.
    async with server.page(container["kernel"]["id"]) as page:
        assert await page.value("import os; print(os.path.exists('/opt/tfcontainer/x'))") == "False"
    await server.ask("DELETE", f"api/kernels/{container['kernel']['id']}")
    return told


@pytest.mark.parametrize("parent", [MODERN, LEGACY], ids=["3", "2.7"])
async def test_packages(server: Server, client: docker.APIClient, parent: str) -> None:
    """Those of the person come before those of the image; of a later snapshot, before those of an earlier one."""
    image, workspace = f"{NAME}:parent", server.home.workspace
    registries.image(client, image, b"1", parent=parent)
    wheels = {answer: wheel(workspace, "mine", f"{answer}.0", answer) for answer in (1, 2, 3, 4)}
    server.home.add("tf", image)
    kernel = await server.start("tf")
    as_root(
        client,
        (await server.container())["id"],
        f"PIP_USER=0 $(command -v python || command -v python3) -m pip install --no-index /notebooks/{wheels[1]}",
    )
    async with server.page(kernel) as page:
        await page.value(PIP.format(wheels[2]))
    await snapshot(server, reference=f"{NAME}:snap", environment={"name": "snap"})
    kernel = await server.start("snap")
    async with server.page(kernel) as page:
        assert await page.value(PRINT) == "2"
        assert await page.value("import subprocess; print(int(subprocess.check_output('mine')))") == "2"
        # In the home, which comes first.
        await page.value(PIP.format(wheels[3]))
        assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
        assert await page.value(PRINT) == "3"
    told = await snapshot(server, reference=f"{NAME}:again", environment={"name": "again"})
    assert told["message"].endswith(f"became the image {NAME}:again, and the environment again was made for it.")
    kernel = await server.start("again")
    async with server.page(kernel) as page:
        assert await page.value(PRINT) == "3"
    await server.ask("DELETE", f"api/kernels/{kernel}")


async def test_files_and_settings(server: Server, client: docker.APIClient) -> None:
    """What was made, changed and deleted in the container; and of how it ran, nothing."""
    image = f"{NAME}:parent"
    registries.image(client, image, b"to be deleted", b"to be changed", parent=MODERN)
    server.home.add("tf", image, env={"TOKEN": SECRET}, shm_size="32m")
    kernel = await server.start("tf")
    as_root(client, (await server.container())["id"], CHANGES)
    async with server.page(kernel) as page:
        await page.value("open('/tmp/rubbish', 'w').close()")
    told = await snapshot(server, environment={"name": SNAP, "display_name": "Snap"})
    reference = told["result"]["reference"]
    assert reference == f"tfcontainer/snapshot:{SNAP}"
    made, before = client.inspect_image(reference), client.inspect_image(image)
    assert made["RootFS"]["Layers"][:-1] == before["RootFS"]["Layers"]
    assert SECRET not in json.dumps(made)
    assert "PYTHONUSERBASE" not in json.dumps(made)
    for key in ("Entrypoint", "Cmd", "User", "WorkingDir"):
        assert made["Config"].get(key) == before["Config"].get(key)
    environment = await server.get(f"{OURS}/environments/{SNAP}")
    assert (environment["image"], environment["shm_size"]) == (reference, 32 * 1024**2)
    (listed,) = [one for one in await server.get(f"{OURS}/images") if one["id"] == made["Id"]]
    assert (listed["origin"], listed["parent"], listed["used_by"]["environments"]) == ("snapshot", image, [SNAP])

    container = client.create_container(made["Id"], ["sh", "-c", LOOK])["Id"]
    try:
        client.start(container)
        client.wait(container)
        assert client.logs(container).decode().splitlines() == ["changed", "file", "/data", "/data/file", "/data/link"]
    finally:
        client.remove_container(container)


# In the snapshot: what is there, and what must not be.
LOOK = (
    "cat /layer1; readlink /data/link; find /data | sort; "
    "ls -d /layer0 /tmp/rubbish /tfcontainer /notebooks 2>/dev/null; grep tfcontainer /etc/passwd"
)


async def test_what_cannot_begin(server: Server) -> None:
    answer = await server.ask("POST", f"{OURS}/images", {"source": "snapshot", "container": 64 * "0"})
    assert (answer.status, answer.model["reason"]) == (404, "ContainerNotFound")
    server.home.add("tf", MODERN)
    container = (await server.ahead("tf"))["id"]
    for body, status, words in (
        ({"reference": "NO"}, 422, "cannot be the name of an image"),
        ({"environment": {"name": "tf"}}, 409, "There is a kernelspec named tf already"),
    ):
        answer = await server.ask("POST", f"{OURS}/images", {"source": "snapshot", "container": container, **body})
        assert (answer.status, words in answer.model["message"]) == (status, True), answer
    await server.ask("DELETE", f"{OURS}/containers/{container}")


def test_what_is_chosen() -> None:
    changes = [
        {"Path": "/data", "Kind": 1},
        {"Path": "/data/file", "Kind": 1},
        {"Path": "/etc", "Kind": 0},
        {"Path": "/etc/passwd", "Kind": 0},
        {"Path": "/etc/passwd-old", "Kind": 1},
        {"Path": "/gone", "Kind": 2},
        {"Path": "/mnt", "Kind": 0},
        {"Path": "/mnt/a", "Kind": 1},
        {"Path": "/mnt/a/ws", "Kind": 1},
        {"Path": "/tfcontainer", "Kind": 1},
        {"Path": "/run", "Kind": 0},
        {"Path": "/run/x", "Kind": 1},
    ]
    mounts = [{"Destination": "/mnt/a/ws"}, {"Destination": "/tfcontainer/home"}]
    assert chosen(changes, mounts) == (["/data", "/data/file", "/etc", "/etc/passwd-old", "/mnt"], ["/gone"])
