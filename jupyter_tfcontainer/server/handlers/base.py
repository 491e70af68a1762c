"""What all handlers share."""

from __future__ import annotations

import json
import platform
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado import web

from ...errors import TFContainerError
from ...manager import ContainerManager

# What an authorizer is asked about.
AUTH_RESOURCE = "tfcontainer"
BASE = r"/api/tfcontainer"
# How Jupyter's own sentence ends where an authorizer refuses.
REFUSED = f"on resource: {AUTH_RESOURCE}."


class TFContainerHandler(JupyterHandler):
    """A handler that answers our errors with their status.

    Its verbs are decorated in the leaf classes: ``authorized`` keeps the resource of the class that it is first called
    on.
    """

    auth_resource = AUTH_RESOURCE

    @property
    def manager(self) -> ContainerManager:
        """The manager of this process."""
        manager: ContainerManager = self.settings["tfcontainer_manager"]
        return manager

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer an error; ours have a status of their own."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, TFContainerError):
            status_code = error.status
        super().send_error(status_code, **kwargs)

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Log an exception; of ours the sentence says it all."""
        if isinstance(error, TFContainerError):
            self.log.warning("%s", error)
        else:
            super().log_exception(kind, error, trace)


class TFContainerAPIHandler(TFContainerHandler, APIHandler):
    """A handler whose answers are models, errors included."""

    def body(self, **fields: type) -> dict[str, Any]:
        """The request's JSON object.

        Parameters
        ----------
        **fields
            the fields that it must have, with the type of each

        Raises
        ------
        HTTPError
            400, naming the field
        """
        try:
            body = self.get_json_body()
        except UnicodeDecodeError as error:  # of all that may be wrong with it, Jupyter leaves this to us
            raise web.HTTPError(400, f"The body of the request must be UTF-8: {error}.") from error
        if not isinstance(body, dict):
            raise web.HTTPError(400, "The body of the request must be a JSON object.")
        for name, kind in fields.items():
            if not isinstance(body.get(name), kind):
                raise web.HTTPError(
                    400, f"The body of the request must have the field {name}, of type {kind.__name__}."
                )
        return body

    def body_if_any(self) -> dict[str, Any]:
        """The request's JSON object, where there need not be one."""
        return self.body() if self.request.body.strip() else {}

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write an error as a model."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, TFContainerError):
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps({"message": str(error), "reason": error.reason}))
        elif isinstance(error, web.HTTPError) and (error.log_message or "").endswith(REFUSED):
            self.set_header("Content-Type", "application/json")
            may = "look at" if self.request.method in ("GET", "HEAD") else "change"
            message = (
                f"The Jupyter server on {platform.node()} does not let you {may} containers, images and environments. "
                f"Its administrator decides that."
            )
            self.finish(json.dumps({"message": message, "reason": "not_authorized"}))
        else:
            super().write_error(status_code, **kwargs)
