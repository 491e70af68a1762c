"""The container engine. Nothing outside this package imports ``docker``."""

from .client import Engine, connect
from .discovery import Address, candidates, sockets
from .facts import EngineFacts

__all__ = ["Address", "Engine", "EngineFacts", "candidates", "connect", "sockets"]
