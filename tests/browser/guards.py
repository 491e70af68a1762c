"""What an administrator may put into a server: an authorizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.auth.authorizer import Authorizer

#: Where a file of this name is in the workspace, nobody may change anything.
NAME = "read-only"


class Reader(Authorizer):
    """Lets people look at everything, and change nothing while the file is there."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:  # noqa: ARG002, D102
        return action != "write" or not Path(handler.settings["server_root_dir"], NAME).exists()
