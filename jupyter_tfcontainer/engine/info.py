"""What an engine says of itself, reduced to what we decide by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# The API since which engines list their CDI devices (Docker's API history, v1.50).
LISTS_DEVICES = (1, 50)


@dataclass(frozen=True)
class EngineFacts:
    """An engine as its ``/info`` and ``/version`` describe it.

    Parameters
    ----------
    kind
        ``docker`` or ``podman``
    version
        of the engine
    host
        name of the machine it runs on
    url
        the address at which it answered
    operating_system, architecture
        of that machine
    rootless
        whether root inside a container is the person outside
    user_namespaces
        whether the engine maps every container's users to others (Docker's ``userns-remap``)
    virtual_machine
        whether the engine's kernel is not the person's (Docker Desktop and its like)
    cpus
        number of processors
    memory
        of the machine, in bytes
    log_driver
        the engine's default
    data_root
        the folder on that machine where images and containers are
    runtimes
        names of the OCI runtimes that are registered
    cdi_devices
        names of the CDI devices that the engine lists
    cdi_unlisted
        whether it knows CDI devices and does not say which
    """

    kind: str
    version: str
    host: str
    url: str
    operating_system: str
    architecture: str
    rootless: bool
    user_namespaces: bool
    virtual_machine: bool
    cpus: int
    memory: int
    log_driver: str
    data_root: str
    runtimes: tuple[str, ...]
    cdi_devices: tuple[str, ...]
    cdi_unlisted: bool

    @classmethod
    def from_engine(cls, url: str, info: dict[str, Any], version: dict[str, Any]) -> EngineFacts:
        """Read the two answers of an engine.

        Podman is told by the name of its first component (its own API documentation).
        """
        components = version.get("Components") or [{}]
        podman = components[0].get("Name") == "Podman Engine"
        options = info.get("SecurityOptions") or []
        return cls(
            kind="podman" if podman else "docker",
            version=version.get("Version", ""),
            host=info.get("Name", ""),
            url=url,
            operating_system=info.get("OperatingSystem", ""),
            architecture=info.get("Architecture", ""),
            rootless=bool(info.get("Rootless")) or any("name=rootless" in option for option in options),
            user_namespaces=any("name=userns" in option for option in options),
            virtual_machine="Docker Desktop" in info.get("OperatingSystem", ""),
            cpus=info.get("NCPU", 0),
            memory=info.get("MemTotal", 0),
            log_driver=info.get("LoggingDriver", ""),
            data_root=info.get("DockerRootDir", ""),
            runtimes=tuple(sorted(info.get("Runtimes") or {})),
            cdi_devices=tuple(
                device["ID"] for device in info.get("DiscoveredDevices") or [] if device.get("Source") == "cdi"
            ),
            cdi_unlisted=bool(info.get("CDISpecDirs")) and _api(version) < LISTS_DEVICES,
        )

    @property
    def name(self) -> str:
        """The engine in words, for messages: ``Docker 20.10.24 on host``."""
        return f"{self.kind.capitalize()} {self.version} on {self.host}"


def _api(version: dict[str, Any]) -> tuple[int, ...]:
    """The newest API that an engine speaks."""
    return tuple(int(number) for number in re.findall(r"\d+", version.get("ApiVersion", "")))
