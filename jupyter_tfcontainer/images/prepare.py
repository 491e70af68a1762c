"""Images that have Python and no ipykernel: a derived one, with the newest that its Python takes, is made once."""

from __future__ import annotations

import json
import re
from typing import Any

from ..engine import labels
from ..engine.reference import references
from ..environments.environment import Environment
from ..errors import IPykernelMissing
from . import build_env
from .build_container import workshop
from .build_env import fetch_pip
from .image_store import LOOK, Images
from .inspection import Contents
from .operations import Operation, Result

REPOSITORY = "tfcontainer/prepared"
# Docker's limit of a tag's length.
TAG_LIMIT = 128


def name(reference: str, python: str | None) -> str:
    """The name of the image that is prepared from another, for one of its interpreters or the one that matters."""
    words = [references(reference)[0], *([python] if python else [])]
    slug = re.sub(r"[^\w.-]+", "-", "-".join(words), flags=re.ASCII)
    return f"{REPOSITORY}:{slug[-TAG_LIMIT:].lstrip('.-')}"


def prepared(images: Images, environment: Environment, image: dict[str, Any]) -> dict[str, Any] | None:
    """The image that was prepared for an environment, if it is from its image as that is now.

    Parameters
    ----------
    images
        of the engine
    environment
        what is to run
    image
        the engine's description of its image
    """
    inside = images.contents.get(image["Id"])
    if inside and inside.ipykernel and not environment.python:
        return None
    return _current(images, name(environment.image, environment.python), image)


def prepare(images: Images, reference: str, platform: str | None = None, python: str | None = None) -> Operation:
    """Begin to prepare an image, or join who does.

    Parameters
    ----------
    images
        of the engine
    reference
        name of the image; it is pulled if it is not there
    platform
        for which platform, or None for the engine's own
    python
        the interpreter that is to be a kernel, or None for the one that matters
    """
    new = name(reference, python)

    def work(operation: Operation) -> Result:
        image = images.have(reference, platform, operation)
        if there := _current(images, new, image):
            return Result(f"The image {reference} is prepared already, as {new}.", there["Id"], new)
        operation.step(f"Looking into {reference}.")
        inside = _interpreter(images, image["Id"], reference, python)
        if inside.ipykernel:
            return Result(f"The image {reference} has ipykernel already.", image["Id"], reference)
        operation.step(f"Installing ipykernel for Python {inside.python} into {reference}.")
        around = build_env.find(images.engine.images.proxies())
        pip = fetch_pip(str(inside.python), operation.cuttable)
        operation.check()
        with workshop(images.engine, operation, image, around) as shop:
            installed = shop.install(str(inside.executable), ["ipykernel"], pip)
            operation.step(f"Writing {new}.")
            marks = {labels.ORIGIN: "prepared", labels.PARENT: reference, labels.PARENT_ID: image["Id"]}
            made = shop.commit(new, marks)
        version = installed.get("ipykernel")
        images.contents.put(made, Contents(inside.python, version, inside.tensorflow, inside.executable))
        return Result(f"The image {reference} was prepared with ipykernel {version}, as {new}.", made, new)

    return images.operations.begin("prepare", reference, ("prepare", new, platform), work)


def _current(images: Images, new: str, image: dict[str, Any]) -> dict[str, Any] | None:
    """The prepared image of that name, if it stands on that image: a parent that was pulled anew is another."""
    there = images.engine.image(new)
    marks = (there or {}).get("Config", {}).get("Labels") or {}
    return there if marks.get(labels.PARENT_ID) == image["Id"] else None


def _interpreter(images: Images, image: str, reference: str, python: str | None) -> Contents:
    found: Contents | None
    if python:
        lines = images.engine.run_in(image, [python], LOOK).splitlines()
        found = Contents.from_json(json.loads(lines[0])) if lines else None
    else:
        found = images.look(image)
    if found is None or not found.python:
        raise IPykernelMissing(
            f"The image {reference} on {images.engine.facts.host} cannot be prepared for Jupyter: it has no "
            f"{python or 'Python'}. Pick another image."
        )
    return found
