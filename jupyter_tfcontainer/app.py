"""The server extension: wiring, and a clean stop."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.extension.application import ExtensionApp

from .events import KERNEL_STATE, SCHEMAS
from .handlers import default_handlers
from .manager import ContainerManager


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
        manager.listen(self._emit)
        self.settings["tfcontainer_manager"] = manager
        for schema in sorted(SCHEMAS.glob("*.yaml")):
            self._server.event_logger.register_event_schema(schema)

    def initialize_handlers(self) -> None:
        """Add the REST interface."""
        self.handlers.extend(default_handlers)

    async def stop_extension(self) -> None:
        """Remove what runs."""
        await asyncio.to_thread(self.settings["tfcontainer_manager"].close)

    def _emit(self, event: dict[str, Any]) -> None:
        # Events happen in worker threads, and the event logger lives on the loop.
        self._server.io_loop.add_callback(self._server.event_logger.emit, schema_id=KERNEL_STATE, data=event)

    @property
    def _server(self) -> Any:
        return self.serverapp
