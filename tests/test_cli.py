"""The command, as a client runs it that knows no provisioners."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_tfcontainer
from jupyter_tfcontainer import __version__, cli

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


def test_no_command_waits_for_jupyters_server() -> None:
    """Its import takes seconds, and most commands need nothing of it."""
    modules = {"jsonschema", "jupyter_server.serverapp"}
    code = f"import sys, jupyter_tfcontainer.cli; print(sorted({modules} & {{*sys.modules}}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
