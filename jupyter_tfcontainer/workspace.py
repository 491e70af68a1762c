"""The workspace: which host folders a kernel sees, and where. Pure: no path is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

# TensorFlow's images keep their notebooks there.
NOTEBOOKS = PurePosixPath("/notebooks")
# What stands in the place of a socket that is hidden: each machine has it.
NOTHING = Path("/dev/null")
# Where everything of ours is inside the container.
OURS = PurePosixPath("/tfcontainer")
HOME = OURS / "home"
RUN = OURS / "run"
PROGRAMS = OURS / "bin"
# Folders of the image: a workspace that is one of them, holds one of them or lies in one of the first kind is not
# mounted at its host path, since it would hide what the image needs.
SYSTEM = tuple(
    PurePosixPath(path)
    for path in (
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/proc",
        "/run",
        "/sbin",
        "/sys",
        "/usr",
        "/var",
    )
)
# As those, but a folder within them hides nothing.
SHARED = tuple(PurePosixPath(path) for path in ("/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp"))  # noqa: S108 - a mount's target

Mount = dict[str, Any]


@dataclass(frozen=True)
class Workspace:
    """The host folder that is mounted into the container.

    Parameters
    ----------
    root
        the folder, absolute and without symbolic links
    masked
        folders that no notebook may see or change, wherever they lie in the workspace: Jupyter's own and ours
    sockets
        those of container engines, which are hidden in the same way
    """

    root: Path
    masked: tuple[Path, ...] = ()
    sockets: tuple[Path, ...] = ()

    def inside(self, path: Path) -> PurePosixPath | None:
        """Where a host path is in the container, or None when it is not in the workspace."""
        try:
            return NOTEBOOKS / path.relative_to(self.root)
        except ValueError:
            return None

    @property
    def places(self) -> tuple[PurePosixPath, ...]:
        """Where the workspace is mounted.

        By the image's convention, and at its host path, so that absolute paths mean the same on both sides.
        """
        host = PurePosixPath(self.root)
        hidden = (
            any(one == host or host in one.parents or one in host.parents for one in (*SYSTEM, NOTEBOOKS, OURS))
            or host in SHARED
        )
        return (NOTEBOOKS,) if hidden else (NOTEBOOKS, host)

    @property
    def mounts(self) -> list[Mount]:
        """The mounts, in the engine's words.

        Always ``bind``: with a volume the engine would create a missing folder, as root.
        """
        mounts: list[Mount] = [bind(self.root, place) for place in self.places]
        return mounts + [mask for place in self.places for mask in masks(self.root, place, self.masked, self.sockets)]


def masks(root: Path, place: PurePosixPath, masked: tuple[Path, ...], sockets: tuple[Path, ...] = ()) -> list[Mount]:
    """The mounts that hide folders and sockets where they lie in another that is mounted.

    Parameters
    ----------
    root
        the host folder that is mounted
    place
        where it is in the container
    masked
        the host folders to hide
    sockets
        the host's sockets to hide
    """
    folders = [
        {
            "Type": "tmpfs",
            "Target": str(place / folder.relative_to(root)),
            "ReadOnly": True,
            "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o555},
        }
        # The engine refuses two mounts at one place, and one folder may have several roles.
        for folder in dict.fromkeys(masked)
        if root in (folder, *folder.parents)
    ]
    return folders + [
        bind(NOTHING, place / one.relative_to(root), read_only=True)
        for one in dict.fromkeys(sockets)
        if root in one.parents and not any(folder in one.parents for folder in masked)
    ]


def bind(source: Path, target: PurePosixPath, *, read_only: bool = False) -> Mount:
    """A bind mount, in the engine's words."""
    mount: Mount = {"Type": "bind", "Source": str(source), "Target": str(target)}
    return {**mount, "ReadOnly": True} if read_only else mount
