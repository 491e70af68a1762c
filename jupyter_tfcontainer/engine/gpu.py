"""GPU routes: how an engine hands over GPUs, how to ask for it, and what its refusals mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from .info import EngineFacts

GPUs = Literal["all", "none"] | int | tuple[str, ...]
Route = Literal["cdi", "runtime", "request"]

GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
INSTALL = (
    "Install the NVIDIA Container Toolkit there (package nvidia-container-toolkit), run "
    "`sudo nvidia-ctk runtime configure --runtime=docker` and restart the engine; or pick an environment without a GPU."
)
CONFIGURE = (
    "See that `nvidia-smi` works there; if it does, run `sudo nvidia-ctk runtime configure --runtime=docker`, see that "
    "/etc/nvidia-container-runtime/config.toml does not say accept-nvidia-visible-devices-envvar-when-unprivileged = "
    "false, and restart the engine"
)
REGENERATE = f"Generate its list of GPUs again: `{GENERATE}`"
# What to do where a GPU did not arrive, by the route.
REMEDIES: dict[Route, str] = {"cdi": REGENERATE, "runtime": CONFIGURE, "request": CONFIGURE}
# Names in /dev, one of which each container with a GPU has: a card's, WSL's one for all cards, and Tegra's (what
# NVIDIA's container toolkit finds on each: its package nvcdi). The others of NVIDIA's also come without a card.
DEVICE = re.compile(r"nvidia\d+|dxg|nvmap|nvhost.*|nvgpu")
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
        # Since Docker 29 a device request may be met by CDI (https://github.com/ShaneIsrael/fireshare/issues/689).
        r"failed to discover GPU vendor from CDI: no known GPU vendor found",
        "the container engine cannot hand over a GPU: it knows none. " + INSTALL,
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


def routes(facts: EngineFacts) -> tuple[Route, ...]:
    """How this engine may hand over GPUs: the first of these that works.

    The device request is the last: whether it works is not visible in what the engine says of itself, only a trial
    start tells.
    """
    if facts.kind == "podman":
        return ("cdi",)  # it says nothing of its devices, and has no other way
    if any(device.startswith("nvidia.com/gpu=") for device in facts.cdi_devices):
        return ("cdi",)
    other: Route = "runtime" if "nvidia" in facts.runtimes else "request"
    return ("cdi", other) if facts.cdi_unlisted else (other,)


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


def is_given(env: Iterable[str]) -> bool:
    """Whether a container of ours was to get GPUs, by its variables."""
    return any(re.fullmatch(r"NVIDIA_VISIBLE_DEVICES=(?!void$).+", one) for one in env)


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


def given(host: Mapping[str, Any], devices: int) -> bool:
    """Whether Podman has given a container GPUs: it has left them out without a word.

    Parameters
    ----------
    host
        the started container's ``HostConfig``, as the engine has it
    devices
        how many devices it was to get besides
    """
    return len(host.get("Devices") or []) > devices


def arrived(names: Sequence[str]) -> bool:
    """Whether there is a GPU in a container, by the names in its ``/dev``.

    NVIDIA's toolkit leaves GPUs out without a word, and Docker does not know: one whose configuration has
    ``accept-nvidia-visible-devices-envvar-when-unprivileged = false`` ignores what it is asked for.
    """
    return any(DEVICE.fullmatch(name) for name in names)


def explain(refusal: str) -> str | None:
    """Our sentence for what the engine said at create or start, or None if it was not about GPUs."""
    for pattern, sentence in REFUSALS:
        if match := re.search(pattern, refusal, re.DOTALL):
            return sentence.format(*(group.strip() for group in match.groups()))
    return None
