"""Operations: what takes long on images."""

from __future__ import annotations

import json
from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from .base import BASE, TFContainerAPIHandler


class OperationsHandler(TFContainerAPIHandler):
    """Those that go on, and those that have ended lately."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each, the last begun first."""
        self.finish(json.dumps([one.model() for one in self.manager.operations.list()]))


class OperationHandler(TFContainerAPIHandler):
    """One operation."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, operation_id: str) -> None:
        """Answer with its model."""
        self.finish(self.manager.operations.get(operation_id).model())

    @web.authenticated
    @authorized
    async def delete(self, operation_id: str) -> None:
        """Cancel it, for all who wait. One that has ended stays as it ended."""
        user = self.current_user
        self.manager.operations.get(operation_id).cancel(user.display_name or user.username)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


default_handlers = [
    (rf"{BASE}/operations", OperationsHandler),
    (rf"{BASE}/operations/([0-9a-f]{{16}})", OperationHandler),
]
