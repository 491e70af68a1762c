"""Images on any engine. `test_engines.py` runs these in the worlds of Podman and of engines without root.

Nothing is fetched: not every world has a way out, or lets its engine come to a registry of the test's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest
import registries
from homes import MODERN, Home, engine_client
from jupyter_client.kernelspec import KernelSpecManager
from kernels import kernel, until, value

from jupyter_tfcontainer.errors import ImageBuildFailed, ImageInUse
from jupyter_tfcontainer.manager import ContainerManager

MEGABYTE = 1_000_000
NAME = f"tfcontainer/image-cases-{registries.TOKEN}"


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(engine_client()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


def test_build(home: Home, client: docker.APIClient) -> None:
    label = f"LABEL {registries.LABEL}={registries.TOKEN}"
    dockerfile, manager, specs = home.workspace / "Dockerfile", ContainerManager.instance(), KernelSpecManager()
    dockerfile.write_text(f"FROM {MODERN}\n{label}\nCOPY mine.py /opt/mine/\nENV PYTHONPATH=/opt/mine\n")
    (home.workspace / "mine.py").write_text("answer = 42\n")
    operation = manager.images.build(dockerfile, f"{NAME}:built", {"name": "mine"}, specs)
    assert operation.wait().environment == "mine"
    with kernel("mine") as (_, page):
        assert value(page, "import mine; print(mine.answer)") == "42"
    with pytest.raises(ImageInUse, match="the environment mine"):
        manager.images.delete(f"{NAME}:built", specs)
    dockerfile.write_text(f"FROM {MODERN}\n{label}\nRUN echo first > /first\nRUN echo this is why; exit 3\n")
    with pytest.raises(ImageBuildFailed, match=r"(?s)RUN echo this is why; exit 3.*this is why"):
        manager.images.build(dockerfile, f"{NAME}:fails", None, specs).wait()


def test_snapshot(home: Home, client: docker.APIClient) -> None:
    """With a package in the person's own folder, and a file that root wrote."""
    registries.image(client, f"{NAME}:parent", b"1", parent=MODERN)
    name, manager, specs = home.add("tf", f"{NAME}:parent"), ContainerManager.instance(), KernelSpecManager()
    with kernel(name) as (_, page):
        value(page, "import site, os; os.makedirs(site.getusersitepackages(), exist_ok=True)")
        value(page, "print(6, file=open(site.getusersitepackages() + '/mine.py', 'w'))")
        (container,) = home.containers()
        process = client.exec_create(container["Id"], ["sh", "-c", "echo 7 > /seven; rm /layer0"], user="0")
        client.exec_start(process["Id"])
        result = manager.images.snapshot(container["Id"], f"{NAME}:snap", {"name": "snap"}, specs).wait()
    assert result.environment == "snap"
    with kernel("snap") as (_, page):
        code = "import mine, os; print(mine.__file__.split('/')[1], open('/seven').read(), os.path.exists('/layer0'))"
        assert value(page, code).split() == ["opt", "7", "False"]


def test_archives(home: Home, client: docker.APIClient) -> None:
    registries.image(client, f"{NAME}:saved", os.urandom(MEGABYTE))
    manager, file = ContainerManager.instance(), home.workspace / "image.tar"
    manager.images.save(f"{NAME}:saved", file).wait()
    client.remove_image(f"{NAME}:saved")
    result = manager.images.load(file).wait()
    # Podman names the registry as well.
    assert str(result.reference).endswith(f"{NAME}:saved")
    assert client.images(f"{NAME}:saved")


def test_no_workshop_outlives_us(home: Home, client: docker.APIClient) -> None:
    """A process that is killed leaves no container in which it made something."""
    script = (
        "import os, sys\n"
        "from jupyter_tfcontainer.engine import candidates, connect\n"
        "engine = connect(candidates(''))\n"
        f"with engine.held(engine.image({MODERN!r}), {{}}) as container:\n"
        "    print(container, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    container = done.stdout.strip()
    assert container
    assert until(lambda: container not in {one["Id"] for one in client.containers(all=True)}, 20)
