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
from .errors import ImageMissing, ImagePullFailed

OnProgress = Callable[[Progress], None]


class Images:
    """The images of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._closed = False
        self._pulls: dict[str, tuple[Future[None], list[OnProgress]]] = {}

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
        if environment.pull_policy == "never" and image is None:
            raise ImageMissing(
                f"The image {environment.image} is not on {self._engine.facts.host}, and {environment.display_name} "
                f"never pulls it (pull_policy). Fetch it there: `docker pull {environment.image}`, or `docker load` "
                f"from a file."
            )
        if environment.pull_policy == "always" or image is None:
            before_pull()
            self._pull(environment.image, on_progress)
            image = self._engine.image(environment.image)
            if image is None:
                raise ImageMissing(
                    f"The image {environment.image} was pulled and removed again before it could be used. Start once "
                    f"more."
                )
        return image

    def close(self) -> None:
        """Cancel what goes on, at its next sign of progress."""
        self._closed = True

    def _pull(self, reference: str, on_progress: OnProgress) -> None:
        with self._lock:
            others = self._pulls.get(reference)
            if others:
                done, listeners = others
                listeners.append(on_progress)
            else:
                done, listeners = self._pulls[reference] = (Future(), [on_progress])
        if others:
            done.result()
            return
        try:
            for progress in self._engine.pull(reference):
                if self._closed:
                    raise ImagePullFailed(f"The pull of {reference} was cancelled: this program ends.")
                for listener in tuple(listeners):
                    listener(progress)
        except BaseException as error:
            self._finish(reference)
            done.set_exception(error)
            raise
        self._finish(reference)
        done.set_result(None)

    def _finish(self, reference: str) -> None:
        with self._lock:
            del self._pulls[reference]
