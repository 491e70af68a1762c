"""Images: those that there are, and making more."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from ..operations import Operation
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
        self.finish(json.dumps(await manager.threads.run(manager.images, self.kernel_spec_manager, sizes=sizes)))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Begin what makes an image, or join it if it goes on already."""
        source = self.body(source=str)["source"]
        if source not in self.sources:
            raise web.HTTPError(400, f"source must be one of {', '.join(self.sources)}.")
        operation = await self.manager.threads.call(self.sources[source], self)
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
        await manager.threads.run(manager.delete_image, reference, self.kernel_spec_manager, force=force)
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

    def pull(self) -> Operation:
        """What ``pull`` asks for."""
        return self.manager.pull(self.body(reference=str)["reference"], self.field("platform", str))

    sources: dict[str, Callable[[ImagesHandler], Operation]] = {"pull": pull}  # noqa: RUF012 - it is never changed


default_handlers = [(rf"{BASE}/images", ImagesHandler)]
