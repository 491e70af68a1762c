"""Kernels that Jupyter ends since nobody uses them, by its own settings: in a container as anywhere."""

from __future__ import annotations

import asyncio

import pytest
from homes import MODERN
from kernels import until
from servers import Server
from traitlets.config import Config


@pytest.fixture
def jp_server_config(jp_server_config: Config) -> Config:
    # Long at first: what the test needs is to be there before anything is culled.
    jp_server_config.MappingKernelManager = Config(cull_idle_timeout=3600, cull_interval=1)
    return jp_server_config


async def test_an_idle_kernel_is_culled_and_one_that_is_used_is_not(server: Server) -> None:
    server.home.add("tf", MODERN)
    # Jupyter looks at them in this order: once the last is culled, the others have been spared.
    connected, busy, idle = [await server.start("tf") for _ in range(3)]
    async with server.events() as events, server.page(connected) as page:
        async with server.page(busy) as gone:
            gone.ask("import time; time.sleep(600)")
            await gone.state("busy")
        async with server.page(idle) as gone:
            await gone.value("x = 1")
        before = {one["id"]: one["kernel"]["id"] for one in await server.containers()}
        assert sorted(before.values()) == sorted((connected, busy, idle))
        kernels = server.app.kernel_manager
        # The server has heard that those pages are gone: else a look at the busy one would spare it for another reason.
        pages = {connected: 1, busy: 0, idle: 0}
        assert await asyncio.to_thread(until, lambda: kernels._kernel_connections == pages, 20)
        kernels.cull_idle_timeout = 1
        await events.heard(
            lambda heard: [one for one in heard if one.get("action") == "shutdown" and one["kernel_id"] == idle]
        )
        # It leaves nothing: neither its container, nor that one's folder, nor its session.
        folders = server.home.data / "tfcontainer" / "c"
        assert await asyncio.to_thread(until, lambda: len(list(folders.iterdir())) == 2, 20)
        left = {container for container, kernel in before.items() if kernel != idle}
        assert {one["Id"] for one in server.home.containers()} == left
        assert {one["kernel"]["id"] for one in await server.get("api/sessions")} == {connected, busy}
        assert await page.value("print(1)") == "1"
        states = {one["id"]: one["execution_state"] for one in await server.get("api/kernels")}
        assert states == {connected: "idle", busy: "busy"}
