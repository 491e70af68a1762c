"""Environments: the kernelspecs whose kernels run in a container."""

from __future__ import annotations

import json
import platform
from http import HTTPStatus
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from ...compatibility import catalog, hardware
from ...engine import Engine
from ...environments import lookup, preflight, store, visibility
from ...environments.environment import Environment
from ...environments.from_catalog import offer
from ...environments.store import Change
from ...errors import EngineError, EnvironmentInvalid, GPUNotFound, TFContainerError
from ..schemas import ENVIRONMENTS
from .base import BASE, TFContainerAPIHandler
from .catalog import DEVICES

# What a request may say of an environment, and the type of each.
FIELDS: dict[str, type] = {"display_name": str, "config": dict, "env": dict, "secrets": dict}


class _Handler(TFContainerAPIHandler):
    """What the handlers of environments share."""

    def tell(self, name: str, change: str) -> None:
        """Tell pages that an environment is not what it was: they ask for kernelspecs now and then only."""
        self.event_logger.emit(schema_id=ENVIRONMENTS, data={"name": name, "change": change})

    def change(self, body: dict[str, Any], *others: str) -> Change:
        """What the request wants, of the fields that there are."""
        for name, value in body.items():
            if name not in FIELDS and name not in others:
                known = ", ".join((*others, *FIELDS))
                raise web.HTTPError(
                    400, f"The body of the request has a field that is not known: {name}. Known are {known}."
                )
            if name in FIELDS and not isinstance(value, FIELDS[name]):
                raise web.HTTPError(400, f"{name} must be of type {FIELDS[name].__name__}.")
        for name in ("env", "secrets"):
            for variable, value in body.get(name, {}).items():
                if not isinstance(value, str | None):
                    # The value may be a secret: it is not repeated.
                    raise EnvironmentInvalid(f"{name} says {variable}: something that is neither a string nor null.")
        return Change(**{name: body[name] for name in FIELDS if name in body})

    def created(self, environment: Environment) -> None:
        """Answer with what was made."""
        self.tell(environment.name, "created")
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", url_path_join(self.base_url, BASE, "environments", environment.name))
        self.finish(described(store.model(environment, self.kernel_spec_manager)))


class EnvironmentsHandler(_Handler):
    """All environments."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with a model of each; one that cannot be read has its error in place of its fields."""
        self.finish(json.dumps(await self.manager.threads.call(_models, self.kernel_spec_manager)))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make one: from its fields, from the ``document`` of an export, or from what the catalog has of a release."""
        body, specs, call = self.body(), self.kernel_spec_manager, self.manager.threads.call
        if "document" in body:
            name, pin = body.get("name"), body.get("pin", False)
            if not isinstance(name, str | None) or not isinstance(pin, bool):
                raise web.HTTPError(400, "name must be of type str, pin of type bool.")
            environment = await call(store.import_, body["document"], specs, name=name, pin=pin)
        elif "tensorflow" in body:
            body = self.body(tensorflow=str, device=str)
            if body["device"] not in DEVICES:
                raise web.HTTPError(400, f"device must be one of {', '.join(DEVICES)}.")
            found = await call(offer, body["tensorflow"], body["device"])
            environment = await call(store.create, found.name, Change(found.display_name, found.config), specs)
        else:
            name = self.body(name=str, config=dict)["name"]
            environment = await call(store.create, name, self.change(body, "name"), specs)
        self.created(environment)


class EnvironmentHandler(_Handler):
    """One environment."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        """Answer with its model."""
        self.finish(await self.manager.threads.call(_model, name, self.kernel_spec_manager))

    @web.authenticated
    @authorized
    async def patch(self, name: str) -> None:
        """Change it. In ``config``, ``env`` and ``secrets``, null takes away, and what is not named stays.

        ``hidden`` says whether launchers leave it out.
        """
        body, specs, call = self.body(), self.kernel_spec_manager, self.manager.threads.call
        hidden = body.pop("hidden", None)
        if not isinstance(hidden, bool | None):
            raise web.HTTPError(400, "hidden must be of type bool.")
        change = self.change(body)
        if body:
            await call(store.change, name, change, specs)
            await call(self.manager.standbys.forget, name)
        if hidden is not None:
            await call(visibility.hide if hidden else visibility.show, name, specs)
        model = await call(_model, name, specs)
        self.tell(name, "changed")
        self.finish(model)

    @web.authenticated
    @authorized
    async def delete(self, name: str) -> None:
        """Delete it; one that is not the person's own is hidden."""
        deleted = await self.manager.threads.call(store.delete, name, self.kernel_spec_manager)
        await self.manager.threads.call(self.manager.standbys.forget, name)
        self.tell(name, "deleted" if deleted else "changed")
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class DraftsHandler(_Handler):
    """What an environment would be, for a page where it is being written."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer with what would come of making it, or of changing the one of that name; nothing is written.

        What is wrong with it is an answer as well: it is asked at every letter.
        """
        body, specs, call = (
            self.body(name=str, config=dict, new=bool),
            self.kernel_spec_manager,
            self.manager.threads.call,
        )
        change = self.change(body, "name", "new")
        try:
            environment = await call(store.check, body["name"], change, specs, new=body["new"])
        except TFContainerError as error:
            self.finish({"environment": None, "problem": str(error), "refused": None})
            return
        refused = await call(self._refusal, environment)
        model = {**environment.model(), "own": True, "hidden": False}
        self.finish({"environment": await call(described, model), "problem": None, "refused": refused})

    def _refusal(self, environment: Environment) -> str | None:
        try:
            self.manager.admission.review(environment)
        except EngineError:
            return None  # that there is no engine is said elsewhere
        except TFContainerError as error:
            return str(error)
        return None


class EnvironmentCopyHandler(_Handler):
    """A copy of one environment."""

    @web.authenticated
    @authorized
    async def post(self, name: str) -> None:
        """Copy it to ``name``, one of the person's own."""
        body, specs = self.body(name=str), self.kernel_spec_manager
        display_name = body.get("display_name")
        if not isinstance(display_name, str | None):
            raise web.HTTPError(400, "display_name must be of type str.")
        self.created(await self.manager.threads.call(store.copy, name, body["name"], display_name, specs))


class EnvironmentExportHandler(_Handler):
    """All that makes up one environment, as one document."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        """Answer with the document; its digest is null where no engine tells it."""
        specs, call = self.kernel_spec_manager, self.manager.threads.call
        environment = await call(lookup.find, name, specs)
        try:
            digest = await call(_digest, await call(lambda: self.manager.engine), environment)
        except EngineError:
            digest = None
        self.finish(await call(store.export, name, digest, specs))


def _digest(engine: Engine, environment: Environment) -> str | None:
    return store.digest(environment.image, engine.image(environment.image))


def described(model: dict[str, Any]) -> dict[str, Any]:
    """The model of an environment, with what the catalog knows of its image, and whether that runs here."""
    environment = Environment(**{name: model[name] for name in ("name", "display_name", "image", "gpus")})
    image = catalog.load().of_image(environment.image)
    return {**model, "catalog": image.model() if image else None, "verdict": _verdict(environment)}


def _verdict(environment: Environment) -> dict[str, Any] | None:
    try:
        found = preflight.verdict(environment, hardware.read(), platform.node())
    except GPUNotFound as error:
        reason = {"code": "card-missing", "sentence": str(error), "figures": {}}
        return {"word": "cannot", "reasons": [reason], "cards": [], "instead": []}
    return found.model() if found else None


def _models(specs: KernelSpecManager) -> list[dict[str, Any]]:
    return [model if "error" in model else described(model) for model in store.models(specs)]


def _model(name: str, specs: KernelSpecManager) -> dict[str, Any]:
    return described(store.model(lookup.find(name, specs), specs))


_NAME = r"([\w.-]+)"

default_handlers = [
    (rf"{BASE}/drafts", DraftsHandler),
    (rf"{BASE}/environments", EnvironmentsHandler),
    (rf"{BASE}/environments/{_NAME}", EnvironmentHandler),
    (rf"{BASE}/environments/{_NAME}/copy", EnvironmentCopyHandler),
    (rf"{BASE}/environments/{_NAME}/export", EnvironmentExportHandler),
]
