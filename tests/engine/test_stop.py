"""`jupyter tfcontainer stop`, from a process of its own, of a kernel that a running Jupyter server owns."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from homes import LEGACY
from servers import Server

from jupyter_tfcontainer import locks
from jupyter_tfcontainer.manager import ContainerManager

PROGRAM = str(Path(sys.executable).with_name("jupyter-tfcontainer"))


async def stop(container: dict[str, Any]) -> tuple[int, str, str]:
    """Stop a container, as a person does in a terminal: exit status, output and complaint."""
    command = [PROGRAM, "stop", container["id"][:12]]
    # In a thread, since this process is the server, which is asked.
    done = await asyncio.to_thread(subprocess.run, command, check=False, text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def tell(file: Path, info: dict[str, str] | None) -> None:
    """Change what a server tells of itself to other programs; None takes it away."""
    if info is None:
        file.unlink()
    else:
        file.write_text(json.dumps({**json.loads(file.read_text()), **info}))


async def test_the_server_shuts_its_kernel_down(server: Server) -> None:
    """It is no death: no page is told of one, and there is nothing left that could be restarted."""
    kernel = await server.start(server.home.add("tf", LEGACY))
    async with server.events() as events:
        container = await server.container()
        status, said, _ = await stop(container)
        assert (status, said) == (
            0,
            f"Stopped {container['id'][:12]} (tf): the Jupyter server at {server.app.connection_url} has shut its "
            f"kernel down.\n",
        )
        assert kernel not in [one["id"] for one in await server.get("api/kernels")]
        assert server.home.containers() == []
        # Behind these words there would have been those of a death.
        await server.start("tf")
        await events.heard(lambda told: [one for one in told if one.get("state") == "running"])
        assert not [one for one in events.messages if one.get("state") == "dead"]


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ({"token": "wrong"}, "which did not do so for this command (HTTP Error 403: Forbidden)"),
        ({"url": "http://127.0.0.1:1/"}, "which did not do so for this command (<urlopen error [Errno 111] Connection"),
        (None, "a Jupyter server to stop, which is not among those that `jupyter server list` shows"),
    ],
    ids=["refuses", "silent", "unknown"],
)
async def test_a_server_that_cannot_be_asked(server: Server, info: dict[str, str] | None, why: str) -> None:
    """Its kernel stays, since it would be back within seconds."""
    kernel = await server.start(server.home.add("tf", LEGACY))
    tell(Path(server.app.info_file), info)
    container = await server.container()
    status, said, complaint = await stop(container)
    assert (status, said) == (1, "")
    assert f"The kernel in {container['id'][:12]} (tf) is for a Jupyter server" in complaint
    assert why in complaint
    assert complaint.endswith("shut the kernel down there.\n")
    assert [one["Id"] for one in server.home.containers()] == [container["id"]]
    assert [one["id"] for one in await server.get("api/kernels")] == [kernel]


async def test_a_container_of_a_server_that_has_no_kernel(server: Server) -> None:
    """Nobody would bring it back."""
    server.home.add("tf", LEGACY)
    container = await server.ahead("tf")
    assert await stop(container) == (0, f"Stopped {container['id'][:12]} (tf).\n", "")
    assert server.home.containers() == []


def test_who_holds_a_lock_that_nobody_holds(tmp_path: Path) -> None:
    assert locks.lock_holder(tmp_path) is None
    (tmp_path / "lock").touch()
    assert locks.lock_holder(tmp_path) is None


async def test_a_server_that_has_died(server: Server) -> None:
    """Its lock is free, and nobody is there to restart the kernel."""
    await server.start(server.home.add("tf", LEGACY))
    container = await server.container()
    [owned] = ContainerManager.instance().running()
    owned.record.close()
    assert ContainerManager.instance().containers.server(container["id"]) is None
