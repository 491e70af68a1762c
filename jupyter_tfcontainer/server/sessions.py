"""The sessions of this server, written down for the one after it; and those of one that has died, taken up again."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from .. import locks, paths
from ..errors import TFContainerError
from ..kernels.container import RunningContainer
from ..manager import ContainerManager

# Seconds that a server's start waits for an engine that does not answer. What is to be taken over comes later then.
PATIENCE = 30.0
SESSIONS = "sessions.sqlite"


class ServerSessions:
    """The sessions of a server, in a file that the next one finds if this one dies.

    Parameters
    ----------
    server
        the Jupyter server
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._folder = paths.server_folder(Path(server.root_dir))
        self._folder.mkdir(mode=0o700, parents=True)
        self._lock = locks.hold(self._folder)
        self._taking: asyncio.Task[None] | None = None
        sessions = server.session_manager
        # Else somebody has said where they are to be, and there each server finds them by itself.
        if sessions.database_filepath == ":memory:":
            sessions.database_filepath = str(self._folder / SESSIONS)
            # It is to outlive this process, not the machine: nothing waits for the disk.
            sessions.connection.execute("PRAGMA synchronous = OFF")
            sessions.connection.execute("PRAGMA journal_mode = MEMORY")

    async def resume(self, manager: ContainerManager) -> None:
        """Take over the kernels that a dead server has left on this one's folder, and its sessions.

        Parameters
        ----------
        manager
            takes over their containers
        """
        root = Path(self._server.root_dir)
        # Held to the end: of two servers that start at a time, one takes all.
        left = {folder: lock for folder in paths.servers(root) if (lock := locks.inherit(folder))}
        if not left:
            return
        self._taking = asyncio.create_task(self._take_all(manager, root, left))
        done, _ = await asyncio.wait([self._taking], timeout=PATIENCE)
        if not done:
            self._server.log.warning(
                "The container engine has not answered for %g s. Kernels that still run on %s come back when it does.",
                PATIENCE,
                root,
            )

    async def _take_all(self, manager: ContainerManager, root: Path, left: dict[Path, IO[bytes]]) -> None:
        try:
            if await self._take_over(manager, root, list(left)):
                for folder in left:
                    shutil.rmtree(folder)
        except TFContainerError as error:
            self._server.log.warning("Kernels that may still run on %s could not be taken over: %s", root, error)
        finally:
            for lock in left.values():
                lock.close()

    async def _take_over(self, manager: ContainerManager, root: Path, left: list[Path]) -> bool:
        """Take over what can be; whether that was all, so that nobody needs the folders of the dead any more."""
        taken = await asyncio.to_thread(manager.take_over, root)
        complete = True
        sessions = {row["kernel_id"]: row for folder in left for row in _written(folder / SESSIONS)}
        for kernel_id, container in taken.items():
            try:
                await self._resume(container, kernel_id, sessions.get(kernel_id))
            except Exception:  # whatever Jupyter has against it, the kernel is to be there for the next one
                self._server.log.exception("The kernel %s could not be taken over.", kernel_id)
                manager.leave(container)
                complete = False
            else:
                name = container.environment.display_name
                self._server.log.info("Took over the kernel %s (%s) of a server that has ended.", kernel_id, name)
        return complete

    def leave(self, kernel_id: str, manager: ContainerManager) -> None:
        """Let go of a kernel and have it run on.

        Parameters
        ----------
        kernel_id
            which
        manager
            lets go of its container
        """
        kernels = self._server.kernel_manager
        kernels.stop_watching_activity(kernel_id)
        one = kernels.remove_kernel(kernel_id)
        one.stop_restarter()
        one.cleanup_connection_file()
        manager.leave(one.provisioner.running)

    def close(self, *, kept: bool) -> None:
        """The server ends, and not by accident.

        Parameters
        ----------
        kept
            whether its kernels go on: the next one needs the sessions then
        """
        if not kept:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()

    async def _resume(self, container: RunningContainer, kernel_id: str, session: dict[str, str] | None) -> None:
        """Have Jupyter know a kernel that runs already, and its session."""
        kernels, sessions = self._server.kernel_manager, self._server.session_manager
        start: dict[str, Any] = {"kernel_name": container.environment.name, "cwd": container.cwd}
        if session:
            start["path"] = await self._server.contents_manager.get_kernel_path(path=session["path"])
            start["env"] = sessions.get_kernel_env(session["path"], session["name"])
        await kernels.start_kernel(kernel_id=kernel_id, **start)
        if session:
            await sessions.save_session(**session)
        kernel = kernels.get_kernel(kernel_id)
        # Until it has answered it may be computing. Jupyter has a page wait a minute for a kernel that does not answer,
        # unless it is known to be busy, and some other page has asked already what kernel it is.
        kernel.execution_state = "busy"
        kernel._kernel_info_future = asyncio.get_running_loop().create_future()  # noqa: SLF001
        kernel._kernel_info_future.set_result({})  # noqa: SLF001
        stream = kernels.connect_shell(kernel_id)

        def answered(_: object) -> None:
            kernel.execution_state = "idle"
            stream.close()

        stream.on_recv(answered)
        kernel.session.send(stream, "kernel_info_request")


def _written(database: Path) -> list[dict[str, str]]:
    """The sessions that a server has written down."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM session")]
