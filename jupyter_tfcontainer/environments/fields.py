"""The fields of an environment: what each may say, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

from ..errors import EnvironmentInvalid
from ..workspace import NOTEBOOKS, OURS

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
UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


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


def read_field(name: str, key: str, value: object) -> Any:
    """Read one field, or say what it may be."""
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
