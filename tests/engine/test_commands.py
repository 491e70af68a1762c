"""The commands that look into what runs, driven as a person drives them; the kernel is another process's."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest
from command_line import PROGRAM, command
from homes import LEGACY, Home, processes, temporary_home
from kernels import kernel, until, value
from nvml_standin import RTX_4090, StandIn

from jupyter_tfcontainer.cli.terminal import PASSED
from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.manager import ContainerManager

TIMEOUT = 30
# Somebody may test beside us, as the same user on the same engine.
TF, OTHER = f"tf-{os.getpid()}", f"other-{os.getpid()}"
ROWS, COLUMNS = 24, 80


def said(*arguments: str, stdin: str = "") -> str:
    """What a command prints; it must succeed."""
    done = command(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, in a process."""
    return subprocess.run([PROGRAM, *arguments], check=False, capture_output=True, input=stdin, timeout=TIMEOUT)


def names(home: Home) -> set[str]:
    """The names of what runs in the container of the kernel, as this machine sees it."""
    [container] = [one for one in home.containers() if one["Labels"][labels.ENVIRONMENT] == TF]
    found = set()
    for process in processes(container["Id"]):
        with suppress(OSError):  # it has just ended
            found.add(Path(f"/proc/{process}/comm").read_text().strip())
    return found


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A kernel that runs throughout: this process is its owner, and the commands are another."""
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        for name, setting in home.variables().items():
            patch.setenv(name, setting)
        patch.chdir(home.workspace)
        ContainerManager.clear_instance()
        (home.workspace / "deep").mkdir()
        with kernel(home.add(TF, LEGACY), cwd=str(home.workspace)) as (_, client):
            value(client, "import os; os.write(2, b'the last words\\n') and None")
            yield home
        ContainerManager.instance().close()
        os.chdir("/")


def surroundings() -> dict[str, Any]:
    """What a command in this process could leave changed."""
    # Tests before this one may have left what closes its files only now.
    gc.collect()
    return {
        "manager": ContainerManager.instance(),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "variables": dict(os.environ),
        "folder": Path.cwd(),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, *PASSED, signal.SIGWINCH)],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": sorted(Path("/proc/self/fd").iterdir()),
    }


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("list", "--json"), 0),
        (("logs", TF, "--tail", "1"), 0),
        (("exec", "--help"), 0),
        (("prepare", LEGACY), 0),
        (("reset-home", TF), 1),
        (("stop", OTHER), 1),
        (("create", "--image", LEGACY, "--env", "x"), 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_in_this_process_does_what_one_in_its_own_does(
    home: Home, words: tuple[str, ...], status: int
) -> None:
    """And it leaves nothing behind for the next, nor for the test: most tests of the command line stand on that."""
    once = command(*words, stdin="n\n")
    before = surroundings()
    again = command(*words, stdin="n\n")
    assert surroundings() == before
    process = run(*words, stdin=b"n\n")
    assert once.returncode == again.returncode == process.returncode == status
    assert once.stdout == again.stdout == process.stdout.decode()
    assert once.stderr == again.stderr == process.stderr.decode()


def test_ps(home: Home) -> None:
    [one] = [one for one in json.loads(said("ps", "--json")) if one["environment"] == TF]
    assert (one["image"], one["state"]) == (LEGACY, "elsewhere")
    heads, *rows = (line.split() for line in said("ps").splitlines())
    assert heads[:3] == ["CONTAINER", "ENVIRONMENT", "STATE"]
    assert [one["id"][:12], TF, "kernel"] in [row[:3] for row in rows]


def test_ps_names_the_image_as_the_environment_does(home: Home) -> None:
    """An image may have other names, of which the engine tells the first."""
    other = f"a/{TF}:1"
    subprocess.run(["docker", "tag", LEGACY, other], check=True)
    try:
        assert [one["image"] for one in json.loads(said("ps", "--json")) if one["environment"] == TF] == [LEGACY]
    finally:
        subprocess.run(["docker", "rmi", other], check=True, stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ps"], "1.2.1-cpu"),
        (["list"], "LONG"),
        (["show", "long"], "8g"),
        (["logs", "nothing-of-that-name-is-here"], "lists them."),
        (["show", "nothing-of-that-name-is-here"], "show what there is."),
        (["export", "nothing-of-that-name-is-here"], "list` shows what there is."),
        (["--help"], "command"),
        (["exec", "--help"], "CONTAINER COMMAND [ARGUMENT ...]"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_what_is_said_fits_a_terminal(home: Home, words: list[str], expected: str) -> None:
    home.add("long", f"registry.example:5000/a/folder/in/it/{'x' * 40}:1.2.1-gpu-py3", memory="8g")
    terminal = in_terminal(*words)
    ended(terminal)
    assert isinstance(terminal.before, str)
    lines = re.sub("\x1b\\[[0-9;]*m", "", terminal.before).split("\r\n")
    if words[0] == "show":
        lines = [line for line in lines if not line.startswith("image")]  # it is to be copied
    assert max(map(len, lines)) <= COLUMNS
    assert expected in " ".join(lines)


def test_catalog_and_show_say_the_same(home: Home) -> None:
    """Of an image, and of an environment that runs in it; the machine of the tests has no card."""
    name, image = home.add("gpu", "tensorflow/tensorflow:1.2.1-gpu-py3", gpus="all"), "1.2.1-gpu-py3"
    listed = json.loads(said("catalog", "--gpu", "--search", image, "--json"))
    words = {
        one["verdict"]["word"] for one in (*listed, *(json.loads(said("show", x, "--json")) for x in (name, image)))
    }
    assert words == {"cannot"}


def test_a_mistake_deletes_none(home: Home) -> None:
    home.add("kept", LEGACY)
    done = command("delete", "kept", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert (home.data / "kernels" / "kept").exists()


def test_logs(home: Home) -> None:
    assert "the last words\n" in said("logs", TF)
    assert said("logs", TF, "--tail", "1").count("\n") == 1
    done = command("logs", OTHER)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"You have no container {OTHER}" in done.stderr


def test_exec_passes_everything_through(home: Home) -> None:
    data = bytes(range(256)) * 1000
    done = run("exec", TF, "sh", "-c", "cat; echo complaint >&2; exit 7", stdin=data)
    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"complaint\n")
    # In the kernel's surroundings.
    done = run("exec", TF, "sh", "-c", "pwd; echo $HOME; id -u")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == ["/notebooks", "/tfcontainer/home", str(os.getuid())]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs, and gets no further than the test."""
    # Unbuffered: what is not read stays in the pipe.
    with subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> str:
    """The next line that a command prints."""
    assert process.stdout
    return process.stdout.readline().decode()


def rest(process: subprocess.Popen[bytes]) -> str:
    """All that a command prints until it ends."""
    return process.communicate(timeout=TIMEOUT)[0].decode()


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["int", "term", "hup"],
)
@pytest.mark.parametrize("code", ["exec sleep 600", "sleep 600; echo on"], ids=["program", "its child"])
def test_a_signal_to_exec_ends_the_command(home: Home, number: signal.Signals, status: int, code: str) -> None:
    """It ends the one inside too, and the exit status is what a shell would give."""
    with running("exec", TF, "sh", "-c", f"echo ready; {code}") as process:
        assert line(process) == "ready\n"
        process.send_signal(number)
        assert rest(process) == ""
        assert process.returncode == status
    assert until(lambda: "sleep" not in names(home), TIMEOUT)


def test_a_command_may_make_its_own_of_a_signal(home: Home) -> None:
    code = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    with running("exec", TF, "sh", "-c", code) as process:
        assert line(process) == "ready\n"
        process.terminate()
        assert rest(process) == "caught\n"
        assert process.returncode == 5


def test_ctrl_c_at_exec(home: Home) -> None:
    """The command is interrupted, and makes of it what it will."""
    terminal = in_terminal("exec", TF, "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do :; done")
    terminal.expect("ready\r\n")
    terminal.sendintr()
    terminal.expect("caught\r\n")
    assert ended(terminal) == 9


def test_logs_are_followed_to_the_end_of_the_container(home: Home) -> None:
    with ExitStack() as stack:
        with kernel(home.add(OTHER, LEGACY)) as (_, client):
            process = stack.enter_context(running("logs", "--follow", OTHER))
            for word in ("first", "second"):
                value(client, f"import os; os.write(2, b'{word} words\\n') and None")
                while line(process) != f"{word} words\n":
                    assert process.poll() is None
        assert "words" not in rest(process)
        assert process.returncode == 0


def test_logs_are_followed_until_ctrl_c(home: Home) -> None:
    terminal = in_terminal("logs", "--follow", TF)
    terminal.expect("the last words")
    terminal.sendintr()
    assert ended(terminal) == 130
    assert "Traceback" not in str(terminal.before)


def in_terminal(*arguments: str) -> pexpect.spawn[str]:
    """A command in a terminal."""
    return pexpect.spawn(PROGRAM, [*arguments], dimensions=(ROWS, COLUMNS), timeout=TIMEOUT, encoding="utf-8")


def ended(terminal: pexpect.spawn[str]) -> int | None:
    """The exit status of what ran in a terminal."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def shell(*arguments: str) -> pexpect.spawn[str]:
    """A shell in a terminal."""
    terminal = in_terminal("shell", *arguments)
    terminal.expect(r"[$#] ")
    return terminal


def test_shell_is_a_terminal(home: Home) -> None:
    terminal = shell(TF)
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
    assert until(lambda: "sleep" in names(home), TIMEOUT)
    terminal.sendintr()
    terminal.expect(r"\^C")
    terminal.sendline("echo status $?")
    terminal.expect("status 130")
    terminal.sendline("exit 7")
    assert ended(terminal) == 7


def test_shell_of_an_environment_starts_and_removes_a_container(home: Home) -> None:
    home.add(OTHER, LEGACY)
    before = {one["Id"] for one in home.containers()}
    terminal = shell(OTHER)
    terminal.sendline("cat /proc/1/cmdline | tr '\\0' ' ' | cut -c1-40; echo $((6 * 7))")
    terminal.expect("42")
    assert len(home.containers()) == len(before) + 1
    terminal.sendeof()
    assert ended(terminal) == 0
    assert {one["Id"] for one in home.containers()} == before


def modes(terminal: pexpect.spawn[str], pattern: str) -> str:
    """What `stty -g` says in a terminal."""
    terminal.expect(pattern)
    assert isinstance(terminal.match, re.Match)
    return str(terminal.match[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_to_shell_leaves_the_terminal_as_it_was(home: Home, number: signal.Signals) -> None:
    code = 'stty -g; "$0" shell "$1"; echo "status $?"; stty -g; echo end'
    terminal = pexpect.spawn("sh", ["-c", code, PROGRAM, TF], timeout=TIMEOUT, encoding="utf-8")
    before = modes(terminal, r"(\S+:\S+)\r\n")
    terminal.expect(r"[$#] ")
    [process] = psutil.Process(terminal.pid).children()
    process.send_signal(number)
    assert modes(terminal, rf"status {128 + number}\r\n(\S+:\S+)\r\nend") == before
    assert ended(terminal) == 0
    assert until(lambda: "bash" not in names(home), TIMEOUT)


def test_what_cannot_run_is_made_only_by_force(home: Home, nvml: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.describe("535.104.05", [RTX_4090])
    for name, setting in nvml.variables.items():
        monkeypatch.setenv(name, setting)
    done = run("create", "1.2.1", "--gpu", "--name", "mine")
    assert done.returncode == 1
    assert b"CUDA 8.0's cuBLAS has no code for compute capability 8.9" in done.stdout
    assert b"It cannot run here, so it was not made." in done.stderr
    assert not (home.data / "kernels" / "mine").exists()
    done = run("create", "1.2.1", "--gpu", "--name", "mine", "--force")
    assert done.returncode == 0
    assert b"Made mine." in done.stdout
    assert json.loads(said("show", "mine", "--json"))["compatibility"] == "ignore"
    exported = said("export", "mine")
    assert said("delete", "mine") == "Deleted mine.\n"
    assert "Made again." in said("import", "-", "--name", "again", stdin=exported)
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
    assert command("stop", TF, OTHER).returncode == 1
    # A mistake stops none.
    [one] = home.containers()
    assert said("stop", one["Id"][:6]) == f"Stopped {one['Id'][:12]} ({TF}).\n"
    assert home.containers() == []
