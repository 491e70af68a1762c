"""The REST interface under ``/api/tfcontainer/``: one file per noun."""

from . import catalog, containers, engine, environments

default_handlers = [
    *catalog.default_handlers,
    *engine.default_handlers,
    *environments.default_handlers,
    *containers.default_handlers,
]
