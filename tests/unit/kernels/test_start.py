"""The search for the interpreter that has ipykernel, outside a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_tfcontainer.kernels import inside
from jupyter_tfcontainer.kernels.starter import NO_IPYKERNEL

START = Path(inside.__file__).parent / "start.sh"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the sockets, and in ``bin`` the interpreters: all that is on the PATH."""
    folder = Path(tempfile.mkdtemp(prefix="tfc-"))
    (folder / "bin").mkdir()
    (folder / "bin" / "sh").symlink_to(str(shutil.which("sh")))
    yield folder
    shutil.rmtree(folder)


def bare_python(folder: Path) -> Path:
    """An interpreter with nothing installed."""
    venv.create(folder / "bare", with_pip=False, symlinks=True)
    return folder / "bare" / "bin" / "python"


def start(folder: Path, *more: str, **variables: str) -> tuple[int, str]:
    """Run the container's command; the supervisor that it becomes has no owner, and ends at once."""
    config = {"control": str(folder / "control.sock"), "orphan_timeout": 0, "checks": [], "preload": []}
    done = subprocess.run(
        ["sh", str(START), json.dumps(config), *more],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": str(folder / "bin"), "HOME": str(folder), **variables},
    )
    return done.returncode, done.stderr


def link(folder: Path, name: str, python: Path) -> None:
    """Put an interpreter on the PATH, as a script: a virtual environment's own is found by its path."""
    program = folder / "bin" / name
    program.write_text(f'#!/bin/sh\necho "{name} runs $*" >> {folder}/runs\nexec {python} "$@"\n')
    program.chmod(0o755)


def runs(folder: Path) -> list[str]:
    """Which interpreters were started, in order."""
    return [line.split()[0] for line in (folder / "runs").read_text().splitlines()]


def test_the_first_interpreter_that_has_it(folder: Path) -> None:
    link(folder, "python3", Path(sys.executable))
    link(folder, "python", bare_python(folder))
    code, errors = start(folder)
    assert code == 0
    assert "[supervisor] ready" in errors
    # Nothing is spent on a search.
    assert runs(folder)[0:1] == ["python3"]
    assert "python" not in runs(folder)


def test_the_second_where_the_first_lacks_it(folder: Path) -> None:
    link(folder, "python3", bare_python(folder))
    link(folder, "python", Path(sys.executable))
    code, errors = start(folder)
    assert code == 0
    assert "[supervisor] ready" in errors
    assert runs(folder)[:2] == ["python3", "python"]


def test_among_the_persons_own_packages(folder: Path) -> None:
    link(folder, "python3", Path(os.path.realpath(sys.executable)))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    package = folder / "base" / "lib" / version / "site-packages" / "ipykernel"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    code, errors = start(folder, PYTHONUSERBASE=str(folder / "base"))
    assert code == 0
    assert "[supervisor] ready" in errors


def test_none(folder: Path) -> None:
    link(folder, "python3", bare_python(folder))
    code, errors = start(folder)
    assert code == NO_IPYKERNEL
    assert errors == "no ipykernel in this image; looked in: python3\n"


def test_no_python_at_all(folder: Path) -> None:
    code, errors = start(folder)
    assert code == NO_IPYKERNEL
    assert errors == "no ipykernel in this image; looked in: (no Python at all)\n"


def test_the_one_that_was_asked_for(folder: Path) -> None:
    link(folder, "python3", Path(sys.executable))
    link(folder, "other", Path(sys.executable))
    code, errors = start(folder, "other", "search", "other")
    assert code == 0
    assert "[supervisor] ready" in errors
    assert "python3" not in runs(folder)


def test_no_other_than_the_one_that_was_asked_for(folder: Path) -> None:
    link(folder, "python3", Path(sys.executable))
    link(folder, "other", bare_python(folder))
    assert start(folder, "other", "search", "other") == (
        NO_IPYKERNEL,
        "no ipykernel in this image; looked in: other\n",
    )
    assert "python3 runs" not in (folder / "runs").read_text()
    assert start(folder, "gone", "search", "gone")[0] == NO_IPYKERNEL
