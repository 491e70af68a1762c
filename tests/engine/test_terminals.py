"""Jupyter's own terminals with a shell in a container."""

from __future__ import annotations

from typing import Any

import pytest
from homes import MODERN
from servers import OURS, Server, Socket, session
from traitlets.config import Config

CONTAINERS = f"{OURS}/containers"


@pytest.fixture
def jp_server_config(jp_server_config: Config) -> Config:
    """A server that has terminals."""
    jp_server_config["ServerApp"]["jpserver_extensions"]["jupyter_server_terminals"] = True
    # Its websocket asks who is there by itself, and does not say so.
    jp_server_config["ServerApp"]["allow_unauthenticated_access"] = True
    return jp_server_config


class Terminal(Socket):
    """A terminal in a page."""

    messages: list[Any]

    def type(self, text: str) -> None:
        """Press keys."""
        self.send(["stdin", text])  # type: ignore[arg-type]

    async def shows(self, text: str) -> None:
        """Wait until something has been printed."""
        await self.heard(lambda messages: text in "".join(one[1] for one in messages if one[0] == "stdout"))  # type: ignore[index]

    async def ended(self) -> None:
        """Wait until it says that its program has ended."""
        await self.heard(lambda messages: [one for one in messages if one[0] == "disconnect"])  # type: ignore[index]


async def start(server: Server) -> str:
    """A kernel in a folder of the workspace; its container's id comes back."""
    server.home.add("tf", MODERN)
    (server.home.workspace / "sub").mkdir()
    answer = await server.ask("POST", "api/sessions", session("tf", "sub/one.ipynb"))
    assert answer.status == 201
    return str((await server.container())["id"])


async def test_beside_the_kernel_in_its_folder_until_the_container_goes(server: Server) -> None:
    container = await start(server)
    path = f"{CONTAINERS}/{container}/terminals"
    answer = await server.ask("POST", path, {})
    name = answer.model["name"]
    assert (answer.status, answer.location) == (201, server.url(f"api/terminals/{name}"))
    terminal = Terminal(await server.connect(f"terminals/websocket/{name}"))
    await terminal.shows("sub# ")
    terminal.type("echo $((6 * 7))-$PWD-$HOSTNAME\r")
    await terminal.shows(f"42-/notebooks/sub-{container[:12]}")
    await server.ask("DELETE", f"{CONTAINERS}/{container}")
    await terminal.ended()
    await terminal.close()
    assert await server.get("api/terminals") == []
    answer = await server.ask("POST", path, {})
    assert (answer.status, answer.model["reason"]) == (404, "ContainerNotFound")


async def test_as_root(server: Server) -> None:
    """Whoever runs the tests is root, and may be that inside as well."""
    container = await start(server)
    answer = await server.ask("POST", f"{CONTAINERS}/{container}/terminals", {"root": True})
    terminal = Terminal(await server.connect(f"terminals/websocket/{answer.model['name']}"))
    await terminal.shows("sub# ")
    terminal.type("echo $((6 * 7))-$HOME\r")
    await terminal.shows("42-/root")
    await terminal.close()
    answer = await server.ask("POST", f"{CONTAINERS}/{container}/terminals", {"root": "yes"})
    assert answer.status == 400


async def test_a_server_without_terminals_says_so(server: Server) -> None:
    container = await start(server)
    server.app.web_app.settings["terminals_available"] = False
    answer = await server.ask("POST", f"{CONTAINERS}/{container}/terminals", {})
    assert answer.status == 409
    assert "has no terminals" in answer.model["message"]
