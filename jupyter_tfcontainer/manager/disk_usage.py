"""What of ours takes room on this machine's disk, what uses it, and giving that room back.

Ours are the homes of the environments, the folders of containers and servers, and the images that were made here.
"""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from .. import paths
from ..engine.provider import EngineProvider
from ..errors import EngineError, HomeInUse, HomeNotFound, HomeNotRemoved
from ..images.models import ORIGINS
from ..kernels import host_folders
from .admission import Admission
from .images import ImageManager
from .settings import Settings
from .standby_pool import Standbys
from .sweeper import Sweeper

Model = dict[str, Any]
# Of a block, as stat(2) counts them.
BLOCK = 512


@dataclass(frozen=True)
class Size:
    """How much room folders take.

    Parameters
    ----------
    bytes
        on the disk
    complete
        whether all of it could be looked at; what belongs to other users may be closed
    """

    bytes: int
    complete: bool = True

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.complete and other.complete)


def measure(folder: Path) -> Size:
    """How much room a folder takes: what has several names counts once, and no link is followed.

    Programs may write to it meanwhile: what has just gone takes none.
    """
    total, complete = 0, True
    seen: set[tuple[int, int]] = set()
    left = [str(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        key = status.st_dev, status.st_ino
                        total += 0 if key in seen else status.st_blocks * BLOCK
                        if status.st_nlink > 1:
                            seen.add(key)
                        if entry.is_dir(follow_symlinks=False):
                            left.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            complete = False
    return Size(total, complete)


class Disk:
    """The room that is taken, and who is asked to give it back.

    Parameters
    ----------
    settings
        say where containers' folders are
    provider
        has the engine
    admission
        knows who uses homes and folders
    images
        which there are
    standbys
        those that nobody has asked for, which keep no home
    sweeper
        removes what is left of containers
    """

    def __init__(
        self,
        settings: Settings,
        provider: EngineProvider,
        admission: Admission,
        images: ImageManager,
        standbys: Standbys,
        sweeper: Sweeper,
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._admission = admission
        self._images = images
        self._standbys = standbys
        self._sweeper = sweeper

    def model(self, specs: KernelSpecManager) -> Model:
        """The JSON model of all of it. It reads every folder, and has the engine count: that may take seconds.

        Parameters
        ----------
        specs
            the kernelspecs that there are
        """
        try:
            users = self._admission.home_users()
            images = [one for one in self._images.list(specs, sizes=True) if one["origin"] in ORIGINS]
            used = self._admission.used_folders()
        except EngineError:
            users, images, used = None, None, None
        there = specs.find_kernel_specs()
        kept, left = Size(0), Size(0)
        for folder in paths.kept_folders(self._settings.state_dir):
            size = measure(folder)
            if used is not None and host_folders.is_left(folder, used):
                left += size
            else:
                kept += size
        return {
            "host": platform.node(),
            "disks": self._disks(engine=used is not None),
            "homes": sorted(
                (self._home(folder, there, users) for folder in paths.homes()), key=lambda one: -one["size"]
            ),
            "folders": {"size": kept.bytes, "left_behind": left.bytes},
            "images": images,
        }

    def _disks(self, *, engine: bool) -> list[Model]:
        """The disks that all of that is on: the one with Jupyter's data, and the engine's if that is another."""
        folders = [paths.data_folder(), *([Path(self._provider.engine.facts.data_root)] if engine else [])]
        found: dict[int, Model] = {}
        for folder in folders:
            with suppress(OSError):  # it is closed to this person, or not of this machine
                there = next(one for one in (folder, *folder.parents) if one.exists())
                room = shutil.disk_usage(there)
                found.setdefault(there.stat().st_dev, {"folder": str(folder), "free": room.free, "total": room.total})
        return list(found.values())

    def _home(self, folder: Path, there: dict[str, str], users: dict[Path, list[Model]] | None) -> Model:
        size = measure(folder)
        return {
            "environment": folder.name,
            "path": str(folder),
            "size": size.bytes,
            "complete": size.complete,
            "orphan": folder.name not in there,
            "containers": None if users is None else [one["Id"] for one in users.get(folder, [])],
        }

    def reset_home(self, name: str) -> None:
        """Remove what is in the home of an environment, of one that is no more as well.

        Parameters
        ----------
        name
            of the environment

        Raises
        ------
        HomeNotFound, HomeInUse, HomeNotRemoved, EngineError
            with what to do
        """
        # Found by looking: a name may lead elsewhere.
        home = next((one for one in paths.homes() if one.name == name), None)
        if home is None:
            raise HomeNotFound(
                f"There is no home of an environment {name} on {platform.node()}: nothing has been kept in it yet."
            )
        # Nobody has asked for what stands by.
        self._standbys.forget(name)
        with self._admission.home_unused(name, home) as users:
            if users:
                raise HomeInUse(
                    f"The home of {name} on {platform.node()} cannot be reset: it is in use by "
                    f"{', '.join(users)}. Shut down the kernels of {name} first."
                )
            gone = paths.set_aside(home)
        self._remove(gone, f"The home of {name} on {platform.node()} has been reset, yet")

    def clear(self) -> None:
        """Remove what containers and servers have left behind that ended without a chance to do so.

        Raises
        ------
        HomeNotRemoved, EngineError
            with what to do
        """
        self._sweeper.sweep()
        used = self._admission.used_folders()
        for folder in paths.kept_folders(self._settings.state_dir):
            if host_folders.is_left(folder, used):
                self._remove(folder, f"On {platform.node()}")

    def _remove(self, folder: Path, what: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise HomeNotRemoved(
                f"{what} {folder} could not be removed: files of other users are in it, as of a kernel that ran as "
                f"root. Remove it as root: `sudo rm -r {folder}`."
            )
