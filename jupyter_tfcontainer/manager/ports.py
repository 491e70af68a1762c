"""Programs in containers that are reached at ports: which there are, the way to them, and TensorBoard."""

from __future__ import annotations

import builtins
import posixpath
import signal
from concurrent.futures import Future
from typing import Any

from .. import workspace
from ..engine.provider import EngineProvider
from ..errors import TensorBoardFailed, TFContainerError
from ..kernels.container import Program, RunningContainer
from ..kernels.starter import LOG_LINES, last_lines
from ..kernels.state_file import recorded
from ..kernels.supervisor_client import PROGRAM_ENDED, Message
from .admission import Admission
from .containers import UserContainers

# Where TensorBoard looks for logs if nobody says: what its own examples call them, beside the notebook.
LOGDIR = "logs"
# Seconds that TensorBoard may take to listen: it may import all of TensorFlow from a cold disk.
BOARD_TIMEOUT = 120.0
# Where `%tensorboard` has a page look for what listens inside; %PORT% is its own word (tensorboard.notebook).
PROXY_VARIABLE = "TENSORBOARD_PROXY_URL"


class Ports:
    """What is asked of ports in containers.

    Parameters
    ----------
    provider
        has the engine
    containers
        which there are
    admission
        says whether their programs may be reached
    """

    def __init__(self, provider: EngineProvider, containers: UserContainers, admission: Admission) -> None:
        self._provider = provider
        self._containers = containers
        self._admission = admission
        #: The path of a server's proxy, with ``{container}`` and ``{port}``; empty where no server runs.
        self.proxy = ""

    def url(self, container_id: str, port: object) -> str:
        """The path at which a page reaches a port."""
        return self.proxy.format(container=container_id, port=port)

    def proxy_variable(self, container: RunningContainer) -> str:
        """What the kernel in a container is told of that; empty where no server runs."""
        return self.url(container.id, "%PORT%")

    def list(self, container_id: str) -> builtins.list[dict[str, Any]]:
        """The ports of a container: those that its environment declares, and those at which somebody listens.

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded
            with what to do
        """
        container = self._containers.own(container_id)
        declared = set(container.environment.ports)
        listening = set(container.control().request("ports")["ports"])
        return [
            {
                "port": port,
                "declared": port in declared,
                "listening": port in listening,
                "url": self.url(container_id, port),
            }
            for port in sorted(declared | listening)
        ]

    def dial(self, container_id: str, port: int) -> Future[Message]:
        """Connect to a port of a container, from inside it: programs that listen on localhost are reached too.

        Returns
        -------
        Future
            the answer has a ``socket``, or None in its place and a ``problem``

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded, PolicyRefused
            with what to do
        """
        return self._admitted(container_id).control().ask("dial", port=port)

    def display_name(self, container_id: str) -> str:
        """What a person calls a container."""
        return self._containers.own(container_id).environment.display_name

    def tensorboard(self, container_id: str, logdir: str = "") -> tuple[Program, bool]:
        """Have TensorBoard run in a container.

        Parameters
        ----------
        container_id
            which container
        logdir
            a folder inside, from where its kernel started; ``logs`` if it is empty

        Returns
        -------
        tuple
            its program, to be waited for until it ``said`` something and then given to :meth:`board`, and whether it
            was started for this

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded, PolicyRefused
            with what to do
        """
        container = self._admitted(container_id)
        cwd = recorded(container.folders.state).get("cwd") or str(workspace.NOTEBOOKS)
        # As the person wrote it: TensorBoard shows that, and `%tensorboard` compares it.
        logdir = logdir.strip() or LOGDIR
        folder = posixpath.normpath(posixpath.join(cwd, logdir))
        with container.boards_lock:
            known = container.boards.get(folder)
            if known and _runs(known):
                return known, False
            program = container.boards[folder] = container.run("board.py", [logdir], cwd)
        return program, True

    def board(self, container_id: str, program: Program) -> tuple[int, bool]:
        """What came of a TensorBoard that was to run.

        Returns
        -------
        tuple
            the port at which it listens, and whether the notebook itself had it running before

        Raises
        ------
        ContainerNotFound, ContainerElsewhere, ContainerEnded, TensorBoardFailed
            with what to do
        """
        container = self._containers.own(container_id)
        name, machine = container.environment.display_name, self._provider.engine.facts.host
        if not program.said.done():
            log = self._last_log(container, None)
            container.control().request("signal", program=program.number, signum=int(signal.SIGKILL))
            raise TensorBoardFailed(
                f"TensorBoard in the container of {name} on {machine} did not listen within {BOARD_TIMEOUT:.0f} s, and "
                f"was ended. The log of the container ends:\n{log}"
            )
        if program.said.cancelled():
            raise TensorBoardFailed(
                f"TensorBoard ended in the container of {name} on {machine} before it listened. The log of the "
                f"container ends:\n{self._last_log(container, program)}"
            )
        message = program.said.result()
        if message["event"] == "missing":
            raise TensorBoardFailed(
                f"The interpreter of {name} (Python {container.python}) has no TensorBoard. Install it in a notebook "
                f"there: `%pip install tensorboard`."
            )
        return message["port"], message["known"]

    def _admitted(self, container_id: str) -> RunningContainer:
        """A container whose programs the policy lets people reach."""
        container = self._containers.own(container_id)
        self._admission.admit_ports(container.environment)
        return container

    def _last_log(self, container: RunningContainer, program: Program | None) -> str:
        engine = self._provider.engine
        try:
            if program is None or not container.alive:
                return last_lines(engine.logs(container.id, LOG_LINES))
            last = PROGRAM_ENDED.format(program.number)
            return last_lines(engine.logs_until(container.id, LOG_LINES + 1, last).partition(last)[0])
        except TFContainerError as error:
            return str(error)


def _runs(program: Program) -> bool:
    """Whether a TensorBoard runs, or is about to; who has found none ends a moment after having said so."""
    said = program.said
    missing = said.done() and not said.cancelled() and said.result()["event"] == "missing"
    return not (program.ended or missing)
