"""Podman's own words for what is asked of it in Docker's.

Through Docker's API Podman leaves GPUs out, makes missing folders, and copies the very files that a mount is to hide
into it, all without a word (measured on 4.3.1). Its own API does none of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import EngineNotSupported

# Where its own API begins (Podman's documentation, "Supported API versions"): 4.0 is what every later one speaks.
API = "/v4.0.0/libpod"
# A period of the processors' time, in microseconds, of which a container gets a share (docker-run(1), --cpu-period).
CPU_PERIOD = 100_000

Model = dict[str, Any]


def specification(config: Model, name: str | None = None) -> Model:
    """The body of Podman's own create request, from the create arguments of Docker's.

    Parameters
    ----------
    config
        Docker's create arguments
    name
        of the container

    Raises
    ------
    EngineNotSupported
        when something is asked for that this does not know: left out it must not be
    """
    wanted = {key: value for key, value in config.items() if value}
    host = {key: value for key, value in wanted.pop("HostConfig", {}).items() if value}
    wanted.pop("ExposedPorts", None)  # a word for people who read the container's description: nothing comes of it
    host.pop("MemorySwap", None)  # goes with the memory
    spec: Model = {"name": name} if name else {}
    for words, known in ((wanted, CONFIG), (host, HOST)):
        for key, value in words.items():
            if key not in known:
                raise EngineNotSupported(f"Podman cannot be asked for {key} yet ({value}). Use Docker for that.")
            _merge(spec, known[key](value))
    return spec


def _merge(spec: Model, more: Model) -> None:
    for key, value in more.items():
        if key not in spec:
            spec[key] = value
        elif isinstance(value, dict):
            spec[key] = {**spec[key], **value}
        else:
            spec[key] = [*spec[key], *value]


def _mount(mount: Model) -> Model:
    read_only = ["ro"] if mount.get("ReadOnly") else []
    if mount["Type"] == "bind":
        return {
            "Type": "bind",
            "Source": mount["Source"],
            "Destination": mount["Target"],
            "Options": ["rbind", *read_only],
        }
    options = mount["TmpfsOptions"]
    return {
        "Type": "tmpfs",
        "Source": "tmpfs",
        "Destination": mount["Target"],
        "Options": [f"size={options['SizeBytes']}", f"mode={options['Mode']:o}", "notmpcopyup", *read_only],
    }


def _security(options: list[str]) -> Model:
    spec: Model = {}
    for option in options:
        if option == "no-new-privileges":
            spec["no_new_privileges"] = True
        elif option.startswith("label="):
            spec.setdefault("selinux_opts", []).append(option.removeprefix("label="))
        else:
            raise EngineNotSupported(f"Podman cannot be asked for the security option {option} yet.")
    return spec


def _device(device: Model) -> Model:
    return {"path": ":".join((device["PathOnHost"], device["PathInContainer"], device["CgroupPermissions"]))}


def _gpus(requests: list[Model]) -> Model:
    """CDI devices are devices like others here, by their full names."""
    return {"devices": [{"path": name} for request in requests for name in request["DeviceIDs"]]}


CONFIG: dict[str, Callable[[Any], Model]] = {
    "Image": lambda value: {"image": value},
    "Entrypoint": lambda value: {"entrypoint": value},
    "Cmd": lambda value: {"command": value},
    "User": lambda value: {"user": value},
    "WorkingDir": lambda value: {"work_dir": value},
    "Env": lambda value: {"env": dict(item.split("=", 1) for item in value)},
    "Labels": lambda value: {"labels": value},
}
HOST: dict[str, Callable[[Any], Model]] = {
    "Mounts": lambda value: {"mounts": [_mount(one) for one in value]},
    # Unsaid, it is what Podman takes itself.
    "NetworkMode": lambda value: {} if value == "default" else {"netns": {"nsmode": value}},
    "ShmSize": lambda value: {"shm_size": value},
    "SecurityOpt": _security,
    "GroupAdd": lambda value: {"groups": value},
    "Memory": lambda value: {"resource_limits": {"memory": {"limit": value, "swap": value}}},
    "NanoCpus": lambda value: {
        "resource_limits": {"cpu": {"quota": value * CPU_PERIOD // 10**9, "period": CPU_PERIOD}},
    },
    "LogConfig": lambda value: {"log_configuration": {"size": int(value["Config"]["max-size"])}},
    "PidsLimit": lambda value: {"resource_limits": {"pids": {"limit": value}}},
    "Ulimits": lambda value: {
        "r_limits": [{"type": one["Name"], "soft": one["Soft"], "hard": one["Hard"]} for one in value],
    },
    "Devices": lambda value: {"devices": [_device(one) for one in value]},
    "DeviceRequests": _gpus,
}
