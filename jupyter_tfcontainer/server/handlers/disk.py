"""The disk: what of ours takes room there."""

from __future__ import annotations

from http import HTTPStatus

from jupyter_server.auth.decorator import authorized
from tornado import web

from .base import BASE, TFContainerAPIHandler


class DiskHandler(TFContainerAPIHandler):
    """All of it."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with how much what takes, and what uses it. Folders are read for that, in a thread."""
        self.finish(await self.manager.threads.run(self.manager.disk.model, self.kernel_spec_manager))


class DiskHomeHandler(TFContainerAPIHandler):
    """The home of one environment."""

    @web.authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Remove what is in it: the next kernel has an empty one."""
        await self.manager.threads.run(self.manager.disk.reset_home, name)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class DiskFoldersHandler(TFContainerAPIHandler):
    """The folders of containers and servers."""

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Remove those that were left behind; what anything uses stays."""
        await self.manager.threads.run(self.manager.disk.clear)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


default_handlers = [
    (rf"{BASE}/disk", DiskHandler),
    (rf"{BASE}/disk/folders", DiskFoldersHandler),
    (rf"{BASE}/disk/homes/([\w.-]+)", DiskHomeHandler),
]
