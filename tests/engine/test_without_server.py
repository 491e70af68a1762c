"""Kernels of the programs that run notebooks without a server, as root and as anybody else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from engines import private_engine
from homes import LEGACY, MODERN, Home
from kernels import kernel, until, value
from people import ROOT, as_person

from jupyter_tfcontainer.manager import ContainerManager

SCRIPTS = Path(sysconfig.get_path("scripts"))
NOTEBOOK = ROOT / "examples" / "legacy_tensorflow.ipynb"
SECONDS = 120
UID = 4321
GROUP = 5432
# Says when it runs, and goes on until it is ended.
ENDLESS = "import time\nopen('running', 'w').close()\nwhile True: time.sleep(0.1)"


def program(name: str, *arguments: str) -> list[str]:
    return [str(SCRIPTS / name), *arguments]


def execute(command: list[str], **kwargs: Any) -> str:
    """Run a program to its end; it must not fail, nor complain while it ends."""
    done = subprocess.run(command, check=False, text=True, capture_output=True, timeout=SECONDS, **kwargs)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said: str = done.stdout
    return said


def call(home: Home, command: list[str], **kwargs: Any) -> str:
    """Run a program in the workspace; it must leave nothing behind."""
    said = execute(command, cwd=home.workspace, env={**os.environ, **home.variables()}, **kwargs)
    assert not home.leftovers()
    return said


def example(home: Home) -> str:
    """A copy of the example in the workspace."""
    home.add("tf-1.2.1-cpu", LEGACY)
    shutil.copy(NOTEBOOK, home.workspace)
    return NOTEBOOK.name


def code(source: str) -> dict[str, Any]:
    """A cell."""
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}


def notebook(home: Home, kernel_name: str, source: str) -> str:
    """A notebook of one cell."""
    content = {
        "cells": [code(source)],
        "metadata": {"kernelspec": {"name": kernel_name, "display_name": kernel_name, "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    (home.workspace / "own.ipynb").write_text(json.dumps(content))
    return "own.ipynb"


def outputs(path: Path) -> str:
    """All that the cells of an executed notebook printed."""
    cells = json.loads(path.read_text())["cells"]
    return "".join(line for cell in cells for one in cell.get("outputs", []) for line in one.get("text", []))


def owners(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_uid for path in folder.rglob("*")}


def check_example(folder: Path, owner: int) -> None:
    """The example trained, and its files are where they belong and whose they should be."""
    found = owners(folder)
    assert {"checkpoints/checkpoint", "checkpoints/spirals.index", "checkpoints/spirals.meta"} <= found.keys()
    assert any(path.startswith("logs/events.out.tfevents.") for path in found)
    assert set(found.values()) == {owner}


def test_jupyter_execute(home: Home) -> None:
    call(home, program("jupyter", "execute", "--inplace", example(home)))
    check_example(home.workspace, 0)
    assert "1.2.1\n" in outputs(home.workspace / NOTEBOOK.name)


@pytest.mark.parametrize("name", ["nbconvert", "papermill"])
def test_programs_that_run_notebooks(home: Home, name: str) -> None:
    home.add("tf", LEGACY)
    path = notebook(home, "tf", "import os, tensorflow as tf\nprint(tf.__version__, os.getcwd())")
    if name == "nbconvert":
        call(home, program("jupyter", "nbconvert", "--execute", "--to", "notebook", "--output", "done", path))
    else:
        call(home, program("papermill", path, "done.ipynb"))
    assert outputs(home.workspace / "done.ipynb") == "('1.2.1', '/notebooks')\n"


@pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])
def test_jupyter_run(home: Home, image: str) -> None:
    """It shuts its kernel down when the interpreter ends, which is too late for threads."""
    home.add("tf", image)
    assert call(home, program("jupyter", "run", "--kernel=tf"), input="print(6 * 7)") == "42\n"


@pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])
def test_jupyter_console(home: Home, image: str) -> None:
    """It asks its kernel to end, and is gone."""
    home.add("tf", image)
    said = call(
        home,
        program("jupyter", "console", "--kernel=tf", "--simple-prompt"),
        input="print(6 * 7)\nexit\n",
    )
    assert "42\n" in said


@contextmanager
def executing(home: Home) -> Iterator[subprocess.Popen[str]]:
    """A `jupyter execute` that is in the middle of a cell."""
    home.add("tf", LEGACY)
    process = subprocess.Popen(
        program("jupyter", "execute", notebook(home, "tf", ENDLESS)),
        cwd=home.workspace,
        env={**os.environ, **home.variables()},
        text=True,
        stderr=subprocess.PIPE,
    )
    try:
        assert until((home.workspace / "running").exists, SECONDS)
        assert len(home.containers()) == 1
        yield process
    finally:
        process.kill()
        process.communicate()


def test_interrupted_program_leaves_nothing(home: Home) -> None:
    with executing(home) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) != 0
        assert not home.leftovers()


def test_container_of_a_killed_program_ends_and_is_swept(home: Home) -> None:
    home.configure(orphan_timeout=1)
    with executing(home) as process:
        [container] = home.containers()
        process.kill()
        engine = docker.APIClient()
        try:
            assert engine.wait(container["Id"], timeout=SECONDS)["StatusCode"] == 0
            log = engine.logs(container["Id"]).decode()
        finally:
            engine.close()
        assert "ending: nobody has been connected for 1.0 s" in log
    with kernel("tf") as (_, client):
        assert value(client, "print(1)") == "1"
    # The sweep that this start began is over when the manager is closed.
    ContainerManager.instance().close()
    assert not home.leftovers()


def test_jupyter_execute_as_anybody_else(home: Home) -> None:
    """Somebody who is not root, in a folder that nobody else may enter, with a group that opens more than their own."""
    folder = home.workspace / "my 数据"
    folder.mkdir(0o700)
    path = folder / example(home)
    content = json.loads((home.workspace / path.name).read_text())
    content["cells"] += [
        {**code("print(open('group.txt').read())"), "id": "group"},
        {**code("try:\n    open('root.txt')\nexcept IOError as error:\n    print(error.strerror)"), "id": "root"},
        {**code("print(os.getuid(), sorted(os.getgroups()), os.getcwd())"), "id": "person"},
    ]
    path.write_text(json.dumps(content))
    home.root.chmod(0o755)
    for one in home.root.rglob("*"):
        os.chown(one, UID, UID)
    for name, mode in (("group.txt", 0o640), ("root.txt", 0o600)):
        (folder / name).write_text(f"in {name}")
        (folder / name).chmod(mode)
        os.chown(folder / name, 0, GROUP)
    with private_engine() as engine:
        engine.folder.chmod(0o755)
        engine.start("--group", str(GROUP))
        engine.load(LEGACY)
        execute(
            as_person(
                ["env", "-C", str(folder), *program("jupyter", "execute", "--inplace", path.name)],
                uid=UID,
                groups=(GROUP,),
            ),
            cwd="/",
            env={**os.environ, **home.variables(), "DOCKER_HOST": engine.url},
        )
        assert not engine.docker("ps", "--all", "--quiet")
    assert not home.leftovers()
    said = outputs(path)
    assert "in group.txt\n" in said
    assert "Permission denied\n" in said
    assert f"{UID} [{UID}, {GROUP}] /notebooks\n" in said
    for name in ("group.txt", "root.txt"):
        (folder / name).unlink()
    check_example(folder, UID)
    assert set(owners(home.data).values()) == {UID}
