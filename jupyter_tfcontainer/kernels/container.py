"""A container that we own, the kernel in it, and how that kernel ended."""

from __future__ import annotations

import itertools
import shutil
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from ..environments.environment import Environment
from ..errors import ContainerError
from ..workspace import Workspace
from .state_file import Record
from .supervisor_client import Message, SupervisorClient
from .types import Folders

# How a process ends that was not seen to end: its container was killed.
CONTAINER_GONE = -int(signal.SIGKILL)


@dataclass(frozen=True)
class Exit:
    """How a kernel ended.

    Parameters
    ----------
    reason
        it exited by itself, a signal ended it, the memory limit did, or its whole container ended
    code
        its exit code, for ``exited``
    signal
        the signal's name, for ``signal``
    """

    reason: Literal["exited", "signal", "out_of_memory", "container"]
    code: int | None = None
    signal: str | None = None

    @classmethod
    def from_event(cls, event: Message) -> Exit:
        """Read the supervisor's word."""
        if event["oom"]:
            return cls("out_of_memory")
        if event["signal"] is not None:
            return cls("signal", signal=signal.Signals(event["signal"]).name)
        return cls("exited", code=event["code"])

    @property
    def returncode(self) -> int:
        """As ``subprocess`` gives it: the exit code, or the negative number of the signal."""
        if self.code is not None:
            return self.code
        return -int(signal.Signals[self.signal]) if self.signal else CONTAINER_GONE


class Kernel:
    """One kernel process.

    Parameters
    ----------
    kernel_id
        Jupyter's id of it; a restart keeps it
    launch
        number of the launch, by which its events are told from those of the process before it
    """

    def __init__(self, kernel_id: str, launch: int) -> None:
        self.kernel_id = kernel_id
        self.launch = launch
        #: Done when its sockets are bound.
        self.ready: Future[None] = Future()
        #: Done when it has ended.
        self.exited: Future[Exit] = Future()
        #: Whether somebody asked for its end.
        self.ending = False
        #: How many clients were subscribed to its outputs then, or None where nobody counted.
        self.subscribers: int | None = None

    def end(self, how: Exit) -> None:
        """Note its end, once."""
        # Two threads may see it end: the one that hears the supervisor, and one that removes the container.
        with suppress(InvalidStateError):
            self.exited.set_result(how)
        with suppress(InvalidStateError):
            self.ready.set_exception(ContainerError("The kernel ended before it was ready."))


class Program:
    """A program of ours beside the kernels.

    Parameters
    ----------
    number
        by which its events are told from those of others
    """

    def __init__(self, number: int) -> None:
        self.number = number
        #: The first thing that it says; cancelled when it ends without a word.
        self.said: Future[Message] = Future()
        #: Whether it has ended.
        self.ended = False

    def hear(self, message: Message | None) -> None:
        """Note what it says, and its end; None is that of its container."""
        if message and message["event"] != "exit":
            with suppress(InvalidStateError):
                self.said.set_result(message)
        else:
            self.ended = True
            self.said.cancel()


class RunningContainer:
    """A container that this process owns.

    Parameters
    ----------
    folders
        its host folders
    environment, workspace
        what runs in it, and on which folder
    record
        its state file, if it has one: it was started by a process that has died
    """

    def __init__(
        self, folders: Folders, environment: Environment, workspace: Workspace, record: Record | None = None
    ) -> None:
        self.folders = folders
        self.environment = environment
        self.workspace = workspace
        self.id = ""
        #: Id of its image.
        self.image = ""
        self.python = ""
        self.created = datetime.now(timezone.utc)
        self.kernel: Kernel | None = None
        #: Path of the notebook, if Jupyter said it.
        self.notebook = ""
        #: How its kernel is reached: jupyter_client's connection information.
        self.connection: dict[str, Any] = {}
        #: The host folder that its kernel started in, as far as that is known.
        self.cwd = workspace.root
        #: Held while a kernel is launched here, or while the container is removed.
        self.busy = threading.Lock()
        #: Whether it was started ahead and waits for its first kernel.
        self.standby = False
        self.removed = False
        #: The names of the pages that were left open when the server before died, and have not come back.
        self.left_open: set[str] = set()
        #: What is to be said of the environment on this machine, though it runs.
        self.caveats: list[str] = []
        #: Held while TensorBoard is started here, and those that were, by their folders of logs.
        self.boards_lock = threading.Lock()
        self.boards: dict[str, Program] = {}
        self._programs: dict[int, Program] = {}
        self._numbers = itertools.count(1)
        self._timer: threading.Timer | None = None
        self.client: SupervisorClient | None = None
        self.record = record or Record(folders.state)

    @property
    def alive(self) -> bool:
        """Whether its supervisor can be asked for a kernel."""
        return self.client is not None and self.client.connected and not self.removed

    @property
    def idle(self) -> bool:
        """Whether no kernel is in it."""
        return self.kernel is None or self.kernel.exited.done()

    def expire(self, seconds: float, end: Callable[[], None]) -> None:
        """Have something done after a while; :meth:`keep` calls it off."""
        self.keep()
        self._timer = threading.Timer(seconds, end)
        self._timer.daemon = True
        self._timer.start()

    def keep(self) -> None:
        """Call off what :meth:`expire` announced."""
        if self._timer:
            self._timer.cancel()

    def control(self) -> SupervisorClient:
        """The connection to its supervisor."""
        if self.client is None:
            raise ContainerError("The container is still starting.")
        return self.client

    def run(self, program: str, arguments: list[str], cwd: str) -> Program:
        """Start a program of ours in it.

        Parameters
        ----------
        program
            the name of its file
        arguments
            what it is called with
        cwd
            where it starts, inside
        """
        started = Program(next(self._numbers))
        self._programs[started.number] = started
        self.control().request("run", program=program, number=started.number, arguments=arguments, cwd=cwd)
        return started

    def heard(self, message: Message | None) -> None:
        """Pass on what a program says, or None, the end of all."""
        if message is None:
            for program in list(self._programs.values()):
                program.hear(None)
        elif program_ := self._programs.get(message["program"]):
            program_.hear(message)

    def stand_by(self) -> None:
        """Let the next launch have it, and write that down for whoever comes to have a look."""
        self.standby = True
        self.record.write({"standby": True, "image": self.environment.image})

    def note(self, connection: dict[str, Any], session: str, cwd: str, *, in_server: bool) -> None:
        """Write down what taking over this container needs, and whoever comes to have a look.

        Parameters
        ----------
        connection
            to its kernel
        session
            path of the notebook
        cwd
            where the kernel starts, inside
        in_server
            whether a Jupyter server runs it, which would restart it if it ended unasked
        """
        self.notebook, self.connection = session, connection
        self.record.write(
            {
                "kernel_id": self.kernel.kernel_id if self.kernel else None,
                "launch": self.kernel.launch if self.kernel else None,
                "connection": connection,
                "session": session,
                "cwd": cwd,
                "in_server": in_server,
                "environment": self.environment.name,
                "definition": self.environment.dump(),
                "image": self.environment.image,
                "image_id": self.image,
                "created": self.created.isoformat(),
            }
        )

    def leave(self) -> None:
        """Let go of it on this side, and leave it as it is: whoever comes next may take it over."""
        self.keep()
        if self.client:
            self.client.close()
        self.record.close()

    def abandon(self) -> None:
        """Let go of it where the engine cannot remove it: what runs in it ends, and the next look for such finds it."""
        with suppress(ContainerError):  # it has ended already, or has never begun
            self.control().ask("stop")
        with suppress(ContainerError):  # the record is that of a kernel that ends
            self.record.write({})
        self.leave()

    def close(self) -> None:
        """Let go of all that belongs to it on this side: timer, connection, lock and folder."""
        self.leave()
        shutil.rmtree(self.folders.state, ignore_errors=True)

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        kernel = None if self.idle else self.kernel
        return {
            "id": self.id,
            "environment": self.environment.name,
            "display_name": self.environment.display_name,
            "image": self.environment.image,
            "python": self.python,
            "workspace": str(self.workspace.root),
            "created": self.created.isoformat(),
            "kernel": {"id": kernel.kernel_id, "ready": kernel.ready.done()} if kernel else None,
            "notebook": self.notebook,
            "temporary_home": self.folders.temporary_home,
            "state": "running" if kernel else "standby" if self.standby else "idle",
        }
