"""Who a container runs for, and its folders on the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .. import workspace


@dataclass(frozen=True)
class Person:
    """Whoever runs the Jupyter server: the kernel is the same user.

    Parameters
    ----------
    uid, gid
        user and group id
    groups
        supplementary group ids
    name
        login name
    timezone
        name of the zone, such as ``Europe/Berlin``; empty when it is not known
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    timezone: str = ""


@dataclass(frozen=True)
class Folders:
    """Host folders of one container.

    Parameters
    ----------
    state
        record and lock; the container does not see it
    run
        sockets, within ``state``; mounted
    home
        ``$HOME`` inside: one for each environment, it outlives the container; or a temporary one within ``state``
    """

    state: Path
    run: Path
    home: Path

    @property
    def temporary_home(self) -> bool:
        """Whether the home goes with the container."""
        return self.home.is_relative_to(self.state)

    @property
    def programs(self) -> Path:
        """What runs inside; mounted, and not to be written to from there."""
        return self.state / "bin"

    @property
    def run_inside(self) -> PurePosixPath:
        """Where ``run`` is in the container.

        Unlike another's, so that the machine's table of sockets tells whose each is.
        """
        return workspace.RUN / self.state.name
