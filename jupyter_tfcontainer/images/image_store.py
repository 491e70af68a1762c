"""The images of one engine: having one for a start, those that there are, and the operations that make them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any

from ..engine import Engine
from ..engine.exec import STDOUT, converse
from ..engine.pulls import Progress
from ..engine.reference import references
from ..environments.environment import Environment
from ..errors import ImageError, ImageInUse, ImageMissing, ImageNotFound, ImagePullFailed, TFContainerError
from ..paths import data_folder
from . import models
from .inspection import INTERPRETERS, Contents, ContentsCache
from .models import Uses
from .operations import OnProgress, Operation, Operations, Result

LOOK = files(__package__).joinpath("inside/inspect_image.py").read_text(encoding="utf-8")


class Images:
    """The images of one engine.

    Parameters
    ----------
    engine
        the engine
    operations
        where what takes long goes on
    """

    def __init__(self, engine: Engine, operations: Operations) -> None:
        self.engine = engine
        self.operations = operations
        self.contents = ContentsCache(data_folder() / "images.json")

    # For a start.

    def ensure(
        self, environment: Environment, before_pull: Callable[[], None], on_progress: OnProgress
    ) -> dict[str, Any]:
        """Have an environment's image, and return the engine's description of it.

        Parameters
        ----------
        environment
            whose image, and whose pull policy
        before_pull
            called before anything is downloaded: what it raises ends the matter
        on_progress
            called as a pull gets on

        Raises
        ------
        ImageMissing, ImagePullFailed, OperationCancelled
            with what to do
        """
        image = self.engine.image(environment.image)
        other = image if image and not _is_for(environment.platform, image) else None
        if other:
            image = None
        if environment.pull_policy == "never" and image is None:
            if other:
                raise ImageMissing(_only_for(environment, other))
            raise ImageMissing(
                f"The image {environment.image} is not on {self.engine.facts.host}, and {environment.display_name} "
                f"never pulls it (pull_policy). Fetch it there: `docker pull {environment.image}`, or `docker load` "
                f"from a file."
            )
        if environment.pull_policy == "always" or image is None:
            before_pull()
            try:
                self.pull(environment.image, environment.platform, look=False).wait(on_progress)
            except ImageError as error:
                if other:
                    raise type(error)(f"{_only_for(environment, other)} {error}") from error
                raise
            image = self.engine.image(environment.image)
            if image is None:
                raise ImageMissing(
                    f"The image {environment.image} was pulled and removed again before it could be used. Start once "
                    f"more."
                )
            if not _is_for(environment.platform, image):
                raise ImageMissing(_only_for(environment, image))
        return image

    def have(self, reference: str, platform: str | None, operation: Operation) -> dict[str, Any]:
        """Have an image that another operation needs, and return the engine's description of it.

        Parameters
        ----------
        reference, platform
            which image
        operation
            what needs it: it tells how a pull gets on, and its cancel ends that
        """
        image = self.engine.image(reference)
        if image is None or not _is_for(platform, image):
            pull = self.pull(reference, platform, look=False)
            operation.step(pull.message)
            with operation.cuttable(lambda: pull.cancel("whoever waited for it")):
                pull.wait(operation.show)
            operation.check()
            image = self.engine.image(reference)
        if image is None:
            raise ImageMissing(f"The image {reference} was pulled and removed again. Try once more.")
        return image

    # Those that there are.

    def list(self, environments: dict[str, str], *, sizes: bool = False) -> list[dict[str, Any]]:
        """The models of all images.

        Parameters
        ----------
        environments
            the image of each environment, by the environment's name
        sizes
            whether to count what each has for itself, which takes the engine a while
        """
        uses = Uses(environments, self.engine.images.containers())
        unique = self.engine.images.unique_sizes() if sizes else None
        return models.models(self.engine.images.list(), uses, self.contents.all(), unique)

    def delete(self, reference: str, environments: dict[str, str], *, force: bool = False) -> None:
        """Remove an image, or one of its names.

        Parameters
        ----------
        reference
            the name
        environments
            the image of each environment, by the environment's name
        force
            whether to remove it though something would miss it

        Raises
        ------
        ImageNotFound, ImageInUse
            with what to do
        """
        host = self.engine.facts.host
        image = self.engine.image(reference)
        if image is None:
            raise ImageNotFound(f"There is no image {reference} on {host}.")
        described = {**image, "Labels": image["Config"].get("Labels")}
        # One of several names can go without the image.
        whole = len(models.names(image)) < 2 or reference.startswith("sha256:")  # noqa: PLR2004
        users = models.environments(
            described, Uses(environments), None if reference.startswith("sha256:") else reference
        )
        containers = self.engine.images.containers().get(image["Id"], []) if whole else []
        running = [one["Id"][:12] for one in containers if one["State"] == "running"]
        if running:
            raise ImageInUse(
                f"The image {reference} on {host} cannot be removed: a container runs in it ({', '.join(running)}). "
                f"Shut its kernel down first."
            )
        if not force and (users or containers):
            what = [f"the environment {name}" for name in users]
            what += [f"the container {one['Id'][:12]}" for one in containers]
            raise ImageInUse(
                f"The image {reference} on {host} is used by {', '.join(what)}. Delete what uses it first, or remove "
                f"it by force: an environment pulls it again at its next start, if it is in a registry."
            )
        self.engine.images.remove(reference, force=force)

    # Operations.

    def pull(self, reference: str, platform: str | None = None, *, look: bool = True) -> Operation:
        """Begin to pull an image, or join who does.

        Parameters
        ----------
        reference
            what to pull
        platform
            for which platform, or None for the engine's own
        look
            whether to look inside afterwards
        """

        def work(operation: Operation) -> Result:
            free = _free_bytes(self.engine.facts.data_root)
            before = self.engine.image(reference)
            for progress in self.engine.images.pull(reference, platform, operation.cuttable):
                operation.advance(progress)
                self._check_space(reference, progress, free)
            operation.check()  # a connection that was cut may end like any other
            image = self.engine.image(reference)
            if image is None:
                raise ImagePullFailed(f"The image {reference} was pulled and removed again. Pull it once more.")
            if look:
                self.look(image["Id"])
            same = before is not None and before["Id"] == image["Id"]
            how = "is up to date" if same else "was pulled"
            return Result(f"The image {reference} {how} on {self.engine.facts.host}.", image["Id"], reference)

        return self.operations.begin("pull", reference, ("pull", references(reference)[1], platform), work)

    def look(self, image: str) -> Contents | None:
        """Find out what is inside an image, once; None where that cannot be said.

        Parameters
        ----------
        image
            its id
        """
        known = self.contents.get(image)
        if known is None:
            with suppress(TFContainerError, ValueError):  # no shell in it, made for another processor, or talkative
                found = self.engine.run_in(image, INTERPRETERS, LOOK)
                known = _best([Contents.from_json(json.loads(line)) for line in found.splitlines()])
                self.contents.put(image, known)
        return known

    def learn(self, image: str, container: str, python: str) -> None:
        """Find out what is inside an image, from a container that runs there anyway.

        Parameters
        ----------
        image, container
            their ids
        python
            the interpreter of its kernel
        """
        if self.contents.get(image) is None:
            # The container may end meanwhile: then the next one tells.
            with suppress(TFContainerError, ValueError):
                process = self.engine.exec(container, [python, "-E", "-s", "-c", LOOK])
                printed = b"".join(piece for stream, piece in converse(process, b"") if stream == STDOUT)
                self.contents.put(image, Contents.from_json(json.loads(printed)))

    def _check_space(self, reference: str, progress: Progress, free: int | None) -> None:
        """What does not fit is not fetched: a full disk is trouble for all that runs on that machine.

        It is more than what is fetched, since that is compressed.
        """
        if free is not None and progress.total > free:
            raise ImagePullFailed(
                f"The image {reference} does not fit on the disk of {self.engine.facts.host}: at least "
                f"{progress.total / 1e9:.1f} GB are to be fetched for it, and {free / 1e9:.1f} GB are free in "
                f"{self.engine.facts.data_root}. Free some space (`docker system df` shows what takes it)."
            )


def _best(found: list[Contents]) -> Contents:
    """The interpreter that matters: the one that can be a kernel, else the one with TensorFlow, else the first."""
    nothing = Contents(None, None, None)
    return next(
        (one for one in found if one.ipykernel),
        next((one for one in found if one.tensorflow), found[0] if found else nothing),
    )


def _free_bytes(folder: str) -> int | None:
    """How much room there is where the engine keeps images, or None where that cannot be seen from here."""
    try:
        there = os.statvfs(folder)
    except OSError:
        return None
    return there.f_bavail * there.f_frsize


def _only_for(environment: Environment, image: dict[str, Any]) -> str:
    return (
        f"The environment {environment.name} says platform: {environment.platform!r}, and the image "
        f"{environment.image} is there for {image['Os']}/{image['Architecture']} only."
    )


def _is_for(platform: str | None, image: dict[str, Any]) -> bool:
    """Whether an image is for a platform; one without a variant fits whatever variant is asked for."""
    asked = (platform or "").split("/")
    has = (image.get("Os"), image.get("Architecture"), image.get("Variant"))
    return platform is None or all(not there or one == there for one, there in zip(asked, has, strict=False))
