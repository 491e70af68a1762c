"""Names of images: which there can be, and what they stand for."""

from __future__ import annotations

import re

from docker.utils import parse_repository_tag

from ..errors import ImageInvalid

# The registry and the folder in it that Docker means where a reference names none.
REGISTRY = "docker.io"
LIBRARY = "library"


# As Docker has it (distribution/reference), with a digest in the tag's place.
REFERENCE = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def split(reference: str) -> tuple[str, str]:
    """An image reference as repository and tag (or digest).

    Where none is given it is ``latest``: without a tag the engine would pull them all.
    """
    repository, tag = parse_repository_tag(reference)
    return repository, tag or "latest"


def check_reference(reference: str) -> str:
    """See that something can be the name of an image.

    Raises
    ------
    ImageInvalid
        when it cannot
    """
    if not REFERENCE.fullmatch(reference):
        raise ImageInvalid(
            f"{reference!r} cannot be the name of an image. It must be like tensorflow/tensorflow:1.2.1: small "
            f"letters, digits, and between them . _ - and /; then, after a colon, a tag."
        )
    return reference


def references(image: str) -> tuple[str, str]:
    """The names that an image goes by: the short one that Docker shows, and the full one."""
    name = image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"
    first, slash, rest = name.partition("/")
    if not slash or not _is_registry(first):
        first, rest = REGISTRY, name
    if first not in (REGISTRY, f"index.{REGISTRY}"):
        return name, name
    rest = rest.removeprefix(f"{LIBRARY}/")
    full = f"{REGISTRY}/{rest if '/' in rest else f'{LIBRARY}/{rest}'}"
    # Without the registry, some would be another's.
    return full if "/" in rest and _is_registry(rest.partition("/")[0]) else rest, full


def _is_registry(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost"
