"""Removes what programs that have died left of this user's containers."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import TFContainerError
from ..kernels import orphans
from ..kernels.orphans import Leftover
from ..threads import Threads
from .lazy_starter import LazyStarter
from .registry import Registry
from .settings import Settings


class Sweeper:
    """Looks for what is left of containers.

    Parameters
    ----------
    settings
        say where containers' folders are
    lazy
        has the engine
    registry
        knows what this process owns, which is not left
    threads
        run it beside what else goes on
    """

    def __init__(self, settings: Settings, lazy: LazyStarter, registry: Registry, threads: Threads) -> None:
        self._settings = settings
        self._lazy = lazy
        self._registry = registry
        self._threads = threads
        # Whether it has been looked for what other processes left.
        self._looked = False

    def tidy(self) -> None:
        """Have removed what is of no use to anybody, if there may be such."""
        if not self._looked or self._lazy.starter.untidy:
            self._looked = True
            self._threads.soon(self.sweep)

    def sweep(self) -> None:
        """Remove what is left, as far as the engine answers."""
        starter = self._lazy.starter
        starter.untidy = False
        try:
            for one in self.leftovers():
                self._settings.log.info("Removing %s: nobody has use for it.", one.name)
                one.remove()
        except TFContainerError as error:
            starter.untidy = True
            self._settings.log.warning("Could not look for what was left of containers: %s", error)

    def leftovers(self) -> Iterator[Leftover]:
        """What is left.

        Raises
        ------
        EngineError
            when no engine answers
        """
        return orphans.find(self._lazy.engine, self._registry.by_folder, self._settings.state_dir)
