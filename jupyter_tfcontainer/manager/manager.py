"""Wires the services together: one manager per process, behind every door. Synchronous and thread-safe."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from ..compatibility.gpu_usage import Cards
from ..engine import Engine
from ..environments import lookup
from ..environments.environment import Environment
from ..errors import EnvironmentInvalid, EnvironmentNotFound, TFContainerError
from ..images.operations import Operations
from ..kernels import adoption
from ..kernels.container import Kernel, RunningContainer
from ..kernels.events import Listener
from ..kernels.orphans import Leftover
from ..threads import Threads
from .admission import Admission
from .containers import UserContainers
from .disk_usage import Disk
from .images import ImageManager
from .launcher import Launcher
from .lazy_starter import LazyStarter
from .ports import Ports
from .registry import Registry
from .settings import Settings
from .standby_pool import Standbys
from .start_counter import Starts
from .sweeper import Sweeper


class ContainerManager(Settings):
    """The containers of this process, and all that a door may ask of containers and images."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threads = Threads()
        #: What takes long on images.
        self.operations = Operations(self.log)
        self._registry = Registry()
        self._lazy = LazyStarter(self, self.operations, self._connected)
        self._sweeper = Sweeper(self, self._lazy, self._registry, self.threads)
        #: The starts that are under way.
        self.starts = Starts()
        #: What may run.
        self.admission = Admission(self, self._lazy, self._registry)
        #: What is asked of containers, those of other processes among them.
        self.containers = UserContainers(self._lazy, self._registry, self.admission, self.log)
        #: Programs in containers that are reached at ports.
        self.ports = Ports(self._lazy, self.containers, self.admission)
        self._launcher = Launcher(
            self,
            self._lazy,
            self._registry,
            self.admission,
            self.ports,
            self._sweeper,
            self.starts,
            self.threads,
        )
        #: The containers that are started ahead.
        self.standbys = Standbys(self, self._launcher, self._lazy, self._registry, self.starts, self.threads)
        self._launcher.standbys = self.standbys
        #: What is asked of images.
        self.images = ImageManager(self, self._lazy, self.admission, self.containers, self.standbys.leave)
        #: What takes room on the disk.
        self.disk = Disk(self, self._lazy, self.admission, self.images, self.standbys, self._sweeper)
        #: What the cards of this machine do.
        self.cards = Cards()
        self._lock = threading.Lock()
        self._taken_over: dict[str, RunningContainer] = {}

    # The engine.

    @property
    def engine(self) -> Engine:
        """The engine, found at first use.

        Raises
        ------
        EngineError
            when none answers, or none that we can serve
        """
        return self._lazy.engine

    def _connected(self) -> None:
        self.operations.listen(self._image_changed)
        atexit.register(self._at_exit)

    def _image_changed(self, operation: dict[str, Any]) -> None:
        if operation["state"] == "done":
            self.threads.soon(self.standbys.check_images)

    def listen(self, listener: Listener) -> None:
        """Have events told to a listener, in whichever thread they happen."""
        self._launcher.listen(listener)

    # Starting.

    @property
    def in_server(self) -> bool:
        """Whether a Jupyter server owns what runs."""
        return self._launcher.in_server

    @in_server.setter
    def in_server(self, value: bool) -> None:
        self._launcher.in_server = value

    def start(
        self,
        environment: Environment,
        root: Path,
        *,
        listener: Listener | None = None,
        standby: bool = True,
        temporary_home: bool = False,
    ) -> RunningContainer:
        """Start a container ahead: the next launch of that environment on that workspace takes it.

        Parameters
        ----------
        environment
            what to start
        root
            the workspace's folder
        listener
            is told how the start gets on
        standby
            whether it waits for a launch; else it is for something else, and stays until it is removed
        temporary_home
            whether it gets an empty home that goes with it, in place of the environment's: what the person has
            installed there may keep kernels from starting

        Raises
        ------
        TFContainerError
            with what to do; nothing is left behind
        """
        start = self.standbys.start if standby else self._launcher.start
        return start(environment, root, listener=listener, temporary_home=temporary_home)

    def launch(
        self,
        environment: Environment,
        root: Path,
        *,
        kernel_id: str,
        key: str,
        signature_scheme: str,
        cwd: Path,
        env: dict[str, str],
        previous: RunningContainer | None = None,
        fresh: bool = False,
    ) -> tuple[RunningContainer, Kernel]:
        """Launch a kernel.

        Parameters
        ----------
        environment
            what to run it in
        root
            the workspace's folder
        kernel_id
            Jupyter's id of it
        key, signature_scheme
            with which its messages are signed
        cwd
            the host folder it starts in; one outside the workspace stands for the workspace itself
        env
            variables beyond those of the environment
        previous
            the container it ran in before, for a restart: taken again if it still lives, else replaced at the same
            addresses
        fresh
            replace the previous container even if it lives

        Raises
        ------
        TFContainerError
            with what to do; nothing is left behind
        """
        launched = self._launcher.launch(
            environment,
            root,
            kernel_id=kernel_id,
            key=key,
            signature_scheme=signature_scheme,
            cwd=cwd,
            env=env,
            previous=previous,
            fresh=fresh,
        )
        if self.in_server and previous is None:
            self.standbys.want(environment, root)
        return launched

    def take_over(self, root: Path) -> dict[str, RunningContainer]:
        """Take over the kernels on a workspace whose server has died; the launches of the same kernels find them.

        Parameters
        ----------
        root
            the workspace's folder

        Returns
        -------
        dict
            the containers, by the ids of their kernels

        Raises
        ------
        EngineError
            when no engine answers
        """
        workspace_ = self.admission.workspace(root)
        taken = adoption.take_over(self.engine, workspace_, self._launcher.heard, self.state_dir)
        self._sweeper.tidy()
        self._registry.add(*taken.values())
        self._launcher.number_from(
            max((container.kernel.launch for container in taken.values() if container.kernel), default=0)
        )
        with self._lock:
            self._taken_over.update(taken)
        return taken

    def taken_over(self, kernel_id: str) -> RunningContainer | None:
        """The container of a kernel that was taken over and waits for its launch, which takes it."""
        with self._lock:
            return self._taken_over.pop(kernel_id, None)

    def own(self, container_id: str) -> RunningContainer:
        """A container of this process, which runs.

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded
            with what to do
        """
        return self.containers.own(container_id)

    def running(self) -> list[RunningContainer]:
        """The containers of this process."""
        return self._registry.running()

    def connection(self, container: RunningContainer, key: str, signature_scheme: str) -> dict[str, Any]:
        """Connection information for a kernel, as seen from this side."""
        return self._launcher.connection(container, key, signature_scheme)

    def want_standbys(self, specs: KernelSpecManager, root: Path) -> None:
        """Have containers stand by for the environments that say so.

        Parameters
        ----------
        specs
            the kernelspecs that there are
        root
            the workspace's folder
        """
        for name in specs.find_kernel_specs():
            with suppress(EnvironmentNotFound, EnvironmentInvalid):
                environment = lookup.find(name, specs)
                if environment.standby:
                    self.standbys.want(environment, root)

    # Stopping.

    def signal(self, container: RunningContainer, kernel: Kernel, signum: int) -> None:
        """Send a signal to a kernel's process group. One that has ended has no use for it."""
        self._launcher.signal(container, kernel, signum)

    def expect_end(self, container: RunningContainer, kernel: Kernel) -> None:
        """Note that a kernel's end is wanted, and who listens to it: after a restart they are waited for."""
        self._launcher.expect_end(container, kernel)

    def remove(self, container_id: str) -> None:
        """Kill and remove a container of this user, whoever started it.

        Raises
        ------
        ContainerNotFound
            when there is none of that id
        """
        if container := self._registry.get(container_id):
            self._launcher.remove(container)
        else:
            self.engine.remove(self.containers.get(container_id)["id"])

    def release(self, container: RunningContainer) -> None:
        """Remove a container that its kernel needs no more."""
        self._launcher.remove(container)

    def leave(self, container: RunningContainer) -> None:
        """Let go of a container and leave its kernel running, for the next server on its workspace."""
        self._registry.discard(container)
        with self._lock:
            if container.kernel:
                self._taken_over.pop(container.kernel.kernel_id, None)
        container.leave()

    def close(self) -> None:
        """Cancel what starts, remove what runs, and let go of the engine."""
        starter = self._lazy.connected
        self.standbys.close()
        if starter:
            starter.cancel()
        self.operations.close()
        self.cards.close()
        self.threads.finish_starts()
        if running := self.running():
            with ThreadPoolExecutor(len(running), "tfcontainer-stop") as pool:
                for done in [pool.submit(self._launcher.remove, container) for container in running]:
                    if error := done.exception():
                        self.log.error("A container could not be removed: %s", error)
        self.threads.close()
        if starter and starter.untidy:
            self.sweep()
        if starter:
            atexit.unregister(self._at_exit)
            starter.engine.close()
        if self.initialized() and self.instance() is self:
            self.clear_instance()

    def _at_exit(self) -> None:
        """Remove what still runs: some clients ask their kernel to end and are gone (``jupyter console``)."""
        self.operations.close()
        for container in self.running():  # one by one: no thread can be started any more
            try:
                self._launcher.remove(container)
            except TFContainerError as error:
                self.log.warning("A container could not be removed: %s", error)

    # What is left.

    def sweep(self) -> None:
        """Remove what programs that have died left of this user's containers, as far as the engine answers."""
        self._sweeper.sweep()

    def leftovers(self) -> Iterator[Leftover]:
        """What programs that have died left of this user's containers.

        Raises
        ------
        EngineError
            when no engine answers
        """
        return self._sweeper.leftovers()
