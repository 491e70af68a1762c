"""Starts containers, launches kernels in them, and sees to their ends."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from .. import workspace
from ..environments import secrets
from ..environments.environment import Environment
from ..errors import ContainerError, TFContainerError
from ..kernels import exit_report, host_folders, host_resources
from ..kernels.container import Exit, Kernel, RunningContainer
from ..kernels.events import KernelEvents, Listener
from ..kernels.starter import StartRequest
from ..kernels.supervisor_client import Message
from ..kernels.types import Folders
from ..threads import Threads
from ..workspace import Workspace
from .admission import Admission
from .lazy_starter import LazyStarter
from .ports import PROXY_VARIABLE, Ports
from .registry import Registry
from .settings import Settings
from .start_counter import Starts
from .sweeper import Sweeper

# Seconds that a container without a kernel is kept for the restart that may come. Jupyter's restarter looks every 3 s.
RESTART_GRACE = 10.0
# Seconds that an interpreter may take to become a kernel: old ones import slowly from a cold disk.
LAUNCH_TIMEOUT = 120.0
# Seconds that a kernel is left alone before its successor is warmed beside it: it is about to be asked things.
WARM = 0.2
# The same where more starts are under way, and nobody tells sooner that they are over.
WARM_TOGETHER = 10.0


class StandbySource(Protocol):
    """Has containers that were started ahead."""

    def take(self, environment: Environment, workspace_: Workspace) -> RunningContainer | None:
        """One for an environment on a workspace, which stands by no more; None if there is none."""

    def end_one(self) -> bool:
        """Remove one, for a container that is asked for; False if there is none."""


class NoStandbys:
    """Has none."""

    def take(self, environment: Environment, workspace_: Workspace) -> RunningContainer | None:  # noqa: ARG002
        """None."""
        return None

    def end_one(self) -> bool:
        """False."""
        return False


class Launcher:
    """Starts and removes what runs in this process. Synchronous and thread-safe.

    Parameters
    ----------
    settings
        what a person and an administrator set
    lazy
        has the engine
    registry
        is told what this process owns
    admission
        says what may run
    ports
        the kernel is told how its own are reached
    sweeper
        removes what the engine did not
    starts
        counts those under way
    threads
        for what nobody waits for
    """

    def __init__(
        self,
        settings: Settings,
        lazy: LazyStarter,
        registry: Registry,
        admission: Admission,
        ports: Ports,
        sweeper: Sweeper,
        starts: Starts,
        threads: Threads,
    ) -> None:
        self._settings = settings
        self._lazy = lazy
        self._registry = registry
        self._admission = admission
        self._ports = ports
        self._sweeper = sweeper
        self._starts = starts
        self._threads = threads
        #: Whether a Jupyter server owns what runs.
        self.in_server = False
        #: Where a launch finds a container that was started ahead.
        self.standbys: StandbySource = NoStandbys()
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._launches = 0
        # Those whose next spare waits for the end of other starts.
        self._cold: list[RunningContainer] = []
        starts.listen(self._warm)

    def listen(self, listener: Listener) -> None:
        """Have events told to a listener, in whichever thread they happen."""
        self._listeners.append(listener)

    # Starting.

    def start(
        self,
        environment: Environment,
        root: Path,
        *,
        listener: Listener | None = None,
        temporary_home: bool = False,
        may_make_room: bool = True,
    ) -> RunningContainer:
        """Start a container without a kernel.

        Parameters
        ----------
        environment, root
            what to start, and on which folder
        listener
            is told how the start gets on
        temporary_home
            whether it gets an empty home that goes with it, in place of the environment's
        may_make_room
            whether one that stands by may be removed for it

        Raises
        ------
        TFContainerError
            with what to do; nothing is left behind
        """
        # There is no kernel whose state could be told: whoever asked for the container waits for the answer.
        tell = KernelEvents(listener or (lambda _: None), "", environment)
        with self._starts.one():
            workspace_ = self._admission.workspace(root)
            environment = self._admission.admit(environment, workspace_)
            folders = host_folders.container_folders(
                environment.name, self._settings.state_dir, temporary_home=temporary_home
            )
            container = self._start(environment, workspace_, folders, tell, may_make_room=may_make_room)
        self._settings.log.debug("The start of %s ahead took: %s", environment.name, tell.took())
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
        """Launch a kernel; `ContainerManager.launch` says what the arguments are."""
        tell = KernelEvents(self._tell, kernel_id, environment)
        try:
            with self._starts.one():
                workspace_ = self._admission.workspace(root)
                environment = self._admission.admit(environment, workspace_)
                # Not in the container's own variables, which whoever may talk to the engine can read.
                env = {**env, **secrets.values_for(environment)}
                container = self._container(environment, workspace_, previous, tell, fresh=fresh)
                tell.step("launch", container.id)
                try:
                    kernel = self._launch(container, kernel_id, key, signature_scheme, cwd, env)
                except BaseException:
                    self.remove(container)
                    raise
        except TFContainerError as error:
            tell.emit("failed", str(error))
            raise
        self._settings.log.debug("The start of %s took: %s", environment.name, tell.took())
        self._threads.soon(self._learn, container)
        tell.emit(
            "running",
            f"{environment.display_name} runs.",
            host=self._lazy.engine.facts.host,
            caveats=container.caveats or None,
        )
        return container, kernel

    def number_from(self, launches: int) -> None:
        """Give the launches to come higher numbers: an end that comes late is not to be taken for another kernel's."""
        with self._lock:
            self._launches = max(self._launches, launches)

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
        self.remove(previous)
        return self._start(environment, workspace_, previous.folders, tell)

    def connection(self, container: RunningContainer, key: str, signature_scheme: str) -> dict[str, Any]:
        """Connection information for a kernel, as seen from this side."""
        return _connection(str(container.folders.run / "k"), key, signature_scheme)

    def _start(
        self,
        environment: Environment,
        workspace_: Workspace,
        folders: Folders | None,
        tell: KernelEvents,
        *,
        may_make_room: bool = True,
    ) -> RunningContainer:
        tell.step("engine")
        starter, settings = self._lazy.starter, self._settings
        folders = folders or host_folders.container_folders(environment.name, settings.state_dir)
        make_room = self.standbys.end_one if may_make_room else lambda: False
        with self._admission.place(environment, folders, make_room):
            request = StartRequest(
                environment=environment,
                workspace=workspace_,
                folders=folders,
                orphan_timeout=settings.server_orphan_timeout if self.in_server else settings.orphan_timeout,
                pids_limit=settings.policy.max_pids,
                events=tell,
                on_event=self.heard,
            )
            container = starter.start(request)
        self._registry.add(container)
        self._sweeper.tidy()
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
                record=self._settings.record_memory if self.in_server else 0,
            )
            try:
                kernel.ready.result(LAUNCH_TIMEOUT)
            except FutureTimeoutError:
                raise exit_report.failed(self._lazy.engine, container, kernel, None, LAUNCH_TIMEOUT) from None
            except ContainerError:
                how = kernel.exited.result()
                raise exit_report.failed(self._lazy.engine, container, kernel, how, LAUNCH_TIMEOUT) from None
        return kernel

    def _held(self, container: RunningContainer) -> bool:
        """Whether the next spare of a container is to wait for the end of other starts, as all told by it."""
        with self._lock:
            if self._starts.count < 2:  # noqa: PLR2004 - its own
                return False
            self._cold.append(container)
            return True

    def _warm(self) -> None:
        """No start is under way: the spares that were to wait for that are warmed."""
        with self._lock:
            cold, self._cold = self._cold, []
        for container in cold:
            self._threads.soon(self._warm_one, container)

    def _warm_one(self, container: RunningContainer) -> None:
        with suppress(ContainerError):  # it has ended
            container.control().request("warm")

    def _learn(self, container: RunningContainer) -> None:
        """Take the opportunity to see what is in the image of a container, once its kernel is there."""
        if starter := self._lazy.connected:
            starter.images.learn(container.image, container.id, container.control().hello["executable"])

    def _inner_variables(self, container: RunningContainer, env: dict[str, str]) -> dict[str, str]:
        """Paths that name the notebook mean the same inside."""
        inner = dict(env)
        if session := inner.get("JPY_SESSION_NAME"):
            path = Path(session)
            inside = container.workspace.inside(path.parent.resolve() / path.name)
            inner["JPY_SESSION_NAME"] = str(inside) if inside else session
        if (proxy := self._ports.proxy_variable(container)) and PROXY_VARIABLE not in container.environment.env:
            inner.setdefault(PROXY_VARIABLE, proxy)
        return inner

    # What the supervisors say.

    def heard(self, container: RunningContainer, message: Message | None) -> None:
        """Act on what the supervisor of a container says; None is its end."""
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
            self._threads.soon(self._tell_death, container, kernel, how)
        if not container.removed:
            self._expire(container, RESTART_GRACE)

    def _tell_death(self, container: RunningContainer, kernel: Kernel, how: Exit) -> None:
        tell = KernelEvents(self._tell, kernel.kernel_id, container.environment)
        self._settings.log.warning("%s", exit_report.tell(self._lazy.engine, container, kernel, how, tell))

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

    def remove(self, container: RunningContainer, only_idle: bool = False) -> None:
        """Remove a container, and end what runs in it.

        Parameters
        ----------
        container
            which
        only_idle
            not where a kernel has come

        Raises
        ------
        EngineError
            when the engine does not remove it
        """
        with container.busy:
            if container.removed or (only_idle and not container.idle):
                return
            container.removed = True
            if container.kernel:
                container.kernel.ending = True
            try:
                self._lazy.starter.discard(container)
            finally:
                if container.kernel:
                    container.kernel.end(Exit("container"))
                self._registry.discard(container)
        self._sweeper.tidy()

    def _expire(self, container: RunningContainer, seconds: float) -> None:
        """Remove a container after a while, unless a kernel has come."""
        container.expire(seconds, lambda: self._remove_idle(container))

    def _remove_idle(self, container: RunningContainer) -> None:
        try:
            self.remove(container, only_idle=True)
        except TFContainerError as error:
            self._settings.log.warning("A container could not be removed: %s", error)


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
