"""The REST interface under ``/api/tfcontainer/``: one file per noun."""

from . import catalog, containers, disk, engine, environments, images, operations, ports

default_handlers = [
    *catalog.default_handlers,
    *engine.default_handlers,
    *environments.default_handlers,
    *containers.default_handlers,
    *images.default_handlers,
    *disk.default_handlers,
    *operations.default_handlers,
    *ports.default_handlers,
]
