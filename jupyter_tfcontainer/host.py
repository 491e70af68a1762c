"""The host side of a container: whose it is, and which folders it gets."""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
from pathlib import Path

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from .containers import Folders, Person
from .errors import ContainerError

# A Unix socket's path has 108 bytes with its end (unix(7), sun_path).
SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET = "control.sock"


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


def private_folders() -> tuple[Path, ...]:
    """The folders that no notebook may see or change: Jupyter's own, and ours in them."""
    return tuple(Path(folder).resolve() for folder in (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir()))


def state_roots(state_dir: str) -> list[Path]:
    """Where containers' folders may be, the preferred one first."""
    # The second is made readable by this user only, and must be its own.
    short = Path(f"/tmp/tfcontainer-{os.getuid()}")  # noqa: S108
    return [Path(state_dir).absolute()] if state_dir else [data_folder() / "c", short]


def container_folders(environment: str, state_dir: str) -> Folders:
    """Names for a new container's folders; :func:`make` makes them.

    Parameters
    ----------
    environment
        name of the environment, which keeps its home
    state_dir
        where sockets shall be; empty for below Jupyter's data folder, or for ``/tmp`` where the paths of sockets would
        get too long there
    """
    number = secrets.token_hex(4)
    choices = state_roots(state_dir)
    for root in choices:
        run = root / number / "run"
        if len(os.fsencode(run / LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT:
            return Folders(state=root / number, run=run, home=data_folder() / "homes" / environment)
    raise ContainerError(
        f"The path of the folder for sockets, {choices[-1]}, is too long: with the names of the sockets in it no more "
        f"than {SOCKET_PATH_LIMIT} bytes are possible. Set ContainerManager.state_dir to a shorter one."
    )


def make(folders: Folders, masked: tuple[Path, ...], root: Path) -> None:
    """Make a container's folders, readable by this user only.

    Those that are to be hidden from it are made as well: else the engine would make them, as root.
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
    folders.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in masked:
        if root in (folder, *folder.parents):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


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


def abandoned(folder: Path) -> bool:
    """Whether no living process holds the lock of a container's folder."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def sweep(used: set[Path], state_dir: str) -> None:
    """Remove containers' folders that no container uses and no living process holds.

    Parameters
    ----------
    used
        folders of the containers that there are
    state_dir
        as configured
    """
    for root in state_roots(state_dir):
        # A folder without a lock may be one that another process is just making.
        for lock in root.glob("*/lock"):
            if lock.parent not in used and abandoned(lock.parent):
                shutil.rmtree(lock.parent, ignore_errors=True)
