"""Who may do what: every verb of the REST interface asks, whichever verbs there are."""

from __future__ import annotations

import json
import platform
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import pytest
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.web import RequestHandler
from traitlets.config import Config

from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.server.handlers import default_handlers

# What stands for the groups of the handlers' patterns. A new kind of group has to be added here.
GROUPS = {
    r"([0-9a-f]{64})": 64 * "0",
    r"([0-9a-f]{16})": 16 * "0",
    r"([\w.-]+)": "tf",
    r"([1-9]\d{0,4})": "6006",
    "(.*)": "data",
}
# As Jupyter maps them (jupyter_server.auth.utils).
ACTIONS = {
    **dict.fromkeys(("get", "head", "options"), "read"),
    **dict.fromkeys(("post", "put", "patch", "delete"), "write"),
}


def verbs(handler: type[RequestHandler]) -> list[str]:
    """The verbs that a handler of ours has, be they its own or those of a base class of ours."""
    ours = [base for base in handler.__mro__ if base.__module__.startswith("jupyter_tfcontainer")]
    return [verb for verb in map(str.lower, RequestHandler.SUPPORTED_METHODS) if any(verb in vars(one) for one in ours)]


def path(pattern: str) -> str:
    """A path that a pattern matches."""
    for group, value in GROUPS.items():
        pattern = pattern.replace(group, value)
    assert "(" not in pattern, pattern
    return pattern


VERBS = [(verb, path(pattern)) for pattern, handler in default_handlers for verb in verbs(handler)]
EVERY = pytest.mark.parametrize(("verb", "path"), VERBS, ids=[f"{verb} {path}"[:60] for verb, path in VERBS])
Ask = Callable[..., Awaitable[HTTPResponse]]


class Guard(Authorizer):
    """Lets nobody touch what is ours, and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:  # noqa: ARG002, D102
        self.asked.append((action, resource))
        return resource != "tfcontainer"


@pytest.fixture
def jp_nbconvert_templates() -> None:
    """Nothing is converted here, so the templates need not be copied for each test."""


@pytest.fixture
def jp_server_config() -> Config:
    return Config(
        {"ServerApp": {"jpserver_extensions": {"jupyter_tfcontainer": True}, "allow_unauthenticated_access": False}}
    )


@pytest.fixture
def guarded(jp_server_config: Config) -> Iterator[list[tuple[str, str]]]:
    """What the server's authorizer was asked."""
    jp_server_config.ServerApp.authorizer_class = Guard
    yield Guard.asked
    Guard.asked.clear()


@pytest.fixture
def ask(jp_serverapp: ServerApp, http_server_client: AsyncHTTPClient, jp_base_url: str) -> Iterator[Ask]:
    """Send a request, and nothing with it that says who sends it."""

    def fetch(verb: str, path: str, **headers: str) -> Awaitable[HTTPResponse]:
        return http_server_client.fetch(
            url_path_join(jp_base_url, path),
            method=verb.upper(),
            headers=headers,
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )

    yield fetch
    ContainerManager.clear_instance()


def test_every_route_has_verbs() -> None:
    """What is looked at below is all there is."""
    assert len(default_handlers) >= 7
    assert all(verbs(handler) for _, handler in default_handlers)
    assert {verb for verb, _ in VERBS} == {*ACTIONS}


@EVERY
async def test_without_a_token(ask: Ask, verb: str, path: str) -> None:
    answer = await ask(verb, path)
    if path.endswith("/ports/6006/data") and verb in ("get", "head"):
        # A person opens these in a tab of a browser, and is led to the login.
        assert answer.code == 302
        assert "/login?next=" in answer.headers["Location"]
    else:
        assert answer.code == 403


async def test_a_name_that_is_not_this_servers(
    ask: Ask, jp_auth_header: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A page may have its own name lead here: its browser would take what is answered for that page's."""
    for verb, path in VERBS:
        caplog.clear()
        answer = await ask(verb, path, Host="rebound.example", **jp_auth_header)
        assert answer.code == 403, (verb, path)
        assert "non-local 'Host' rebound.example" in caplog.text


@EVERY
async def test_the_authorizer_decides(
    guarded: list[tuple[str, str]], ask: Ask, jp_auth_header: dict[str, str], verb: str, path: str
) -> None:
    answer = await ask(verb, path, **jp_auth_header)
    assert answer.code == 403
    assert guarded == [(ACTIONS[verb], "tfcontainer")]
    if not answer.headers["Content-Type"].startswith("application/json"):
        assert "/ports/" in path  # what a program in the container would answer: a page, and no model
        return
    told = json.loads(answer.body)
    assert told["message"].startswith(f"The Jupyter server on {platform.node()} does not let you ")
    assert told["reason"] == "not_authorized"


@pytest.mark.parametrize(("verb", "path"), [one for one in VERBS if ACTIONS[one[0]] == "write"])
async def test_a_page_elsewhere_cannot_use_the_login(
    ask: Ask, jp_auth_header: dict[str, str], verb: str, path: str
) -> None:
    """A browser sends the cookie along for whoever asks, but tells its value only to pages of the server."""
    login = await ask("get", f"tree?token={jp_auth_header['Authorization'].split()[1]}")
    cookies = [cookie.split(";")[0] for cookie in login.headers.get_list("Set-Cookie")]
    answer = await ask(verb, path, Cookie="; ".join(cookies))
    assert answer.code == 403
    assert b"_xsrf" in answer.body
    token = next(cookie for cookie in cookies if cookie.startswith("_xsrf=")).removeprefix("_xsrf=")
    answer = await ask(verb, path, Cookie="; ".join(cookies), **{"X-XSRFToken": token})
    assert answer.code != 403  # it was let in, though there is nothing of that name
