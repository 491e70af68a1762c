"""Environments: what a person picks. Each *is* a kernelspec directory; this module reads and validates what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, Literal, cast

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from traitlets import TraitError

from .errors import EnvironmentInvalid, EnvironmentNotFound
from .workspace import NOTEBOOKS, OURS

PROVISIONER = "tfcontainer-provisioner"
# The least memory Docker lets a container have (its documentation of --memory), in bytes.
MEMORY_MINIMUM = 6 * 1024**2
# The engine counts in this part of a processor (Docker's documentation of --cpus).
CPUS_MINIMUM = 0.01
# The engine counts bytes, and billionths of a processor, in 64 bits.
BYTES_MAXIMUM = 2**63 - 1
CPUS_MAXIMUM = BYTES_MAXIMUM // 10**9
# What the kernel has for user and group ids, less the half that the engines refuse.
ID_MAXIMUM = 2**31 - 1
# More than anybody starts at a time.
STANDBY_MAXIMUM = 16
PORT_MAXIMUM = 2**16 - 1
# Docker's names for the limits of a process (setrlimit(2)), with the numbers by which runc calls them.
ULIMITS = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}
UNLIMITED = -1
# By this variable NVIDIA's runtime hands over GPUs: were it the person's, neither the field nor the policy would hold.
GPU_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


# What comes of a kernel.json that cannot be opened, is no JSON, or is not what Jupyter takes for a kernelspec.
UNREADABLE = (OSError, ValueError, TypeError, TraitError)


@dataclass(frozen=True)
class MountPoint:
    """A host folder or file that an environment wants beside the workspace.

    Parameters
    ----------
    source
        its absolute path on the host; it may begin with ``~``
    target
        where it is to be in the container
    read_only
        whether the kernel may only read it
    """

    source: str
    target: str
    read_only: bool = False


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
        names of variables whose values are kept apart (``store.py``)
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
        values = {key: _read(name, key, value) for key, value in config.items()}
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


def find(name: str, specs: KernelSpecManager) -> Environment:
    """The environment of that name.

    Raises
    ------
    EnvironmentNotFound
        when there is no such kernelspec, or it is not one of ours
    EnvironmentInvalid
        when it cannot be read
    """
    return Environment.from_kernelspec(name, find_spec(name, specs))


def find_spec(name: str, specs: KernelSpecManager) -> KernelSpec:
    """The kernelspec of the environment of that name, whether what it says can be read or not.

    Raises
    ------
    EnvironmentNotFound
        when there is no such kernelspec, or it is not one of ours
    EnvironmentInvalid
        when it is no kernelspec at all
    """
    try:
        spec = specs.get_kernel_spec(name)
    except UNREADABLE as error:
        folder = specs.find_kernel_specs().get(name)
        raise EnvironmentInvalid(
            f"The kernelspec {name} cannot be read: {error}. Correct kernel.json in {folder}, or remove that folder."
        ) from error
    except NoSuchKernel:
        raise EnvironmentNotFound(
            f"There is no environment named {name}. `jupyter tfcontainer list` shows what there is."
        ) from None
    if not is_environment(spec):
        raise EnvironmentNotFound(f"The kernelspec {name} does not run in a container.")
    return spec


def is_environment(spec: KernelSpec) -> bool:
    """Whether a kernelspec is one of ours."""
    provisioner = spec.metadata.get("kernel_provisioner", {})
    return isinstance(provisioner, dict) and provisioner.get("provisioner_name") == PROVISIONER


def _read(name: str, key: str, value: object) -> Any:
    try:
        return READERS[key](value)
    except ValueError as error:
        raise EnvironmentInvalid(f"The kernelspec {name} says {key}: {value!r}. It must be {error}.") from error


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
        # NVIDIA's own words for how many would pass for the name of one.
        if len(names) == len(value) and all(re.fullmatch(r"(?!(all|none|void)$)\w[\w:-]*", name) for name in names):
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


def _platform(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?", value):
        return value
    raise ValueError('a platform in Docker\'s words, such as "linux/amd64"')


def _mounts(value: object) -> tuple[MountPoint, ...]:
    if isinstance(value, list):
        with suppress(TypeError, ValueError):
            mounts = tuple(_mount(**item) for item in value)
            if len({mount.target for mount in mounts}) == len(mounts):
                return mounts
    raise ValueError(
        'a list of {"source": PATH, "target": PATH, "read_only": true or false}, where source is absolute or begins '
        f"with ~, and target is absolute, given once, and neither the container's root nor {NOTEBOOKS}, nor in /dev, "
        f"/proc, /sys or {OURS}"
    )


def _mount(source: object, target: object, read_only: object = False) -> MountPoint:
    if not isinstance(source, str) or not isinstance(target, str) or not isinstance(read_only, bool):
        raise TypeError
    place = PurePosixPath(target)
    taken = any(folder in (place, *place.parents) for folder in (OURS, *map(PurePosixPath, ("/dev", "/proc", "/sys"))))
    bad = "\0" in source + target or ".." in place.parts or str(place) != target or not re.match(r"/(?!/)", target)
    if bad or taken or place in (PurePosixPath("/"), NOTEBOOKS) or not re.match("/|~", source):
        raise ValueError
    return MountPoint(source, target, read_only)


def _user(value: object) -> str:
    if value in ("me", "root") and isinstance(value, str):
        return value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,10}(:[0-9]{1,10})?", text):
        uid, _, gid = text.partition(":")
        if max(int(uid), int(gid or uid)) <= ID_MAXIMUM:
            return f"{int(uid)}:{int(gid or uid)}"
    raise ValueError(f'"me", "root", or the numbers of a user and a group, such as "1000:1000", up to {ID_MAXIMUM}')


def _whole(value: object, minimum: int, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def _numbers(minimum: int, maximum: int, what: str) -> Callable[[object], tuple[int, ...]]:
    def read(value: object) -> tuple[int, ...]:
        if isinstance(value, list) and all(_whole(item, minimum, maximum) for item in value):
            return tuple(dict.fromkeys(value))
        raise ValueError(f"a list of {what}: numbers from {minimum} to {maximum}")

    return read


def _number(minimum: int, maximum: int, what: str) -> Callable[[object], int]:
    def read(value: object) -> int:
        if _whole(value, minimum, maximum):
            return cast("int", value)
        raise ValueError(f"{what}: a number from {minimum} to {maximum}")

    return read


def _names(pattern: str, what: str) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) and re.fullmatch(pattern, item) for item in value):
            return tuple(dict.fromkeys(value))
        raise ValueError(f"a list of {what}")

    return read


def _name(pattern: str, what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise ValueError(what)

    return read


def _ulimits(value: object) -> dict[str, tuple[int, int]]:
    if isinstance(value, dict) and ULIMITS.keys() >= value.keys():
        limits = {name: [one, one] if isinstance(one, int) else one for name, one in value.items()}
        if all(_pair(one) for one in limits.values()):
            return {name: (soft, hard) for name, (soft, hard) in limits.items()}
    raise ValueError(
        "an object of limits, each a number or [soft, hard], where -1 is no limit and soft is not above hard; known "
        "are " + ", ".join(ULIMITS)
    )


def _pair(value: object) -> bool:
    if isinstance(value, list) and len(value) == len(("soft", "hard")):
        soft, hard = value
        if _whole(soft, UNLIMITED, BYTES_MAXIMUM) and _whole(hard, UNLIMITED, BYTES_MAXIMUM):
            return bool(hard == UNLIMITED or UNLIMITED < soft <= hard)
    return False


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError("one of " + ", ".join(choices))

    return read


_PATH_IN_DEV = r"/dev(?:/(?!\.{1,2}[/:]|\.{1,2}$)[^/:\0\n]+)+"
DEVICE = rf"{_PATH_IN_DEV}(?::{_PATH_IN_DEV}(?::(?!.*(.).*\1)[rwm]{{1,3}})?)?"
READERS: dict[str, Callable[[object], Any]] = {
    "image": _image,
    "platform": _platform,
    "gpus": _gpus,
    "mounts": _mounts,
    "user": _user,
    "groups": _numbers(0, ID_MAXIMUM, "ids of groups"),
    "pull_policy": _one_of("missing", "never", "always"),
    "memory": _bytes(MEMORY_MINIMUM),
    "cpus": _cpus,
    "shm_size": _bytes(1),
    "ulimits": _ulimits,
    "network": _one_of("bridge", "none"),
    "devices": _names(
        DEVICE, 'devices, each as "/dev/HOST", "/dev/HOST:/dev/CONTAINER" or "/dev/HOST:/dev/CONTAINER:rwm"'
    ),
    "ports": _numbers(1, PORT_MAXIMUM, "ports"),
    "container_name": _name(
        r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}",
        "2 to 128 letters, digits, _, . and -, of which the first is a letter or digit",
    ),
    "preload": _names(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", 'names of modules, such as "numpy"'),
    "standby": _number(0, STANDBY_MAXIMUM, "how many containers are kept ready"),
    "python": _name(
        r"[\w/][\w/.+-]*", "name or path of an interpreter in the image, such as python3 or /opt/bin/python"
    ),
    "compatibility": _one_of("check", "ignore"),
    "secrets": _names(r"[A-Za-z_][A-Za-z0-9_]*", 'names of variables, such as "API_KEY"'),
}
