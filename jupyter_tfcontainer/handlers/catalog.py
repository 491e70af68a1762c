"""The catalog: which TensorFlow releases there are, and which of them run here."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from .. import catalog, compatibility, machine
from .base import BASE, TFContainerAPIHandler


class CatalogHandler(TFContainerAPIHandler):
    """The images of the catalog, each with its verdict."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each image, or of those that a search finds, and with the best of them."""
        search = self.get_query_argument("search", "")
        self.finish(json.dumps(await self.manager.threads.call(_model, search)))


class MachineHandler(TFContainerAPIHandler):
    """Processor, driver and cards of this machine."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with its model."""
        self.finish(asdict(await self.manager.threads.call(machine.read)))


def _model(search: str) -> dict[str, Any]:
    here, known = machine.read(), catalog.load()
    best = compatibility.choose(here, known)
    return {
        "images": [
            {**image.model(), "verdict": compatibility.judge(image, here, known).model()}
            for image in (known.search(search) if search else known.images)
        ],
        "best": best[0].reference() if best else None,
    }


default_handlers = [
    (rf"{BASE}/catalog", CatalogHandler),
    (rf"{BASE}/machine", MachineHandler),
]
