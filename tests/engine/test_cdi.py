"""GPUs by CDI: a newer Docker, with a stand-in for what NVIDIA's toolkit writes."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from typing import Any

import pytest
from engines import HOOK_NAME, made
from homes import MODERN, Home
from jupyter_client.manager import KernelManager
from kernels import kernel, value
from newer_docker import NewerDocker

from jupyter_tfcontainer.errors import GPURouteMissing, ImagePullFailed, TFContainerError
from jupyter_tfcontainer.manager import ContainerManager

# No registry answers there.
ABSENT = "127.0.0.1:1/tensorflow:1.2.1-gpu"
GENERATE = "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`"
# What the stand-in's devices and variables look like inside.
LOOK = """
import os
devices = [one for one in os.listdir("/dev") if "nvidia" in one]
variables = [one for one in os.environ if "STANDIN" in one]
print(*sorted(devices), *sorted(variables), os.environ["NVIDIA_VISIBLE_DEVICES"])
"""

IMAGES = pytest.mark.parametrize("image", [MODERN, ABSENT], ids=["at start", "before a pull"])


@pytest.fixture(scope="module")
def running() -> Iterator[NewerDocker]:
    with made(NewerDocker) as engine:
        engine.seed(MODERN)
        engine.start(settings=engine.cdi_settings())
        yield engine


def restart(engine: NewerDocker, *, cdi: bool, hook: bool) -> None:
    """See that the engine runs with these ways to GPUs and no others."""
    program = engine.programs / HOOK_NAME
    if bool(json.loads(engine.docker("info", "--format", "{{json .CDISpecDirs}}"))) == cdi and program.exists() == hook:
        return
    engine.stop()
    program.unlink(missing_ok=True)
    if hook:
        engine.install_hook()
    engine.start(settings=engine.cdi_settings() if cdi else None)


@pytest.fixture
def engine(running: NewerDocker, home: Home) -> Iterator[NewerDocker]:
    """An engine that our manager uses, that knows GPUs, and on which nothing is left."""
    home.configure(engine_url=running.url)
    running.know_gpus()
    restart(running, cdi=True, hook=False)
    images = running.docker("images", "--all", "--quiet")
    yield running
    if ContainerManager.initialized():
        ContainerManager.instance().close()
    assert running.docker("ps", "--all", "--quiet") == ""
    assert running.docker("images", "--all", "--quiet") == images


def refused(home: Home, image: str, error: type[TFContainerError], gpus: Any = "all") -> str:
    """What a person reads whose kernel does not start."""
    manager = KernelManager(kernel_name=home.add("gpu", image, gpus=gpus))
    with pytest.raises(error) as failed:
        manager.start_kernel()
    manager.context.destroy()
    sentence = str(failed.value)
    assert platform.node() in sentence
    return sentence


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("gpus", "seen"),
    [
        ("all", "nvidia0 nvidia1 nvidiactl STANDIN_GPU_0 STANDIN_GPU_1 all"),
        (2, "nvidia0 nvidia1 nvidiactl STANDIN_GPU_0 STANDIN_GPU_1 0,1"),
        (["1"], "nvidia1 nvidiactl STANDIN_GPU_1 1"),
        (["0", "GPU-1111"], "nvidia0 nvidia1 nvidiactl STANDIN_GPU_0 STANDIN_GPU_1 0,GPU-1111"),
        ("none", "void"),
    ],
    ids=str,
)
def test_the_gpus_that_were_asked_for(home: Home, gpus: Any, seen: str) -> None:
    with kernel(home.add("gpu", MODERN, gpus=gpus)) as (_, client):
        assert value(client, LOOK) == seen


@pytest.mark.usefixtures("engine")
def test_pull_begins_for_a_gpu_that_is_there(home: Home) -> None:
    refused(home, ABSENT, ImagePullFailed, gpus=["1"])


@pytest.mark.usefixtures("engine")
@IMAGES
def test_unknown_gpu(home: Home, image: str) -> None:
    sentence = refused(home, image, GPURouteMissing, gpus=["9"])
    assert "does not know that GPU (unresolvable CDI devices nvidia.com/gpu=9)" in sentence
    assert GENERATE in sentence


@pytest.mark.usefixtures("engine")
def test_gpu_that_does_not_arrive(home: Home) -> None:
    sentence = refused(home, MODERN, GPURouteMissing, gpus=["gone"])
    assert "did not get into its container" in sentence
    assert GENERATE in sentence


@IMAGES
def test_list_that_is_gone(engine: NewerDocker, home: Home, image: str) -> None:
    name = home.add("gpu", MODERN, gpus="all")
    with kernel(name):
        pass
    engine.cdi.unlink()
    for _ in "at the start that finds it gone", "from then on":
        sentence = refused(home, image, GPURouteMissing)
        assert "does not know that GPU (unresolvable CDI devices nvidia.com/gpu=all)" in sentence
        assert GENERATE in sentence
    engine.know_gpus()
    with kernel(home.add("gpu", MODERN, gpus="all")) as (_, client):
        assert value(client, LOOK).startswith("nvidia0 nvidia1 ")


def test_cdi_turned_off_since_we_looked(engine: NewerDocker, home: Home) -> None:
    name = home.add("gpu", MODERN, gpus="all")
    with kernel(name):
        pass
    restart(engine, cdi=False, hook=True)
    sentence = refused(home, MODERN, GPURouteMissing)
    assert "Turn on its feature `cdi` and restart it" in sentence
    # The next start goes the way that there is now.
    with kernel(name) as (_, client):
        assert value(client, LOOK) == "nvidia0 all"


def test_cdi_without_a_list_gives_way_to_the_toolkit(engine: NewerDocker, home: Home) -> None:
    """The engine does not say which GPUs it knows: only a trial tells."""
    restart(engine, cdi=True, hook=True)
    engine.cdi.unlink()
    before = engine.gpu_requests()
    with kernel(home.add("gpu", MODERN, gpus=["1"])) as (_, client):
        assert value(client, LOOK) == "nvidia0 1"
    assert engine.gpu_requests() == [*before, "all", "1"]
