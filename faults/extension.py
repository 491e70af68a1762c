"""A server extension of the runs: which threads a server has, by which it is seen what a container has left in it."""

from __future__ import annotations

import json
import threading
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

PATH = "faults/threads"


class ThreadsHandler(APIHandler):
    """``GET`` answers the names of the threads."""

    @web.authenticated
    def get(self) -> None:
        """Answer them."""
        self.finish(json.dumps([thread.name for thread in threading.enumerate()]))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    path = url_path_join(app.web_app.settings["base_url"], PATH)
    app.web_app.add_handlers(".*$", [(path, ThreadsHandler)])
