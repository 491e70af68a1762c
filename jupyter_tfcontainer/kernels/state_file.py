"""The state file of a container: what the next server learns of it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .. import locks
from ..errors import ContainerError

STATE_NAME = "state.json"


class Record:
    """The state file of a container: which kernel it has, for whoever takes it over.

    It is locked for as long as its owner lives.

    Parameters
    ----------
    folder
        where to keep it
    lock
        that of an owner who has died; None to make one
    """

    def __init__(self, folder: Path, lock: IO[bytes] | None = None) -> None:
        self._path = folder / STATE_NAME
        self._lock = lock or locks.hold(folder)

    def write(self, state: dict[str, Any]) -> None:
        """Replace what it says, so that a reader sees the old or the new and never a half.

        Raises
        ------
        ContainerError
            when the disk does not take it
        """
        new = self._path.with_suffix(".new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(state, file)
            new.replace(self._path)
        except OSError as error:
            raise ContainerError(
                f"What a container has cannot be written down on {os.uname().nodename}: {error.strerror} "
                f"({self._path}). See that there is room on that disk."
            ) from error

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()


def recorded(folder: Path) -> dict[str, Any]:
    """What the state file in a container's folder says, whoever owns it; nothing where it has had no kernel yet."""
    with suppress(FileNotFoundError):
        return dict(json.loads((folder / STATE_NAME).read_text(encoding="utf-8")))
    return {}
