"""The command, as a client runs it that knows no provisioners."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from homes import Home

import jupyter_tfcontainer
from jupyter_tfcontainer import __version__, cli
from jupyter_tfcontainer.cli.commands import COMMANDS, HELP

KERNELSPEC = Path(jupyter_tfcontainer.__file__).parent / "kernelspecs/tf-1.2.1-gpu/kernel.json"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command beside this Python."""
    program = Path(sys.executable).with_name("jupyter-tfcontainer")
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True, timeout=60)


def test_the_kernelspecs_command_says_what_to_do() -> None:
    argv = json.loads(KERNELSPEC.read_text())["argv"]
    assert argv[0] == "jupyter-tfcontainer"
    done = command(*(argument.format(connection_file="/nowhere/kernel-1.json") for argument in argv[1:]))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == cli.NO_PROVISIONER + "\n"
    for words in ("runs in a container", "jupyter lab", "Existing Jupyter Server"):
        assert words in done.stderr


def test_version() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["start"], ["kernel", "--port", "1"]])
def test_anything_else_is_refused_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: jupyter tfcontainer" in capsys.readouterr().err


def test_kernel_in_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kernel"]) == 1
    assert capsys.readouterr().err == cli.NO_PROVISIONER + "\n"


# Modules of ours and of others whose import takes from 10 to 110 ms.
HEAVY = {
    *("docker", "requests", "urllib3", "jupyter_client", "zmq", "traitlets", "yaml", "asyncio", "tqdm", "IPython"),
    *("importlib.metadata", "jupyter_tfcontainer.manager.manager", "jupyter_tfcontainer.engine.client"),
}


def imported(code: str) -> set[str]:
    """The modules that a Python of its own has imported once it has run code."""
    code += "\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, text=True, capture_output=True)
    return {*done.stderr.splitlines()[-1].split()}


# jupyter_client knows where kernelspecs are, and brings the others.
CLIENT = {"jupyter_client", "zmq", "traitlets", "asyncio", "IPython", "importlib.metadata"}


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("--help", set()),
        ("--version", {"importlib.metadata"}),
        ("kernel", set()),
        ("catalog --json", {"yaml"}),
        ("list", CLIENT),
        ("show 1.2.1-gpu", {*CLIENT, "yaml"}),
    ],
)
def test_a_command_imports_what_it_needs(home: Home, command: str, needed: set[str]) -> None:
    """Each import keeps the person waiting: that of the engine's client for longer than all that these do."""
    home.add("tf", "nothing/of-that-name:1")
    run = f"with suppress(SystemExit): main({command.split()})"
    modules = imported(f"from contextlib import suppress\nfrom jupyter_tfcontainer.cli import main\n{run}")
    assert "jupyter_tfcontainer.cli" in modules
    assert modules & HEAVY <= needed


def test_no_command_waits_for_jupyters_server() -> None:
    """Its import takes seconds, and most commands need nothing of it."""
    modules = imported("; ".join(f"import jupyter_tfcontainer.cli.{name}" for name in COMMANDS))
    assert {f"jupyter_tfcontainer.cli.{name}" for name in COMMANDS} <= modules
    assert not modules & {"jsonschema", "jupyter_server.serverapp"}


@pytest.mark.parametrize("name", HELP)
def test_each_command_is_where_the_table_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its module imported or not, the help of all is the same."""
    parser = cli._parser([name])
    assert parser.format_help() == cli._parser([]).format_help()
    with pytest.raises(SystemExit) as caught:
        parser.parse_args([name, "--help"])
    assert caught.value.code == 0
    usage, description, *_ = capsys.readouterr().out.split("\n\n")
    assert usage.startswith(f"usage: jupyter tfcontainer {name} [-h]")
    assert description[0].isupper()
