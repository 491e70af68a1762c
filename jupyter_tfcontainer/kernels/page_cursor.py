"""How far each page has got, written down for the server after this one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

FOLDER = "pages"


def names(state: Path) -> set[str]:
    """The names of the pages of which something is written down in a container's folder."""
    return {file.name for file in (state / FOLDER).glob("*")}


def name(session: str) -> str:
    """The name of a page there; its own may be any text."""
    return hashlib.sha256(session.encode()).hexdigest()[:32]


class Seen:
    """The last message that has reached a page, in a file that outlives this process.

    Parameters
    ----------
    state
        the folder of the kernel's container
    session
        the page's id
    """

    def __init__(self, state: Path, session: str) -> None:
        (state / FOLDER).mkdir(mode=0o700, exist_ok=True)
        self._path = state / FOLDER / name(session)
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        #: Id of the message that the server before has noted.
        self.before = self._file.readline().decode().strip() or None

    def note(self, message: str) -> None:
        """Note that a message has got there.

        Parameters
        ----------
        message
            its id
        """
        # One call, which a process is not killed within, and nothing waits for the disk: the machine goes on.
        if not self._file.closed:
            os.pwrite(self._file.fileno(), message.encode() + b"\n", 0)

    def close(self, *, forget: bool) -> None:
        """The page's connection has ended.

        Parameters
        ----------
        forget
            whether the page is gone for good
        """
        self._file.close()
        if forget:
            self._path.unlink(missing_ok=True)
