"""Folder locks: a folder whose lock is held belongs to a living process."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO


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
