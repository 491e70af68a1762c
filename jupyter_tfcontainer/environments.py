"""Environments: what a person picks. Each *is* a kernelspec directory; this module reads and validates what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from .errors import EnvironmentInvalid, EnvironmentNotFound

PROVISIONER = "tfcontainer-provisioner"
# The least memory Docker lets a container have (its documentation of --memory), in bytes.
MEMORY_MINIMUM = 6 * 1024**2
# The engine counts in this part of a processor (Docker's documentation of --cpus).
CPUS_MINIMUM = 0.01
# The engine counts bytes, and billionths of a processor, in 64 bits.
BYTES_MAXIMUM = 2**63 - 1
CPUS_MAXIMUM = BYTES_MAXIMUM // 10**9
UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


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
    gpus
        ``"all"``, ``"none"``, a count, or the cards' indices or UUIDs
    pull_policy
        whether the image may (``missing``), must (``always``) or must not (``never``) be pulled before a start
    memory
        limit in bytes, or None
    cpus
        limit in processors, or None
    shm_size
        size of ``/dev/shm`` in bytes
    network
        ``bridge`` (the engine's default) or ``none``
    compatibility
        whether what is known not to run here is refused (``check``), or tried all the same (``ignore``)
    env
        variables of the kernel, from the kernelspec's own ``env``
    """

    name: str
    display_name: str
    image: str
    gpus: Literal["all", "none"] | int | tuple[str, ...] = "none"
    pull_policy: Literal["missing", "never", "always"] = "missing"
    memory: int | None = None
    cpus: float | None = None
    shm_size: int = 1024**3
    network: Literal["bridge", "none"] = "bridge"
    compatibility: Literal["check", "ignore"] = "check"
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
        values = {}
        for key, value in config.items():
            try:
                values[key] = READERS[key](value)
            except ValueError as error:
                raise EnvironmentInvalid(f"The kernelspec {name} says {key}: {value!r}. It must be {error}.") from error
        for variable, value in spec.env.items():
            if not isinstance(value, str):
                raise EnvironmentInvalid(f"The kernelspec {name} says env: {variable}: {value!r}. It must be a string.")
        return cls(name=name, display_name=spec.display_name or name, env=dict(spec.env), **values)

    def model(self) -> dict[str, Any]:
        """The JSON model. Values of variables stay out: some are secrets."""
        model = asdict(self)
        model["env"] = sorted(self.env)
        return model


def find(name: str, specs: KernelSpecManager) -> Environment:
    """The environment of that name.

    Raises
    ------
    EnvironmentNotFound
        when there is no such kernelspec, or it is not one of ours
    EnvironmentInvalid
        when it cannot be read
    """
    try:
        spec = specs.get_kernel_spec(name)
    except NoSuchKernel:
        raise EnvironmentNotFound(
            f"There is no environment named {name}. `jupyter kernelspec list` shows what there is."
        ) from None
    if not is_environment(spec):
        raise EnvironmentNotFound(f"The kernelspec {name} does not run in a container.")
    return Environment.from_kernelspec(name, spec)


def is_environment(spec: KernelSpec) -> bool:
    """Whether a kernelspec is one of ours."""
    provisioner = spec.metadata.get("kernel_provisioner", {})
    return isinstance(provisioner, dict) and provisioner.get("provisioner_name") == PROVISIONER


# Each reader returns the value, or raises ValueError with what it must be.


def _image(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][\w./:@-]*", value):
        return value
    raise ValueError("the reference of an image, such as tensorflow/tensorflow:1.2.1-gpu-py3")


def _gpus(value: object) -> str | int | tuple[str, ...]:
    if value in ("all", "none") and isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, list) and value:
        names = [str(item) for item in value if isinstance(item, str | int) and not isinstance(item, bool)]
        if len(names) == len(value) and all(re.fullmatch(r"\w[\w:-]*", name) for name in names):
            return tuple(names)
    raise ValueError('"all", "none", a count, or a list of indices or UUIDs of GPUs')


def _bytes(minimum: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        size: float | None = None
        if isinstance(value, int) and not isinstance(value, bool):
            size = value
        elif isinstance(value, str) and (
            match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", value.strip().lower())
        ):
            size = float(match[1]) * UNITS[match[2]]
        if size is None or not minimum <= size <= BYTES_MAXIMUM:
            raise ValueError(f'a number of bytes, or a size such as "512m" or "4g", and at least {minimum} bytes')
        return int(size)

    return read


def _cpus(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and CPUS_MINIMUM <= value <= CPUS_MAXIMUM:
        return float(value)
    raise ValueError(f"a number of processors, such as 1.5, and at least {CPUS_MINIMUM}")


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError("one of " + ", ".join(choices))

    return read


READERS: dict[str, Callable[[object], Any]] = {
    "image": _image,
    "gpus": _gpus,
    "pull_policy": _one_of("missing", "never", "always"),
    "memory": _bytes(MEMORY_MINIMUM),
    "cpus": _cpus,
    "shm_size": _bytes(1),
    "network": _one_of("bridge", "none"),
    "compatibility": _one_of("check", "ignore"),
}
