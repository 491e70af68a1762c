"""Containers: what runs."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from .. import environments
from ..errors import EngineError
from ..provisioner import TFContainerProvisioner
from .base import BASE, TFContainerAPIHandler

# Lines of a log that are answered where the request does not say how many, and the most that it may say.
LOG_TAIL = 200
LOG_TAIL_LIMIT = 10_000


class ContainersHandler(TFContainerAPIHandler):
    """All containers of this user."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each."""
        self.finish(json.dumps(await self.manager.threads.call(self.manager.list)))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Start a container ahead, which the next kernel of its environment takes."""
        name = self.body(environment=str)["environment"]
        manager = self.manager
        environment = await manager.threads.call(environments.find, name, self.kernel_spec_manager)
        container = await manager.threads.run(manager.start, environment, Path(self.settings["server_root_dir"]))
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", url_path_join(self.base_url, BASE, "containers", container.id))
        self.finish(container.model())


class ContainerHandler(TFContainerAPIHandler):
    """One container."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, container_id: str) -> None:
        """Answer with its model."""
        self.finish(await self.manager.threads.call(self.manager.get, container_id))

    @web.authenticated
    @authorized
    async def delete(self, container_id: str) -> None:
        """Remove it.

        A kernel that this server runs in it is shut down first: else Jupyter would take its end for a death, and
        restart it.
        """
        model = await self.manager.threads.call(self.manager.get, container_id)
        kernel = model["kernel"]
        if kernel and kernel["id"] in self.kernel_manager:
            await self.kernel_manager.shutdown_kernel(kernel["id"], now=True)  # type: ignore[no-untyped-call]
        else:
            await self.manager.threads.call(self.manager.remove, container_id)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class ContainerLogsHandler(TFContainerAPIHandler):
    """The log of one container."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, container_id: str) -> None:
        """Answer with its last lines."""
        tail = self.get_query_argument("tail", str(LOG_TAIL))
        if not tail.isdecimal() or not 1 <= int(tail) <= LOG_TAIL_LIMIT:
            raise web.HTTPError(400, f"tail must be a number of lines from 1 to {LOG_TAIL_LIMIT}.")
        log = await self.manager.threads.call(self.manager.logs, container_id, int(tail))
        self.finish({"id": container_id, "log": log})


class ContainerStatsHandler(TFContainerAPIHandler):
    """What containers use: all of them in one answer, so that one that goes meanwhile is not a request that fails."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the figures of each that runs, at this time; nothing runs where there is no engine."""
        manager, call = self.manager, self.manager.threads.call
        try:
            ids = await call(manager.running_ids)
            found = await asyncio.gather(*(call(manager.figures, one) for one in ids))
        except EngineError:
            found = []
        self.finish(json.dumps([figures for figures in found if figures]))


class ContainerRestartHandler(TFContainerAPIHandler):
    """The kernel of one container, anew."""

    @web.authenticated
    @authorized
    async def post(self, container_id: str) -> None:
        """Restart its kernel in a fresh container, at the same addresses: clients stay connected."""
        model = await self.manager.threads.call(self.manager.get, container_id)
        kernel = model["kernel"]
        if not kernel or kernel["id"] not in self.kernel_manager:
            raise web.HTTPError(HTTPStatus.CONFLICT, "No kernel of this server runs in that container.")
        provisioner = self.kernel_manager.get_kernel(kernel["id"]).provisioner
        if not isinstance(provisioner, TFContainerProvisioner):
            raise web.HTTPError(HTTPStatus.CONFLICT, "That kernel has another provisioner by now.")
        provisioner.restart_fresh()
        await self.kernel_manager.restart_kernel(kernel["id"])  # type: ignore[no-untyped-call]
        container = provisioner.running
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", url_path_join(self.base_url, BASE, "containers", container.id))
        self.finish(container.model())


_CONTAINER_ID = r"([0-9a-f]{64})"

default_handlers = [
    (rf"{BASE}/containers", ContainersHandler),
    (rf"{BASE}/containers/stats", ContainerStatsHandler),
    (rf"{BASE}/containers/{_CONTAINER_ID}", ContainerHandler),
    (rf"{BASE}/containers/{_CONTAINER_ID}/logs", ContainerLogsHandler),
    (rf"{BASE}/containers/{_CONTAINER_ID}/restart-fresh", ContainerRestartHandler),
]
