"""What runs: start, stop, take over. One manager per process, behind every door. Synchronous and thread-safe."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from .. import workspace
from ..compatibility import catalog
from ..compatibility.gpu_usage import Cards
from ..engine import Engine, candidates, connect
from ..environments import lookup, store
from ..environments.environment import Environment
from ..errors import (
    ContainerElsewhere,
    ContainerEnded,
    ContainerError,
    EngineNotSupported,
    EnvironmentInvalid,
    EnvironmentNotFound,
    TFContainerError,
)
from ..images.image_store import Images
from ..images.operations import Operations
from ..kernels import adoption, events, exit_report, host_folders, host_resources, orphans
from ..kernels.container import Exit, Kernel, RunningContainer
from ..kernels.events import KernelEvents
from ..kernels.orphans import Leftover
from ..kernels.starter import Starter
from ..kernels.supervisor_client import Message
from ..kernels.types import Folders
from ..threads import Threads
from ..workspace import Workspace
from .admission import Admission
from .containers import UserContainers
from .disk_usage import Disk
from .images import ImageManager
from .ports import PROXY_VARIABLE, Ports
from .settings import Settings
from .standby_pool import Standbys
from .start_counter import Starts

# Seconds that a container without a kernel is kept for the restart that may come. Jupyter's restarter looks every 3 s.
RESTART_GRACE = 10.0
# Seconds that an interpreter may take to become a kernel: old ones import slowly from a cold disk.
LAUNCH_TIMEOUT = 120.0
# Seconds that a kernel is left alone before its successor is warmed beside it: it is about to be asked things.
WARM = 0.2
# The same where more starts are under way, and nobody tells sooner that they are over.
WARM_TOGETHER = 10.0


class ContainerManager(Settings):
    """The containers of this process."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: Whether a Jupyter server owns what runs.
        self.in_server = False
        self.threads = Threads()
        #: What takes long on images.
        self.operations = Operations(self.log)
        #: What may run.
        self.admission = Admission(self)
        #: What is asked of containers, those of other processes among them.
        self.containers = UserContainers(self)
        #: What is asked of images.
        self.images = ImageManager(self)
        #: What takes room on the disk.
        self.disk = Disk(self)
        #: Programs in containers that are reached at ports.
        self.ports = Ports(self)
        #: What the cards of this machine do.
        self.cards = Cards()
        #: The starts that are under way.
        self.starts = Starts()
        #: The containers that are started ahead.
        self.standbys = Standbys(self)
        self._lock = threading.RLock()
        self._starter: Starter | None = None
        self._containers: dict[str, RunningContainer] = {}
        self._listeners: list[events.Listener] = []
        self._launches = 0
        # Those whose next spare waits for the end of other starts.
        self._cold: list[RunningContainer] = []
        self.starts.listen(self._warm)
        self._taken_over: dict[str, RunningContainer] = {}
        # Whether it has been looked for what other processes left.
        self._looked = False

    # The engine.

    @property
    def engine(self) -> Engine:
        """The engine, found at first use.

        Raises
        ------
        EngineError
            when none answers, or none that we can serve
        """
        return self.starter.engine

    @property
    def starter(self) -> Starter:
        """What starts containers on that engine, and has its images."""
        with self._lock:
            if self._starter is None:
                engine = connect(candidates(self.engine_url))
                try:
                    _check_supported(engine)
                except EngineNotSupported:
                    engine.close()
                    raise
                self._starter = Starter(engine, Images(engine, self.operations))
                self.operations.listen(self._image_changed)
                atexit.register(self._at_exit)
            return self._starter

    def _image_changed(self, operation: dict[str, Any]) -> None:
        if operation["state"] == "done":
            self.threads.soon(self.standbys.check_images)

    def listen(self, listener: events.Listener) -> None:
        """Have events told to a listener, in whichever thread they happen."""
        self._listeners.append(listener)

    # Starting.

    def start(
        self,
        environment: Environment,
        root: Path,
        *,
        listener: events.Listener | None = None,
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
        # There is no kernel whose state could be told: whoever asked for the container waits for the answer.
        tell = KernelEvents(listener or (lambda _: None), "", environment)
        with self.starts.one():
            workspace_ = self.admission.workspace(root)
            environment = self.admission.admit(environment, workspace_)
            folders = host_folders.container_folders(environment.name, self.state_dir, temporary_home=temporary_home)
            container = self._start(environment, workspace_, folders, tell, standby=standby)
            if standby:
                if secrets := store.secret_values(environment):
                    container.control().request("expect", env=secrets)
                container.expire(self.standby_timeout, lambda: self.standbys.end(container))
                container.stand_by()
        self.log.debug("The start of %s ahead took: %s", environment.name, tell.took())
        return container

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
        asked, tell = environment, KernelEvents(self._tell, kernel_id, environment)
        try:
            with self.starts.one():
                workspace_ = self.admission.workspace(root)
                environment = self.admission.admit(environment, workspace_)
                # Not in the container's own variables, which whoever may talk to the engine can read.
                env = {**env, **store.secret_values(environment)}
                container = self._container(environment, workspace_, previous, tell, fresh=fresh)
                tell.step("launch", container.id)
                try:
                    kernel = self._launch(container, kernel_id, key, signature_scheme, cwd, env)
                except BaseException:
                    self._remove(container)
                    raise
                if self.in_server and previous is None:
                    self.standbys.want(asked, root)
        except TFContainerError as error:
            tell.emit("failed", str(error))
            raise
        self.log.debug("The start of %s took: %s", environment.name, tell.took())
        self.threads.soon(self._learn, container)
        tell.emit(
            "running",
            f"{environment.display_name} runs.",
            host=self.engine.facts.host,
            caveats=container.caveats or None,
        )
        return container, kernel

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
        taken = adoption.take_over(self.engine, self.admission.workspace(root), self._heard, self.state_dir)
        self._tidy()
        with self._lock:
            self._taken_over.update(taken)
            self._containers.update((container.id, container) for container in taken.values())
            # An end that comes late is not to be taken for that of another kernel.
            launches = (container.kernel.launch for container in taken.values() if container.kernel)
            self._launches = max(self._launches, *launches, 0)
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
        with self._lock:
            container = self._containers.get(container_id)
        if container is None:
            name = self.containers.get(container_id)["environment"]
            raise ContainerElsewhere(
                f"Another program on {self.engine.facts.host} started the container of {name}, and only that one can "
                f"reach into it. Ask there, or run the notebook here."
            )
        if not container.alive:
            raise ContainerEnded(f"The container does not run on {self.engine.facts.host} any more.")
        return container

    def running(self) -> list[RunningContainer]:
        """The containers of this process."""
        with self._lock:
            return list(self._containers.values())

    def _container(
        self,
        environment: Environment,
        workspace_: Workspace,
        previous: RunningContainer | None,
        tell: KernelEvents,
        *,
        fresh: bool,
    ) -> RunningContainer:
        """The container for a launch: the one that the kernel had, one that stands by, or a new one."""
        if previous is None:
            return self.standbys.take(environment, workspace_) or self._start(environment, workspace_, None, tell)
        if previous.alive and not fresh and previous.environment == environment:
            return previous
        self._remove(previous)
        return self._start(environment, workspace_, previous.folders, tell)

    def connection(self, container: RunningContainer, key: str, signature_scheme: str) -> dict[str, Any]:
        """Connection information for a kernel, as seen from this side."""
        return _connection(str(container.folders.run / "k"), key, signature_scheme)

    def has_image(self, environment: Environment) -> bool:
        """Whether the image of an environment is there: nothing is pulled for what nobody waits for."""
        image = catalog.load().mirrored(environment.image, self.registry_prefix)
        return self.starter.current_image(replace(environment, image=image)) is not None

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

    def _start(
        self,
        environment: Environment,
        workspace_: Workspace,
        folders: Folders | None,
        tell: KernelEvents,
        *,
        standby: bool = False,
    ) -> RunningContainer:
        tell.step("engine")
        starter = self.starter
        folders = folders or host_folders.container_folders(environment.name, self.state_dir)
        with self.admission.place(environment, folders, standby=standby):
            container = starter.start(
                environment,
                workspace_,
                folders,
                orphan_timeout=self.server_orphan_timeout if self.in_server else self.orphan_timeout,
                pids_limit=self.policy.max_pids,
                events=tell,
                on_event=self._heard,
            )
        with self._lock:
            self._containers[container.id] = container
        self._tidy()
        return container

    def _launch(
        self,
        container: RunningContainer,
        kernel_id: str,
        key: str,
        signature_scheme: str,
        cwd: Path,
        env: dict[str, str],
    ) -> Kernel:
        with self._lock:
            self._launches += 1
            kernel = Kernel(kernel_id, self._launches)
        with container.busy:
            previous = container.kernel
            container.keep()
            container.kernel = kernel
            inside = container.workspace.inside(cwd.resolve()) or workspace.NOTEBOOKS
            connection = self.connection(container, key, signature_scheme)
            container.note(connection, env.get("JPY_SESSION_NAME", ""), str(inside), in_server=self.in_server)
            container.control().request(
                "launch",
                kernel=kernel_id,
                launch=kernel.launch,
                connection=_connection(str(container.folders.run_inside / "k"), key, signature_scheme),
                subscribers=previous.subscribers if previous else None,
                cwd=str(inside),
                env=self._inner_variables(container, env),
                arguments=[],
                warm=WARM_TOGETHER if self._held(container) else WARM,
                # Without a server nobody takes a kernel over.
                record=self.record_memory if self.in_server else 0,
            )
            try:
                kernel.ready.result(LAUNCH_TIMEOUT)
            except FutureTimeoutError:
                raise exit_report.failed(self.engine, container, kernel, None, LAUNCH_TIMEOUT) from None
            except ContainerError:
                how = kernel.exited.result()
                raise exit_report.failed(self.engine, container, kernel, how, LAUNCH_TIMEOUT) from None
        return kernel

    def _held(self, container: RunningContainer) -> bool:
        """Whether the next spare of a container is to wait for the end of other starts, as all told by it."""
        with self._lock:
            if self.starts.count < 2:  # noqa: PLR2004 - its own
                return False
            self._cold.append(container)
            return True

    def _warm(self) -> None:
        """No start is under way: the spares that were to wait for that are warmed."""
        with self._lock:
            cold, self._cold = self._cold, []
        for container in cold:
            self.threads.soon(self._warm_one, container)

    def _warm_one(self, container: RunningContainer) -> None:
        with suppress(ContainerError):  # it has ended
            container.control().request("warm")

    def _learn(self, container: RunningContainer) -> None:
        """Take the opportunity to see what is in the image of a container, once its kernel is there."""
        if starter := self._starter:
            starter.images.learn(container.image, container.id, container.control().hello["executable"])

    def _inner_variables(self, container: RunningContainer, env: dict[str, str]) -> dict[str, str]:
        """Paths that name the notebook mean the same inside."""
        inner = dict(env)
        if session := inner.get("JPY_SESSION_NAME"):
            path = Path(session)
            inside = container.workspace.inside(path.parent.resolve() / path.name)
            inner["JPY_SESSION_NAME"] = str(inside) if inside else session
        if (proxy := self.ports.proxy_variable(container)) and PROXY_VARIABLE not in container.environment.env:
            inner.setdefault(PROXY_VARIABLE, proxy)
        return inner

    # What the supervisors say.

    def _heard(self, container: RunningContainer, message: Message | None) -> None:
        kernel = container.kernel
        if message is None or "program" in message:
            container.heard(message)
        if message is None:
            if kernel and not kernel.exited.done():
                self._ended(container, kernel, Exit("container"))
            elif not container.removed:
                self._expire(container, RESTART_GRACE)
        elif kernel is None or message.get("launch") != kernel.launch:
            return  # of a kernel that has been replaced, or of a program
        elif message["event"] == "ready":
            kernel.ready.set_result(None)
        elif message["event"] == "exit":
            self._ended(container, kernel, Exit.from_event(message))

    def _ended(self, container: RunningContainer, kernel: Kernel, how: Exit) -> None:
        starting = not kernel.ready.done()
        kernel.end(how)
        if not kernel.ending and not starting:
            self.threads.soon(self._tell_death, container, kernel, how)
        if not container.removed:
            self._expire(container, RESTART_GRACE)

    def _tell_death(self, container: RunningContainer, kernel: Kernel, how: Exit) -> None:
        tell = KernelEvents(self._tell, kernel.kernel_id, container.environment)
        self.log.warning("%s", exit_report.tell(self.engine, container, kernel, how, tell))

    def _tell(self, event: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener(event)

    # Stopping.

    def signal(self, container: RunningContainer, kernel: Kernel, signum: int) -> None:
        """Send a signal to a kernel's process group. One that has ended has no use for it."""
        if signum in (signal.SIGTERM, signal.SIGKILL):
            self.expect_end(container, kernel)
        if not kernel.exited.done() and container.alive:
            try:
                container.control().request("signal", kernel=kernel.kernel_id, signum=int(signum))
            except ContainerError:
                if not kernel.exited.done():
                    raise

    def expect_end(self, container: RunningContainer, kernel: Kernel) -> None:
        """Note that a kernel's end is wanted, and who listens to it: after a restart they are waited for."""
        if not kernel.ending:
            kernel.subscribers = host_resources.connections(str(container.folders.run_inside / "k-2"))
            kernel.ending = True

    def remove(self, container_id: str) -> None:
        """Kill and remove a container of this user, whoever started it.

        Raises
        ------
        ContainerNotFound
            when there is none of that id
        """
        if container := self._containers.get(container_id):
            self._remove(container)
        else:
            self.engine.remove(self.containers.get(container_id)["id"])

    def release(self, container: RunningContainer) -> None:
        """Remove a container that its kernel needs no more."""
        self._remove(container)

    def _remove(self, container: RunningContainer, only_idle: bool = False) -> None:
        with container.busy:
            if container.removed or (only_idle and not container.idle):
                return
            container.removed = True
            if container.kernel:
                container.kernel.ending = True
            try:
                self.starter.discard(container)
            finally:
                if container.kernel:
                    container.kernel.end(Exit("container"))
                with self._lock:
                    self._containers.pop(container.id, None)
        self._tidy()

    def _expire(self, container: RunningContainer, seconds: float) -> None:
        """Remove a container after a while, unless a kernel has come."""
        container.expire(seconds, lambda: self._remove_idle(container))

    def _remove_idle(self, container: RunningContainer) -> None:
        try:
            self._remove(container, only_idle=True)
        except TFContainerError as error:
            self.log.warning("A container could not be removed: %s", error)

    def leave(self, container: RunningContainer) -> None:
        """Let go of a container and leave its kernel running, for the next server on its workspace."""
        with self._lock:
            self._containers.pop(container.id, None)
            if container.kernel:
                self._taken_over.pop(container.kernel.kernel_id, None)
        container.leave()

    def close(self) -> None:
        """Cancel what starts, remove what runs, and let go of the engine."""
        with self._lock:
            starter = self._starter
        self.standbys.close()
        if starter:
            starter.cancel()
        self.operations.close()
        self.cards.close()
        self.threads.finish_starts()
        if running := self.running():
            with ThreadPoolExecutor(len(running), "tfcontainer-stop") as pool:
                for done in [pool.submit(self._remove, container) for container in running]:
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
                self._remove(container)
            except TFContainerError as error:
                self.log.warning("A container could not be removed: %s", error)

    # What is left.

    def _tidy(self) -> None:
        """Have removed what is of no use to anybody, if there may be such."""
        if not self._looked or self.starter.untidy:
            self._looked = True
            self.threads.soon(self.sweep)

    def sweep(self) -> None:
        """Remove what programs that have died left of this user's containers, as far as the engine answers."""
        starter = self.starter
        starter.untidy = False
        try:
            for one in self.leftovers():
                self.log.info("Removing %s: nobody has use for it.", one.name)
                one.remove()
        except TFContainerError as error:
            starter.untidy = True
            self.log.warning("Could not look for what was left of containers: %s", error)

    def leftovers(self) -> Iterator[Leftover]:
        """What programs that have died left of this user's containers.

        Raises
        ------
        EngineError
            when no engine answers
        """
        return orphans.find(self.engine, self._own_folders, self.state_dir)

    def _own_folders(self) -> dict[Path, str]:
        return {one.folders.state: one.id for one in self.running()}


def _check_supported(engine: Engine) -> None:
    facts = engine.facts
    how = None
    if facts.virtual_machine:
        how = "in a virtual machine"
    elif facts.user_namespaces:
        how = "with remapped users (userns-remap)"
    elif not facts.url.startswith("unix://"):
        how = f"on another machine ({facts.url})"
    if how:
        raise EngineNotSupported(
            f"{facts.name} runs {how}. Kernels talk to JupyterLab through sockets in a shared folder, which needs an "
            f"engine of this very machine: "
            "Docker Engine for Linux or Podman, with root or rootless."
        )


def _connection(prefix: str, key: str, signature_scheme: str) -> dict[str, Any]:
    ports = {
        f"{channel}_port": number for number, channel in enumerate(("shell", "iopub", "stdin", "hb", "control"), 1)
    }
    return {
        "transport": "ipc",
        "ip": prefix,
        **ports,
        "key": key,
        "signature_scheme": signature_scheme,
        "kernel_name": "",
    }
