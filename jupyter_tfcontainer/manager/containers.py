"""What this user may ask of the containers there are, whichever program of theirs started them."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any

from .. import locks
from ..compatibility.gpu_usage import Use
from ..engine import gpu, labels
from ..engine.exec import Exec
from ..engine.provider import EngineProvider
from ..errors import ContainerElsewhere, ContainerEnded, ContainerError, ContainerNotFound, EngineFailed, OutputNotKept
from ..kernels import output_log, shell
from ..kernels.container import RunningContainer
from ..kernels.state_file import recorded
from .admission import Admission
from .registry import Registry

Model = dict[str, Any]


class UserContainers:
    """The containers of this user.

    Parameters
    ----------
    provider
        has the engine
    registry
        knows more of this process's own
    admission
        says who may be root in them
    log
        gets what keeps nobody from anything
    """

    def __init__(
        self,
        provider: EngineProvider,
        registry: Registry,
        admission: Admission,
        log: Logger | LoggerAdapter[Any],
    ) -> None:
        self._provider = provider
        self._registry = registry
        self._admission = admission
        self._log = log

    def list(self) -> builtins.list[Model]:
        """Models of the containers of this user.

        Those of this process come with all that is known of them, others with what their labels and files tell.
        """
        mine = {one.id: one for one in self._registry.running()}
        return [
            mine[one["Id"]].model() if one["Id"] in mine else self._foreign_model(one)
            for one in self._provider.engine.list(os.getuid())
        ]

    def get(self, container_id: str) -> Model:
        """The model of one container.

        Raises
        ------
        ContainerNotFound
            when there is none of that id, or it is not this user's
        """
        for model in self.list():
            if model["id"] == container_id:
                return model
        raise ContainerNotFound(f"There is no container {container_id} of yours on {self._provider.engine.facts.host}.")

    def own(self, container_id: str) -> RunningContainer:
        """A container of this process, which runs.

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded
            with what to do
        """
        container = self._registry.get(container_id)
        if container is None:
            name = self.get(container_id)["environment"]
            raise ContainerElsewhere(
                f"Another program on {self._provider.engine.facts.host} started the container of {name}, and only that "
                f"one can reach into it. Ask there, or run the notebook here."
            )
        if not container.alive:
            raise ContainerEnded(f"The container does not run on {self._provider.engine.facts.host} any more.")
        return container

    def logs(self, container_id: str, tail: int) -> str:
        """The last lines of a container's log.

        Raises
        ------
        ContainerNotFound
            when there is none of that id, or it is not this user's
        """
        return self._provider.engine.logs(self.get(container_id)["id"], tail)

    def output(self, container_id: str) -> Model:
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
        recorder = output_log.Recording(container)
        try:
            recorded = recorder.read()
        except ContainerError as error:
            raise OutputNotKept(
                f"What the kernel of {container.environment.display_name} has said is not to be had on "
                f"{self._provider.engine.facts.host}: it is recorded from some seconds after the kernel's start on, "
                f"unless c.ContainerManager.record_memory in jupyter_tfcontainer_config.py is 0. Try again in a "
                f"moment. ({error})"
            ) from error
        return {"output": output_log.text(recorded), "complete": not recorder.gap}

    def running_ids(self) -> builtins.list[str]:
        """The ids of the containers of this user that run."""
        return [one["Id"] for one in self._provider.engine.list(os.getuid()) if one["State"] == "running"]

    def figures(self, container_id: str, use: Use) -> Model | None:
        """What one of them uses at this time; None once it is gone, and while it goes.

        Parameters
        ----------
        container_id
            which container
        use
            what the cards do at this time
        """
        try:
            described = self._provider.engine.inspect(container_id)
            figures = self._provider.engine.figures(described)
        except (ContainerNotFound, ContainerEnded, EngineFailed) as error:
            self._log.debug("No figures of container %s: %s", container_id[:12], error)
            return None
        pid, has_gpu = described["State"]["Pid"], gpu.is_given(described["Config"].get("Env") or [])
        return {**figures, "gpu_memory": use.memory(container_id, pid, has_gpu=has_gpu)}

    def follow_logs(
        self, container_id: str, tail: int, opened: Callable[[Callable[[], None]], None] = lambda _: None
    ) -> Iterator[str]:
        """The same, and what it prints from then on, until it ends; ``opened`` is told how to end it earlier."""
        return self._provider.engine.follow(self.get(container_id)["id"], tail, opened=opened)

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
        folder = Path(self._provider.engine.inspect(container_id)["Config"]["Labels"][labels.FOLDER])
        return locks.lock_holder(folder) if recorded(folder).get("in_server") else None

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
            self._admission.admit_root(model)
        folder = self._provider.engine.inspect(container_id)["Config"]["Labels"][labels.FOLDER]
        cwd = recorded(Path(folder)).get("cwd")
        return shell.start(self._provider.engine, container_id, command, cwd=cwd, tty=tty, root=root)

    def admit_shell(self, container_id: str, *, root: bool) -> None:
        """See whether a shell may be opened in a container, for who opens it in a process of its own.

        Raises
        ------
        ContainerNotFound, ContainerEnded, PolicyRefused
            with what to do
        """
        model = self.get(container_id)
        if model["state"] == "ended":
            raise ContainerEnded(f"The container does not run on {self._provider.engine.facts.host} any more.")
        if root:
            self._admission.admit_root(model)

    def _foreign_model(self, one: Model) -> Model:
        """The model of a container that another process owns."""
        names = one["Labels"]
        state = recorded(Path(names.get(labels.FOLDER, "")))
        runs = one["State"] == "running"
        image = self._provider.engine.image(one["ImageID"]) or {}
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
