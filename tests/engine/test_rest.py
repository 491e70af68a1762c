"""The REST interface, and Jupyter's own on our kernels, on a real server with a real engine."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import jupyter_core.paths
import pytest
import requests
from homes import LEGACY, MODERN, Home
from jupyter_server.serverapp import ServerApp
from kernels import TIMEOUT, until
from servers import OURS, Answer, Server, session

from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.server.handlers import default_handlers
from jupyter_tfcontainer.server.schemas import KERNEL_STATE

CONTAINERS = f"{OURS}/containers"
UNKNOWN = f"{CONTAINERS}/{64 * '0'}"
IMAGES = pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])
KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
LINES = 20


def refused(answer: Answer, status: int, words: str, reason: str | None) -> None:
    """See that an answer is an error as the interface promises them."""
    assert (answer.status, answer.model["reason"]) == (status, reason)
    assert words in answer.model["message"]
    assert set(answer.model) == {"message", "reason"}


# What there is.


async def test_engine(server: Server) -> None:
    model = await server.get(f"{OURS}/engine")
    client = docker.APIClient()
    version = client.version()["Version"]
    client.close()
    assert model["state"] == "ready"
    assert (model["kind"], model["version"], model["host"]) == ("docker", version, os.uname().nodename)


@pytest.fixture
def no_engine(home: Home, jp_environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person says where the engine is, and that counts more than what the system says."""
    system = home.root / "system"
    system.mkdir()
    (system / "jupyter_tfcontainer_config.py").write_text("c.ContainerManager.engine_url = 'unix:///system'")
    monkeypatch.setattr(jupyter_core.paths, "SYSTEM_CONFIG_PATH", [str(system)])
    home.configure(engine_url=f"unix://{home.root}/nothing")


async def test_missing_engine_is_an_answer_here_and_an_error_elsewhere(no_engine: None, server: Server) -> None:
    server.home.add("tf", MODERN)
    model = await server.get(f"{OURS}/engine")
    assert (model["state"], model["reason"]) == ("missing", "EngineNotFound")
    assert f"{server.home.root}/nothing" in model["message"]
    refused(await server.ask("GET", CONTAINERS), 503, f"{server.home.root}/nothing", "EngineNotFound")
    # A page asks for these all the time.
    assert await server.get(f"{CONTAINERS}/stats") == []
    answer = await server.ask("POST", CONTAINERS, {"environment": "tf"})
    refused(answer, 503, f"{server.home.root}/nothing", "EngineNotFound")


@pytest.fixture
def ill_typed(home: Home) -> None:
    home.configure(standby_timeout="long")


async def test_what_is_configured_wrong_keeps_no_server_from_its_work(ill_typed: None, server: Server) -> None:
    assert (await server.fetch("api", "status")).code == 200
    # Nor from a clean end.
    await server.app._cleanup()


async def test_environments(server: Server) -> None:
    """The local kernel is none; one that cannot be read says so, and keeps no other from being listed."""
    server.home.add("bad", MODERN, gpu="all")
    server.home.add("tf", MODERN, env={"TOKEN": "secret"}, memory="1g")
    bad, good = await server.get(f"{OURS}/environments")
    assert (bad["name"], bad["display_name"]) == ("bad", "BAD")
    assert "not known: gpu" in bad["error"]
    assert (good["name"], good["image"], good["memory"], good["env"]) == ("tf", MODERN, 1024**3, ["TOKEN"])
    assert await server.get(f"{OURS}/environments/tf") == good
    refused(await server.ask("GET", f"{OURS}/environments/bad"), 422, "not known: gpu", "EnvironmentInvalid")
    refused(await server.ask("GET", f"{OURS}/environments/none"), 404, "named none", "EnvironmentNotFound")
    refused(await server.ask("GET", f"{OURS}/environments/python3"), 404, "python3", "EnvironmentNotFound")


# Containers.


async def test_standby_is_taken_by_the_next_kernel(server: Server) -> None:
    server.home.add("tf", MODERN)
    answer = await server.ask("POST", CONTAINERS, {"environment": "tf"})
    standby = answer.model
    assert answer.status == 201
    # The server's base URL is not "/".
    assert answer.location == server.url(f"{CONTAINERS}/{standby['id']}") != f"/{CONTAINERS}/{standby['id']}"
    assert (standby["state"], standby["kernel"]) == ("standby", None)
    assert standby["workspace"] == str(server.home.workspace)
    assert await server.container() == standby
    assert await server.get(f"{CONTAINERS}/{standby['id']}") == standby
    kernel = await server.start("tf")
    running = await server.container()
    notebook = Path(running["notebook"])
    assert (notebook.parent, notebook.suffix) == (server.home.workspace, ".ipynb")
    taken = {"state": "running", "kernel": {"id": kernel, "ready": True}, "notebook": str(notebook)}
    assert running == {**standby, **taken}
    assert [one["Id"] for one in server.home.containers()] == [standby["id"]]
    async with server.page(kernel) as page:
        assert await page.value("print(6 * 7)") == "42"


async def test_a_kernel_takes_no_standby_of_another_environment(server: Server) -> None:
    server.home.add("tf", MODERN)
    server.home.add("small", MODERN, memory="512m")
    standby = await server.ahead("tf")
    kernel = await server.start("small")
    models = {model["environment"]: model for model in await server.containers()}
    assert models["tf"] == standby
    assert models["small"]["kernel"]["id"] == kernel


async def test_deleted_container_takes_its_kernel_along(server: Server) -> None:
    """Jupyter forgets the kernel, and so does not restart it."""
    server.home.add("tf", MODERN)
    await server.start("tf")
    container = await server.container()
    answer = await server.ask("DELETE", f"{CONTAINERS}/{container['id']}")
    assert (answer.status, answer.model) == (204, None)
    assert await server.get("api/kernels") == []
    assert await server.get("api/sessions") == []
    assert await server.containers() == []
    assert not server.home.containers()
    again = await server.ask("DELETE", f"{CONTAINERS}/{container['id']}")
    refused(again, 404, container["id"], "ContainerNotFound")


async def test_standby_is_deleted(server: Server) -> None:
    server.home.add("tf", MODERN)
    standby = await server.ahead("tf")
    assert (await server.ask("DELETE", f"{CONTAINERS}/{standby['id']}")).status == 204
    assert not server.home.containers()


async def test_logs(server: Server) -> None:
    server.home.add("tf", MODERN)
    kernel = await server.start("tf")
    path = f"{CONTAINERS}/{(await server.container())['id']}/logs"
    async with server.page(kernel) as page:
        # What TensorFlow's C++ prints goes there, too.
        await page.value("import os; _ = os.write(2, b''.join(b'line %d\\n' % number for number in range(300)))")
    # The engine writes the log when it comes to it.
    client = docker.APIClient()
    assert await asyncio.to_thread(until, lambda: b"line 299" in client.logs(path.split("/")[-2], tail=1), TIMEOUT)
    client.close()
    assert (await server.get(path))["log"].splitlines() == [f"line {number}" for number in range(100, 300)]
    assert (await server.get(path, tail="2"))["log"] == "line 298\nline 299\n"
    assert "ready: Python" in (await server.get(path, tail="10000"))["log"]
    for tail in ("0", "-1", "10001", "all", "1.5", ""):
        refused(await server.ask("GET", path, tail=tail), 400, "from 1 to 10000", None)


async def test_output(server: Server) -> None:
    """What a kernel has said is there for whoever comes later; where it is not kept, it is said why."""
    server.home.add("tf", MODERN)
    kernel = await server.start("tf")
    path = f"{CONTAINERS}/{(await server.container())['id']}/output"

    for _ in range(20 * TIMEOUT):  # its recorder comes a moment later than the kernel
        if (await server.ask("GET", path)).status == 200:
            break
        await asyncio.sleep(0.05)
    async with server.page(kernel) as page:
        await page.value("for number in range(300): print('line', number, flush=True)")
    said = await server.get(path)
    assert said["complete"]
    assert said["output"] == "\nIn [1]:\n" + "".join(f"line {number}\n" for number in range(300))
    server.app.web_app.settings["tfcontainer_manager"].record_memory = 0
    assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
    refused(await server.ask("GET", path), 409, "record_memory", "OutputNotKept")


async def test_log_that_is_followed(server: Server) -> None:
    """What is printed comes at once; who stops reading leaves no thread behind, and the container's end ends it."""
    server.home.add("tf", MODERN)
    kernel = await server.start("tf")
    path = server.url(f"{CONTAINERS}/{(await server.container())['id']}/logs?follow=true&tail=10000")

    async def follow() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.app.port)
        token = server.app.identity_provider.token
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {token}\r\n\r\n"
        writer.write(head.encode())
        return reader, writer

    def readers() -> int:
        return sum(one.name == "tfcontainer-log" for one in threading.enumerate())

    leaver, leaves = await follow()
    stayer, stays = await follow()
    await asyncio.wait_for(asyncio.gather(*(one.readuntil(b"ready: Python") for one in (leaver, stayer))), TIMEOUT)
    async with server.page(kernel) as page:
        await page.value("import os; _ = os.write(2, b'printed ' + b'now' + bytes([10]))")
    await asyncio.wait_for(asyncio.gather(*(one.readuntil(b"printed now") for one in (leaver, stayer))), TIMEOUT)
    leaves.close()
    await leaves.wait_closed()
    assert await asyncio.to_thread(until, lambda: readers() == 1, TIMEOUT)
    await server.ask("DELETE", path.split("?")[0].removeprefix(server.url("")).removesuffix("/logs"))
    # The last chunk of the answer.
    await asyncio.wait_for(stayer.readuntil(b"\r\n0\r\n\r\n"), TIMEOUT)
    stays.close()
    await stays.wait_closed()
    assert await asyncio.to_thread(until, lambda: readers() == 0, TIMEOUT)


async def stats(server: Server, container: str) -> Any:
    """What one container uses. Somebody may have others on the same engine."""
    (mine,) = [one for one in await server.get(f"{CONTAINERS}/stats") if one["id"] == container]
    return mine


async def test_stats(server: Server) -> None:
    server.home.add("tf", MODERN, memory="512m", cpus=1.5)
    kernel = await server.start("tf")
    container = (await server.container())["id"]
    before = await stats(server, container)
    assert (before["memory_limit"], before["cpu_limit"]) == (512 * 1024**2, 1.5)
    assert before["pids"] > 1
    async with server.page(kernel) as page:
        await page.value("import time; kept = bytearray(b'x') * 100_000_000; end = time.process_time() + 0.3")
        await page.value("while time.process_time() < end: pass")
    after = await stats(server, container)
    assert 90_000_000 < after["memory"] - before["memory"] < 200_000_000
    # The time that it took is in the whole, and it had one and a half processors at most.
    assert 0.3 <= after["cpu_seconds"] - before["cpu_seconds"] < 1.6 * (after["time"] - before["time"])


async def test_stats_beside_one_that_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a container that ends just then Docker 20.10 answers nothing, with HTTP 200: the others' figures are there."""
    server.home.add("tf", MODERN)
    ending, running = (await server.ahead("tf"))["id"], (await server.ahead("tf"))["id"]
    api: Any = ContainerManager.instance().engine._api
    get = api._get

    def answer(url: str, **kwargs: Any) -> requests.Response:
        response: requests.Response = get(url, **kwargs)
        if url.endswith(f"/{ending}/stats"):
            response._content = b""
        return response

    monkeypatch.setattr(api, "_get", answer)
    figures = await server.get(f"{CONTAINERS}/stats")
    assert {running, ending} & {one["id"] for one in figures} == {running}


async def test_restart_in_a_fresh_container(server: Server) -> None:
    """Clients stay connected: what they ask and hear next is the new kernel's."""
    server.home.add("tf", MODERN)
    kernel = await server.start("tf")
    before = await server.container()
    async with server.page(kernel) as page, server.page(kernel) as other:
        await page.value("open('/tmp/installed', 'w').close(); variable = 1")
        answer = await server.ask("POST", f"{CONTAINERS}/{before['id']}/restart-fresh")
        after = answer.model
        assert answer.status == 201
        assert answer.location == server.url(f"{CONTAINERS}/{after['id']}")
        assert after["id"] != before["id"]
        assert after["kernel"]["id"] == kernel
        request = page.ask("import os; print(os.path.exists('/tmp/installed'), 'variable' in globals())")
        assert await page.outputs(request) == await other.outputs(request) == "False False\n"
    assert [one["Id"] for one in server.home.containers()] == [after["id"]]
    refused(await server.ask("GET", f"{CONTAINERS}/{before['id']}"), 404, before["id"], "ContainerNotFound")


async def test_what_cannot_be_done_says_why(server: Server) -> None:
    server.home.add("bad", MODERN, gpu="all")
    server.home.add("tf", MODERN)
    for method, path in (
        ("GET", UNKNOWN),
        ("DELETE", UNKNOWN),
        ("GET", f"{UNKNOWN}/logs"),
        ("GET", f"{UNKNOWN}/output"),
        ("POST", f"{UNKNOWN}/terminals"),
        ("POST", f"{UNKNOWN}/restart-fresh"),
    ):
        refused(await server.ask(method, path), 404, 64 * "0", "ContainerNotFound")
    wrong: list[Any] = [None, [], {}, {"environment": 1}]
    for body in wrong:
        refused(await server.ask("POST", CONTAINERS, body), 400, "body", None)
    answer = await server.ask("POST", CONTAINERS, {"environment": "none"})
    refused(answer, 404, "named none", "EnvironmentNotFound")
    answer = await server.ask("POST", CONTAINERS, {"environment": "bad"})
    refused(answer, 422, "not known: gpu", "EnvironmentInvalid")
    standby = await server.ahead("tf")
    answer = await server.ask("POST", f"{CONTAINERS}/{standby['id']}/restart-fresh")
    refused(answer, 409, "No kernel", None)
    assert await server.container() == standby


async def test_containers_of_others(server: Server) -> None:
    """Another user's are not there at all; of another process of ours we know what its labels tell."""
    environment = Environment(name="tf", display_name="TF", image=MODERN)
    elsewhere = ContainerManager()  # as another process has one
    client = docker.APIClient()
    try:
        theirs = (await asyncio.to_thread(elsewhere.start, environment, server.home.workspace)).id
        for owner in (str(os.getuid() + 1), None):
            names = {labels.FOLDER: str(server.home.root / "foreign"), **({labels.OWNER: owner} if owner else {})}
            foreign = client.create_container(MODERN, ["true"], labels=names)["Id"]
            for method, path in (
                ("GET", ""),
                ("DELETE", ""),
                ("GET", "/logs"),
                ("POST", "/restart-fresh"),
            ):
                answer = await server.ask(method, f"{CONTAINERS}/{foreign}{path}")
                refused(answer, 404, foreign, "ContainerNotFound")
            client.remove_container(foreign)  # it is still there
        model = await server.container()
        assert (model["id"], model["state"], model["kernel"]) == (theirs, "standby", None)
        assert (model["environment"], model["workspace"]) == ("tf", str(server.home.workspace))
        refused(await server.ask("POST", f"{CONTAINERS}/{theirs}/restart-fresh"), 409, "No kernel", None)
        assert "ready" in (await server.get(f"{CONTAINERS}/{theirs}/logs"))["log"]
        assert [one["memory"] > 0 for one in await server.get(f"{CONTAINERS}/stats") if one["id"] == theirs] == [True]
        assert (await server.ask("DELETE", f"{CONTAINERS}/{theirs}")).status == 204
        assert not server.home.containers()
    finally:
        client.close()
        await asyncio.to_thread(elsewhere.close)


async def test_polling_does_not_keep_an_unused_server_alive(server: Server) -> None:
    server.home.add("tf", MODERN)
    standby = await server.ahead("tf")
    nowhere = {"source": "pull", "reference": "127.0.0.1:1/nothing:1"}
    operation = (await server.ask("POST", f"{OURS}/images", nowhere)).model
    names = {r"([0-9a-f]{64})": standby["id"], r"([0-9a-f]{16})": operation["id"], r"([\w.-]+)": "tf"}
    # Jupyter notes when the last request came that counts.
    await server.get("api/kernels")
    before = server.app.web_app.settings["api_last_activity"]
    for pattern, handler in default_handlers:
        # What programs in containers are asked is use.
        if "get" in vars(handler) and "/ports/" not in pattern:
            for group, name in names.items():
                pattern = pattern.replace(group, name)  # noqa: PLW2901
            answer = await server.ask("GET", pattern.lstrip("/"))
            # What stands by has said nothing that could be read.
            assert answer.status == (409 if pattern.endswith("/output") else 200), answer
    assert server.app.web_app.settings["api_last_activity"] == before
    await server.get("api/kernels")
    assert server.app.web_app.settings["api_last_activity"] > before


# Kernels.


async def both_hear(asks: Callable[[str], str], *pages: Any) -> None:
    """See that every page receives every output of a request."""
    expected = "".join(f"{line}\n" for line in range(LINES))
    request = asks(f"import sys\nfor line in range({LINES}): sys.stdout.write('%d\\n' % line)")
    assert [await page.outputs(request) for page in pages] == [expected] * len(pages)


@IMAGES
async def test_life_of_a_session(server: Server, image: str) -> None:
    """Start, execute, interrupt, restart, death and shutdown, with two pages connected throughout."""
    server.home.add("tf", image)
    folder = server.home.workspace / "deep"
    folder.mkdir()
    answer = await server.ask("POST", "api/sessions", session("tf", "deep/notebook.ipynb"))
    kernel = answer.model["kernel"]["id"]
    container = await server.container()
    async with server.page(kernel) as page, server.page(kernel) as other:
        assert await page.value("import os; print(os.getcwd())") == "/notebooks/deep"
        assert await other.value("print(os.environ['JPY_SESSION_NAME'])") == "/notebooks/deep/notebook.ipynb"
        await both_hear(page.ask, page, other)

        request = page.ask("import time\nprint('begun')\nwhile True: time.sleep(0.01)")
        await other.heard(lambda messages: [one for one in messages if "begun" in one["content"].get("text", "")])
        assert (await server.ask("POST", f"api/kernels/{kernel}/interrupt")).status == 204
        assert await page.outputs(request) == await other.outputs(request) == "begun\nKeyboardInterrupt"

        assert (await server.ask("POST", f"api/kernels/{kernel}/restart")).status == 200
        await both_hear(other.ask, page, other)
        assert await page.value("print('os' in globals())") == "False"

        # Jupyter's restarter brings it back, and asks nobody.
        page.ask(KILL)
        await page.state("restarting")
        await both_hear(page.ask, page, other)
        assert await other.value("print('sys' in globals())") == "True"
    assert await server.container() == {**container, "kernel": {"id": kernel, "ready": True}}
    assert (await server.ask("DELETE", f"api/sessions/{answer.model['id']}")).status == 204
    assert await server.get("api/kernels") == []
    assert not server.home.containers()
    assert not list((server.home.data / "tfcontainer" / "c").glob("*"))


async def test_kernel_without_a_session(server: Server) -> None:
    server.home.add("tf", MODERN)
    answer = await server.ask("POST", "api/kernels", {"name": "tf"})
    kernel = answer.model["id"]
    assert answer.status == 201
    async with server.page(kernel) as page:
        assert await page.value("import os; print(os.getcwd())") == "/notebooks"
    assert (await server.ask("DELETE", f"api/kernels/{kernel}")).status == 204
    assert not server.home.containers()


async def test_events(server: Server) -> None:
    """A page is told each step of a start, and each death, without asking."""
    server.home.add("tf", MODERN)
    async with server.events() as socket:

        async def told(state: str) -> list[dict[str, Any]]:
            def find(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
                ours = [one for one in messages if one["schema_id"] == KERNEL_STATE]
                return ours if ours and ours[-1]["state"] == state else []

            events = await socket.heard(find)
            socket.messages.clear()
            return events

        kernel = await server.start("tf")
        events = await told("running")
        assert {one["kernel_id"] for one in events} == {kernel}
        assert [one.get("step") for one in events] == ["engine", "preflight", "create", "boot", "launch", None]
        assert events[-1]["message"] == "TF runs."
        async with server.page(kernel) as page:
            page.ask(KILL)
            (dead,) = [one for one in await told("running") if one["state"] == "dead"]
        assert (dead["kernel_id"], dead["reason"], dead["signal"]) == (kernel, "signal", "SIGKILL")
        assert re.match(r"The kernel of TF was ended by SIGKILL on \S+\.$", dead["message"])
        assert "ready: Python" in dead["log"]
        # Jupyter does not bear two restarts at a time.
        await socket.heard(lambda messages: [one for one in messages if one.get("action") == "restart"])
        # An end that somebody asked for is no death.
        await server.ask("POST", f"api/kernels/{kernel}/restart")
        assert {one["state"] for one in await told("running")} == {"starting", "running"}


async def test_stop_of_the_server_removes_everything(server: Server, jp_serverapp: ServerApp) -> None:
    """A kernel, which ends in its own way, a container that waits for one, and a start under way."""
    server.home.add("tf", MODERN)
    server.home.add("late", MODERN)
    kernel, _ = await asyncio.gather(server.start("tf"), server.ahead("late"))
    assert len(server.home.containers()) == 2
    async with server.page(kernel) as page:
        await page.value("import atexit; _ = atexit.register(lambda: open('/notebooks/ended', 'w').close())")
    async with server.events() as socket:
        late = asyncio.create_task(server.ask("POST", "api/sessions", session("tf")))
        await socket.heard(lambda messages: [one for one in messages if one.get("step") == "boot"])
        await jp_serverapp._cleanup()
    assert not server.home.leftovers()
    assert (server.home.workspace / "ended").exists()
    await asyncio.wait([late])
