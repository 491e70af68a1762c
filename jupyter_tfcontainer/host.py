"""The host side of a container: whose it is, and which folders it gets."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from .containers import Folders, Person
from .environments import Environment, MountPoint
from .errors import ContainerError, EnvironmentInvalid
from .workspace import NOTEBOOKS, Workspace

# A Unix socket's path has 108 bytes with its end (unix(7), sun_path).
SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET = "control.sock"
# From there links lead into the folders of any process of the person, whatever is mounted (proc(5)).
PROCESSES = Path("/proc")
# Names of containers' folders, what is in one before its lock, and seconds that making it takes at most.
NUMBER = r"[0-9a-f]{8}"
UNFINISHED, MAKING_SECONDS = {"run", "bin", "lock.new"}, 600
# Where homes are that are being removed.
REMOVED = "removed"


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


def data_folder() -> Path:
    """Where the homes of the environments are."""
    return Path(jupyter_data_dir()).resolve() / "tfcontainer"


def home_folder(environment: str) -> Path:
    """The home of an environment."""
    return data_folder() / "homes" / environment


def server_folder(root: Path) -> Path:
    """A name for the folder of a server on a root folder, in which its sessions are."""
    return data_folder() / "servers" / f"{_digest(root)}-{secrets.token_hex(4)}"


def servers(root: Path) -> list[Path]:
    """The folders of the servers on a root folder, alive or not."""
    return sorted((data_folder() / "servers").glob(f"{_digest(root)}-*"))


def _digest(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]


def private_folders() -> tuple[Path, ...]:
    """The folders of Jupyter that no notebook may see or change, and ours in them."""
    return tuple(Path(folder).resolve() for folder in (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir()))


def state_roots(state_dir: str) -> list[Path]:
    """Where containers' folders may be, the preferred one first."""
    # The second is made readable by this user only, and must be its own.
    short = Path(f"/tmp/tfcontainer-{os.getuid()}")  # noqa: S108
    return [Path(state_dir).absolute()] if state_dir else [data_folder() / "c", short]


def homes() -> list[Path]:
    """The homes of all environments that have run, of those that are no more as well."""
    return _folders(data_folder() / "homes")


def set_aside(home: Path) -> Path:
    """Have an environment's home gone at once, for it to be removed in peace; where it is now comes back."""
    removed = data_folder() / REMOVED
    removed.mkdir(mode=0o700, exist_ok=True)
    return home.rename(removed / f"{home.name}-{secrets.token_hex(4)}")


def kept_folders(state_dir: str) -> list[Path]:
    """The folders of containers and of servers, and the homes that were set aside."""
    places = [*state_roots(state_dir), data_folder() / "servers", data_folder() / REMOVED]
    return [one for place in places for one in _folders(place)]


def is_left(folder: Path, used: Collection[Path]) -> bool:
    """Whether nobody needs one of those folders any more.

    Parameters
    ----------
    folder
        which
    used
        the folders of the containers that there are, and the workspaces that they work on
    """
    if folder.parent == data_folder() / REMOVED:
        return True
    if folder.parent == data_folder() / "servers":
        # The next server on that workspace takes the kernels over by what is in there.
        needed = any(folder.name.startswith(f"{_digest(one)}-") for one in used)
    else:
        needed = folder in used
    return not needed and _is_ownerless(folder)


def _folders(place: Path) -> list[Path]:
    """The folders in another; what a link leads to is not in there."""
    with suppress(FileNotFoundError):
        return sorted(Path(one.path) for one in os.scandir(place) if one.is_dir(follow_symlinks=False))
    return []


def container_folders(environment: str, state_dir: str, *, temporary_home: bool = False) -> Folders:
    """Names for a new container's folders; :func:`make` makes them.

    Parameters
    ----------
    environment
        name of the environment, which keeps its home
    state_dir
        where sockets shall be; empty for below Jupyter's data folder, or for ``/tmp`` where the paths of sockets would
        get too long there
    temporary_home
        whether it gets an empty home instead, which goes with the container
    """
    number = secrets.token_hex(4)  # as NUMBER has it
    choices = state_roots(state_dir)
    for root in choices:
        run = root / number / "run"
        if len(os.fsencode(run / LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT:
            home = root / number / "home" if temporary_home else home_folder(environment)
            return Folders(state=root / number, run=run, home=home)
    raise ContainerError(
        f"The path of the folder for sockets, {choices[-1]}, is too long: with the names of the sockets in it no more "
        f"than {SOCKET_PATH_LIMIT} bytes are possible. Set ContainerManager.state_dir to a shorter one."
    )


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


def make(folders: Folders, masked: tuple[Path, ...], root: Path, *, shared: bool = False) -> None:
    """Make a container's folders, readable by this user only.

    Those that are to be hidden from it are made as well: else the engine would make them, as root.

    Parameters
    ----------
    folders
        what to make
    masked, root
        what is to be hidden where it lies in that folder
    shared
        whether the container runs as another user, who is to write to them: they lie in folders that are closed
    """
    state_root = folders.state.parent
    state_root.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = state_root.stat()
    if owner.st_uid != os.getuid():
        raise ContainerError(
            f"The folder {state_root} belongs to another user. Set ContainerManager.state_dir to a folder of your own."
        )
    state_root.chmod(0o700)
    # What the container before it left there is not to be trusted: it could write to it.
    shutil.rmtree(folders.run, ignore_errors=True)
    folders.run.mkdir(mode=0o700, parents=True)
    folders.home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folders.home.parent.chmod(0o700)
    folders.home.mkdir(mode=0o700, exist_ok=True)
    for folder in (folders.run, folders.home):
        folder.chmod(0o777 if shared else 0o700)
    for folder in masked:
        if root in (folder, *folder.parents):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def discard(folder: Path, state_dir: str) -> None:
    """Remove a container's folder, if it is one: labels say which, and an image may have labels as well.

    Parameters
    ----------
    folder
        what the label says
    state_dir
        as configured
    """
    if folder.parent in state_roots(state_dir) and re.fullmatch(NUMBER, folder.name):
        shutil.rmtree(folder, ignore_errors=True)


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


def hold(folder: Path) -> IO[bytes]:
    """Lock a new folder for as long as this process lives, or what comes back is open."""
    # Locked before it has its name: whoever sweeps takes a lock that nobody holds for one that was left behind.
    new = folder / "lock.new"
    lock = os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.rename(folder / "lock")
    return lock


def inherit(folder: Path) -> IO[bytes] | None:
    """Take the lock of a folder whose process has died.

    Returns
    -------
    file or None
        what holds it as long as it is open; None where a living process does, or there is none
    """
    with suppress(FileNotFoundError):
        lock = (folder / "lock").open("r+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock
    return None


def abandoned(folder: Path) -> bool:
    """Whether no living process holds the lock of a container's folder.

    Where there is no lock nobody can tell: who runs in a container itself, or on another machine with the same engine,
    does not see the folders of the others.
    """
    lock = inherit(folder)
    if lock:
        lock.close()
    return lock is not None


def lock_holder(folder: Path) -> int | None:
    """The process that holds the lock of a container's folder.

    Returns
    -------
    int or None
        its number, or 0 where that cannot be told, as of a process in another container; None where none holds it
    """
    try:
        inode = str((folder / "lock").stat().st_ino)
    except FileNotFoundError:
        return None
    if abandoned(folder):
        return None
    with Path("/proc/locks").open(encoding="ascii") as locks:
        # `1: FLOCK  ADVISORY  WRITE 2467 fe:00:2499611 0 EOF` (proc_locks(5))
        for _, kind, _, _, pid, where, *_ in (line.split() for line in locks if "->" not in line):
            if kind == "FLOCK" and where.rpartition(":")[2] == inode:
                return max(0, int(pid))
    return 0


def abandoned_folders(used: Collection[Path], state_dir: str) -> Iterator[Path]:
    """Containers' folders that no container uses and no living process holds.

    Parameters
    ----------
    used
        folders of the containers that there are
    state_dir
        as configured
    """
    for root in state_roots(state_dir):
        for folder in _folders(root):
            if is_left(folder, used):
                yield folder


def _is_ownerless(folder: Path) -> bool:
    """Whether no living process has a folder, or makes it."""
    with suppress(FileNotFoundError):  # it has just gone
        return abandoned(folder) if (folder / "lock").exists() else _is_unfinished(folder)
    return False


def _is_unfinished(folder: Path) -> bool:
    """Whether a folder is one of a container's whose making was never over: no lock, and nothing of somebody else's."""
    ours = re.fullmatch(NUMBER, folder.name) and {one.name for one in folder.iterdir()} <= UNFINISHED
    return bool(ours) and folder.stat().st_mtime < time.time() - MAKING_SECONDS
