"""Images: those that there are, and making more."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from ...errors import ImageInvalid
from ...images.build import Packages
from ...images.operations import Operation
from .base import BASE, TFContainerAPIHandler

T = TypeVar("T")
SWITCHES = {"true": True, "false": False}


class ImagesHandler(TFContainerAPIHandler):
    """All images."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each; what each has for itself is counted only if ``sizes`` says so."""
        sizes = self.switch("sizes")
        manager = self.manager
        self.finish(json.dumps(await manager.threads.run(manager.images.list, self.kernel_spec_manager, sizes=sizes)))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Begin what makes an image, or join it if it goes on already."""
        source = self.body(source=str)["source"]
        if source not in SOURCES:
            raise web.HTTPError(400, f"source must be one of {', '.join(SOURCES)}.")
        operation = await self.manager.threads.call(SOURCES[source], self)
        self.set_status(HTTPStatus.ACCEPTED)
        self.set_header("Location", url_path_join(self.base_url, BASE, "operations", operation.id))
        self.finish(operation.model())

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Remove one, or one of its names."""
        reference = self.get_query_argument("reference", "")
        if not reference:
            raise web.HTTPError(400, "reference must name the image.")
        force, manager = self.switch("force"), self.manager
        await manager.threads.run(manager.images.delete, reference, self.kernel_spec_manager, force=force)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()

    def switch(self, name: str) -> bool:
        """What the query says of something that is so or not."""
        text = self.get_query_argument(name, "false")
        if text not in SWITCHES:
            raise web.HTTPError(400, f"{name} must be true or false.")
        return SWITCHES[text]

    def field(self, name: str, kind: type[T], default: T | None = None) -> Any:
        """A field of the body that need not be there."""
        value = self.body().get(name)
        if not isinstance(value, kind | None):
            raise web.HTTPError(400, f"{name} must be of type {kind.__name__}.")
        return default if value is None else value

    def words(self, name: str) -> tuple[str, ...]:
        """A field of the body that is a list of strings, and need not be there."""
        value = self.field(name, list, [])
        if not all(isinstance(one, str) for one in value):
            raise web.HTTPError(400, f"{name} must be a list of strings.")
        return tuple(value)

    def path(self, text: str) -> Path:
        """A path in the workspace.

        Raises
        ------
        ImageInvalid
            when it leads out of it
        """
        root = Path(self.settings["server_root_dir"]).expanduser().resolve()
        path = (root / text).resolve()
        if not path.is_relative_to(root):
            raise ImageInvalid(f"{text} is not in the workspace {root}.")
        return path


def _pull(request: ImagesHandler) -> Operation:
    return request.manager.images.pull(request.body(reference=str)["reference"], request.field("platform", str))


def _prepare(request: ImagesHandler) -> Operation:
    return request.manager.images.prepare(request.body(reference=str)["reference"])


def _build(request: ImagesHandler) -> Operation:
    source: Packages | Path
    if dockerfile := request.field("dockerfile", str):
        source = request.path(dockerfile)
        if source.is_dir():
            source /= "Dockerfile"
    else:
        apt, pip = (request.words(name) for name in ("apt", "pip"))
        source = Packages(base=request.body(base=str)["base"], apt=apt, pip=pip)
    reference, environment = request.field("reference", str), request.field("environment", dict)
    return request.manager.images.build(source, reference, environment, request.kernel_spec_manager)


def _snapshot(request: ImagesHandler) -> Operation:
    container = request.body(container=str)["container"]
    reference, environment = request.field("reference", str), request.field("environment", dict)
    return request.manager.images.snapshot(container, reference, environment, request.kernel_spec_manager)


def _load(request: ImagesHandler) -> Operation:
    return request.manager.images.load(request.path(request.body(path=str)["path"]))


def _save(request: ImagesHandler) -> Operation:
    body = request.body(reference=str, path=str)
    return request.manager.images.save(body["reference"], request.path(body["path"]))


SOURCES: dict[str, Callable[[ImagesHandler], Operation]] = {
    "pull": _pull,
    "prepare": _prepare,
    "build": _build,
    "snapshot": _snapshot,
    "load": _load,
    "save": _save,
}
default_handlers = [(rf"{BASE}/images", ImagesHandler)]
