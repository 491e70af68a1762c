"""What programs of ours that have died left behind, found by labels and locks.

The next start removes it, and so does the doctor if it is asked to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import locks
from ..engine import Engine, labels
from . import host_folders
from .state_file import recorded


@dataclass(frozen=True)
class Leftover:
    """Something that is of no use to anybody.

    Parameters
    ----------
    name
        what it is, in words
    remove
        removes it
    """

    name: str
    remove: Callable[[], object]


def find(engine: Engine, own: Callable[[], Mapping[Path, str]], state_dir: str) -> Iterator[Leftover]:
    """Look for what crashes have left of this user's.

    Parameters
    ----------
    engine
        where containers may be
    own
        the ids of this process's containers, by their folders
    state_dir
        as configured

    Raises
    ------
    EngineError
        when it does not answer
    """
    used = set()
    for one in engine.list(os.getuid()):
        folder = Path(one["Labels"].get(labels.FOLDER, ""))
        used.add(folder)
        name = f"the container {one['Id'][:12]} ({one['Labels'].get(labels.ENVIRONMENT, '')})"
        # A container that takes another's place has its folder.
        ours = own().get(folder)
        # A kernel may be taken over, and its container ends by itself when nobody does that.
        kernel = one["State"] == "running" and recorded(folder).get("kernel_id")
        if ours not in (None, one["Id"]):
            yield Leftover(name, partial(engine.remove, one["Id"]))
        elif not ours and not kernel and locks.abandoned(folder):
            yield Leftover(name, partial(_remove, engine, one["Id"], folder, state_dir))
    for container in engine.old_trials(os.getuid()):
        yield Leftover(f"the container {container[:12]} (a trial)", partial(engine.remove, container))
    for image in engine.images.old_trials(os.getuid()):
        name = f"the image {image.removeprefix('sha256:')[:12]} (of a trial)"
        yield Leftover(name, partial(engine.images.drop, image))
    for folder in host_folders.abandoned_folders(used, state_dir):
        yield Leftover(f"the folder {folder}", partial(host_folders.discard, folder, state_dir))


def _remove(engine: Engine, container: str, folder: Path, state_dir: str) -> None:
    engine.remove(container)
    host_folders.discard(folder, state_dir)
