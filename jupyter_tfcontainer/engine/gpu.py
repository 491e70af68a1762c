"""GPU routes: how an engine hands over GPUs, how to ask for it, and what its refusals mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from .facts import EngineFacts

GPUs = Literal["all", "none"] | int | tuple[str, ...]
Route = Literal["cdi", "runtime", "request"]

GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
INSTALL = (
    "Install the NVIDIA Container Toolkit there (package nvidia-container-toolkit), run "
    "`sudo nvidia-ctk runtime configure --runtime=docker` and restart the engine; or pick an environment without a GPU."
)
# What the engine says (measured on Docker 20.10 to 28.5), and what it means: a sentence that "On MACHINE, " begins.
# `{0}` is the first group.
REFUSALS = (
    (
        r'could not select device driver "" with capabilities: \[\[gpu',
        "the container engine cannot hand over a GPU: the NVIDIA Container Toolkit was not there when the engine "
        "started. " + INSTALL,
    ),
    (
        r'exec: \\*"nvidia-container-runtime-hook\\*": executable file not found',
        "the container engine can no longer hand over a GPU: the NVIDIA Container Toolkit was there when it started "
        "and is gone. " + INSTALL,
    ),
    (
        r"(?:Unknown runtime specified|unknown or invalid runtime name:?) nvidia",
        "the container engine no longer has a runtime named nvidia. " + INSTALL,
    ),
    (
        r"error running (?:prestart )?hook #\d+: error running hook: exit status \d+, stdout: .*?, stderr: "
        r"(.*?)(?:: unknown)?$",
        "the NVIDIA Container Toolkit could not hand over a GPU; it says: “{0}”. See that `nvidia-smi` works there: "
        "if it does not, install or reload the NVIDIA driver.",
    ),
    (
        r"(?:CDI device injection failed|setting up CDI devices): (.*)",
        "the container engine does not know that GPU ({0}). Generate the list of GPUs again, with the NVIDIA Container "
        f"Toolkit (package nvidia-container-toolkit): `{GENERATE}`.",
    ),
    (
        r'could not select device driver "cdi"',
        "CDI, by which this engine should hand over a GPU, is off. Turn on its feature `cdi` and restart it.",
    ),
)


def choose_route(facts: EngineFacts) -> Route:
    """How this engine hands over GPUs.

    The device request is the last: whether it works is not visible in what the engine says of itself, only a trial
    start tells.
    """
    if facts.kind == "podman":
        return "cdi"  # it says nothing of its devices, and has no other way
    if any(device.startswith("nvidia.com/gpu=") for device in facts.cdi_devices):
        return "cdi"
    if "nvidia" in facts.runtimes:
        return "runtime"
    return "request"


def visible_devices(gpus: GPUs) -> str:
    """The value of ``NVIDIA_VISIBLE_DEVICES``.

    It is always set: a legacy CUDA image without it gets every GPU (NVIDIA's container toolkit documentation, "legacy
    CUDA images").
    """
    if gpus == "none":
        return "void"
    if gpus == "all":
        return "all"
    if isinstance(gpus, int):
        return ",".join(str(number) for number in range(gpus))
    return ",".join(gpus)


def host_config(gpus: GPUs, route: Route) -> dict[str, Any]:
    """The part of the create arguments that asks for GPUs; empty for none."""
    if gpus == "none":
        return {}
    if route == "runtime":
        return {"Runtime": "nvidia"}
    if route == "cdi":
        names = [f"nvidia.com/gpu={name}" for name in visible_devices(gpus).split(",")]
        return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": names}]}
    which: dict[str, Any]
    if gpus == "all":
        which = {"Count": -1}
    elif isinstance(gpus, int):
        which = {"Count": gpus}
    else:
        which = {"DeviceIDs": list(gpus)}
    return {"DeviceRequests": [{"Driver": "", "Capabilities": [["gpu"]], **which}]}


def arrived(facts: EngineFacts, host: Mapping[str, Any], devices: int) -> bool:
    """Whether GPUs that were asked for are in a container: engines have left them out without a word.

    Parameters
    ----------
    facts
        the engine
    host
        the started container's ``HostConfig``, as the engine has it
    devices
        how many devices it was to get besides
    """
    if facts.kind == "podman":
        return len(host.get("Devices") or []) > devices
    return bool(host.get("DeviceRequests")) or host.get("Runtime") == "nvidia"


def explain(refusal: str) -> str | None:
    """Our sentence for what the engine said at create or start, or None if it was not about GPUs."""
    for pattern, sentence in REFUSALS:
        if match := re.search(pattern, refusal, re.DOTALL):
            return sentence.format(*(group.strip() for group in match.groups()))
    return None
