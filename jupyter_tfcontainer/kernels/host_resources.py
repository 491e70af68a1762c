"""What this machine gives a container: its person, mounts and devices."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..environments.environment import Environment
from ..environments.fields import MountPoint
from ..errors import EnvironmentInvalid
from ..paths import PROCESSES
from ..workspace import NOTEBOOKS, Workspace
from .types import Person


def person() -> Person:
    """Whoever runs this process."""
    uid, gid = os.getuid(), os.getgid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"user{uid}"
    return Person(uid, gid, tuple(sorted({*os.getgroups()} - {gid})), name, _timezone())


def _timezone() -> str:
    if zone := os.environ.get("TZ"):
        return zone.removeprefix(":")
    # The link that systemd and Debian keep (localtime(5)).
    target = os.path.realpath("/etc/localtime")
    return target.partition("/zoneinfo/")[2]


def locate(environment: Environment, workspace: Workspace) -> Environment:
    """An environment with the real paths of what it asks for on this machine.

    Raises
    ------
    EnvironmentInvalid
        when something is not there, or must not be given to a container
    """
    return replace(
        environment,
        mounts=tuple(_located_mount(environment, mount, workspace) for mount in environment.mounts),
        devices=tuple(_located_device(environment, device) for device in environment.devices),
    )


def real_paths(environment: Environment) -> Environment:
    """An environment with the real paths of what it asks for, be it there or not."""
    return replace(
        environment,
        mounts=tuple(
            replace(mount, source=os.path.realpath(os.path.expanduser(mount.source)))  # noqa: PTH111 - any ~ stays
            for mount in environment.mounts
        ),
        devices=tuple(
            ":".join((os.path.realpath(outside), *rest))
            for outside, *rest in (device.split(":") for device in environment.devices)
        ),
    )


def _located_mount(environment: Environment, mount: MountPoint, workspace: Workspace) -> MountPoint:
    says = f"The environment {environment.name} says mounts"
    try:
        source = Path(mount.source).expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no such user, or links in a circle
        raise EnvironmentInvalid(
            f"{says}: source {mount.source!r}, which is not on {os.uname().nodename}. Make it, or correct the path. "
            f"({error})"
        ) from error
    if folder := next((one for one in workspace.masked if source.is_relative_to(one)), None):
        whose = "the machine's processes" if folder == PROCESSES else "Jupyter's own folders"
        raise EnvironmentInvalid(f"{says}: source {mount.source!r}, which is in {folder}: {whose} are for no kernel.")
    if source in workspace.sockets:
        raise EnvironmentInvalid(
            f"{says}: source {mount.source!r}, which is the socket of a container engine: whoever may talk to that "
            f"rules over all that it runs, so it is for no kernel."
        )
    target = PurePosixPath(mount.target)
    for place in workspace.places:
        if target == place:
            raise EnvironmentInvalid(f"{says}: target {mount.target!r}, where the workspace is. Pick another.")
        # The engine would make it, as root.
        if target.is_relative_to(place) and not (workspace.root / target.relative_to(place)).exists():
            raise EnvironmentInvalid(
                f"{says}: target {mount.target!r}, which is in the workspace (at {NOTEBOOKS}) and is not there. Make "
                f"it, or pick a target elsewhere."
            )
    return replace(mount, source=str(source))


def _located_device(environment: Environment, device: str) -> str:
    outside, _, rest = device.partition(":")
    real = os.path.realpath(outside)
    try:
        mode = Path(real).stat().st_mode
    except OSError as error:
        raise EnvironmentInvalid(
            f"The environment {environment.name} says devices: {outside!r}, which is not on {os.uname().nodename}. See "
            f"that it is plugged in and its driver is loaded. ({error})"
        ) from error
    if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        raise EnvironmentInvalid(f"The environment {environment.name} says devices: {outside!r}, which is no device.")
    inside, _, rights = rest.partition(":")
    return f"{real}:{inside or outside}:{rights or 'rwm'}"


def usable_devices(environment: Environment) -> frozenset[str]:
    """The host's devices of an environment that this person may use without a container."""
    devices = {device.partition(":")[0] for device in environment.devices}
    return frozenset(device for device in devices if os.access(device, os.R_OK | os.W_OK))


def device_groups(environment: Environment) -> tuple[int, ...]:
    """The groups that may use an environment's devices."""
    return tuple(sorted({Path(device.partition(":")[0]).stat().st_gid for device in environment.devices}))


def connections(socket_path: str) -> int | None:
    """How many connections this machine has to a Unix socket, by the path its listener knows; None if it cannot tell.

    The kernel lists an accepted socket in the network namespace of whoever connected to it, under the listener's name
    (proc(5)).
    """
    try:
        # Bytes, as the names of sockets are: others may give theirs any.
        table = Path("/proc/net/unix").read_bytes()
    except OSError:
        return None
    rows = (line.split(None, 7) for line in table.splitlines())
    # State 3 is SS_CONNECTED.
    return sum(1 for row in rows if row[5:6] == [b"03"] and row[7:] == [os.fsencode(socket_path)])
