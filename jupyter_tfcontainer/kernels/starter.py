"""From an environment to a container that waits for its kernel.

Each step of a start is undone if a later one fails.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .. import workspace
from ..compatibility import hardware
from ..compatibility.verdict import Verdict
from ..engine import Engine, gpu
from ..environments import preflight
from ..environments.environment import Environment
from ..errors import (
    ContainerEnded,
    ContainerError,
    ContainerNameTaken,
    ContainerNotFound,
    EngineFailed,
    EngineNotFound,
    EngineSilent,
    EnvironmentInvalid,
    GPURouteMissing,
    IPykernelMissing,
    MountMissing,
    OperationCancelled,
    TFContainerError,
)
from ..images import prepare
from ..images.image_store import Images
from ..workspace import Workspace
from . import container_config, host_folders, host_resources
from .container import RunningContainer
from .events import KernelEvents
from .supervisor_client import Message, SupervisorClient
from .types import Folders, Person

PROGRAMS = Path(__file__).parent / "inside"
# The supervisor's word that it listens.
READY = b"[supervisor] ready"
# The exit code of start.sh when no interpreter has ipykernel.
NO_IPYKERNEL = 86
# Lines of a log that fit into a dialog.
LOG_LINES = 12
# Seconds that a container may take until its supervisor listens: what comes before that is the image's own entrypoint.
BOOT_TIMEOUT = 120.0
CANCELLED = "was removed before its kernel was there, since this program ends."


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """What to start, and who is told of it.

    Parameters
    ----------
    environment, workspace, folders
        what to start, and on which folders
    orphan_timeout
        seconds without an owner after which the container ends itself
    pids_limit
        how many processes and threads it may have; None for the engine's own limit
    events
        are told each step
    on_event
        gets what the supervisor pushes, and None at its end
    """

    environment: Environment
    workspace: Workspace
    folders: Folders
    orphan_timeout: float
    pids_limit: int | None
    events: KernelEvents
    on_event: Callable[[RunningContainer, Message | None], None]


class Starter:
    """Starts containers on one engine.

    Parameters
    ----------
    engine
        the engine
    images
        its images
    """

    def __init__(self, engine: Engine, images: Images) -> None:
        self.engine = engine
        self.images = images
        self._lock = threading.Lock()
        self._accounts: dict[str, tuple[str, str]] = {}
        #: The interpreter that has ipykernel, by image.
        self._pythons: dict[str, str] = {}
        self._cancelled = False
        #: Whether something is left of containers of this process that the engine did not remove.
        self.untidy = False
        #: The containers that boot, each with why that was ended, once it was.
        self._booting: dict[str, str] = {}

    def start(self, request: StartRequest) -> RunningContainer:
        """Start a container and connect to its supervisor.

        Raises
        ------
        TFContainerError
            with what to do; nothing is left behind
        """
        environment, events = request.environment, request.events
        events.step("preflight")
        verdict = preflight.check(environment, hardware.read(), self.engine.facts.host)
        image = self.images.ensure(
            environment,
            before_pull=lambda: self._before_pull(environment, events),
            on_progress=events.pulling,
        )
        ready = prepare.prepared(self.images, environment, image)
        try:
            return self._start_in(ready or image, request, verdict)
        except IPykernelMissing as error:
            if ready or environment.pull_policy == "never" or environment.network == "none":
                raise
            ready = self._prepare(environment, events, error)
        return self._start_in(ready, request, verdict)

    def _prepare(self, environment: Environment, events: KernelEvents, missing: IPykernelMissing) -> dict[str, Any]:
        """Make an image with ipykernel from an environment's, which has none."""
        events.step("prepare")
        operation = prepare.prepare(self.images, environment.image, environment.platform, environment.python)
        try:
            made = operation.wait().image
        except OperationCancelled:
            raise
        except TFContainerError as error:
            raise IPykernelMissing(f"{missing} It could not be made by itself: {error}") from error
        image = self.engine.image(made or "")
        if image is None:
            raise missing
        return image

    def _start_in(self, image: dict[str, Any], request: StartRequest, verdict: Verdict | None) -> RunningContainer:
        engine, events = self.engine, request.events
        environment, workspace_, folders = request.environment, request.workspace, request.folders
        person = host_resources.person()
        user = container_config.kernel_user(environment, person, engine.facts)
        shared = container_config.is_another(environment, person, engine.facts)
        try:
            host_folders.make(folders, workspace_.masked, workspace_.root, shared=shared)
            _write_programs(folders.programs)
            container = RunningContainer(folders, environment, workspace_)
        except OSError as error:
            shutil.rmtree(folders.state, ignore_errors=True)
            raise ContainerError(
                f"The folder for a container of {environment.display_name} cannot be made on {engine.facts.host}: "
                f"{error.strerror} ({folders.state}). See that there is room on that disk, and that it is yours."
            ) from error
        container.image = image["Id"]
        container.caveats = [reason.sentence for reason in verdict.reasons if reason.word != "works"] if verdict else []
        try:
            events.step("create")
            # Whoever asks for none is not to wait for trials of the ways.
            route: gpu.Route = "request" if environment.gpus == "none" else engine.gpu_route()
            container.id = engine.create(
                container_config.create_arguments(
                    environment,
                    workspace_=workspace_,
                    facts=engine.facts,
                    image=image,
                    person=person,
                    folders=folders,
                    orphan_timeout=request.orphan_timeout,
                    gpu_route=route,
                    device_groups=host_resources.device_groups(environment),
                    python=self._pythons.get(image["Id"]),
                    pids_limit=request.pids_limit,
                ),
                environment.container_name,
                environment.platform,
            )
            self._prove_limits(container)
            events.step("boot")
            self._boot(container, lambda: self._put_accounts(container.id, image["Id"], user))
            container.client = self._client(container, lambda message: request.on_event(container, message))
            container.python = container.client.hello["python"]
            self._pythons[image["Id"]] = container.client.hello["executable"]
            self.prove_mounts(container)
            self._prove_gpus(container, route)
        except BaseException as error:
            # It may have done what it was asked all the same.
            silent = isinstance(error, EngineNotFound | EngineSilent)
            with suppress(TFContainerError):  # why it failed is what whoever asked wants to know
                self.discard(container, unsure=silent and not container.id)
            if isinstance(error, EngineFailed) and not silent:
                raise self._refused(container, str(error)) from error
            raise
        return container

    def _client(self, container: RunningContainer, on_event: Callable[[Message | None], None]) -> SupervisorClient:
        """A connection to the supervisor of a container that says it has one."""
        try:
            return SupervisorClient(
                container.folders.run / "control.sock", f"process {os.getpid()} of user {os.getuid()}", on_event
            )
        except OSError as error:
            environment = container.environment
            raise ContainerEnded(
                f"The container of {environment.display_name} on {self.engine.facts.host} says that it is ready, and "
                f"nobody listens there ({error.strerror}). See what the image {environment.image} starts."
            ) from error

    def discard(self, container: RunningContainer, *, unsure: bool = False) -> None:
        """Remove a container, and what belongs to it on this side.

        Where the engine does not do that, what runs in it ends all the same, and what is left of it is found by whoever
        looks for such.

        Parameters
        ----------
        container
            which; it may have no id, when it was never made
        unsure
            whether it may have been made all the same

        Raises
        ------
        EngineError
            when the engine does not remove it
        """
        try:
            if container.id:
                self.engine.remove(container.id)
        except TFContainerError:
            unsure = True
            raise
        finally:
            if unsure:
                container.abandon()
                self.untidy = True
            else:
                container.close()

    def current_image(self, environment: Environment) -> str | None:
        """The id of the image that an environment would be started in as things are; None where it is not there."""
        image = self.engine.image(environment.image)
        if image is None:
            return None
        return str((prepare.prepared(self.images, environment, image) or image)["Id"])

    def cancel(self) -> None:
        """Cancel all starts: the operations that they wait for, and the containers that boot."""
        self.images.operations.close()
        with self._lock:
            self._cancelled = True
            booting = list(self._booting)
        for container in booting:
            self._end_boot(container, CANCELLED)

    def _before_pull(self, environment: Environment, events: KernelEvents) -> None:
        """What would make a start fail anyway is found out before gigabytes are fetched for it."""
        if environment.gpus != "none":
            self.engine.try_gpu_route(environment.gpus)
        events.step("pull")

    def _put_accounts(self, container: str, image: str, person: Person) -> None:
        if person.uid == 0 and not person.groups:
            return  # root is in every image
        with self._lock:
            known = self._accounts.get(image)
        if known is None:
            passwd, group = (
                (self.engine.read(container, path) or b"").decode(errors="replace")
                for path in ("/etc/passwd", "/etc/group")
            )
            with self._lock:
                known = self._accounts[image] = (passwd, group)
        self.engine.put(container, container_config.account_files(*known, person))

    def _boot(self, container: RunningContainer, meanwhile: Callable[[], None]) -> None:
        environment, machine = container.environment, self.engine.facts.host
        try:
            output, code = self._wait_for_boot(container, meanwhile)
        except EngineFailed as error:
            if re.search(r'exec: "sh"|executable file `sh` not found', str(error)):
                raise IPykernelMissing(
                    f"The image {environment.image} on {machine} cannot run a kernel: it has no shell (sh), and so "
                    f"most likely no Python. Pick another image."
                ) from error
            raise
        if code == NO_IPYKERNEL and environment.python:
            raise IPykernelMissing(
                f"The environment {environment.name} says python: {environment.python!r}, and the image "
                f"{environment.image} on {machine} has no such interpreter, or none with ipykernel. Correct it, or "
                f"take it away to have one looked for."
            )
        if code == NO_IPYKERNEL:
            raise IPykernelMissing(
                f"The image {environment.image} on {machine} cannot run a kernel: {last_lines(output)}. Pick an image "
                f"with Jupyter inside, or make one: a Dockerfile with `FROM {environment.image}` and `RUN pip install "
                f"ipykernel`."
            )
        if code is not None:
            raise ContainerEnded(
                f"The container of {environment.display_name} ended with exit code {code} on {machine} before its "
                f"kernel was there. {container_config.blame(environment)}"
                f"Its log ends:\n{last_lines(output) or '(nothing)'}"
            )

    def _wait_for_boot(self, container: RunningContainer, meanwhile: Callable[[], None]) -> tuple[str, int | None]:
        """Start a container, and wait until its supervisor listens; an entrypoint that hangs is not waited for."""
        patience = threading.Timer(BOOT_TIMEOUT, self._give_up, (container.id,))
        patience.daemon = True
        patience.name = "tfcontainer-patience"
        with self._lock:
            self._booting[container.id] = CANCELLED if self._cancelled else ""
        booted: tuple[str, int | None] | None = None
        try:
            if not self._booting[container.id]:
                patience.start()
                booted = self.engine.start_until(container.id, READY, meanwhile)
        except ContainerNotFound:
            if not self._booting[container.id]:
                raise
        finally:
            patience.cancel()
            if patience.ident:
                patience.join()  # it may be just removing the container
            with self._lock:
                why = self._booting.pop(container.id)
        if booted is None or why:
            name, machine = container.environment.display_name, self.engine.facts.host
            raise ContainerEnded(f"The container of {name} on {machine} {why}")
        return booted

    def _give_up(self, container: str) -> None:
        log = ""
        with suppress(TFContainerError):  # it may not even have begun
            log = last_lines(self.engine.logs(container, LOG_LINES))
        why = f"was not ready after {BOOT_TIMEOUT:.0f} s, and was removed. Its log ends:\n{log or '(nothing)'}"
        with suppress(TFContainerError):  # the engine has gone, which whoever waits hears as well
            self._end_boot(container, why)

    def _end_boot(self, container: str, why: str) -> None:
        """Remove a container that boots: whoever waits for it hears of that at once."""
        with self._lock:
            if container not in self._booting:
                return
            self._booting[container] = why
        self.engine.hang_up(container)
        self.engine.remove(container)

    def _refused(self, container: RunningContainer, explanation: str) -> TFContainerError:
        """What the engine meant when it refused a container, in terms of what the environment says."""
        environment = container.environment
        # Docker's words, and Podman's.
        if missing := re.search(r"bind source path does not exist: (.*)|statfs (.*): no such file", explanation):
            path = (missing[1] or missing[2]).strip()
            own = {mount.source for mount in environment.mounts}
            return self._not_mounted(Path(path) if path in own else container.workspace.root)
        if environment.container_name and "is already in use" in explanation:
            return ContainerNameTaken(
                f"The environment {environment.name} says container_name: {environment.container_name!r}, and another "
                f"container on {self.engine.facts.host} has that name. Shut that one down, or take the name away to "
                f"have more than one."
            )
        if field := container_config.refused_field(environment, explanation):
            return EnvironmentInvalid(
                f"The environment {environment.name} says {field}: {environment.asked[field]!r}, which does not work "
                f"there: {explanation}"
            )
        return EngineFailed(f"{explanation.rstrip('.')}. {container_config.blame(environment)}".strip())

    def _prove_limits(self, container: RunningContainer) -> None:
        """Engines leave limits out, with a warning to nobody, where the machine cannot keep them."""
        environment = container.environment
        if not environment.memory and not environment.cpus:
            return
        if field := container_config.dropped(environment, self.engine.inspect(container.id)["HostConfig"]):
            raise EnvironmentInvalid(
                f"The environment {environment.name} says {field}: {environment.asked[field]!r}, which "
                f"{self.engine.facts.name} cannot keep to: its machine does not let it limit that. Take it away."
            )

    def _prove_gpus(self, container: RunningContainer, route: gpu.Route) -> None:
        """A kernel that was to have a GPU and has none would compute for days on the processor."""
        environment, facts = container.environment, self.engine.facts
        if environment.gpus == "none":
            return
        if facts.kind == "podman":
            there = gpu.given(self.engine.inspect(container.id)["HostConfig"], len(environment.devices))
        else:
            there = gpu.arrived(container.control().hello["devices"])
        if not there:
            raise GPURouteMissing(
                f"The GPU that {environment.display_name} asks for did not get into its container, and "
                f"{facts.name} says nothing of why. {gpu.REMEDIES[route]}; or pick an environment without a GPU."
            )

    def prove_mounts(self, container: RunningContainer) -> None:
        """See that the folders of a container are those of this machine.

        The same folder has the same inode number on both sides; another engine's idea of that path has not, nor has
        a folder that was put in its place later.

        Raises
        ------
        MountMissing
            with what to do
        """
        outside = dict.fromkeys(container.workspace.places, container.workspace.root)
        outside[workspace.HOME] = container.folders.home
        outside.update((PurePosixPath(mount.target), Path(mount.source)) for mount in container.environment.mounts)
        inodes = container.control().hello["inodes"]
        for place, folder in outside.items():
            inode = inodes.get(str(place))
            if isinstance(inode, str):
                user = container_config.kernel_user(container.environment, host_resources.person(), self.engine.facts)
                raise MountMissing(
                    f"A kernel of user {user.uid} cannot enter {folder}: {inode}. See that this user may enter "
                    f"each folder on the way to it."
                )
            if inode != folder.stat().st_ino:
                raise self._not_mounted(folder)

    def _not_mounted(self, folder: Path) -> MountMissing:
        return MountMissing(
            f"The container engine on {self.engine.facts.host} does not see the folder {folder} of this machine: it "
            f"runs elsewhere, or shut off from it "
            "(as the snap package of Docker is). Use an engine of this machine, or a workspace below your home folder."
        )


def _write_programs(folder: Path) -> None:
    """Write what runs inside. A copy for each container: an update of ours leaves those that run what they are."""
    folder.mkdir(exist_ok=True)
    for name in ("start.sh", "supervisor.py", "kernel.py", "board.py", "recorder.py"):
        (folder / name).write_bytes((PROGRAMS / name).read_bytes())
        # Whatever the umask: the user inside may be another.
        (folder / name).chmod(0o644)
    folder.chmod(0o755)


def last_lines(log: str) -> str:
    """The end of a log, short enough to be read in a dialog."""
    return "\n".join(log.strip().splitlines()[-LOG_LINES:])
