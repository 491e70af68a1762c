"""How an engine is asked for GPUs, and what its refusals mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jupyter_tfcontainer.engine import EngineFacts, gpu

FACTS = EngineFacts.from_engine("unix:///var/run/docker.sock", {"Runtimes": {"runc": {}}}, {})
WITH_RUNTIME = replace(FACTS, runtimes=("nvidia", "runc"))
UNLISTED = replace(FACTS, cdi_unlisted=True)
WITH_CDI = replace(FACTS, cdi_devices=("vendor.com/net=0", "nvidia.com/gpu=0"))

PODMAN = replace(FACTS, kind="podman")


@pytest.mark.parametrize(
    ("facts", "routes"),
    [
        (FACTS, ["request"]),
        (replace(FACTS, runtimes=("nvidia-experimental",)), ["request"]),
        (replace(FACTS, cdi_devices=("vendor.com/net=0", "amd.com/gpu=0")), ["request"]),
        (WITH_RUNTIME, ["runtime"]),
        (WITH_CDI, ["cdi"]),
        (PODMAN, ["cdi"]),
        (replace(PODMAN, runtimes=("nvidia",)), ["cdi"]),
        (replace(WITH_CDI, runtimes=("nvidia",)), ["cdi"]),
        (UNLISTED, ["cdi", "request"]),
        (replace(UNLISTED, runtimes=("nvidia",)), ["cdi", "runtime"]),
    ],
)
def test_routes(facts: EngineFacts, routes: list[str]) -> None:
    assert list(gpu.routes(facts)) == routes


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        ("none", "void"),
        ("all", "all"),
        (1, "0"),
        (3, "0,1,2"),
        (("1",), "1"),
        (("0", "GPU-1111"), "0,GPU-1111"),
    ],
)
def test_visible_devices(gpus: gpu.GPUs, devices: str) -> None:
    assert gpu.visible_devices(gpus) == devices


@pytest.mark.parametrize("route", ["cdi", "runtime", "request"])
def test_none_asks_for_nothing(route: gpu.Route) -> None:
    assert gpu.host_config("none", route) == {}


@pytest.mark.parametrize(
    ("gpus", "which"),
    [
        ("all", {"Count": -1}),
        (2, {"Count": 2}),
        (("0", "GPU-1111"), {"DeviceIDs": ["0", "GPU-1111"]}),
    ],
)
def test_device_request(gpus: gpu.GPUs, which: dict[str, Any]) -> None:
    # Never both a count and ids: the engine refuses that.
    assert gpu.host_config(gpus, "request") == {"DeviceRequests": [{"Driver": "", "Capabilities": [["gpu"]], **which}]}


@pytest.mark.parametrize(
    ("gpus", "ids"),
    [
        ("all", ["nvidia.com/gpu=all"]),
        (2, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        (("0", "GPU-1111"), ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1111"]),
    ],
)
def test_cdi(gpus: gpu.GPUs, ids: list[str]) -> None:
    # Without a count, which the engine refuses in a CDI request.
    assert gpu.host_config(gpus, "cdi") == {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ids}]}


@pytest.mark.parametrize("gpus", ["all", 2, ("0",)])
def test_runtime(gpus: gpu.GPUs) -> None:
    assert gpu.host_config(gpus, "runtime") == {"Runtime": "nvidia"}


# The engine's words, measured on Docker 20.10 to 28.5, each with what our sentence must say.
HOOK = (
    "OCI runtime create failed: container_linux.go:380: starting container process caused: process_linux.go:545: "
    "container init caused: Running hook #0:: error running hook #0: error running hook: exit status 1, stdout: , "
    "stderr: nvidia-container-cli: initialization error: nvml error: driver not loaded\n: unknown"
)
REFUSALS = {
    'could not select device driver "" with capabilities: [[gpu]]': ["was not there", "nvidia-container-toolkit"],
    'could not select device driver "" with capabilities: [[gpu compute utility]]': ["nvidia-container-toolkit"],
    'exec: "nvidia-container-runtime-hook": executable file not found in $PATH': ["is gone", "nvidia-ctk"],
    r"failed: exec: \"nvidia-container-runtime-hook\": executable file not found in $PATH: unknown": ["is gone"],
    HOOK: ["nvidia-smi", "“nvidia-container-cli: initialization error: nvml error: driver not loaded”"],
    HOOK.replace("running hook #0: error", "running prestart hook #0: error"): ["nvidia-smi", "driver not loaded”"],
    "failed to discover GPU vendor from CDI: no known GPU vendor found": ["knows none", "nvidia-container-toolkit"],
    "Unknown runtime specified nvidia": ["runtime named nvidia", "nvidia-ctk runtime configure"],
    "unknown or invalid runtime name: nvidia": ["runtime named nvidia", "nvidia-ctk runtime configure"],
    'could not select device driver "cdi" with capabilities: []': ["CDI", "Turn on its feature `cdi`"],
    "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=9": ["nvidia.com/gpu=9", "nvidia-ctk cdi"],
    "setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=9": ["nvidia.com/gpu=9", "nvidia-ctk cdi"],
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refusal_is_explained(refusal: str) -> None:
    sentence = gpu.explain(refusal)
    assert sentence is not None
    for words in REFUSALS[refusal]:
        assert words in sentence
    assert "{" not in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "other",
    [
        "",
        'exec: "/": permission denied: unknown',
        'could not select device driver "nvme" with capabilities: []',
        "Unknown runtime specified runsc",
        'exec: "sh": executable file not found in $PATH: unknown',
        'invalid mount config for type "bind": bind source path does not exist: /x/nvidia',
    ],
)
def test_other_words_are_not_about_gpus(other: str) -> None:
    assert gpu.explain(other) is None


def test_words_of_the_hook_are_given_as_they_are() -> None:
    """They may hold braces, and several lines."""
    said = gpu.explain(HOOK.replace("driver not loaded", "{0} is\n{bad}"))
    assert said is not None
    assert "{0} is\n{bad}" in said


@pytest.mark.parametrize(
    ("host", "devices", "there"),
    [
        ({"Devices": [{}]}, 0, True),
        ({"Devices": [{}]}, 1, False),
        ({"Devices": [{}, {}]}, 1, True),
        ({"Devices": None, "DeviceRequests": [{}], "Runtime": "nvidia"}, 0, False),
    ],
)
def test_given_by_podman(host: dict[str, Any], devices: int, there: bool) -> None:
    assert gpu.given(host, devices) is there


@pytest.mark.parametrize(
    ("names", "there"),
    [
        (["null", "nvidia0", "nvidiactl"], True),
        (["dxg", "null"], True),
        (["null", "nvmap"], True),
        (["null", "nvhost-ctrl"], True),
        (["null", "nvidia-uvm", "nvidiactl"], False),
        (["null", "nvme0", "nvram", "zero"], False),
        ([], False),
    ],
)
def test_arrival(names: list[str], there: bool) -> None:
    assert gpu.arrived(names) is there
