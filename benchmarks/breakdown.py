"""Where the time of a first start goes: the steps that our events tell, between what the page sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tornado.websocket import WebSocketClientConnection

from .client import PATIENCE, Client, Session, clock

# What is between two words of ours, or of the page, by the word that begins it.
STEPS = {
    "asked": "Jupyter's session",
    "engine": "engine, policy",
    "preflight": "preflight, image",
    "create": "create the container",
    "boot": "start it, up to the supervisor's word",
    "launch": "ipykernel: imports, then the kernel's sockets",
    "running": "Jupyter's answer",
    "answered": "websocket",
    "opened": "the kernel's first reply",
}


class Events:
    """The events of a server."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self._begun: dict[str, dict[str, float]] = {}
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._listen())

    @classmethod
    @asynccontextmanager
    async def heard(cls, client: Client) -> AsyncIterator[Events]:
        """The events of a server, while they are wanted."""
        connection = await client.socket("api/events/subscribe")
        events = cls(connection)
        try:
            yield events
        finally:
            connection.close()
            await events._task

    async def _listen(self) -> None:
        while (text := await self._connection.read_message()) is not None:
            event = json.loads(text)
            if event["schema_id"].endswith("kernel_state/v1"):
                async with self._news:
                    word = event.get("step") or event["state"]
                    self._begun.setdefault(event["kernel_id"], {}).setdefault(word, clock())
                    self._news.notify_all()

    async def steps(self, session: Session) -> dict[str, float]:
        """The seconds that each step of a session's start took."""
        async with self._news:
            told = self._news.wait_for(lambda: "running" in self._begun.get(session.kernel, {}))
            await asyncio.wait_for(told, PATIENCE)
        asked, answered, opened, replied = session.times
        begun = {**self._begun[session.kernel], "asked": asked, "answered": answered, "opened": opened}
        words = [word for word in STEPS if word in begun]
        ends = [*(begun[word] for word in words[1:]), replied]
        return {STEPS[word]: end - begun[word] for word, end in zip(words, ends, strict=True)}
