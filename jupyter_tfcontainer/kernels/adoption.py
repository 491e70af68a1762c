"""Kernels whose server has died: the next one on the same workspace takes them over, as they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from .. import locks, paths
from ..engine import Engine, labels
from ..environments.environment import Environment
from ..errors import ContainerEnded, TFContainerError
from ..workspace import NOTEBOOKS, Workspace
from . import host_folders, page_cursor
from .container import Kernel, RunningContainer
from .state_file import Record, recorded
from .supervisor_client import Message, SupervisorClient
from .types import Folders

log = logging.getLogger(__name__)
OnEvent = Callable[[RunningContainer, Message | None], None]


def take_over(engine: Engine, workspace: Workspace, on_event: OnEvent, state_dir: str) -> dict[str, RunningContainer]:
    """Become the owner of the containers whose Jupyter server has died, those with a kernel on a workspace.

    Parameters
    ----------
    engine
        where they run
    workspace
        the new server's
    on_event
        gets what their supervisors push, and None at their end
    state_dir
        as configured

    Returns
    -------
    dict
        the containers, by the ids of the kernels that run in them
    """
    taken = {}
    for one in engine.list(os.getuid()):
        folder = Path(one["Labels"].get(labels.FOLDER, ""))
        state = recorded(folder)
        of_ours = one["Labels"].get(labels.WORKSPACE) == str(workspace.root) and state.get("in_server")
        if not of_ours or one["State"] != "running":
            continue
        try:
            if container := _adopt(one, folder, state, workspace, on_event):
                taken[state["kernel_id"]] = container
        except ContainerEnded as ended:
            log.warning("%s", ended)
            with suppress(TFContainerError):  # else it ends by itself, and the others are taken over all the same
                engine.remove(one["Id"])
                host_folders.discard(folder, state_dir)
        except (KeyError, TypeError, OSError, TFContainerError) as error:
            # It was started by another version of ours, or has ended this moment.
            log.warning("The kernel in container %s could not be taken over: %s", one["Id"][:12], error)
    return taken


def _adopt(
    one: dict[str, Any], folder: Path, state: dict[str, Any], workspace: Workspace, on_event: OnEvent
) -> RunningContainer | None:
    """Become the owner of a container; None where another process is."""
    lock = locks.inherit(folder)
    if lock is None:
        return None
    record = Record(folder, lock)
    try:
        environment = Environment.load(state["definition"])
        # Those that an earlier version has started do not say it.
        home = one["Labels"].get(labels.HOME) or paths.home_folder(environment.name)
        folders = Folders(state=folder, run=folder / "run", home=Path(home))
        container = RunningContainer(folders, environment, workspace, record)
        container.id, container.image, container.standby = one["Id"], state["image_id"], False
        container.created = datetime.fromisoformat(state["created"])
        container.notebook, container.connection = state["session"], state["connection"]
        container.cwd = workspace.root / PurePosixPath(state["cwd"]).relative_to(NOTEBOOKS)
        container.left_open = page_cursor.names(folder)
        container.kernel = kernel = Kernel(state["kernel_id"], state["launch"])
        container.client = SupervisorClient(
            folders.run / "control.sock",
            f"process {os.getpid()} of user {os.getuid()}",
            lambda message: on_event(container, message),
        )
        _recognize(container, kernel)
    except BaseException:
        record.close()
        raise
    return container


def _recognize(container: RunningContainer, kernel: Kernel) -> None:
    """See that the kernel is there that the record tells of."""
    hello = container.control().hello
    container.python = hello["python"]
    for one in hello["kernels"]:
        if (one["kernel"], one["launch"]) == (kernel.kernel_id, kernel.launch) and one["ready"]:
            with suppress(InvalidStateError):  # it has ended meanwhile, as its owner was told
                kernel.ready.set_result(None)
            return
    container.control().close()
    raise ContainerEnded(
        f"The kernel of {container.environment.display_name} ended while no server was there to be told: "
        f"{container.notebook or kernel.kernel_id}."
    )
