"""A server extension of the soak: how many objects a server has, by which it is seen what a kernel has left in it."""

from __future__ import annotations

import gc
import json
from collections import Counter
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_tfcontainer.kernels.page_cursor import Seen
from jupyter_tfcontainer.provisioner import TFContainerProvisioner
from jupyter_tfcontainer.server.websocket import Connection

PATH = "faults/objects"
# How the names of the extension's own modules begin.
PACKAGE = "jupyter_tfcontainer."
# Jupyter's timers, of a websocket and of the wait for a kernel's answer, hold these for up to a minute after the end.
HELD = (Connection, TFContainerProvisioner, Seen)


class ObjectsHandler(APIHandler):
    """``GET`` answers how many objects there are of each class of the extension, but of those that Jupyter holds."""

    @web.authenticated
    def get(self) -> None:
        """Answer them, without those that only wait for the garbage collection."""
        gc.collect()
        # An object may lie about its class (a proxy), or fail when asked: its type does neither.
        kinds = (type(one) for one in gc.get_objects())
        # Of a few types of the interpreter, the module is no string.
        counts = Counter(
            f"{one.__module__}.{one.__qualname__}"
            for one in kinds
            if str(one.__module__).startswith(PACKAGE) and one not in HELD
        )
        self.finish(json.dumps(counts))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    path = url_path_join(app.web_app.settings["base_url"], PATH)
    app.web_app.add_handlers(".*$", [(path, ObjectsHandler)])
