"""The commands that look into what runs, driven as a person drives them; the kernel is another process's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from homes import LEGACY, Home, temporary_home
from kernels import kernel, until, value
from nvml_standin import RTX_4090, StandIn

from jupyter_tfcontainer.manager import ContainerManager

PROGRAM = str(Path(sys.executable).with_name("jupyter-tfcontainer"))
TIMEOUT = 30
ROWS, COLUMNS = 24, 80


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return subprocess.run([PROGRAM, *arguments], check=False, capture_output=True, input=stdin, timeout=TIMEOUT)


def said(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    done = run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A kernel that runs throughout: this process is its owner, and the commands are another."""
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        for name, setting in home.variables().items():
            patch.setenv(name, setting)
        patch.chdir(home.workspace)
        ContainerManager.clear_instance()
        (home.workspace / "deep").mkdir()
        with kernel(home.add("tf", LEGACY), cwd=str(home.workspace)) as (_, client):
            value(client, "import os; os.write(2, b'the last words\\n') and None")
            yield home
        ContainerManager.instance().close()
        os.chdir("/")


def test_ps(home: Home) -> None:
    [one] = json.loads(said("ps", "--json"))
    assert (one["environment"], one["image"], one["state"]) == ("tf", LEGACY, "elsewhere")
    heads, row = said("ps").splitlines()
    assert heads.split()[:3] == ["CONTAINER", "ENVIRONMENT", "STATE"]
    assert row.split()[:3] == [one["id"][:12], "tf", "kernel"]


def test_logs(home: Home) -> None:
    assert "the last words\n" in said("logs", "tf")
    assert said("logs", "tf", "--tail", "1").count("\n") == 1
    done = run("logs", "other")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"You have no container other" in done.stderr


def test_exec_passes_everything_through(home: Home) -> None:
    data = bytes(range(256)) * 1000
    done = run("exec", "tf", "sh", "-c", "cat; echo complaint >&2; exit 7", stdin=data)
    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"complaint\n")
    # In the kernel's surroundings.
    assert said("exec", "tf", "sh", "-c", "pwd; echo $HOME").split() == ["/notebooks", "/tfcontainer/home"]
    assert said("exec", "tf", "id", "-u").strip() == str(os.getuid())


def shell(*arguments: str) -> pexpect.spawn[str]:
    """A shell in a terminal."""
    terminal = pexpect.spawn(
        PROGRAM, ["shell", *arguments], dimensions=(ROWS, COLUMNS), timeout=TIMEOUT, encoding="utf-8"
    )
    terminal.expect(r"[$#] ")
    return terminal


def test_shell_is_a_terminal(home: Home) -> None:
    terminal = shell("tf")
    terminal.sendline("stty size")
    terminal.expect(f"{ROWS} {COLUMNS}")
    terminal.setwinsize(40, 100)
    terminal.expect(r"[$#] ")

    def resized() -> bool:
        terminal.sendline("stty size")
        return bool(terminal.expect([r"40 100\r\n", r"\d+ \d+\r\n"]) == 0)

    # The program hears of it by a signal, and the terminal inside by the engine.
    assert until(resized, TIMEOUT)
    terminal.sendline("sleep 600")
    # Once it sleeps, else the shell itself would be interrupted.
    assert until(lambda: "sleep" in said("exec", "tf", "sh", "-c", "cat /proc/[0-9]*/comm"), TIMEOUT)
    terminal.sendintr()
    terminal.expect(r"\^C")
    terminal.sendline("echo status $?")
    terminal.expect("status 130")
    terminal.sendline("exit 7")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 7


def test_shell_of_an_environment_starts_and_removes_a_container(home: Home) -> None:
    home.add("other", LEGACY)
    before = {one["Id"] for one in home.containers()}
    terminal = shell("other")
    terminal.sendline("cat /proc/1/cmdline | tr '\\0' ' ' | cut -c1-40; echo $((6 * 7))")
    terminal.expect("42")
    assert len(home.containers()) == len(before) + 1
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert {one["Id"] for one in home.containers()} == before


def test_what_cannot_run_is_made_only_by_force(home: Home, nvml: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.describe("535.104.05", [RTX_4090])
    for name, setting in nvml.variables.items():
        monkeypatch.setenv(name, setting)
    done = run("create", "1.2.1", "--gpu", "--name", "mine")
    assert done.returncode == 1
    assert b"CUDA 8.0's cuBLAS has no code for compute capability 8.9" in done.stdout
    assert b"It cannot run here, so it was not made." in done.stderr
    assert not (home.data / "kernels" / "mine").exists()
    assert "Made mine." in said("create", "1.2.1", "--gpu", "--name", "mine", "--force")
    assert json.loads(said("show", "mine", "--json"))["compatibility"] == "ignore"
    exported = said("export", "mine")
    assert said("delete", "mine") == "Deleted mine.\n"
    done = run("import", "-", "--name", "again", stdin=exported.encode())
    assert done.returncode == 0
    assert "again" in said("list")
    assert "Made more." in said("copy", "again", "more")
    assert said("delete", "again", "more") == "Deleted again.\nDeleted more.\n"


def test_catalog_fits_a_terminal(home: Home) -> None:
    terminal = pexpect.spawn(PROGRAM, ["catalog"], dimensions=(ROWS, COLUMNS), timeout=TIMEOUT, encoding="utf-8")
    terminal.expect(pexpect.EOF)
    lines = [line for line in (terminal.before or "").split("\r\n") if "\x1b" not in line]
    terminal.close()
    assert len(lines) > 300
    assert max(map(len, lines)) <= COLUMNS
    # Nothing is cut in a pipe.
    assert "…" not in said("catalog")


def test_stop(home: Home) -> None:
    """The last of this file: the kernel is gone afterwards."""
    done = run("stop", "tf", "other")
    assert done.returncode == 1
    # A mistake stops none.
    [one] = home.containers()
    assert said("stop", one["Id"][:6]) == f"Stopped {one['Id'][:12]} (tf).\n"
    assert home.containers() == []
