"""Containers that stand by: started ahead of the kernels to come, while the machine has nothing else to do.

Nothing is polled: it is the end of starts that has this look for what to do.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

from ..compatibility import catalog
from ..environments import secrets
from ..environments.environment import Environment
from ..errors import MountMissing, TFContainerError
from ..kernels.container import RunningContainer
from ..kernels.events import Listener
from ..threads import Threads
from ..workspace import Workspace
from .launcher import Launcher
from .lazy_starter import LazyStarter
from .registry import Registry
from .settings import Settings
from .start_counter import Starts

# Seconds after the end of the last start: the kernel that has come is to have its first cell done.
QUIET = 2.0
# A machine that is busy then is looked at again after twice that, and so on up to this; after that, the next start's
# end has it looked at.
LONGEST = 64.0


class Standbys:
    """The containers that stand by.

    Parameters
    ----------
    settings
        say how many, and for how long
    launcher
        starts and removes them
    lazy
        has the engine's images
    registry
        knows what runs
    starts
        that are under way: nothing is started ahead meanwhile
    threads
        in which it starts them
    """

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        lazy: LazyStarter,
        registry: Registry,
        starts: Starts,
        threads: Threads,
    ) -> None:
        self._settings = settings
        self._launcher = launcher
        self._lazy = lazy
        self._registry = registry
        self._starts = starts
        self._threads = threads
        self._lock = threading.Lock()
        #: What is to stand by, by the name of the environment and the workspace's folder.
        self._wanted: dict[tuple[str, Path], Environment] = {}
        self._timer: threading.Timer | None = None
        self._wait = QUIET
        self._closed = False
        starts.listen(self._quiet)

    def want(self, environment: Environment, root: Path) -> None:
        """Have as many stand by as an environment says, once the machine is idle.

        Parameters
        ----------
        environment
            which, as its kernelspec says
        root
            the workspace's folder
        """
        if not wanted(environment, self._settings.standby):
            return
        with self._lock:
            self._wanted[environment.name, root] = environment
        if not self._starts.count:
            self._quiet()

    def start(
        self, environment: Environment, root: Path, *, listener: Listener | None = None, temporary_home: bool = False
    ) -> RunningContainer:
        """Start a container that stands by: the next launch of that environment on that workspace takes it.

        Parameters
        ----------
        environment, root
            what to start, and on which folder
        listener
            is told how the start gets on
        temporary_home
            whether it gets an empty home that goes with it

        Raises
        ------
        TFContainerError
            with what to do; nothing is left behind
        """
        with self._starts.one():
            container = self._launcher.start(
                environment, root, listener=listener, temporary_home=temporary_home, may_make_room=False
            )
            if values := secrets.values_for(container.environment):
                container.control().request("expect", env=values)
            container.expire(self._settings.standby_timeout, lambda: self.end(container))
            container.stand_by()
        return container

    def take(self, environment: Environment, workspace_: Workspace) -> RunningContainer | None:
        """A container that stands by for an environment on a workspace; it does so no more.

        Those that are not what a new one would be are removed: the environment says something else by now, its image's
        name stands for another image, or a folder was replaced.
        """
        # One that somebody has asked for with an empty home is for the very next kernel.
        for container in sorted(self._all(environment.name), key=lambda one: not one.folders.temporary_home):
            if container.workspace != workspace_ or not self.claim(container):
                continue
            if container.alive and container.environment == environment and self._is_current(container):
                container.keep()
                return container
            self._settings.log.info("A container that stood by for %s is out of date.", environment.display_name)
            self._launcher.remove(container)
        return None

    def claim(self, container: RunningContainer) -> bool:
        """Have a container stand by no more; False where somebody else had it first, or it never did."""
        with self._lock:
            claimed, container.standby = container.standby, False
        return claimed

    def end(self, container: RunningContainer) -> None:
        """Remove a container if it still stands by."""
        if self.claim(container):
            self._launcher.remove(container)

    def end_one(self) -> bool:
        """Remove the one that has waited longest, for a container that is asked for; False if there is none."""
        for container in sorted(self._all(), key=lambda one: one.created):
            if self.claim(container):
                self._launcher.remove(container)
                return True
        return False

    def forget(self, name: str) -> None:
        """Remove what stands by for an environment that is not what it was."""
        with self._lock:
            for key in [key for key in self._wanted if key[0] == name]:
                del self._wanted[key]
        for container in self._all(name):
            self.end(container)

    def leave(self, image: str) -> None:
        """Remove what stands by in an image, by its id, which is to go."""
        for container in self._all():
            if container.image == image:
                self.end(container)

    def check_images(self) -> None:
        """Remove what stands by in images that their names do not stand for any more."""
        for container in self._all():
            try:
                if not self._is_current(container):
                    self.end(container)
            except TFContainerError as error:  # a launch sees for itself
                self._settings.log.warning("Could not see whether a container is out of date: %s", error)

    def close(self) -> None:
        """Start nothing any more."""
        with self._lock:
            self._closed = True
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
            timer.join()

    def _all(self, name: str | None = None) -> list[RunningContainer]:
        running = self._registry.running()
        return [one for one in running if one.standby and name in (None, one.environment.name)]

    def _is_current(self, container: RunningContainer) -> bool:
        starter = self._lazy.starter
        try:
            starter.prove_mounts(container)
        except (MountMissing, OSError):
            return False
        return starter.current_image(container.environment) == container.image

    def _has_image(self, environment: Environment) -> bool:
        """Whether the image of an environment is there: nothing is pulled for what nobody waits for."""
        image = catalog.load().mirrored(environment.image, self._settings.registry_prefix)
        return self._lazy.starter.current_image(replace(environment, image=image)) is not None

    # Starting them.

    def _quiet(self) -> None:
        """No start is under way any more."""
        with self._lock:
            self._wait = QUIET
            self._look_later()

    def _look_later(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._wanted and not self._closed:
            self._timer = threading.Timer(self._wait, self._look)
            self._timer.daemon = True
            self._timer.name = "tfcontainer-standby"
            self._timer.start()

    def _look(self) -> None:
        with self._lock:
            if self._closed or self._starts.count:
                return  # the end of that start has this looked at again
            if os.getloadavg()[0] > self._settings.standby_load * (os.cpu_count() or 1):
                self._wait *= 2
                if self._wait <= LONGEST:
                    self._look_later()
                return
        self._threads.start(self._start_one)

    def _start_one(self) -> None:
        """Start one container; the end of that start has the next one looked for."""
        while wish := self._next():
            environment, root = wish
            try:
                if self._has_image(environment):
                    self.start(environment, root)
                    # What has enough of them now is not wanted any more, also if somebody takes one away by hand.
                    self._next()
                    return
                self._settings.log.info("Nothing stands by for %s: its image is not here.", environment.display_name)
            except TFContainerError as error:
                self._settings.log.info("Nothing stands by for %s: %s", environment.display_name, error)
            with self._lock:
                self._wanted.pop((environment.name, root), None)

    def _next(self) -> tuple[Environment, Path] | None:
        """What lacks a container; what has enough of them is not wanted any more."""
        with self._lock:
            if self._closed or self._starts.count:
                return None
            for (name, root), environment in list(self._wanted.items()):
                there = sum(one.workspace.root == root.expanduser().resolve() for one in self._all(name))
                if there < wanted(environment, self._settings.standby):
                    return environment, root
                del self._wanted[name, root]
        return None


def wanted(environment: Environment, usual: int) -> int:
    """How many containers stand by for an environment, where one that says nothing of it has as many as usual."""
    if environment.container_name:
        return 0  # only one container can have that name
    if environment.standby is not None:
        return environment.standby
    # What is to be pulled before each start is to be the newest.
    return 0 if environment.pull_policy == "always" else usual
