"""Which images there are, what uses each and what could be freed. Pure: from the engine's answers to models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..engine import labels
from ..engine.reference import references
from .inspection import Contents

Model = dict[str, Any]
NAMELESS = "<none>"
ORIGINS = ("prepared", "built", "snapshot")


@dataclass(frozen=True)
class Uses:
    """What uses images.

    Parameters
    ----------
    environments
        the image of each environment, by the environment's name
    containers
        the engine's descriptions of the containers, by the id of their image
    """

    environments: Mapping[str, str] = field(default_factory=dict)
    containers: Mapping[str, list[Model]] = field(default_factory=dict)


def names(image: Mapping[str, Any]) -> list[str]:
    """The names of an image: its tags, or where it has none, those that its digests make."""
    tags, digests = (
        [one for one in image.get(key) or [] if not one.startswith(NAMELESS)] for key in ("RepoTags", "RepoDigests")
    )
    return tags or digests


def models(
    images: Iterable[Model], uses: Uses, contents: Mapping[str, Contents], unique: Mapping[str, int] | None = None
) -> list[Model]:
    """The JSON models of images, those made last first.

    Parameters
    ----------
    images
        the engine's descriptions of them
    uses
        what uses them
    contents
        what is known of what is inside, by id
    unique
        how many bytes each has for itself, by id, where somebody has counted
    """
    return [
        model(one, uses, contents.get(one["Id"]), (unique or {}).get(one["Id"]))
        for one in sorted(images, key=_created, reverse=True)
    ]


def model(image: Model, uses: Uses, inside: Contents | None, unique: int | None) -> Model:
    """The JSON model of one image."""
    marks = image.get("Labels") or {}
    users = environments(image, uses)
    containers = [one["Id"] for one in uses.containers.get(image["Id"], [])]
    return {
        "id": image["Id"],
        "references": names(image),
        "size": image["Size"],
        "unique_size": unique,
        "created": _created(image).isoformat(),
        "origin": origin(image),
        "parent": marks.get(labels.PARENT),
        "used_by": {"environments": users, "containers": containers},
        "inside": inside.model() if inside else None,
        "freeable": not users and not containers,
    }


def origin(image: Model) -> str:
    """How an image came to be here."""
    marked = (image.get("Labels") or {}).get(labels.ORIGIN)
    if marked in ORIGINS:
        return str(marked)
    # Only what a registry has has a digest there.
    digests = [one for one in image.get("RepoDigests") or [] if not one.startswith(NAMELESS)]
    return "pulled" if digests else "other"


def environments(image: Model, uses: Uses, name: str | None = None) -> list[str]:
    """The environments that run in an image; what was prepared is run for those of its parent.

    Parameters
    ----------
    image
        the engine's description of it
    uses
        what uses images
    name
        the one name to look at, or None for all that it has
    """
    marks = image.get("Labels") or {}
    tags = [name] if name else [*(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])]
    called = {references(one)[1] for one in tags if not one.startswith(NAMELESS)}
    if marks.get(labels.ORIGIN) == "prepared":
        called.add(references(marks.get(labels.PARENT, ""))[1])
    return sorted(
        environment
        for environment, reference in uses.environments.items()
        if references(reference)[1] in called or reference == image["Id"]
    )


def _created(image: Model) -> datetime:
    return datetime.fromtimestamp(image["Created"], timezone.utc)
