"""What an administrator lets people run. Pure: nothing is asked, nothing is done.

The rules are settings of the manager, which reads a configuration file of its own, so that they hold behind every door
and whatever a kernelspec says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

from ..engine.reference import references
from ..environments.environment import Environment
from ..errors import PolicyRefused
from ..kernels.types import Person

# A card, as NVIDIA's driver shows it among the devices.
CARD = re.compile(r"/dev/nvidia\d+")
# Far above what TensorFlow's thread pools take, far below what a machine has.
MAX_PIDS = 4096


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
    cpus
        number of processors, of which an engine gives no container more; 0 where that is not known
    cards
        number of GPUs, or None where that is not known
    """

    host: str
    person: Person
    rootless: bool = False
    cpus: int = 0
    cards: int | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a person's containers have together, those that are being started included.

    Parameters
    ----------
    containers
        how many there are
    memory
        sum of their limits, in bytes
    cpus
        sum of their limits, in processors
    """

    containers: int = 0
    memory: int = 0
    cpus: float = 0.0


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
    max_total_memory, max_total_cpus
        the most that a person's containers may use together, by the limits of each
    max_pids
        how many processes and threads a container may have; None for the engine's own limit
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
    max_total_memory: int | None = None
    max_total_cpus: float | None = None
    max_pids: int | None = MAX_PIDS
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
        # An engine refuses a limit above what its machine has, and several containers may have more together.
        ceiling = self._cpus and min(self._cpus, machine.cpus or self._cpus)
        return replace(environment, memory=environment.memory or self._memory, cpus=environment.cpus or ceiling)

    @property
    def _memory(self) -> int | None:
        """The memory of a container that sets no limit: the most that one may have."""
        return min(filter(None, (self.max_memory, self.max_total_memory)), default=None)

    @property
    def _cpus(self) -> float | None:
        """The processors of a container that sets no limit: the most that one may have."""
        return min(filter(None, (self.max_cpus, self.max_total_cpus)), default=None)

    @property
    def counts(self) -> bool:
        """Whether it matters what a person's other containers have."""
        return any(one is not None for one in (self.max_containers, self.max_total_memory, self.max_total_cpus))

    def taken(self, limits: Collection[tuple[int | None, float | None]]) -> Taken:
        """What containers have together.

        Parameters
        ----------
        limits
            memory and processors of each. One that has no limit, since it was started before there was a rule, counts
            as one would that is started now.
        """
        return Taken(
            containers=len(limits),
            memory=sum(memory or self._memory or 0 for memory, _ in limits),
            # The engine counts in billionths.
            cpus=round(sum(cpus or self._cpus or 0 for _, cpus in limits), 9),
        )

    def admit_another(self, environment: Environment, machine: Machine, taken: Taken) -> None:
        """See whether a person may have one more container beside those that there are.

        Parameters
        ----------
        environment
            what is to run, as it was admitted
        machine
            where, and for whom
        taken
            what the others have

        Raises
        ------
        PolicyRefused
            naming the rule
        """
        room = "shut down a kernel that you need no more"
        if self.max_containers is not None and taken.containers >= self.max_containers:
            what = f"one more container beside the {taken.containers} that you have"
            self._refuse(environment, machine, what, "max_containers", room)
        less = f"{room}, or give your environments lower limits"
        memory = taken.memory + (environment.memory or 0)
        if self.max_total_memory is not None and memory > self.max_total_memory:
            what = f"{environment.memory} bytes of memory beside the {taken.memory} of your other containers"
            self._refuse(environment, machine, what, "max_total_memory", less)
        cpus = round(taken.cpus + (environment.cpus or 0), 9)
        if self.max_total_cpus is not None and cpus > self.max_total_cpus:
            what = f"{environment.cpus:g} cpus beside the {taken.cpus:g} of your other containers"
            self._refuse(environment, machine, what, "max_total_cpus", less)

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
        for rule, ceiling in (("max_memory", self.max_memory), ("max_total_memory", self.max_total_memory)):
            if ceiling is not None and (environment.memory or 0) > ceiling:
                self._refuse(environment, machine, f"{environment.memory} bytes of memory", rule)
        for rule, most in (("max_cpus", self.max_cpus), ("max_total_cpus", self.max_total_cpus)):
            if most is not None and (environment.cpus or 0) > most:
                self._refuse(environment, machine, f"{environment.cpus} cpus", rule)
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

    def _refuse(
        self,
        environment: Environment,
        machine: Machine,
        what: str,
        rule: str,
        instead: str = "pick another environment",
    ) -> NoReturn:
        value: Any = getattr(self, rule)
        if isinstance(value, tuple):
            value = [str(item) for item in value]
        where = self.files.get(rule) or "no file, so it is the default"
        raise PolicyRefused(
            f"{environment.display_name} asks for {what}; the policy of {machine.host} does not allow that. The rule "
            f"is ContainerManager.{rule} = {value!r} (set in {where}). Ask the administrator of {machine.host} to "
            f"change it, or {instead}."
        )
