"""Images in files, for machines without a registry: as ``docker save`` writes them and ``docker load`` reads them."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..engine.pulls import Progress
from ..errors import EngineError, ImageArchiveFailed, ImageNotFound
from .image_store import Images
from .operations import Operation, Result

PIECE = 1024 * 1024
# Where archives name their images: Docker's own, and the Open Container Initiative's.
MANIFEST, INDEX = "manifest.json", "index.json"
ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def save(images: Images, reference: str, path: Path) -> Operation:
    """Begin to write an image to a file, which is there when it is whole.

    Parameters
    ----------
    images
        of the engine
    reference
        name of the image
    path
        of the file

    Raises
    ------
    ImageNotFound, ImageArchiveFailed
        when it cannot begin
    """
    host = images.engine.facts.host
    image = images.engine.image(reference)
    if image is None:
        raise ImageNotFound(f"There is no image {reference} on {host}.")
    if path.exists():
        raise ImageArchiveFailed(f"There is a file {path} already. Pick another name, or delete it.")
    if not path.parent.is_dir():
        raise ImageArchiveFailed(f"There is no folder {path.parent} to write {path.name} to.")
    if (free := shutil.disk_usage(path.parent).free) < image["Size"]:
        raise ImageArchiveFailed(
            f"{reference} takes {image['Size'] / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {path.parent}. Free "
            f"some space, or pick another disk."
        )

    def work(operation: Operation) -> Result:
        partial = path.with_name(f".{path.name}-{operation.id}")
        written = 0
        try:
            with partial.open("xb") as file:
                for piece in images.engine.images.save(reference, operation.cuttable):
                    file.write(piece)
                    written += len(piece)
                    # The archive has about the size of the image.
                    total = max(written, image["Size"])
                    operation.advance(Progress(written, total, 0, 0, sized=False, phase="writing"))
            operation.check()
            partial.replace(path)
        except OSError as error:
            raise ImageArchiveFailed(f"{reference} could not be written to {path}: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
        operation.show(Progress(written, written, 0, 0, sized=True, phase="writing"))
        return Result(f"The image {reference} was written to {path}.", image["Id"], reference)

    return images.operations.begin("save", reference, ("save", reference, path), work)


def load(images: Images, path: Path) -> Operation:
    """Begin to read images from a file.

    Parameters
    ----------
    images
        of the engine
    path
        of the file

    Raises
    ------
    ImageArchiveFailed
        when it is not there
    """
    if not path.is_file():
        raise ImageArchiveFailed(f"There is no file {path}.")

    def work(operation: Operation) -> Result:
        size = path.stat().st_size
        before = {name: one["Id"] for one in images.engine.images.list() for name in one["RepoTags"] or []}
        loaded: list[str] = []
        try:
            for event in images.engine.images.load(_pieces(operation, path, size), operation.cuttable):
                text = event.get("stream", "").strip()
                operation.say(text)
                loaded += [text.partition(": ")[2]] if text.startswith("Loaded image") else []
                if "error" in event:
                    raise ImageArchiveFailed(event["error"])
        except (OSError, ImageArchiveFailed, EngineError) as error:
            raise ImageArchiveFailed(
                f"{path} could not be loaded on {images.engine.facts.host}. See that it is an archive as `docker save` "
                f"writes it, and whole. (The engine says: {str(error).strip()})"
            ) from error
        operation.check()
        if not loaded:
            raise ImageArchiveFailed(f"There was no image in {path}.")
        found = images.engine.image(loaded[0])
        for name in loaded:
            there = images.engine.image(name)
            if there and before.get(name, there["Id"]) != there["Id"]:
                images.engine.images.drop(before[name])
        if found:
            images.look(found["Id"])
        message = f"{', '.join(loaded)} came from {path} to {images.engine.facts.host}."
        return Result(message, found["Id"] if found else None, loaded[0])

    return images.operations.begin("load", path.name, ("load", path), work)


def names(path: Path) -> list[str]:
    """The names of the images in an archive.

    Raises
    ------
    ImageArchiveFailed
        when it is none
    """
    found: list[str] = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name in (MANIFEST, INDEX) and (file := archive.extractfile(member)):
                    found += _named(member.name, json.load(file))
    except (OSError, tarfile.TarError, ValueError, EOFError) as error:
        raise ImageArchiveFailed(f"{path} is no archive of images: {error}") from error
    return sorted(set(found))


def _named(file: str, content: Any) -> list[str]:
    with suppress(TypeError, AttributeError, KeyError):
        if file == MANIFEST:
            return [name for one in content for name in one.get("RepoTags") or []]
        notes = [one.get("annotations") or {} for one in content["manifests"]]
        return [one[name] for one in notes for name in ANNOTATIONS if ":" in one.get(name, "")]
    return []


def _pieces(operation: Operation, path: Path, size: int) -> Iterator[bytes]:
    read = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
            read += len(piece)
            operation.advance(Progress(read, size, 0, 0, sized=True, phase="reading"))
