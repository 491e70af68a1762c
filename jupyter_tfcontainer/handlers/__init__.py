"""The REST interface under ``/api/tfcontainer/``: one file per noun."""

from . import containers, engine, environments

default_handlers = [
    *engine.default_handlers,
    *environments.default_handlers,
    *containers.default_handlers,
]
