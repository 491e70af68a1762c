"""What an administrator lets people run. Pure: nothing is asked, nothing is done.

The rules are settings of the manager, which reads a configuration file of its own, so that they hold behind every door
and whatever a kernelspec says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

from .containers import Person
from .environments import Environment
from .errors import PolicyRefused

# The registry and the folder in it that Docker means where a reference names none.
REGISTRY = "docker.io"
LIBRARY = "library"
# A card, as NVIDIA's driver shows it among the devices.
CARD = re.compile(r"/dev/nvidia\d+")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where something is to run, and for whom.

    Parameters
    ----------
    host
        its name
    person
        who asks
    rootless
        whether root inside a container is that person outside
    cards
        number of GPUs, or None where that is not known
    """

    host: str
    person: Person
    rootless: bool = False
    cards: int | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules.

    Parameters
    ----------
    allowed_images
        patterns, of which an image's full reference must match one
    allowed_mount_roots
        folders, in one of which the workspace and each mount must lie
    allow_root
        whether a kernel may be another user than the person, or in other groups
    allowed_devices
        patterns, of which a device must match one; None for those that the person may use without a container
    max_memory, max_cpus
        the most that a container may use; what says nothing gets that much
    max_gpus
        the most that a container may get
    max_containers
        how many containers a person may have at a time
    allow_ports
        whether programs in containers may be reached at ports through the server
    files
        the file that each rule is set in, by its name
    """

    allowed_images: tuple[str, ...] = ("*",)
    allowed_mount_roots: tuple[Path, ...] = (Path("/"),)
    allow_root: bool = False
    allowed_devices: tuple[str, ...] | None = None
    max_memory: int | None = None
    max_cpus: float | None = None
    max_gpus: int | None = None
    max_containers: int | None = None
    allow_ports: bool = True
    files: Mapping[str, str] = field(default_factory=dict)

    def admit(
        self, environment: Environment, machine: Machine, workspace: Path | None, usable: frozenset[str] = frozenset()
    ) -> Environment:
        """See whether an environment may run, and give it the limits that it does not set itself.

        Parameters
        ----------
        environment
            what is to run; the paths in it are absolute and without symbolic links
        machine
            where, and for whom
        workspace
            the folder that it is to work in; None where that is not decided yet
        usable
            the host's devices that the person may use without a container

        Raises
        ------
        PolicyRefused
            naming the rule
        """
        self.admit_image(environment, machine)
        folders = [workspace] if workspace else []
        for path in (*folders, *(Path(mount.source) for mount in environment.mounts)):
            if not any(path.is_relative_to(root) for root in self.allowed_mount_roots):
                self._refuse(environment, machine, f"the folder {path}", "allowed_mount_roots")
        self._admit_user(environment, machine)
        for device in environment.devices:
            outside = device.partition(":")[0]
            listed = self.allowed_devices is not None and any(
                fnmatchcase(outside, pattern) for pattern in self.allowed_devices
            )
            if not listed and (self.allowed_devices is not None or outside not in usable):
                self._refuse(environment, machine, f"the device {outside}", "allowed_devices")
        self._admit_size(environment, machine)
        return replace(
            environment, memory=environment.memory or self.max_memory, cpus=environment.cpus or self.max_cpus
        )

    def admit_another(self, environment: Environment, machine: Machine, running: int) -> None:
        """See whether a person who has that many containers may have one more.

        Raises
        ------
        PolicyRefused
            naming the rule
        """
        if self.max_containers is not None and running >= self.max_containers:
            what = f"one more container: you have {running}. Shut a kernel down to start another"
            self._refuse(environment, machine, what, "max_containers")

    def admit_ports(self, environment: Environment, machine: Machine) -> None:
        """See whether a person may reach programs in a container at their ports.

        Raises
        ------
        PolicyRefused
            naming the rule
        """
        if not self.allow_ports:
            self._refuse(environment, machine, "a way to ports in its container", "allow_ports")

    def admit_image(self, environment: Environment, machine: Machine) -> None:
        """See whether an environment's image may be run, and so whether it may be pulled or made.

        Raises
        ------
        PolicyRefused
            naming the rule
        """
        names = references(environment.image)
        if not any(fnmatchcase(name, pattern) for name in names for pattern in self.allowed_images):
            self._refuse(environment, machine, f"the image {names[-1]}", "allowed_images")

    def _admit_user(self, environment: Environment, machine: Machine) -> None:
        person = machine.person
        if self.allow_root or machine.rootless or person.uid == 0:
            return  # a rootless engine gives nobody more than they have, and root has all
        if environment.user not in ("me", f"{person.uid}:{person.gid}"):
            self._refuse(environment, machine, f"the user {environment.user}", "allow_root")
        if others := set(environment.groups) - {person.gid, *person.groups}:
            self._refuse(environment, machine, f"the group {min(others)}, which you are not in,", "allow_root")

    def _admit_size(self, environment: Environment, machine: Machine) -> None:
        if self.max_memory is not None and (environment.memory or 0) > self.max_memory:
            self._refuse(environment, machine, f"{environment.memory} bytes of memory", "max_memory")
        if self.max_cpus is not None and (environment.cpus or 0) > self.max_cpus:
            self._refuse(environment, machine, f"{environment.cpus} cpus", "max_cpus")
        if self.max_gpus is None:
            return
        gpus = environment.gpus
        counts = {"all": machine.cards, "none": 0}
        count = counts[gpus] if isinstance(gpus, str) else gpus if isinstance(gpus, int) else len(gpus)
        # A card that comes as a device is one as well.
        devices = sum(bool(CARD.fullmatch(device.partition(":")[0])) for device in environment.devices)
        if count is None or count + devices > self.max_gpus:
            what = "all gpus" if gpus == "all" else f"{(count or 0) + devices} gpus"
            self._refuse(environment, machine, what, "max_gpus")

    def _refuse(self, environment: Environment, machine: Machine, what: str, rule: str) -> NoReturn:
        value: Any = getattr(self, rule)
        if isinstance(value, tuple):
            value = [str(item) for item in value]
        where = self.files.get(rule) or "no file, so it is the default"
        raise PolicyRefused(
            f"{environment.display_name} asks for {what}; the policy of {machine.host} does not allow that. The rule "
            f"is ContainerManager.{rule} = {value!r} (set in {where}). Ask the administrator of {machine.host} to "
            f"change it, or pick another environment."
        )


def references(image: str) -> tuple[str, str]:
    """The names that an image goes by: the short one that Docker shows, and the full one."""
    name = image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"
    first, slash, rest = name.partition("/")
    if not slash or not _is_registry(first):
        first, rest = REGISTRY, name
    if first not in (REGISTRY, f"index.{REGISTRY}"):
        return name, name
    rest = rest.removeprefix(f"{LIBRARY}/")
    full = f"{REGISTRY}/{rest if '/' in rest else f'{LIBRARY}/{rest}'}"
    # Without the registry, some would be another's.
    return full if "/" in rest and _is_registry(rest.partition("/")[0]) else rest, full


def _is_registry(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost"
