"""The container engine."""

from __future__ import annotations

from dataclasses import asdict

from jupyter_server.auth.decorator import authorized
from tornado import web

from ...engine import Engine
from ...errors import EngineError
from .base import BASE, TFContainerAPIHandler


class EngineHandler(TFContainerAPIHandler):
    """Which engine there is."""

    # A page that asks now and then does not keep an unused server alive.
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the engine's facts. That there is none is an answer as well, not an error."""
        try:
            engine = await self.manager.threads.call(self._answering)
        except EngineError as error:
            self.finish({"state": "missing", "message": str(error), "reason": error.reason})
        else:
            self.finish({"state": "ready", **asdict(engine.facts)})

    def _answering(self) -> Engine:
        engine = self.manager.engine
        # It was found when first asked for, and may have been stopped since.
        engine.ping()
        return engine


default_handlers = [(rf"{BASE}/engine", EngineHandler)]
