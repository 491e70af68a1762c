"""Operations on images.

For now, having one before a container is created from it. One operation per image at a time, shared by all who wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from .engine import Engine
from .engine.pulls import Progress
from .environments import Environment
from .errors import ImageError, ImageMissing, ImagePullFailed

OnProgress = Callable[[Progress], None]


class Images:
    """The images of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._closed = False
        self._pulls: dict[tuple[str, str | None], tuple[Future[None], list[OnProgress]]] = {}

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
        ImageMissing, ImagePullFailed
            with what to do
        """
        image = self._engine.image(environment.image)
        other = image if image and not _is_for(environment.platform, image) else None
        if other:
            image = None
        if environment.pull_policy == "never" and image is None:
            if other:
                raise ImageMissing(_only_for(environment, other))
            raise ImageMissing(
                f"The image {environment.image} is not on {self._engine.facts.host}, and {environment.display_name} "
                f"never pulls it (pull_policy). Fetch it there: `docker pull {environment.image}`, or `docker load` "
                f"from a file."
            )
        if environment.pull_policy == "always" or image is None:
            before_pull()
            try:
                self._pull(environment.image, environment.platform, on_progress)
            except ImageError as error:
                if other:
                    raise type(error)(f"{_only_for(environment, other)} {error}") from error
                raise
            image = self._engine.image(environment.image)
            if image is None:
                raise ImageMissing(
                    f"The image {environment.image} was pulled and removed again before it could be used. Start once "
                    f"more."
                )
            if not _is_for(environment.platform, image):
                raise ImageMissing(_only_for(environment, image))
        return image

    def close(self) -> None:
        """Cancel what goes on, at its next sign of progress."""
        self._closed = True

    def _pull(self, reference: str, platform: str | None, on_progress: OnProgress) -> None:
        key = (reference, platform)
        with self._lock:
            others = self._pulls.get(key)
            if others:
                done, listeners = others
                listeners.append(on_progress)
            else:
                done, listeners = self._pulls[key] = (Future(), [on_progress])
        if others:
            done.result()
            return
        try:
            for progress in self._engine.pull(reference, platform):
                if self._closed:
                    raise ImagePullFailed(f"The pull of {reference} was cancelled: this program ends.")
                for listener in tuple(listeners):
                    listener(progress)
        except BaseException as error:
            self._finish(key)
            done.set_exception(error)
            raise
        self._finish(key)
        done.set_result(None)

    def _finish(self, key: tuple[str, str | None]) -> None:
        with self._lock:
            del self._pulls[key]


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
