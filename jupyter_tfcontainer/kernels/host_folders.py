"""The folders of containers on this machine: making them, and which are left behind."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import ContainerError
from ..locks import abandoned
from ..paths import REMOVED, data_folder, digest, folders_in, home_folder, state_roots
from .types import Folders

# A Unix socket's path has 108 bytes with its end (unix(7), sun_path).
SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET = "control.sock"
# Names of containers' folders, what is in one before its lock, and seconds that making it takes at most.
NUMBER = r"[0-9a-f]{8}"
UNFINISHED, MAKING_SECONDS = {"run", "bin", "lock.new"}, 600


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
        needed = any(folder.name.startswith(f"{digest(one)}-") for one in used)
    else:
        needed = folder in used
    return not needed and _is_ownerless(folder)


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
        for folder in folders_in(root):
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
