"""A server extension of the benchmark: how late a server's event loop is.

It is loaded by all servers alike, those of other programs included, so it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

# Seconds between two looks at the clock.
INTERVAL = 0.002


class Lateness:
    """How late the loop is, while that is wanted."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Forget what was, and look at the clock from now on."""
        self._late = []
        self._task = asyncio.create_task(self._tick())

    def end(self) -> float:
        """The longest time that the loop was held up since the beginning, in seconds."""
        if self._task:
            self._task.cancel()
        return max(self._late, default=0.0)

    async def _tick(self) -> None:
        while True:
            due = time.perf_counter() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self._late.append(time.perf_counter() - due)


class LatenessHandler(APIHandler):
    """``POST`` begins, ``DELETE`` ends and answers the figure."""

    @property
    def _lateness(self) -> Lateness:
        lateness: Lateness = self.settings["benchmark_lateness"]
        return lateness

    @web.authenticated
    def post(self) -> None:
        """Begin."""
        self._lateness.begin()
        self.finish(json.dumps({}))

    @web.authenticated
    def delete(self) -> None:
        """End."""
        self.finish(json.dumps({"longest": self._lateness.end()}))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    app.web_app.settings["benchmark_lateness"] = Lateness()
    path = url_path_join(app.web_app.settings["base_url"], "benchmark/lateness")
    app.web_app.add_handlers(".*$", [(path, LatenessHandler)])
