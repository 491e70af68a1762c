"""Environments: the kernelspecs whose kernels run in a container."""

from __future__ import annotations

import json
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.auth.decorator import authorized
from tornado import web

from .. import environments
from ..errors import EnvironmentInvalid
from .base import BASE, TFContainerAPIHandler


class EnvironmentsHandler(TFContainerAPIHandler):
    """All environments."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each; one that cannot be read has its error in place of its fields."""
        models = await self.manager.threads.call(_models, self.kernel_spec_manager)
        self.finish(json.dumps(models))


class EnvironmentHandler(TFContainerAPIHandler):
    """One environment."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        """Answer with its model."""
        environment = await self.manager.threads.call(environments.find, name, self.kernel_spec_manager)
        self.finish(environment.model())


def _models(specs: KernelSpecManager) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = []
    for name in sorted(specs.find_kernel_specs()):
        spec = specs.get_kernel_spec(name)
        if environments.is_environment(spec):
            try:
                models.append(environments.Environment.from_kernelspec(name, spec).model())
            except EnvironmentInvalid as error:
                models.append({"name": name, "display_name": spec.display_name, "error": str(error)})
    return models


default_handlers = [
    (rf"{BASE}/environments", EnvironmentsHandler),
    (rf"{BASE}/environments/([\w.-]+)", EnvironmentHandler),
]
