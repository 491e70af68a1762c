"""GPUs by a device request and by the runtime ``nvidia``: an engine with stand-ins for NVIDIA's container toolkit."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from typing import Any

import pytest
from engines import HOOK_NAME, RUNTIME_NAME, PrivateEngine, private_engine
from homes import MODERN, Home
from jupyter_client.manager import KernelManager
from kernels import kernel, value

from jupyter_tfcontainer.errors import EnvironmentInvalid, GPURouteMissing, ImagePullFailed, TFContainerError
from jupyter_tfcontainer.manager import ContainerManager

# No registry answers there.
ABSENT = "127.0.0.1:1/tensorflow:1.2.1-gpu"
# What NVIDIA's hook says without a driver.
NO_DRIVER = "nvidia-container-cli: initialization error: nvml error: driver not loaded"

IMAGES = pytest.mark.parametrize("image", [MODERN, ABSENT], ids=["at start", "before a pull"])


@pytest.fixture(scope="module")
def running() -> Iterator[PrivateEngine]:
    with private_engine() as engine:
        engine.seed(MODERN)
        engine.start()
        yield engine


@pytest.fixture
def engine(running: PrivateEngine, home: Home) -> Iterator[PrivateEngine]:
    """An engine that our manager uses, and on which nothing is left."""
    home.configure(engine_url=running.url)
    images = running.docker("images", "--all", "--quiet")
    yield running
    if ContainerManager.initialized():
        ContainerManager.instance().close()
    assert running.docker("ps", "--all", "--quiet") == ""
    assert running.docker("images", "--all", "--quiet") == images


def restart(engine: PrivateEngine, *, hook: bool = False, runtime: bool = False) -> None:
    """Start the engine again, with these ways to GPUs and no others."""
    engine.stop()
    (engine.programs / HOOK_NAME).unlink(missing_ok=True)
    if hook:
        engine.install_hook()
    engine.start(settings=engine.install_runtime() if runtime else None)


def refused(home: Home, image: str, error: type[TFContainerError], gpus: Any = "all") -> str:
    """What a person reads whose kernel does not start."""
    manager = KernelManager(kernel_name=home.add("gpu", image, gpus=gpus))
    with pytest.raises(error) as failed:
        manager.start_kernel()
    manager.context.destroy()
    sentence = str(failed.value)
    assert platform.node() in sentence
    return sentence


@pytest.mark.parametrize("way", ["hook", "runtime"])
def test_the_gpus_that_were_asked_for(engine: PrivateEngine, home: Home, way: str) -> None:
    restart(engine, hook=way == "hook", runtime=way == "runtime")
    asked = {"all": "all", 2: "0,1", ("1",): "1", ("0", "GPU-1111"): "0,GPU-1111"}
    for gpus, devices in asked.items():
        before = engine.gpu_requests()
        with kernel(home.add("gpu", MODERN, gpus=gpus)) as (_, client):
            assert engine.gpu_requests() == [*before, devices]
            assert value(client, "import os; print(os.environ['NVIDIA_VISIBLE_DEVICES'])") == devices
            assert value(client, "import os; print(os.path.exists('/dev/nvidia0'))") == "True"
            [container] = json.loads(engine.docker("inspect", engine.docker("ps", "--quiet").strip()))
            assert container["HostConfig"]["Runtime"] == ("nvidia" if way == "runtime" else "runc")
    before = engine.gpu_requests()
    with kernel(home.add("cpu", MODERN, gpus="none")) as (_, client):
        # Unset, it would give a legacy CUDA image every GPU.
        assert value(client, "import os; print(os.environ['NVIDIA_VISIBLE_DEVICES'])") == "void"
    # To this variable the runtime listens, whoever set it.
    home.add("sly", MODERN, env={"NVIDIA_VISIBLE_DEVICES": "all"})
    with pytest.raises(EnvironmentInvalid, match="env: NVIDIA_VISIBLE_DEVICES"), kernel("sly"):
        pass
    assert engine.gpu_requests() == before


@pytest.mark.parametrize("way", ["hook", "runtime"])
def test_way_is_tried_before_a_pull(engine: PrivateEngine, home: Home, way: str) -> None:
    restart(engine, hook=way == "hook", runtime=way == "runtime")
    before = engine.gpu_requests()
    refused(home, ABSENT, ImagePullFailed, gpus=["1"])
    assert engine.gpu_requests() == [*before, "1"]


@IMAGES
def test_toolkit_missing(engine: PrivateEngine, home: Home, image: str) -> None:
    restart(engine)
    sentence = refused(home, image, GPURouteMissing)
    assert "was not there when the engine started" in sentence
    assert "(package nvidia-container-toolkit)" in sentence


@IMAGES
def test_toolkit_gone_since_the_engine_started(engine: PrivateEngine, home: Home, image: str) -> None:
    restart(engine, hook=True)
    (engine.programs / HOOK_NAME).unlink()
    sentence = refused(home, image, GPURouteMissing)
    assert "was there when it started and is gone" in sentence
    assert "(package nvidia-container-toolkit)" in sentence


@IMAGES
def test_toolkit_that_fails(engine: PrivateEngine, home: Home, image: str) -> None:
    restart(engine, hook=True)
    (engine.programs / HOOK_NAME).write_text(f"#!/bin/sh\necho '{NO_DRIVER}' >&2\nexit 1\n")
    sentence = refused(home, image, GPURouteMissing)
    assert f"it says: “{NO_DRIVER}”" in sentence
    assert "`nvidia-smi`" in sentence


@pytest.mark.parametrize("way", ["hook", "runtime"])
def test_toolkit_that_hands_over_nothing(engine: PrivateEngine, home: Home, way: str) -> None:
    """As one does whose configuration lets it ignore what it is asked for: the engine says that all is well."""
    restart(engine, hook=way == "hook", runtime=way == "runtime")
    ignoring = {
        "hook": engine.programs / HOOK_NAME,
        "runtime": engine.programs / RUNTIME_NAME,
    }[way]
    ignoring.write_text("#!/bin/sh\n" + ("exit 0\n" if way == "hook" else 'exec runc "$@"\n'))
    sentence = refused(home, MODERN, GPURouteMissing)
    assert "did not get into its container" in sentence
    assert "accept-nvidia-visible-devices-envvar-when-unprivileged = false" in sentence


@IMAGES
def test_runtime_unregistered_since_we_looked(engine: PrivateEngine, home: Home, image: str) -> None:
    restart(engine, runtime=True)
    with kernel(home.add("gpu", MODERN, gpus="all")):
        pass
    restart(engine, hook=True)
    sentence = refused(home, image, GPURouteMissing)
    assert "no longer has a runtime named nvidia" in sentence
    assert "`sudo nvidia-ctk runtime configure --runtime=docker`" in sentence
    # The next start goes the way that there is now.
    before = engine.gpu_requests()
    with kernel(home.add("gpu", MODERN, gpus="all")):
        assert engine.gpu_requests() == [*before, "all"]
