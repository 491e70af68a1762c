"""The server extension: wiring, and a clean stop."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.utils import url_path_join

from ..environments import visibility
from ..manager import ContainerManager
from ..provisioner import TFContainerProvisioner
from .handlers import default_handlers
from .handlers.base import BASE
from .schemas import ENVIRONMENTS, KERNEL_STATE, OPERATION, SCHEMAS
from .sessions import ServerSessions
from .websocket import Connection


class TFContainerApp(ExtensionApp):
    """Notebook kernels in TensorFlow containers: REST interface and events."""

    name = "jupyter_tfcontainer"
    extension_url = "/lab"
    classes = [ContainerManager]  # noqa: RUF012 - the base class declares it

    def initialize_settings(self) -> None:
        """Make the manager known to the handlers, and its events to whoever listens."""
        manager = ContainerManager.instance()
        manager.update_config(self.config)
        manager.in_server = True
        containers = url_path_join(self._server.base_url, BASE, "containers")
        manager.ports.proxy = f"{containers}/{{container}}/ports/{{port}}/"
        manager.listen(partial(self._emit, KERNEL_STATE))
        manager.operations.listen(self._tell_operation)
        self.settings["tfcontainer_manager"] = manager
        # Else somebody has set one of their own.
        if self.settings["kernel_websocket_connection_class"] is ZMQChannelsWebsocketConnection:
            self.settings["kernel_websocket_connection_class"] = Connection
        visibility.filter_hidden(self._server.kernel_spec_manager)
        manager.threads.soon(manager.want_standbys, self._server.kernel_spec_manager, Path(self._server.root_dir))
        for schema in sorted(SCHEMAS.glob("*.yaml")):
            self._server.event_logger.register_event_schema(schema)

    def initialize_handlers(self) -> None:
        """Add the REST interface."""
        self.handlers.extend(default_handlers)
        self._take_over()

    def _take_over(self) -> None:
        """Take over what a server that died has left running, before anybody can ask for it: no port is bound yet."""
        self._sessions = ServerSessions(self._server)
        # Where somebody else runs the loop already there is no waiting for it.
        loop = self._server.io_loop.asyncio_loop
        work = self._sessions.resume(self.settings["tfcontainer_manager"])
        if loop.is_running():
            loop.create_task(work)
        else:
            loop.run_until_complete(work)

    async def stop_extension(self) -> None:
        """Shut our kernels down, and remove what else runs; those that are to be kept are left for the next server.

        Jupyter would do the former after this, when the kernels are gone: none could have ended in its own way, and
        the restarter might have taken that for deaths.
        """
        if manager := self.settings.get("tfcontainer_manager"):  # else our start has failed
            kernels = self._server.kernel_manager
            ours = [
                kernel_id
                for kernel_id in kernels.list_kernel_ids()
                if isinstance(kernels.get_kernel(kernel_id).provisioner, TFContainerProvisioner)
            ]
            if manager.keep_kernels:
                for kernel_id in ours:
                    self._sessions.leave(kernel_id, manager)
            else:
                # What fails is logged there, and removed here.
                await asyncio.gather(*map(kernels.shutdown_kernel, ours), return_exceptions=True)
            await asyncio.to_thread(manager.close)
            self._sessions.close(kept=manager.keep_kernels)

    def _tell_operation(self, model: dict[str, Any]) -> None:
        self._emit(OPERATION, model)
        if model["result"] and (name := model["result"]["environment"]):
            self._emit(ENVIRONMENTS, {"name": name, "change": "created"})

    def _emit(self, schema: str, event: dict[str, Any]) -> None:
        # Events happen in worker threads, and the event logger lives on the loop.
        self._server.io_loop.add_callback(self._server.event_logger.emit, schema_id=schema, data=event)

    @property
    def _server(self) -> Any:
        return self.serverapp
