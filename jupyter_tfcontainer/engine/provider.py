"""How services get the engine without knowing who connects to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .client import Engine


class EngineProvider(Protocol):
    """Gives the engine, which may be found only when it is first asked for."""

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises
        ------
        EngineError
            when none answers, or none that we can serve
        """
        ...
