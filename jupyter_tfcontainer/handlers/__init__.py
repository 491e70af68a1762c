"""The REST interface under ``/api/tfcontainer/``: one file per noun."""

from . import catalog, containers, engine, environments, images, operations, ports

default_handlers = [
    *catalog.default_handlers,
    *engine.default_handlers,
    *environments.default_handlers,
    *containers.default_handlers,
    *images.default_handlers,
    *operations.default_handlers,
    *ports.default_handlers,
]
