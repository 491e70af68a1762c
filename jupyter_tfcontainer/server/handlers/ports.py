"""Programs in containers, reached at their ports behind this server's own login; and TensorBoard."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from jupyter_server_proxy.handlers import ProxyHandler, RewritableResponse
from tornado import web
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketError

from ...errors import ContainerError, PortClosed, TFContainerError
from ...kernels.supervisor_client import Message
from ...manager.ports import BOARD_TIMEOUT
from ..relay import Relay
from .base import BASE, TFContainerAPIHandler, TFContainerHandler
from .containers import CONTAINER_ID

LAST_PORT = 65535
# What a request has for Jupyter alone: where it comes from has a token in it where a person has one in the address.
JUPYTERS_HEADERS = ("Referer", "X-XSRFToken", "X-Csrftoken")
JUPYTERS_PARAMETERS = ("token", "_xsrf")
# Cookies of Jupyter's own, on whichever port of this host: cookies do not tell ports apart.
JUPYTERS_COOKIES = re.compile(r"_xsrf|username-|jupyterhub-|jupyter-hub")
JUPYTERS_AUTHORIZATION = re.compile(r"(token|bearer)\s", re.IGNORECASE)
# What would let a page of the container rule over pages that are not.
FOR_THE_WHOLE_SERVER = ("Service-Worker-Allowed", "Clear-Site-Data", "Strict-Transport-Security")


class PortsHandler(TFContainerAPIHandler):
    """The ports of one container."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, container_id: str) -> None:
        """Answer with those that its environment declares, and those at which somebody listens."""
        self.finish(json.dumps(await self.manager.threads.call(self.manager.ports.list, container_id)))


class TensorBoardHandler(TFContainerAPIHandler):
    """TensorBoard in one container."""

    @web.authenticated
    @authorized
    async def post(self, container_id: str) -> None:
        """Have it run on a folder of logs, and answer where it is reached, once it listens."""
        logdir = self.body_if_any().get("logdir", "")
        if not isinstance(logdir, str) or "\0" in logdir:
            raise web.HTTPError(HTTPStatus.BAD_REQUEST, "logdir must be of type str.")
        ports, call = self.manager.ports, self.manager.threads.call
        program, started = await call(ports.tensorboard, container_id, logdir)
        # Whatever comes of it: nobody else is kept from waiting for the same.
        await asyncio.wait({asyncio.wrap_future(program.said)}, timeout=BOARD_TIMEOUT)
        port, known = await call(ports.board, container_id, program)
        url = ports.url(container_id, port)
        if started and not known:
            self.set_status(HTTPStatus.CREATED)
            self.set_header("Location", url)
        self.finish({"port": port, "url": url})


class PortRedirectHandler(TFContainerAPIHandler):
    """The address of a port without the slash at its end, from where a program's relative links lead astray."""

    @web.authenticated
    @authorized
    async def get(self, container_id: str, port: str) -> None:
        """Add the slash."""
        self.redirect(self.manager.ports.url(container_id, port))


class PortHandler(TFContainerHandler, ProxyHandler):  # type: ignore[misc]
    """Whatever a program in a container answers at one of its ports."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The library looks at the names of arguments, and takes a method for a function of two.
        super().__init__(*args, **kwargs, rewrite_response=lambda response: self._rewrite(response))  # noqa: PLW0108
        self._relay: Relay | None = None

    # The library's words for verbs: it has websockets come through `get` as well.

    @web.authenticated
    async def get(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request, or a websocket."""
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await self._connect(container_id, port)
        else:
            await self.http_get(container_id, port)

    @authorized
    async def http_get(self, container_id: str, port: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    # As for Jupyter's own websockets.
    @authorized("execute")  # type: ignore[untyped-decorator]
    async def _connect(self, container_id: str, port: str) -> None:
        # Before the page is told that it is connected.
        async with self._dialled(container_id, port):
            await ProxyHandler.get(self, container_id, port)

    @web.authenticated
    @authorized
    async def head(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    @web.authenticated
    @authorized
    async def options(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    @web.authenticated
    @authorized
    async def post(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    @web.authenticated
    @authorized
    async def put(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    @web.authenticated
    @authorized
    async def patch(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    @web.authenticated
    @authorized
    async def delete(self, container_id: str, port: str, _: str) -> None:
        """Pass on a request."""
        await self._pass_on(container_id, port)

    async def _pass_on(self, container_id: str, port: str) -> None:
        async with self._dialled(container_id, port):
            try:
                await self.proxy("localhost", port, self._path)
            except web.HTTPError as error:
                # The library's own: what the program answers, be it an error, is no exception.
                raise PortClosed(
                    f"The program at port {port} in the container did not answer as one of the web: {error.log_message}"
                ) from error

    async def open(self, container_id: str, port: str) -> None:
        """Pass on what a websocket says; the page is connected already."""
        try:
            await self.proxy_open("localhost", port, self._path)
        except (HTTPClientError, WebSocketError, OSError) as error:
            self.log.warning("No websocket at port %s in container %s: %s", port, container_id[:12], error)
            self.close(1011, "The program in the container took no websocket there.")

    @asynccontextmanager
    async def _dialled(self, container_id: str, port: str) -> AsyncIterator[None]:
        """Have an address at which the library reaches a port."""
        if int(port) > LAST_PORT:
            raise web.HTTPError(HTTPStatus.NOT_FOUND, f"There is no port {port}: the last is {LAST_PORT}.")
        self.proxy_base = self.manager.ports.url(container_id, port).removeprefix(self.base_url).rstrip("/")
        # As it came: the parts that the server makes of it have lost which slashes were quoted.
        self._path = "/" + self.request.path.partition(f"/{container_id}/ports/{port}/")[2]
        self._strip()
        self._relay = Relay(await self._dial(container_id, int(port)))
        self.unix_socket = self._relay.address
        try:
            yield
        finally:
            self._relay.close()

    async def _dial(self, container_id: str, port: int) -> socket.socket:
        answer: Future[Message] = await self.manager.threads.call(self.manager.ports.dial, container_id, port)
        try:
            reply = await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_let_go)
            raise
        except ContainerError as error:
            raise PortClosed(f"Port {port} in the container cannot be reached. {error}") from error
        connection: socket.socket | None = reply.get("socket")
        if connection is None:
            name = self.manager.ports.display_name(container_id)
            raise PortClosed(
                f"Nobody answers at port {port} in the container of {name} ({reply['problem'] or 'no connection'}). "
                f"Start the program there, see that it listens at this port, and try again."
            )
        return connection

    # What goes in, and what comes out.

    def _strip(self) -> None:
        """Take out of the request what is for Jupyter alone."""
        request = self.request
        parameters = request.query.split("&")
        request.query = "&".join(
            one for one in parameters if unquote_plus(one.partition("=")[0]) not in JUPYTERS_PARAMETERS
        )
        for name in JUPYTERS_HEADERS:
            request.headers.pop(name, None)
        if JUPYTERS_AUTHORIZATION.match(request.headers.get("Authorization", "")):
            del request.headers["Authorization"]
        own = self.identity_provider.get_cookie_name(self)
        cookies = [one.strip() for one in request.headers.pop("Cookie", "").split(";")]
        theirs = [one for one in cookies if one and not JUPYTERS_COOKIES.match(one) and one.partition("=")[0] != own]
        if theirs:
            request.headers["Cookie"] = "; ".join(theirs)

    def get_client_uri(self, protocol: str, host: str, port: str, proxied_path: str) -> str:
        """The address as the program knows it; the path is quoted as it came."""
        query = f"?{self.request.query}" if self.request.query else ""
        return f"{protocol}://{host}:{port}{proxied_path}{query}"

    def _rewrite(self, response: RewritableResponse) -> None:
        """Keep what the program says of its host to the part of the host that it has."""
        headers = response.headers
        for name in FOR_THE_WHOLE_SERVER:
            headers.pop(name, None)
        cookies = headers.get_list("Set-Cookie")
        headers.pop("Set-Cookie", None)
        for cookie in cookies:
            if kept := self._own_cookie(cookie):
                headers.add("Set-Cookie", kept)
        where = urlsplit(headers.get("Location", ""))
        if where.netloc in (self.request.host, f"localhost:{self.path_args[1]}", f"127.0.0.1:{self.path_args[1]}"):
            # The library puts its own place in front of paths.
            headers["Location"] = where._replace(scheme="", netloc="", path=where.path or "/").geturl()
        # Who may frame a page of this server is the server's to say.
        headers.add("Content-Security-Policy", self.content_security_policy)

    def _own_cookie(self, text: str) -> str | None:
        """A program's cookie, for its own part of this server; None where it takes the name of one of Jupyter's."""
        try:
            [(name, cookie)] = SimpleCookie(text).items()
        except (CookieError, ValueError):
            return None
        if JUPYTERS_COOKIES.match(name) or name == self.identity_provider.get_cookie_name(self):
            return None
        cookie["domain"] = ""
        cookie["path"] = url_path_join(self.base_url, self.proxy_base, cookie["path"] or "/")
        return cookie.OutputString()

    # Who is let in, and what those are told for whom it does not go on.

    def check_xsrf_cookie(self) -> None:
        """See that no page elsewhere writes with a person's login: pages of programs know nothing of Jupyter's token.

        Browsers say with each such request what page it is from.
        """
        # Tornado asks before anybody knows who it is, and Jupyter's own then puts it off.
        known = getattr(self, "_jupyter_current_user", None) is not None
        if not (known and "Origin" in self.request.headers and self.check_origin()):
            JupyterHandler.check_xsrf_cookie(self)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write an error: as a page where a person looks, else as a model."""
        error = kwargs.get("exc_info", (None, None))[1]
        if not isinstance(error, TFContainerError):
            super().write_error(status_code, **kwargs)
        elif "text/html" in self.request.headers.get("Accept", ""):
            page = web.HTTPError(status_code, str(error))
            super().write_error(status_code, **{**kwargs, "exc_info": (type(page), page, None)})
        else:
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps({"message": str(error), "reason": error.reason}))


def _let_go(answer: Future[Message]) -> None:
    """Close a connection that nobody waits for any more."""
    with suppress(BaseException):
        if connection := answer.result().get("socket"):
            connection.close()


_PORT = r"([1-9]\d{0,4})"

default_handlers = [
    (rf"{BASE}/containers/{CONTAINER_ID}/ports", PortsHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/ports/{_PORT}", PortRedirectHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/ports/{_PORT}/(.*)", PortHandler),
    (rf"{BASE}/containers/{CONTAINER_ID}/tensorboard", TensorBoardHandler),
]
