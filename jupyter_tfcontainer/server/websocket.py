"""A page's connection to its kernel: what it has missed since its server died comes first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from ..errors import ContainerError
from ..kernels import page_cursor
from ..kernels.container import RunningContainer
from ..kernels.output_log import DELIMITER, Fields, Published, Recording, replies
from ..kernels.page_cursor import Seen
from ..manager import ContainerManager
from ..provisioner import TFContainerProvisioner

# Seconds in which the kernel learns that a new subscriber is there: at once, on a machine that is not overloaded.
# Nobody tells.
OVERLAP = 0.3
# Messages that are sent before the server does something else.
ROUND = 50
# How a browser says that a page has been left, or loaded again (RFC 6455).
GOING_AWAY = 1001
GAP = (
    "[Some output is missing here: no Jupyter server ran, and the last {:.1f} MB of what the kernel said are kept. "
    "ContainerManager.record_memory sets that.]\n"
)


class Connection(ZMQChannelsWebsocketConnection):
    """Notes which message has reached the page last, and lets one that was left open have what came after that.

    Kernels that do not run in a container of ours are none of its business.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._seen: Seen | None = None
        # What comes while the page is still to get what came before.
        self._held: list[tuple[Any, list[bytes]]] | None = None
        self._catching_up: asyncio.Future[None] | None = None
        self._written: asyncio.Future[None] | None = None

    def connect(self) -> asyncio.Future[None] | None:  # type: ignore[override]  # as the class above has it
        """Connect the page to the kernel."""
        container = self._container()
        if container:
            try:
                self._seen = Seen(container.folders.state, self.session_id)
            except OSError as error:
                self.log.warning("What a page has seen cannot be noted in %s: %s", container.folders.state, error)
        if container and self._seen and page_cursor.name(self.session_id) in container.left_open:
            self._held = []
        connected: asyncio.Future[None] | None = super().connect()
        if container and connected and self._held is not None:
            self._catching_up = asyncio.ensure_future(self._catch_up(connected, container))
        return connected

    def disconnect(self) -> None:  # type: ignore[override]  # the same
        """The page is gone, for the moment or for good."""
        if self._catching_up:
            self._catching_up.cancel()
        super().disconnect()  # type: ignore[no-untyped-call]
        if self._seen:
            self._seen.close(forget=self.websocket_handler.close_code == GOING_AWAY)

    @property
    def write_message(self) -> Callable[..., asyncio.Future[None]]:
        """What sends something to the page."""
        return self._write

    def _write(self, message: bytes | str, binary: bool = False) -> asyncio.Future[None]:
        self._written = self.websocket_handler.write_message(message, binary)
        return self._written

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[bytes]) -> None:
        """Send a kernel's message to the page, when its turn has come."""
        if self._held is None:
            self._pass_on(stream, outgoing_msg)
        else:
            self._held.append((stream, outgoing_msg))

    def _pass_on(self, stream: Any, parts: list[bytes]) -> None:
        super().handle_outgoing_message(stream, parts)
        if self._seen and stream is self.channels.get("iopub"):
            self._note(self._seen, json.loads(parts[parts.index(DELIMITER) + 2])["msg_id"])

    def _note(self, place: Seen, message: str) -> None:
        """Note that a message has reached the page, or will whatever becomes of this process."""
        sending = self.websocket_handler.ws_connection
        if sending is None or sending.stream is None or self._written is None:
            return
        if sending.stream.writing():
            # The page is slow, and some of it is still in this process.
            self._written.add_done_callback(lambda done: None if done.exception() else place.note(message))
        else:
            place.note(message)

    def _container(self) -> RunningContainer | None:
        provisioner = self.kernel_manager.provisioner
        return provisioner.container if isinstance(provisioner, TFContainerProvisioner) else None

    async def _catch_up(self, connected: asyncio.Future[None], container: RunningContainer) -> None:
        """Let the page have what was published since its last message, and then what has come meanwhile."""
        missed: list[tuple[str, list[bytes]]] = []
        known: set[str] = set()
        # All of it at once, though a page gets no more at a time of what is new: the recorder's memory bounds it.
        limit_rate, self.limit_rate = self.limit_rate, False
        await connected
        try:
            missed, known = await self._missed(container)
        except (ContainerError, KeyError, TypeError, ValueError) as error:
            # No recorder was wanted, or it is of another version of ours, or the kernel has had it speak for itself.
            self.log.warning("What the kernel %s said while no server ran is not to be had: %s", self.kernel_id, error)
        for number, (channel, parts) in enumerate(missed):
            self._pass_on(self.channels[channel], parts)
            if number % ROUND == ROUND - 1:
                await asyncio.sleep(0)
        for stream, parts in self._held or []:
            if stream is not self.channels["iopub"] or Published(parts).id not in known:
                self._pass_on(stream, parts)
        self._held = None
        self.limit_rate = limit_rate
        container.left_open.discard(page_cursor.name(self.session_id))

    async def _missed(self, container: RunningContainer) -> tuple[list[tuple[str, list[bytes]]], set[str]]:
        """What the page has not got, each with its channel; and the ids of what is recorded."""
        before = self._seen.before if self._seen else None
        recording = Recording(container, before)
        recorded = await self._overlapping(recording)
        missed = recorded[1:] if recorded and recorded[0].id == before else recorded
        found = [("iopub", one.parts) for one in missed]
        if recording.gap and missed:
            memory = ContainerManager.instance().record_memory / 1e6
            note = missed[0].another("stream", {"name": "stderr", "text": GAP.format(memory)})
            found.insert(0, ("iopub", self._signed(note)))
        replied = {_parent(parts) for stream, parts in self._held or [] if stream is self.channels["shell"]}
        found += [
            ("shell", self._signed(reply))
            for reply in replies(recorded, recording.begun, self.session_id)
            if reply["parent_header"]["msg_id"] not in replied
        ]
        return found, {one.id for one in recorded}

    async def _overlapping(self, recording: Recording) -> list[Published]:
        """What is recorded, to a point from which on the page's own subscription has everything."""
        recorded: list[Published] = []
        last = None
        while True:
            recorded += await ContainerManager.instance().threads.signal(recording.read)
            newest = recorded[-1].id if recorded else ""
            iopub = self.channels["iopub"]
            heard = {Published(parts).id for stream, parts in self._held or [] if stream is iopub}
            if newest == last or newest in heard:
                return recorded
            last = newest
            await asyncio.sleep(OVERLAP)

    def _signed(self, fields: Fields) -> list[bytes]:
        parts: list[bytes] = self.session.serialize(fields)
        return parts


def _parent(parts: list[bytes]) -> str:
    """To which request a message is the reply."""
    return str(json.loads(parts[parts.index(DELIMITER) + 3])["msg_id"])
