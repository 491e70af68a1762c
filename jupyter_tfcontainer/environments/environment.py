"""Environments: what a person picks. Each *is* a kernelspec directory; this module reads and validates what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpec

from ..errors import EnvironmentInvalid
from .fields import READERS, MountPoint, read_field

PROVISIONER = "tfcontainer-provisioner"
# By this variable NVIDIA's runtime hands over GPUs: were it the person's, neither the field nor the policy would hold.
GPU_VARIABLE = "NVIDIA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a kernel runs in.

    Parameters
    ----------
    name
        of the kernelspec
    display_name
        as launchers show it
    image
        reference of the image
    platform
        of the image, such as ``linux/amd64``, or None for the engine's own
    gpus
        ``"all"``, ``"none"``, a count, or the cards' indices or UUIDs
    mounts
        host folders and files beside the workspace
    user
        who the kernel is: ``me``, ``root``, or ``UID:GID``
    groups
        ids of groups that it belongs to beside the person's
    pull_policy
        whether the image may (``missing``), must (``always``) or must not (``never``) be pulled before a start
    memory
        limit in bytes, or None
    cpus
        limit in processors, or None
    shm_size
        size of ``/dev/shm`` in bytes
    ulimits
        soft and hard limit of each kernel process, by Docker's name; -1 is no limit
    network
        ``bridge`` (the engine's default) or ``none``
    devices
        host devices, as ``HOST[:CONTAINER[:rwm]]``
    ports
        that programs in the container listen at; not published
    container_name
        of its container, or None for one that the engine makes up
    preload
        modules that the kernel has imported before it starts
    standby
        how many containers of it a server keeps ready, or None for as many as the manager says
    python
        name or path of the interpreter, or None for the first that has ipykernel
    compatibility
        whether what is known not to run here is refused (``check``), or tried all the same (``ignore``)
    secrets
        names of variables whose values are kept apart (``secrets.py``)
    env
        variables of the kernel, from the kernelspec's own ``env``
    """

    name: str
    display_name: str
    image: str
    platform: str | None = None
    gpus: Literal["all", "none"] | int | tuple[str, ...] = "none"
    mounts: tuple[MountPoint, ...] = ()
    user: str = "me"
    groups: tuple[int, ...] = ()
    pull_policy: Literal["missing", "never", "always"] = "missing"
    memory: int | None = None
    cpus: float | None = None
    shm_size: int = 1024**3
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    network: Literal["bridge", "none"] = "bridge"
    devices: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    container_name: str | None = None
    preload: tuple[str, ...] = ()
    # It is about other containers than the one that runs.
    standby: int | None = field(default=None, compare=False)
    python: str | None = None
    compatibility: Literal["check", "ignore"] = "check"
    secrets: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_kernelspec(cls, name: str, spec: KernelSpec) -> Environment:
        """Read a kernelspec.

        Parameters
        ----------
        name
            of the kernelspec
        spec
            the kernelspec

        Raises
        ------
        EnvironmentInvalid
            when it is not one of ours, or says something that we do not know; the message names the field
        """
        if not is_environment(spec):
            raise EnvironmentInvalid(
                f"The kernelspec {name} does not run in a container: its provisioner is not {PROVISIONER}."
            )
        config = spec.metadata["kernel_provisioner"].get("config", {})
        if not isinstance(config, dict):
            raise EnvironmentInvalid(
                f"The kernelspec {name} says config: {config!r}. It must be an object with fields."
            )
        for key in config:
            if key not in READERS:
                known = ", ".join(sorted(READERS))
                raise EnvironmentInvalid(
                    f"The kernelspec {name} has a field that is not known: {key}. Known are {known}."
                )
        if "image" not in config:
            raise EnvironmentInvalid(f"The kernelspec {name} lacks the field image: which image its kernel runs in.")
        values = {key: read_field(name, key, value) for key, value in config.items()}
        for variable, value in spec.env.items():
            if not isinstance(value, str):
                raise EnvironmentInvalid(f"The kernelspec {name} says env: {variable}: {value!r}. It must be a string.")
            if variable == GPU_VARIABLE:
                raise EnvironmentInvalid(
                    f"The kernelspec {name} says env: {variable}: {value!r}. Which GPUs a kernel gets is for the field "
                    f"gpus to say: take the variable away."
                )
            if variable in values.get("secrets", ()):
                raise EnvironmentInvalid(
                    f"The kernelspec {name} says {variable} both in env and in secrets. It must be in one of them."
                )
        return cls(name=name, display_name=spec.display_name or name, env=dict(spec.env), **values)

    @property
    def asked(self) -> dict[str, Any]:
        """The fields that are not what they are by default, as :meth:`model` has them."""
        model = self.model()
        plain = Environment(name="", display_name="", image="").model()
        names = [one.name for one in fields(self) if one.name in READERS]
        return {name: model[name] for name in names if model[name] != plain[name]}

    def dump(self) -> dict[str, Any]:
        """All that it says, as JSON that :meth:`load` reads: for a file that only its owner may read."""
        return {**asdict(self), "env": dict(self.env)}

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> Environment:
        """Read what :meth:`dump` wrote."""
        values: dict[str, Any] = dict(dumped)
        for name in (name for name, value in dumped.items() if isinstance(value, list)):
            values[name] = tuple(values[name])
        values["mounts"] = tuple(MountPoint(**mount) for mount in values["mounts"])
        values["ulimits"] = {name: tuple(limits) for name, limits in values["ulimits"].items()}
        return cls(**values)

    def model(self) -> dict[str, Any]:
        """The JSON model. Values of variables stay out: some are secrets."""
        model = asdict(self)
        model["env"] = sorted(self.env)
        return model


def is_environment(spec: KernelSpec) -> bool:
    """Whether a kernelspec is one of ours."""
    provisioner = spec.metadata.get("kernel_provisioner", {})
    return isinstance(provisioner, dict) and provisioner.get("provisioner_name") == PROVISIONER
