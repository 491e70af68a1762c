"""What of ours takes room on the disk is told, and given back; what runs keeps what it has."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pexpect
import pytest
from command_line import PROGRAM, command
from homes import MODERN, Home, engine_client
from kernels import TIMEOUT, kernel
from people import as_person
from registries import TOKEN
from servers import OURS, Server

from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.errors import HomeInUse
from jupyter_tfcontainer.manager import ContainerManager, disk_usage
from jupyter_tfcontainer.manager.disk_usage import measure

MIB = 1024**2
SNAPSHOT = f"tfcontainer/test-disk-{TOKEN}:1"
# The folder of a container, which the next program of ours removes by itself, and that of a server.
CONTAINER, SERVER = "c/0a0b0c0d", "servers/0123456789abcdef-00000000"
# What a person has installed that keeps every kernel from starting: a package in the place of one that ipykernel needs.
BREAK = """
import os, sys
folder = os.path.join(os.environ['PYTHONUSERBASE'], 'lib', 'python%d.%d' % sys.version_info[:2], 'site-packages')
os.makedirs(folder)
open(os.path.join(folder, 'traitlets.py'), 'w').write('1 / 0') and None
"""


def put(home: Home, environment: str) -> Path:
    """Something that was installed in an environment's home, of one mebibyte; the home comes back."""
    folder = home.data / "tfcontainer" / "homes" / environment
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package").write_bytes(os.urandom(MIB))
    return folder


def left_behind(home: Home, *names: str) -> list[Path]:
    """What has crashed has left folders behind, of one mebibyte each."""
    folders = [home.data / "tfcontainer" / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "lock").touch()
        (folder / "big").write_bytes(os.urandom(MIB))
    return folders


def about(size: int, mebibytes: int) -> bool:
    """Whether a size is that, and what folders themselves and small files take."""
    return mebibytes * MIB <= size < (mebibytes + 1) * MIB


# How much a folder takes.


def test_what_a_folder_takes(tmp_path: Path) -> None:
    folder, beside = tmp_path / "folder", tmp_path / "beside"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(os.urandom(MIB))
    (folder / "again").hardlink_to(folder / "deep" / "file")
    beside.write_bytes(os.urandom(5 * MIB))
    (folder / "link").symlink_to(beside)
    (folder / "loop").symlink_to(folder)
    with (folder / "sparse").open("wb") as file:
        file.truncate(7 * MIB)
    assert about(measure(folder).bytes, 1)
    assert measure(folder).complete
    assert measure(tmp_path / "missing") == disk_usage.Size(0)


def test_what_is_closed_is_said(home: Home) -> None:
    """It is as much as could be seen, and more."""
    folder = put(home, "tf")
    (folder / "closed").mkdir(mode=0o700)
    home.root.chmod(0o755)
    script = (
        "from pathlib import Path; from jupyter_tfcontainer.manager.disk_usage import measure; "
        f"print(measure(Path('{folder}')))"
    )
    words = as_person([sys.executable, "-c", script], uid=2345)
    said = subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE).stdout
    assert said.endswith("complete=False)\n")
    assert about(int(said.partition("bytes=")[2].partition(",")[0]), 1)


# Through REST.


@pytest.fixture
def snapshot() -> Iterator[str]:
    """An image that was made of a container, and that nothing uses."""
    with closing(engine_client()) as engine:
        container = engine.create_container(MODERN, ["sh", "-c", f"head -c {2 * MIB} /dev/urandom > /big"])
        try:
            engine.start(container)
            engine.wait(container)
            repository, _, tag = SNAPSHOT.partition(":")
            engine.commit(container, repository, tag, changes=f"LABEL {labels.ORIGIN}=snapshot")
        finally:
            engine.remove_container(container)
        yield SNAPSHOT
        if engine.images(SNAPSHOT):
            engine.remove_image(SNAPSHOT)


async def test_what_takes_room_is_told_and_given_back(server: Server, snapshot: str) -> None:
    home = server.home
    home.add("tf", MODERN)
    for name in ("tf", "gone"):
        put(home, name)
    await server.start("tf")
    left = left_behind(home, CONTAINER, SERVER)
    container = await server.container()
    model = await server.get(f"{OURS}/disk")
    homes = {one["environment"]: one for one in model["homes"]}
    assert sorted(homes) == ["gone", "tf"]
    assert all(about(homes[name]["size"], 1) and homes[name]["complete"] for name in ("tf", "gone"))
    assert [homes[name]["orphan"] for name in ("tf", "gone")] == [False, True]
    assert [homes[name]["containers"] for name in ("tf", "gone")] == [[container["id"]], []]
    assert about(model["folders"]["left_behind"], 2)
    assert 0 < model["folders"]["size"] < MIB
    # Somebody may test beside us, on the same engine.
    (image,) = [one for one in model["images"] if snapshot in one["references"]]
    assert (image["origin"], image["freeable"]) == ("snapshot", True)
    assert about(image["unique_size"], 2)
    assert {one["origin"] for one in model["images"]} <= {"prepared", "built", "snapshot"}
    assert model["disks"][0]["folder"] == str(home.data / "tfcontainer")
    assert all(0 < one["free"] < one["total"] for one in model["disks"])

    assert (await server.ask("DELETE", f"{OURS}/disk/folders")).status == 204
    assert not [one for one in left if one.exists()]
    assert (await server.ask("DELETE", f"{OURS}/disk/homes/gone")).status == 204
    assert (await server.ask("DELETE", f"{OURS}/images", reference=snapshot)).status == 204
    after = await server.get(f"{OURS}/disk")
    assert sorted(one["environment"] for one in after["homes"]) == ["tf"]
    assert after["folders"]["left_behind"] == 0
    assert not [one for one in after["images"] if snapshot in one["references"]]
    # What runs goes on, on its own folders.
    async with server.page(container["kernel"]["id"]) as page:
        assert await page.value("import os; print(os.listdir(os.environ['HOME']).count('package'))") == "1"


async def test_a_home_is_reset_when_nothing_runs_on_it(server: Server) -> None:
    home = server.home
    home.add("tf", MODERN)
    home.add("other", MODERN)
    folder, other = put(home, "tf"), put(home, "other")
    number = await server.start("tf")
    container = await server.container()
    path = f"{OURS}/disk/homes/tf"
    refused = await server.ask("DELETE", path)
    assert (refused.status, refused.model["reason"]) == (409, "HomeInUse")
    assert f"in use by {container['notebook']}. Shut down the kernels of tf first." in refused.model["message"]
    assert container["notebook"].endswith(".ipynb")
    assert (folder / "package").exists()
    await server.ask("DELETE", f"api/kernels/{number}")
    # One that waits is nobody's: it ends.
    await server.ahead("tf")
    assert (await server.ask("DELETE", path)).status == 204
    assert not await server.containers()
    assert not folder.exists()
    assert (other / "package").exists()
    assert not list((home.data / "tfcontainer" / "removed").iterdir())
    gone = await server.ask("DELETE", path)
    assert (gone.status, gone.model["reason"]) == (404, "HomeNotFound")
    await server.start("tf")
    assert (await server.container())["environment"] == "tf"
    assert folder.is_dir()


@pytest.mark.parametrize("name", ["..", ".", "link"])
async def test_what_is_not_a_home_is_not_touched(server: Server, name: str) -> None:
    folder = put(server.home, "tf")
    outside = server.home.workspace / "work"
    outside.mkdir()
    (folder.parent / "link").symlink_to(outside)
    manager = server.app.web_app.settings["tfcontainer_manager"]
    answer = await server.ask("DELETE", f"{OURS}/disk/homes/{name}")
    assert (answer.status, answer.model["reason"]) == (404, "HomeNotFound")
    assert outside.is_dir()
    assert (folder / "package").exists()
    assert [one["environment"] for one in (await server.get(f"{OURS}/disk"))["homes"]] == ["tf"]
    assert manager.running() == []


async def test_measuring_keeps_nobody_waiting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server.home, "tf")
    begun, end = threading.Event(), threading.Event()

    def slow(folder: Path) -> disk_usage.Size:
        begun.set()
        end.wait(TIMEOUT)
        return measure(folder)

    monkeypatch.setattr(disk_usage, "measure", slow)
    asked = asyncio.create_task(server.get(f"{OURS}/disk"))
    assert await asyncio.to_thread(begun.wait, TIMEOUT)
    await server.get(f"{OURS}/containers")
    assert not asked.done()
    end.set()
    assert about((await asked)["homes"][0]["size"], 1)


async def test_without_an_engine_what_it_has_is_not_known(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server.home, "tf")
    manager = server.app.web_app.settings["tfcontainer_manager"]
    with monkeypatch.context() as away:
        away.setattr(manager._lazy, "_starter", None)
        away.setenv("DOCKER_HOST", f"unix://{server.home.root}/nothing.sock")
        model = await server.get(f"{OURS}/disk")
        assert model["images"] is None
        assert [(one["environment"], one["containers"]) for one in model["homes"]] == [("tf", None)]
        assert (await server.ask("DELETE", f"{OURS}/disk/homes/tf")).status == 503
    assert (server.home.data / "tfcontainer" / "homes" / "tf" / "package").exists()


async def test_a_kernel_without_what_the_person_has_installed(server: Server) -> None:
    """A broken package keeps every kernel from starting: once, one starts without it, from which it can be mended."""
    home = server.home
    home.add("tf", MODERN)
    number = await server.start("tf")
    async with server.page(number) as page:
        assert await page.value(BREAK) == ""
    await server.ask("DELETE", f"api/kernels/{number}")
    failed = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "tf"}}
    assert (await server.ask("POST", "api/sessions", failed)).status == 500
    asked = await server.ask("POST", f"{OURS}/containers", {"environment": "tf", "home": "temporary"})
    assert (asked.status, asked.model["temporary_home"]) == (201, True)
    number = await server.start("tf")
    container = await server.container()
    assert (container["id"], container["temporary_home"]) == (asked.model["id"], True)
    async with server.page(number) as page:
        assert await page.value("import os; print(os.listdir(os.environ['HOME']).count('.local'))") == "0"
        await page.value("open(os.path.expanduser('~/made'), 'w').close()")
        # A restart is the same kernel, for the same purpose.
        assert (await server.ask("POST", f"{OURS}/containers/{container['id']}/restart-fresh")).status == 201
        assert (await server.container())["temporary_home"]
    await server.ask("DELETE", f"api/kernels/{number}")
    kept = home.data / "tfcontainer" / "homes" / "tf"
    assert not (kept / "made").exists()
    assert (kept / ".local").exists()
    assert not list((home.data / "tfcontainer" / "c").iterdir())
    # The next one has the home again.
    assert (await server.ask("POST", "api/sessions", failed)).status == 500


async def test_a_home_is_kept_or_temporary(server: Server) -> None:
    server.home.add("tf", MODERN)
    answer = await server.ask("POST", f"{OURS}/containers", {"environment": "tf", "home": "other"})
    assert answer.status == 400
    assert "home must be one of kept, temporary." in answer.model["message"]


# Through the command line.


def said(*arguments: str, stdin: str = "", status: int = 0) -> tuple[str, str]:
    """What our command line prints, on both streams."""
    done = command(*arguments, stdin=stdin)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_the_command_line_shows_it(home: Home) -> None:
    home.add("tf", MODERN)
    put(home, "tf")
    left_behind(home, SERVER)
    with kernel("tf"):
        (container,) = home.containers()
        model: dict[str, Any] = json.loads(said("disk", "--json")[0])
        assert model["homes"][0]["containers"] == [container["Id"]]
        lines = [line.split() for line in said("disk")[0].splitlines()]
        assert ["folders", "that", "were", "left", "behind"] in [line[:5] for line in lines]
        (mine,) = [line for line in lines if line[:3] == ["home", "of", "tf"]]
        assert mine[4:6] == ["MB", container["Id"][:12]]
        assert lines[-1][0].isdecimal() or lines[-1][0].replace(".", "").isdecimal()
        with pytest.raises(HomeInUse):
            ContainerManager.instance().disk.reset_home("tf")
        _, refusal = said("reset-home", "--yes", "tf", status=1)
        assert f"it is in use by container {container['Id'][:12]}. Shut down the kernels of tf first." in refusal


def test_the_command_line_asks_before_it_removes(home: Home) -> None:
    home.add("tf", MODERN)
    kept, gone = put(home, "tf"), put(home, "gone")
    left = left_behind(home, SERVER)
    # Nobody says yes where nobody is asked.
    assert said("disk", "--clean", "folders", "homes")[0] == "0 bytes are free again.\n"
    assert said("reset-home", "tf", status=1)[1].endswith("Nothing was removed.\n")
    assert all(one.exists() for one in (kept, gone, *left))
    terminal = pexpect.spawn(PROGRAM, ["disk", "--clean", "folders", "homes"], timeout=TIMEOUT, encoding="utf-8")
    terminal.expect(r"Remove folders that were left behind \(1 MB\)\? \[y/N\] ")
    terminal.sendline("n")
    terminal.expect(r"Remove the home of gone, an environment that is no more \(1 MB\)\? \[y/N\] ")
    terminal.sendline("y")
    terminal.expect("1 MB are free again")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (gone.exists(), kept.exists(), [one.exists() for one in left]) == (False, True, [True])
    assert "Removed folders that were left behind." in said("disk", "--clean", "folders", "--yes")[0]
    assert not [one for one in left if one.exists()]
    assert said("disk", "--clean", "folders", "homes")[0] == "There is nothing to clean.\n"
    assert "The home of tf is empty" in said("reset-home", "tf", stdin="y\n")[0]
    assert not kept.exists()


def test_the_command_line_removes_images_that_were_made_here(snapshot: str) -> None:
    """Each is asked about: others are other people's."""
    terminal = pexpect.spawn(PROGRAM, ["disk", "--clean", "images"], timeout=TIMEOUT, encoding="utf-8")
    while terminal.expect([r"Remove the image (\S+)[^?]*\? \[y/N\] ", "are free again"]) == 0:
        asked = terminal.match
        assert isinstance(asked, re.Match)
        terminal.sendline("y" if asked[1] == snapshot else "n")
    terminal.expect(pexpect.EOF)
    terminal.close()
    with closing(engine_client()) as engine:
        assert not engine.images(snapshot)


def test_a_shell_without_what_the_person_has_installed(home: Home) -> None:
    home.add("tf", MODERN)
    put(home, "tf")
    with kernel("tf"):  # not beside this one
        done = subprocess.run(
            [PROGRAM, "shell", "--without-packages", "tf"],
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            input="ls -A $HOME; touch $HOME/made; exit 7\n",
            timeout=60,
        )
        assert (done.returncode, done.stdout.strip()) == (7, "")
        assert len(home.containers()) == 1
    assert not (home.data / "tfcontainer" / "homes" / "tf" / "made").exists()
