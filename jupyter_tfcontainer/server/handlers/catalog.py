"""The catalog: which TensorFlow releases there are, and which of them run here."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from ...compatibility import catalog, hardware, judge
from ...compatibility.records import Device
from .base import BASE, TFContainerAPIHandler

DEVICES: tuple[Device, ...] = ("cpu", "gpu")


class CatalogHandler(TFContainerAPIHandler):
    """The images of the catalog, each with its verdict."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each image, of a release's or of those that a search finds, and the best to choose."""
        search = self.get_query_argument("search", "")
        release = self.get_query_argument("tensorflow", "")
        self.finish(json.dumps(await self.manager.threads.call(_model, search, release or None)))


class MachineHandler(TFContainerAPIHandler):
    """Processor, driver and cards of this machine."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with its model."""
        self.finish(asdict(await self.manager.threads.call(hardware.read)))


class CardsHandler(TFContainerAPIHandler):
    """What the cards of this machine do."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each, at this time; of none where there is no driver that answers."""
        use = await self.manager.threads.call(self.manager.cards.use)
        self.finish(json.dumps([asdict(card) for card in use.cards]))


def _model(search: str, release: str | None) -> dict[str, Any]:
    here, known = hardware.read(), catalog.load()
    images = [image for image in known.search(search) if release in (None, image.tensorflow)]
    best = {device: judge.choose(here, known, release, device) for device in DEVICES}
    return {
        "images": [{**image.model(), "verdict": judge.judge(image, here, known).model()} for image in images],
        "best": {device: choice[0].reference() if choice else None for device, choice in best.items()},
    }


default_handlers = [
    (rf"{BASE}/catalog", CatalogHandler),
    (rf"{BASE}/machine", MachineHandler),
    (rf"{BASE}/machine/cards", CardsHandler),
]
