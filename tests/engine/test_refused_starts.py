"""What cannot run is refused before anything is pulled. The driver is a stand-in, the engine is not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from homes import LEGACY, Home
from nvml_standin import GTX_1080, RTX_4090, StandIn

TIMEOUT = 60
# What any client of jupyter_client does.
START = """
import json, sys
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name=sys.argv[1])
try:
    manager.start_kernel()
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
else:
    manager.shutdown_kernel(now=True)
    print("null")
"""


@pytest.fixture
def registry() -> Iterator[str]:
    """Where a registry would listen; it must not be asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            listener.accept()


def start(name: str, nvml: StandIn) -> list[str] | None:
    """Start a kernel on a machine with that driver: kind and text of the error, or None."""
    done = subprocess.run(
        [sys.executable, "-c", START, name],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, **nvml.variables},
        timeout=TIMEOUT,
    )
    answer: list[str] | None = json.loads(done.stdout)
    return answer


def test_a_card_that_is_too_new(home: Home, nvml: StandIn, registry: str) -> None:
    nvml.describe("535.104.05", [RTX_4090])
    name = home.add("tf", f"{registry}/tensorflow/tensorflow:1.2.1-gpu-py3", gpus="all")
    kind, said = start(name, nvml) or ["", ""]
    assert kind == "Incompatible"
    assert "CUDA 8.0's cuBLAS has no code for compute capability 8.9 (NVIDIA GeForce RTX 4090)" in said
    assert 'set the field compatibility of the environment tf to "ignore"' in said
    assert home.leftovers() == []


def test_a_driver_that_is_too_old(home: Home, nvml: StandIn, registry: str) -> None:
    nvml.describe("367.57", [GTX_1080])
    name = home.add("tf", f"{registry}/tensorflow/tensorflow:2.4.0-gpu", gpus="all")
    kind, said = start(name, nvml) or ["", ""]
    assert kind == "Incompatible"
    assert "needs NVIDIA driver 450.51.06 or later; this one is 367.57" in said


def test_a_card_that_is_not_there(home: Home, nvml: StandIn, registry: str) -> None:
    nvml.describe("535.104.05", [GTX_1080])
    name = home.add("tf", f"{registry}/tensorflow/tensorflow:1.2.1-gpu-py3", gpus=["3"])
    kind, said = start(name, nvml) or ["", ""]
    assert kind == "GPUNotFound"
    assert said.endswith("It has 0 (NVIDIA GeForce GTX 1080, GPU-1080).")


def test_a_missing_route_cannot_be_ignored(home: Home, nvml: StandIn, registry: str) -> None:
    nvml.describe("535.104.05", [RTX_4090])
    image = f"{registry}/tensorflow/tensorflow:1.2.1-gpu-py3"
    name = home.add("tf", image, gpus="all", compatibility="ignore")
    kind, said = start(name, nvml) or ["", ""]
    assert kind == "GPURouteMissing"
    assert "Install the NVIDIA Container Toolkit" in said


def test_the_processor_needs_no_driver(home: Home, nvml: StandIn) -> None:
    nvml.describe("367.57", [RTX_4090])
    assert start(home.add("tf", LEGACY), nvml) is None
