"""The container engine. Nothing outside this package imports ``docker``."""

from typing import TYPE_CHECKING

from .discovery import Address, candidates, sockets
from .info import EngineFacts

__all__ = ["Address", "Engine", "EngineFacts", "candidates", "connect", "sockets"]

if TYPE_CHECKING:
    from .client import Engine
    from .selection import connect
else:

    def __getattr__(name):  # noqa: ANN001, ANN202 - module attributes on demand, PEP 562
        # Docker's client takes a while to import, and what only describes containers needs none.
        if name in ("Engine", "connect"):
            from . import client, selection

            globals().update(Engine=client.Engine, connect=selection.connect)
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
