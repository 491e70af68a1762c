"""Containers: what runs."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.iostream import StreamClosedError

from ...environments import lookup
from ...errors import EngineError, TFContainerError
from ...manager import ContainerManager
from ...provisioner import TFContainerProvisioner
from .base import BASE, TFContainerAPIHandler

# Lines of a log that are answered where the request does not say how many, and the most that it may say.
LOG_TAIL = 200
LOG_TAIL_LIMIT = 10_000
# The home of the environment, or an empty one that goes with the container.
HOMES = ("kept", "temporary")


class ContainersHandler(TFContainerAPIHandler):
    """All containers of this user."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each."""
        self.finish(json.dumps(await self.manager.threads.call(self.manager.containers.list)))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Start a container ahead, which the next kernel of its environment takes; with an empty home if so asked."""
        body = self.body(environment=str)
        name, home = body["environment"], body.get("home", "kept")
        if home not in HOMES:
            raise web.HTTPError(400, f"home must be one of {', '.join(HOMES)}.")
        manager = self.manager
        environment = await manager.threads.call(lookup.find, name, self.kernel_spec_manager)
        root = Path(self.settings["server_root_dir"])
        temporary = home == "temporary"
        container = await manager.threads.run(manager.start, environment, root, temporary_home=temporary)
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", url_path_join(self.base_url, BASE, "containers", container.id))
        self.finish(container.model())


class ContainerHandler(TFContainerAPIHandler):
    """One container."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, container_id: str) -> None:
        """Answer with its model."""
        self.finish(await self.manager.threads.call(self.manager.containers.get, container_id))

    @web.authenticated
    @authorized
    async def delete(self, container_id: str) -> None:
        """Remove it.

        A kernel that this server runs in it is shut down first: else Jupyter would take its end for a death, and
        restart it.
        """
        model = await self.manager.threads.call(self.manager.containers.get, container_id)
        kernel = model["kernel"]
        if kernel and kernel["id"] in self.kernel_manager:
            await self.kernel_manager.shutdown_kernel(kernel["id"], now=True)  # type: ignore[no-untyped-call]
        else:
            await self.manager.threads.call(self.manager.remove, container_id)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class ContainerLogsHandler(TFContainerAPIHandler):
    """The log of one container."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, container_id: str) -> None:
        """Answer with its last lines; with ``follow``, as text, and with what it prints until it ends."""
        tail = self.get_query_argument("tail", str(LOG_TAIL))
        if not tail.isdecimal() or not 1 <= int(tail) <= LOG_TAIL_LIMIT:
            raise web.HTTPError(400, f"tail must be a number of lines from 1 to {LOG_TAIL_LIMIT}.")
        follow = self.get_query_argument("follow", "false")
        if follow not in ("true", "false"):
            raise web.HTTPError(400, "follow must be true or false.")
        if follow == "true":
            await self._follow(container_id, int(tail))
        else:
            log = await self.manager.threads.call(self.manager.containers.logs, container_id, int(tail))
            self.finish({"id": container_id, "log": log})

    async def _follow(self, container_id: str, tail: int) -> None:
        # Whether there is one is to be known before the answer begins.
        await self.manager.threads.call(self.manager.containers.get, container_id)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        # Proxies that gather an answer would keep all of it back (nginx heeds this).
        self.set_header("X-Accel-Buffering", "no")
        self._following = Following(self.manager, container_id, tail)
        try:
            await self.flush()
            while (piece := await self._following.pieces.get()) is not None:
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            return  # whoever read it has gone
        finally:
            self._following.close()

    def on_connection_close(self) -> None:
        """Whoever read it has gone."""
        super().on_connection_close()
        if self._following:
            self._following.pieces.put_nowait(None)

    _following: Following | None = None


class ContainerOutputHandler(TFContainerAPIHandler):
    """What the kernel in one container has said of late."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, container_id: str) -> None:
        """Answer with it as text."""
        said = await self.manager.threads.call(self.manager.containers.output, container_id)
        self.finish({"id": container_id, **said})


class Following:
    """Reads a log in a thread of its own: it may be silent for days, and the pools have others to serve."""

    def __init__(self, manager: ContainerManager, container_id: str, tail: int) -> None:
        #: What was printed; None at its end.
        self.pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self._closed = False
        threading.Thread(
            target=self._read, args=(manager, container_id, tail), name="tfcontainer-log", daemon=True
        ).start()

    def close(self) -> None:
        """End it."""
        with self._lock:
            self._closed = True
            end = self._end
        if end:
            end()

    def _read(self, manager: ContainerManager, container_id: str, tail: int) -> None:
        try:
            for piece in manager.containers.follow_logs(container_id, tail, self._opened):
                self._tell(piece)
        except TFContainerError as error:
            self._tell(f"{error}\n")
        finally:
            self._tell(None)

    def _opened(self, end: Callable[[], None]) -> None:
        with self._lock:
            self._end = end
            closed = self._closed
        if closed:
            end()

    def _tell(self, piece: str | None) -> None:
        with suppress(RuntimeError):  # the server has ended, and its loop with it
            self._loop.call_soon_threadsafe(self.pieces.put_nowait, piece)


class ContainerStatsHandler(TFContainerAPIHandler):
    """What containers use: all of them in one answer, so that one that goes meanwhile is not a request that fails."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the figures of each that runs, at this time; nothing runs where there is no engine."""
        manager, call = self.manager, self.manager.threads.call
        try:
            ids, use = await asyncio.gather(call(manager.containers.running_ids), call(manager.cards.use))
            found = await asyncio.gather(*(call(manager.containers.figures, one, use) for one in ids))
        except EngineError:
            found = []
        self.finish(json.dumps([figures for figures in found if figures]))


class ContainerTerminalsHandler(TFContainerAPIHandler):
    """Terminals in one container: Jupyter's own, whose command is a shell in there."""

    @web.authenticated
    @authorized
    async def post(self, container_id: str) -> None:
        """Open one, where its kernel started; with ``root``, as root, where the policy allows that."""
        root = self.body_if_any().get("root", False)
        if not isinstance(root, bool):
            raise web.HTTPError(HTTPStatus.BAD_REQUEST, "root must be of type bool.")
        manager = self.manager
        await manager.threads.call(manager.containers.admit_shell, container_id, root=root)
        terminals = self.settings.get("terminal_manager")
        if not self.settings.get("terminals_available") or terminals is None:
            raise web.HTTPError(
                HTTPStatus.CONFLICT, "This server has no terminals: they are switched off, or terminado is missing."
            )
        command = [
            sys.executable,
            "-m",
            "jupyter_tfcontainer.cli",
            "shell",
            *(["--root"] if root else []),
            container_id,
        ]
        # The engine may be named by the server's command line, which that program does not get.
        model = terminals.create(shell_command=command, extra_env={"DOCKER_HOST": manager.engine.facts.url})
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", url_path_join(self.base_url, "api/terminals", model["name"]))
        self.finish({"name": model["name"]})


class ContainerRestartHandler(TFContainerAPIHandler):
    """The kernel of one container, anew."""

    @web.authenticated
    @authorized
    async def post(self, container_id: str) -> None:
        """Restart its kernel in a fresh container, at the same addresses: clients stay connected."""
        model = await self.manager.threads.call(self.manager.containers.get, container_id)
        kernel = model["kernel"]
        if not kernel or kernel["id"] not in self.kernel_manager:
            raise web.HTTPError(HTTPStatus.CONFLICT, "No kernel of this server runs in that container.")
        provisioner = self.kernel_manager.get_kernel(kernel["id"]).provisioner
        if not isinstance(provisioner, TFContainerProvisioner):
            raise web.HTTPError(HTTPStatus.CONFLICT, "That kernel has another provisioner by now.")
        provisioner.restart_fresh()
        await self.kernel_manager.restart_kernel(kernel["id"])  # type: ignore[no-untyped-call]
        container = provisioner.running
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", url_path_join(self.base_url, BASE, "containers", container.id))
        self.finish(container.model())


CONTAINER_ID = r"([0-9a-f]{64})"

default_handlers = [
    (rf"{BASE}/containers", ContainersHandler),
    (rf"{BASE}/containers/stats", ContainerStatsHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}", ContainerHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/logs", ContainerLogsHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/output", ContainerOutputHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/restart-fresh", ContainerRestartHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/terminals", ContainerTerminalsHandler),
]
