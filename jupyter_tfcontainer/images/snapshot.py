"""Snapshots: what was installed in a running container becomes an image.

What has changed in it is copied onto its image as that was. So the new one has the settings of that, and nothing of how
we ran it: neither variables nor mounts, accounts or sockets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from ..engine import labels
from ..engine.exec import STDOUT, converse
from ..engine.pulls import Progress
from ..errors import ImageBuildFailed
from .build_container import workshop
from .build_env import Surroundings
from .image_store import Images
from .inspection import INTERPRETERS
from .operations import Operation, Result

PACK = files(__package__).joinpath("inside/pack_changes.py").read_text(encoding="utf-8")
# What is in memory or thrown away, and what the engine or we write for each container.
LEFT_OUT = (
    *("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp", "/root/.cache"),  # noqa: S108 - in a container
    *("/etc/group", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/passwd", "/etc/resolv.conf"),
)
# The engine's numbers for what became of a path.
ADDED, DELETED = 1, 2
# Arguments of one command.
MANY = 500


def snapshot(
    images: Images,
    container: Mapping[str, Any],
    parent: str,
    reference: str,
    finish: Callable[[str], str | None],
) -> Operation:
    """Begin to make an image of a running container.

    Parameters
    ----------
    images
        of the engine
    container
        the engine's description of the container
    parent
        name of its image
    reference
        the new image's name
    finish
        called with that when it is there; the name of an environment that it made comes back
    """

    def work(operation: Operation) -> Result:
        engine = images.engine
        image = engine.image(container["Image"])
        if image is None:
            raise ImageBuildFailed(f"{operation.noun} failed: the image of the container is not there any more.")
        inside = images.look(image["Id"])
        operation.step(f"Looking for what has changed in the container of {parent}.")
        changed, deleted = chosen(engine.images.changes(container["Id"], operation.cuttable), container["Mounts"])
        operation.check()
        target = f"/opt/tfcontainer/{datetime.now(timezone.utc):%Y%m%d%H%M%S%f}"
        with workshop(engine, operation, image, Surroundings({})) as shop:
            operation.step(f"Copying {len(changed)} files and the person's own packages.")
            python = (inside and inside.executable) or INTERPRETERS[0]
            wanted = json.dumps({"paths": changed, "target": target}).encode()
            process = engine.exec(container["Id"], [python, "-E", "-s", "-c", PACK], user="0:0", workdir="/")
            engine.images.fill(shop.container, _stdout(operation, converse(process, wanted)), operation.cuttable)
            if code := process.exit_code():
                raise ImageBuildFailed(
                    f"{operation.noun} failed on {engine.facts.host}: what has changed could not be read (exit code "
                    f"{code}). " + " ".join(operation.model()["log"][-3:])
                )
            for first in range(0, len(deleted), MANY):
                shop.run(["rm", "-rf", "--", *deleted[first : first + MANY]])
            operation.step(f"Writing {reference}.")
            marks = {labels.ORIGIN: "snapshot", labels.PARENT: parent, labels.PARENT_ID: image["Id"]}
            made = shop.commit(reference, marks, path=f"{target}/bin")
        images.look(made)
        environment = finish(reference)
        message = f"The container became the image {reference}"
        message += f", and the environment {environment} was made for it." if environment else "."
        return Result(message, made, reference, environment)

    return images.operations.begin("snapshot", reference, ("make", reference, container["Id"]), work)


def chosen(changes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The paths that a snapshot takes, and those that it takes away.

    Parameters
    ----------
    changes
        each with its path and kind, as the engine has them
    mounts
        of the container, as the engine has them: what is in them is not in the container
    """
    places = [PurePosixPath(one["Destination"]) for one in mounts]
    changed: list[str] = []
    deleted: list[str] = []
    for one in changes:
        path = PurePosixPath(one["Path"])
        below = any(path.is_relative_to(place) for place in (*places, *map(PurePosixPath, LEFT_OUT)))
        # Folders on the way to a mount that the engine made for it.
        way = one["Kind"] == ADDED and any(place.is_relative_to(path) for place in places)
        if not below and not way:
            (deleted if one["Kind"] == DELETED else changed).append(one["Path"])
    return changed, deleted


def _stdout(operation: Operation, pieces: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    copied = 0
    for stream, piece in pieces:
        if stream == STDOUT:
            copied += len(piece)
            operation.advance(Progress(copied, 0, 0, 0, sized=False, phase="reading"))
            yield piece
        else:
            operation.say(piece.decode(errors="replace"))
