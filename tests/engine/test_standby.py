"""Containers that stand by: there before anyone asks, never other than what a new one would be, and gone in the end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import LEGACY, MODERN, Home, engine_client, processes
from kernels import TIMEOUT, kernel, until
from kernels import value as value_of
from servers import OURS, Server
from traitlets.config import Config

from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.manager import standby_pool

IMAGES = pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])


@pytest.fixture
def jp_server_config(jp_server_config: Config) -> Config:
    """As servers are: one stands by of what has been used. These tests do not depend on what else the machine does."""
    jp_server_config.ContainerManager = Config(standby=1, standby_load=1000.0)
    return jp_server_config


@pytest.fixture
def by_hand(jp_server_config: Config) -> None:
    """Nothing stands by but what is asked for."""
    jp_server_config.ContainerManager.standby = 0


async def standing_by(server: Server, number: int = 1) -> list[dict[str, Any]]:
    """The containers that stand by, once there are so many."""
    there: list[dict[str, Any]] = []

    async def look() -> None:
        while True:
            there[:] = [one for one in await server.containers() if one["state"] == "standby"]
            if len(there) == number:
                return
            await asyncio.sleep(0.1)

    await asyncio.wait_for(look(), 60)
    return there


async def seen(condition: Callable[[], Awaitable[bool]]) -> bool:
    for _ in range(10 * TIMEOUT):
        if await condition():
            return True
        await asyncio.sleep(0.1)
    return False


async def printed(server: Server, kernel_id: str, code: str) -> str:
    async with server.page(kernel_id) as page:
        return await page.value(code)


# When there are some.


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, 3),
        ({"standby": 0}, 0),
        ({"standby": 5}, 5),
        ({"pull_policy": "always"}, 0),
        ({"pull_policy": "always", "standby": 1}, 1),
        ({"pull_policy": "never"}, 3),
        ({"container_name": "followme", "standby": 1}, 0),
    ],
)
def test_how_many_stand_by(fields: dict[str, Any], number: int) -> None:
    environment = Environment(name="tf", display_name="TF", image=MODERN, **fields)
    assert standby_pool.wanted(environment, 3) == number


async def test_one_stands_by_once_its_environment_is_used(server: Server) -> None:
    """The next kernel takes it, and another comes."""
    server.home.add("other", MODERN)
    await server.start(server.home.add("tf", MODERN))
    (first,) = await standing_by(server)
    assert (first["environment"], first["kernel"], first["workspace"]) == ("tf", None, str(server.home.workspace))
    second = await server.start("tf")
    (taken,) = [one for one in await server.containers() if (one["kernel"] or {}).get("id") == second]
    assert taken["id"] == first["id"]
    assert await printed(server, second, "print(6 * 7)") == "42"
    (next_,) = await standing_by(server)
    assert next_["id"] != first["id"]
    # A restart takes none, and has none made.
    assert (await server.ask("POST", f"api/kernels/{second}/restart")).status == 200
    assert [one["id"] for one in await standing_by(server)] == [next_["id"]]
    assert (await server.ask("DELETE", f"{OURS}/containers/{next_['id']}")).status == 204
    assert (await server.ask("POST", f"api/kernels/{second}/restart")).status == 200
    await asyncio.sleep(standby_pool.QUIET + 2)
    assert [one["state"] for one in await server.containers()] == ["running", "running"]


async def test_none_where_the_environment_wants_none(server: Server) -> None:
    server.home.add("none", MODERN, standby=0)
    server.home.add("named", MODERN, container_name=f"tfc-standby-{server.home.root.name}")
    server.home.add("two", MODERN, standby=2)
    for name in ("none", "named", "two"):
        await server.start(name)
    # The last that was wanted: those before it would be there by now.
    assert {one["environment"] for one in await standing_by(server, 2)} == {"two"}


@pytest.fixture
def said_before(home: Home) -> None:
    home.add("tf", MODERN, standby=1)
    home.add("silent", MODERN)
    home.add("absent", "tfcontainer/absent:1", standby=1)


async def test_one_is_there_before_the_first_use_where_the_environment_says_so(
    said_before: None, server: Server
) -> None:
    """Nothing is pulled for it."""
    assert [one["environment"] for one in await standing_by(server)] == ["tf"]
    assert await server.get(f"{OURS}/operations") == []


@pytest.fixture
def busy_machine(jp_server_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any load is too much, and nobody looks at it again."""
    jp_server_config.ContainerManager.standby_load = -1.0
    monkeypatch.setattr(standby_pool, "QUIET", 0.2)
    monkeypatch.setattr(standby_pool, "LONGEST", 1.0)


async def test_none_is_started_on_a_busy_machine(busy_machine: None, server: Server) -> None:
    await server.start(server.home.add("tf", MODERN))
    await asyncio.sleep(2)  # after this nobody looks any more
    assert [one["state"] for one in await server.containers()] == ["running"]
    manager = server.app.web_app.settings["tfcontainer_manager"]
    manager.standby_load = 1000.0
    await server.start("tf")
    await standing_by(server)


def test_none_without_a_server(home: Home) -> None:
    home.configure(standby=1, standby_load=1000.0)
    with kernel(home.add("tf", MODERN, standby=1)) as (_, client):
        value_of(client, "1")
        assert not until(lambda: len(home.containers()) > 1, standby_pool.QUIET + 1)


@pytest.fixture
def short(jp_server_config: Config) -> None:
    jp_server_config.ContainerManager.standby_timeout = 2.0


async def test_it_ends_when_nobody_takes_it(by_hand: None, short: None, server: Server) -> None:
    server.home.add("tf", MODERN)
    await server.ahead("tf")
    assert len(server.home.containers()) == 1
    assert await asyncio.to_thread(until, lambda: not server.home.containers(), 20)


async def test_it_makes_room_for_what_is_asked_for(server: Server) -> None:
    """It counts like any other, but nobody has asked for it."""
    manager = server.app.web_app.settings["tfcontainer_manager"]
    server.home.add("tf", MODERN)
    server.home.add("other", MODERN)
    await server.start("tf")
    (waiting,) = await standing_by(server)
    # Others may test beside us, as the same user on the same engine.
    manager.max_containers = len(manager.engine.list(os.getuid()))
    assert (await server.ask("POST", f"{OURS}/containers", {"environment": "other"})).status == 403
    await server.start("other")
    assert sorted(one["environment"] for one in await server.containers()) == ["other", "tf"]
    assert waiting["id"] not in [one["Id"] for one in server.home.containers()]


async def test_a_gpu_is_not_opened(by_hand: None, server: Server) -> None:
    """What is imported ahead may open one: then it is left for the kernel to import."""
    library = server.home.workspace / "lib"
    library.mkdir()
    (library / "opens.py").write_text("file = open('/dev/nvidia0')")
    (library / "plain.py").write_text("name = 'here'")
    fields = {"preload": ["opens", "plain"], "devices": ["/dev/null:/dev/nvidia0"]}
    server.home.add("tf", MODERN, env={"PYTHONPATH": "/notebooks/lib", "PYTHONDONTWRITEBYTECODE": "1"}, **fields)
    container = await server.ahead("tf")
    path = f"{OURS}/containers/{container['id']}/logs"
    word = "opens is not preloaded any more: it opens /dev/nvidia0"

    async def told() -> bool:
        return word in (await server.get(path))["log"]

    assert await seen(told)

    def opened() -> list[str]:
        links = [link for pid in processes(container["id"]) for link in Path(f"/proc/{pid}/fd").iterdir()]
        return [str(link) for link in links if link.exists() and str(link.readlink()).startswith("/dev/nvidia")]

    assert await asyncio.to_thread(until, lambda: not opened(), TIMEOUT)
    number = await server.start("tf")
    code = (
        "import sys; print([name in sys.modules for name in ('opens', 'plain')]); import opens; print(opens.file.name)"
    )
    assert (await printed(server, number, code)).split("\n") == ["[False, True]", "/dev/nvidia0"]
    assert [one["id"] for one in await server.containers()] == [container["id"]]


# Out of date.


def wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "question-1.0-py2.py3-none-any.whl", "w") as archive:
        archive.writestr("question.py", "ANSWER = 42\n")
        archive.writestr("question-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: question\nVersion: 1.0\n")
        tags = "Tag: py2-none-any\nTag: py3-none-any\n"
        archive.writestr("question-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{tags}")
        archive.writestr("question-1.0.dist-info/RECORD", "")


INSTALL = (
    "import subprocess, sys; subprocess.check_output([sys.executable, '-m', 'pip', 'install', '--no-index', {}"
    "'/notebooks/question-1.0-py2.py3-none-any.whl'], stderr=subprocess.STDOUT); print('done')"
)


@IMAGES
async def test_packages_of_the_person_that_came_meanwhile(by_hand: None, server: Server, image: str) -> None:
    """The home is shared by an environment's containers; it was empty when the one that stands by began."""
    server.home.add("tf", image)
    first = await server.start("tf")
    wheel(server.home.workspace)
    waiting = await server.ahead("tf")
    assert (await printed(server, first, INSTALL.format(""))).endswith("done")
    second = await server.start("tf")
    assert await printed(server, second, "import question; print(question.ANSWER)") == "42"
    assert waiting["id"] in [one["id"] for one in await server.containers() if one["state"] == "running"]


async def test_packages_in_the_container_that_came_meanwhile(by_hand: None, server: Server) -> None:
    """Installed by root from beside, into the image's own folder."""
    wheel(server.home.workspace)
    server.home.add("tf", MODERN)
    waiting = await server.ahead("tf")
    engine = engine_client()
    code = INSTALL.format("'--no-user', ").replace("import subprocess, sys", "import os, subprocess, sys")
    started = engine.exec_create(
        waiting["id"],
        ["python3", "-c", code],
        user="root",
        environment={"PIP_USER": "0", "PIP_BREAK_SYSTEM_PACKAGES": "1"},
    )
    assert b"done" in await asyncio.to_thread(engine.exec_start, started["Id"])
    engine.close()
    second = await server.start("tf")
    assert await printed(server, second, "import question; print(question.ANSWER)") == "42"
    assert [one["id"] for one in await server.containers()] == [waiting["id"]]


async def test_a_preloaded_file_that_was_written_over(by_hand: None, server: Server) -> None:
    library = server.home.workspace / "lib"
    library.mkdir()
    module = library / "mine.py"
    module.write_text("name = 'old'")
    variables = {"PYTHONPATH": "/notebooks/lib", "PYTHONDONTWRITEBYTECODE": "1"}
    server.home.add("tf", MODERN, env=variables, preload=["mine"])
    await server.ahead("tf")
    await asyncio.sleep(2)  # it is imported by now; nobody tells
    module.write_text("name = 'new'")
    assert await printed(server, await server.start("tf"), "import mine; print(mine.name)") == "new"


def edit_variables(home: Home) -> None:
    home.add("tf", MODERN, env={"COLOUR": "red"})


def edit_image(home: Home) -> None:
    home.add("tf", LEGACY)


def edit_limit(home: Home) -> None:
    home.add("tf", MODERN, memory="512m")


@pytest.mark.parametrize(
    ("edit", "expected"), [(edit_variables, "red 3"), (edit_image, "None 2"), (edit_limit, "None 3")]
)
async def test_an_environment_that_was_changed_by_hand(
    by_hand: None, server: Server, edit: Callable[[Home], None], expected: str
) -> None:
    """The next launch finds out; what stood by is removed."""
    server.home.add("tf", MODERN)
    old = await server.ahead("tf")
    edit(server.home)
    number = await server.start("tf")
    container = await server.container()
    assert container["id"] != old["id"]
    code = "import os, sys; print(os.environ.get('COLOUR'), sys.version_info[0])"
    assert (await printed(server, number, code)).strip("()").replace("'", "").replace(",", "") == expected


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_an_environment_that_is_changed_or_deleted(server: Server, method: str) -> None:
    server.home.add("tf", MODERN)
    await server.ahead("tf")
    answer = await server.ask(method, f"{OURS}/environments/tf", {"config": {"cpus": 1}} if method == "PATCH" else None)
    assert answer.status in (200, 204)
    assert not server.home.containers()


async def test_an_environment_that_is_only_hidden_or_asks_for_more_of_them(by_hand: None, server: Server) -> None:
    """It is what it was."""
    server.home.add("tf", MODERN)
    old = await server.ahead("tf")
    assert (await server.ask("PATCH", f"{OURS}/environments/tf", {"hidden": True})).status == 200
    server.home.add("tf", MODERN, standby=0)
    await server.start("tf")
    assert (await server.container())["id"] == old["id"]


@pytest.fixture
def tag() -> Iterator[str]:
    engine, name = engine_client(), "tfcontainer/test-standby"
    engine.tag(MODERN, name, "moving")
    yield f"{name}:moving"
    engine.remove_image(f"{name}:moving", force=True)
    engine.close()


async def test_a_tag_that_was_moved(by_hand: None, server: Server, tag: str) -> None:
    server.home.add("tf", tag)
    old = await server.ahead("tf")
    engine = engine_client()
    engine.tag(LEGACY, "tfcontainer/test-standby", "moving")
    engine.close()
    number = await server.start("tf")
    assert await printed(server, number, "import sys; print(sys.version_info[0])") == "2"
    assert (await server.container())["id"] != old["id"]


async def test_an_image_is_removed_though_something_stands_by_in_it(by_hand: None, server: Server) -> None:
    engine = engine_client()
    try:
        made = engine.create_container(MODERN)["Id"]
        engine.commit(made, "tfcontainer/test-standby", "own")
        engine.remove_container(made)
        server.home.add("tf", "tfcontainer/test-standby:own")
        await server.ahead("tf")
        parameters = {"reference": "tfcontainer/test-standby:own", "force": "true"}
        assert (await server.ask("DELETE", f"{OURS}/images", **parameters)).status == 204
        assert not server.home.containers()
    finally:
        if engine.images("tfcontainer/test-standby:own"):
            engine.remove_image("tfcontainer/test-standby:own", force=True)
        engine.close()


async def test_a_workspace_that_was_replaced(by_hand: None, server: Server) -> None:
    """What stands by has the folder that was there before."""
    server.home.add("tf", MODERN)
    old = await server.ahead("tf")
    shutil.rmtree(server.home.workspace)
    server.home.workspace.mkdir()
    (server.home.workspace / "new.txt").write_text("here")
    number = await server.start("tf")
    assert await printed(server, number, "print(open('/notebooks/new.txt').read())") == "here"
    assert (await server.container())["id"] != old["id"]


async def test_another_folder_in_the_workspace(by_hand: None, server: Server) -> None:
    (server.home.workspace / "sub").mkdir()
    server.home.add("tf", MODERN)
    old = await server.ahead("tf")
    answer = await server.ask("POST", "api/kernels", {"name": "tf", "path": "sub/a.ipynb"})
    code = "import os, sys; print(os.getcwd(), os.path.exists('/notebooks/sub'))"
    assert await printed(server, answer.model["id"], code) == "/notebooks/sub True"
    assert (await server.container())["id"] == old["id"]


async def test_secrets_are_there_before_the_launch(by_hand: None, server: Server) -> None:
    """So the spare is used, and need not be thrown away for them."""
    body = {"name": "tf", "config": {"image": MODERN}, "secrets": {"API_KEY": "open sesame"}}
    assert (await server.ask("POST", f"{OURS}/environments", body)).status == 201
    old = await server.ahead("tf")
    number = await server.start("tf")
    assert await printed(server, number, "import os; print(os.environ['API_KEY'])") == "open sesame"
    log = (await server.get(f"{OURS}/containers/{old['id']}/logs"))["log"]
    assert "does not fit" not in log
    # Nor is one used that has others.
    assert (await server.ask("PATCH", f"{OURS}/environments/tf", {"secrets": {"API_KEY": "closed"}})).status == 200
    number = await server.start("tf")
    assert await printed(server, number, "import os; print(os.environ['API_KEY'])") == "closed"


# Together.


async def test_many_starts_at_once_hold_their_spares_back(by_hand: None, server: Server) -> None:
    """Each has its next spare all the same, once all are there."""
    server.home.add("tf", MODERN)
    numbers = await asyncio.gather(*(server.start("tf") for _ in range(4)))
    assert len(set(numbers)) == 4
    containers = [one["id"] for one in await server.containers()]

    def warm() -> bool:
        # The supervisor, the kernel, its recorder and the spare.
        return all(len(processes(one)) == 4 for one in containers)

    assert await asyncio.to_thread(until, warm, 8)


# At the command line.


async def test_what_stands_by_elsewhere(server: Server) -> None:
    """`ps` of another process shows it as such, and whoever names the environment means the kernel's container."""
    name = server.home.add(f"tf-{server.home.root.name.lower()}", MODERN)
    await server.start(name)
    (waiting,) = await standing_by(server)
    (runs,) = [one for one in await server.containers() if one["state"] == "running"]

    async def said(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("jupyter-tfcontainer")), *arguments]
        done = await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.PIPE, timeout=60)
        return done.stdout.decode()

    listed = {one["id"]: one for one in json.loads(await said("ps", "--json"))}
    assert (listed[waiting["id"]]["state"], listed[waiting["id"]]["image"]) == ("standby", MODERN)
    assert listed[runs["id"]]["state"] == "elsewhere"
    rows = [line.split()[:3] for line in (await said("ps")).splitlines()]
    assert [waiting["id"][:12], name, "waits"] in rows
    assert runs["id"][:12] in await said("stop", name)
    # The other is left, and can be named as there is no other by now.
    assert [one["id"] for one in await server.containers()] == [waiting["id"]]
    assert waiting["id"][:12] in await said("stop", name)
    assert not server.home.containers()
