"""What runs: start, list, stop. One manager per process, behind every door. Synchronous and thread-safe."""

from __future__ import annotations

import atexit
import builtins
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from . import (
    catalog,
    environments,
    events,
    execs,
    host,
    leftovers,
    recording,
    store,
    takeover,
    workspace,
)
from .admission import Admission
from .cards import Cards, Use
from .containers import Folders, blame
from .disk import Disk
from .engine import Engine, candidates, connect, gpu, labels
from .engine.execs import Exec
from .environments import Environment
from .errors import (
    ContainerElsewhere,
    ContainerEnded,
    ContainerError,
    ContainerNotFound,
    EngineFailed,
    EngineNotSupported,
    EnvironmentInvalid,
    EnvironmentNotFound,
    KernelFailed,
    OutputNotKept,
    TFContainerError,
)
from .events import KernelEvents
from .image_manager import ImageManager
from .images import Images
from .leftovers import Leftover
from .operations import Operations
from .ports import PROXY_VARIABLE, Ports
from .running import Exit, Kernel, RunningContainer, recorded
from .settings import Settings
from .standby import Standbys, Starts
from .starter import LOG_LINES, Starter, last_lines
from .supervisor.client import ENDED, SPARE_ENDED, Message
from .threads import Threads
from .workspace import Workspace

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
            folders = host.container_folders(environment.name, self.state_dir, temporary_home=temporary_home)
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
        taken = takeover.take_over(self.engine, self.admission.workspace(root), self._heard, self.state_dir)
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
            name = self.get(container_id)["environment"]
            raise ContainerElsewhere(
                f"Another program on {self.engine.facts.host} started the container of {name}, and only that one can "
                f"reach into it. Ask there, or run the notebook here."
            )
        if not container.alive:
            raise ContainerEnded(f"The container does not run on {self.engine.facts.host} any more.")
        return container

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
                environment = environments.find(name, specs)
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
        folders = folders or host.container_folders(environment.name, self.state_dir)
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
                raise self._kernel_failed(container, kernel, None) from None
            except ContainerError:
                raise self._kernel_failed(container, kernel, kernel.exited.result()) from None
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

    def _kernel_failed(self, container: RunningContainer, kernel: Kernel, how: Exit | None) -> KernelFailed:
        log = self._last_log(container, kernel, how)
        what = _HOW[how.reason].format(how) if how else f"was not ready within {LAUNCH_TIMEOUT:.0f} s"
        return KernelFailed(
            f"The kernel of {container.environment.display_name} {what} on {self.engine.facts.host}, before it was "
            f"ready. {blame(container.environment)}"
            f"The log of its container ends:\n{log or '(nothing)'}"
        )

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
        log = self._last_log(container, kernel, how)
        if how.reason == "container" and self._out_of_memory(container):
            how = Exit("out_of_memory")
        environment = container.environment
        name = environment.display_name
        message = f"The kernel of {name} {_HOW[how.reason].format(how)} on {self.engine.facts.host}."
        self.log.warning("%s The log of its container ends:\n%s", message, log)
        KernelEvents(self._tell, kernel.kernel_id, environment).emit(
            "dead",
            message,
            reason=how.reason,
            exit_code=how.code,
            signal=how.signal,
            memory_limit=environment.memory,
            host=self.engine.facts.host,
            log=log,
        )

    def _out_of_memory(self, container: RunningContainer) -> bool:
        try:
            return bool(self.engine.inspect(container.id)["State"]["OOMKilled"])
        except TFContainerError:
            return False

    def _last_log(self, container: RunningContainer, kernel: Kernel, how: Exit | None) -> str:
        """The end of what a kernel printed, which may get into the log behind the word that it has ended."""
        try:
            if how is None or how.reason == "container":
                return last_lines(self.engine.logs(container.id, LOG_LINES))
            last = ENDED.format(kernel.launch)
            log = self.engine.logs_until(container.id, LOG_LINES + 2, last).partition(last)[0]
            return last_lines("\n".join(line for line in log.splitlines() if not line.startswith(SPARE_ENDED)))
        except TFContainerError as error:
            return str(error)

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
            kernel.subscribers = host.connections(str(container.folders.run_inside / "k-2"))
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
            self.engine.remove(self.get(container_id)["id"])

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

    # Asking.

    def list(self) -> list[dict[str, Any]]:
        """Models of the containers of this user.

        Those of this process come with all that is known of them, others with what their labels and files tell.
        """
        with self._lock:
            mine = dict(self._containers)
        return [
            mine[one["Id"]].model() if one["Id"] in mine else self._foreign_model(one)
            for one in self.engine.list(os.getuid())
        ]

    def get(self, container_id: str) -> dict[str, Any]:
        """The model of one container.

        Raises
        ------
        ContainerNotFound
            when there is none of that id, or it is not this user's
        """
        for model in self.list():
            if model["id"] == container_id:
                return model
        raise ContainerNotFound(f"There is no container {container_id} of yours on {self.engine.facts.host}.")

    def logs(self, container_id: str, tail: int) -> str:
        """The last lines of a container's log.

        Raises
        ------
        ContainerNotFound
            when there is none of that id, or it is not this user's
        """
        return self.engine.logs(self.get(container_id)["id"], tail)

    def output(self, container_id: str) -> dict[str, Any]:
        """What the kernel in a container has said of late, as its recorder has kept it, whichever page heard it.

        Parameters
        ----------
        container_id
            which container; it must be of this process

        Returns
        -------
        dict
            ``output``, the text; ``complete``, whether nothing of it had to make room for what came later

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded, OutputNotKept
            with what to do
        """
        container = self.own(container_id)
        recorder = recording.Recording(container)
        try:
            recorded = recorder.read()
        except ContainerError as error:
            raise OutputNotKept(
                f"What the kernel of {container.environment.display_name} has said is not to be had on "
                f"{self.engine.facts.host}: it is recorded from some seconds after the kernel's start on, unless "
                f"c.ContainerManager.record_memory in jupyter_tfcontainer_config.py is 0. Try again in a moment. "
                f"({error})"
            ) from error
        return {"output": recording.text(recorded), "complete": not recorder.gap}

    def running(self) -> builtins.list[RunningContainer]:
        """The containers of this process."""
        with self._lock:
            return list(self._containers.values())

    def running_ids(self) -> builtins.list[str]:
        """The ids of the containers of this user that run."""
        return [one["Id"] for one in self.engine.list(os.getuid()) if one["State"] == "running"]

    def figures(self, container_id: str, use: Use) -> dict[str, Any] | None:
        """What one of them uses at this time; None once it is gone, and while it goes.

        Parameters
        ----------
        container_id
            which container
        use
            what the cards do at this time
        """
        try:
            described = self.engine.inspect(container_id)
            figures = self.engine.figures(described)
        except (ContainerNotFound, ContainerEnded, EngineFailed) as error:
            self.log.debug("No figures of container %s: %s", container_id[:12], error)
            return None
        pid, has_gpu = described["State"]["Pid"], gpu.is_given(described["Config"].get("Env") or [])
        return {**figures, "gpu_memory": use.memory(container_id, pid, has_gpu=has_gpu)}

    def follow_logs(
        self, container_id: str, tail: int, opened: Callable[[Callable[[], None]], None] = lambda _: None
    ) -> Iterator[str]:
        """The same, and what it prints from then on, until it ends; ``opened`` is told how to end it earlier."""
        return self.engine.follow(self.get(container_id)["id"], tail, opened=opened)

    def server(self, container_id: str) -> int | None:
        """The process of the Jupyter server that runs the kernel of a container, and would restart it.

        Returns
        -------
        int or None
            its number, or 0 where that cannot be told; None where no server does, or it has died

        Raises
        ------
        ContainerNotFound
            when there is none of that id
        """
        folder = Path(self.engine.inspect(container_id)["Config"]["Labels"][labels.FOLDER])
        return host.lock_holder(folder) if recorded(folder).get("in_server") else None

    def exec(
        self, container_id: str, command: Sequence[str] | None = None, *, tty: bool = False, root: bool = False
    ) -> Exec:
        """Start a command or a shell beside the kernel in a container, as who the kernel is, where it started.

        Parameters
        ----------
        container_id
            which container
        command
            program and arguments; None for a shell
        tty
            whether it gets a terminal
        root
            whether it is root instead

        Raises
        ------
        ContainerNotFound, ContainerEnded, PolicyRefused
            with what to do
        """
        model = self.get(container_id)
        if root:
            self.admission.admit_root(model)
        folder = self.engine.inspect(container_id)["Config"]["Labels"][labels.FOLDER]
        cwd = recorded(Path(folder)).get("cwd")
        return execs.start(self.engine, container_id, command, cwd=cwd, tty=tty, root=root)

    def admit_shell(self, container_id: str, *, root: bool) -> None:
        """See whether a shell may be opened in a container, for who opens it in a process of its own.

        Raises
        ------
        ContainerNotFound, ContainerEnded, PolicyRefused
            with what to do
        """
        model = self.get(container_id)
        if model["state"] == "ended":
            raise ContainerEnded(f"The container does not run on {self.engine.facts.host} any more.")
        if root:
            self.admission.admit_root(model)

    def _foreign_model(self, one: dict[str, Any]) -> dict[str, Any]:
        """The model of a container that another process owns."""
        names = one["Labels"]
        state = recorded(Path(names.get(labels.FOLDER, "")))
        runs = one["State"] == "running"
        image = self.engine.image(one["ImageID"]) or {}
        return {
            "id": one["Id"],
            "environment": names.get(labels.ENVIRONMENT, ""),
            "display_name": names.get(labels.ENVIRONMENT, ""),
            # It was created by the image's id, which may have several names.
            "image": state.get("image") or next(iter(image.get("RepoTags") or []), one["Image"]),
            "python": "",
            "workspace": names.get(labels.WORKSPACE, ""),
            "created": datetime.fromtimestamp(one["Created"], timezone.utc).isoformat(),
            "kernel": {"id": state["kernel_id"], "ready": True} if runs and state.get("kernel_id") else None,
            "notebook": state.get("session", ""),
            "temporary_home": Path(names.get(labels.HOME, "")).is_relative_to(names.get(labels.FOLDER, "/")),
            "state": "ended" if not runs else "standby" if state.get("standby") else "elsewhere",
        }

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
        return leftovers.find(self.engine, self._own_folders, self.state_dir)

    def _own_folders(self) -> dict[Path, str]:
        return {one.folders.state: one.id for one in self.running()}


_HOW = {
    "exited": "ended with exit code {0.code}",
    "signal": "was ended by {0.signal}",
    "out_of_memory": "was ended because it reached the memory limit of its container or machine",
    "container": "ended with its container, which was stopped or killed",
}


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
