"""How an engine hands over GPUs, found out by containers that get no further than that."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from ..errors import EngineFailed, GPURouteMissing, TFContainerError
from . import containers, gpu, labels
from .connection import Connection
from .info import EngineFacts

# The image of a GPU trial has no file in it.
EMPTY_TAR = b"\0" * 10240


class GPUTrials:
    """The way in which one engine hands over GPUs.

    Parameters
    ----------
    connection
        the way to the engine
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api, self._door = connection.api, connection.door
        #: The route that works, and what the engine said of itself then.
        self._known: tuple[EngineFacts, gpu.Route] | None = None

    def route(self) -> gpu.Route:
        """How this engine hands over GPUs; where it does not say, trials do.

        Raises
        ------
        GPURouteMissing
            when more than one way was tried and none works: what was said of the first
        """
        if self._known is None or self._known[0] is not self._connection.facts:
            route = self._first_that_works(gpu.routes(self._connection.facts))
            # A route that failed had the facts asked again: these are they.
            self._known = self._connection.facts, route
        return self._known[1]

    def _first_that_works(self, routes: tuple[gpu.Route, ...]) -> gpu.Route:
        refusals: list[GPURouteMissing] = []
        for route in routes:
            if len(routes) == 1:
                return route
            try:
                self._try(route, "all")
            except GPURouteMissing as error:
                refusals.append(error)
            else:
                return route
        raise refusals[0]

    def try_route(self, gpus: gpu.GPUs) -> None:
        """See whether this engine can hand over GPUs.

        Raises
        ------
        GPURouteMissing
            with what to do
        """
        self._try(self.route(), gpus)

    def _try(self, route: gpu.Route, gpus: gpu.GPUs) -> None:
        """Start a container whose image has nothing in it: that gets as far as the route, and no further."""
        config = {
            "Cmd": ["/"],
            "Env": [f"NVIDIA_VISIBLE_DEVICES={gpu.visible_devices(gpus)}"],
            "Labels": {labels.TRIAL: str(os.getuid())},
            "HostConfig": {"NetworkMode": "none", **gpu.host_config(gpus, route)},
        }
        with self._door():
            answer = self._api.import_image_from_data(EMPTY_TAR, changes=[f"LABEL {labels.TRIAL}={os.getuid()}"])
        image = re.findall(r"sha256:[0-9a-f]{64}", str(answer))[-1]
        try:
            container = containers.create(self._connection, {"Image": image, **config})
            try:
                with self._door():
                    self._api.start(container)
            except EngineFailed:
                pass  # "/" is no program: it got past the route
            finally:
                containers.remove(self._connection, container)
        finally:
            with suppress(TFContainerError), self._door():
                self._api.remove_image(image, force=True)
