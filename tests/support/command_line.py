"""The command line: in a process of its own, and in this one, which spares the half second that its imports take."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from jupyter_tfcontainer import cli
from jupyter_tfcontainer.manager import ContainerManager

PROGRAM = str(Path(sys.executable).with_name("jupyter-tfcontainer"))


@contextmanager
def _no_manager() -> Iterator[None]:
    """Set the manager of this process aside; that of a command must be closed when the command has ended."""
    mine = ContainerManager.instance() if ContainerManager.initialized() else None
    ContainerManager.clear_instance()
    try:
        yield
        assert not ContainerManager.initialized()
    finally:
        for owner in ContainerManager._walk_mro():
            owner._instance = mine  # type: ignore[assignment]


def command(
    *arguments: str, stdin: str = "", variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, with a manager of its own, as if it were run in a pipe.

    Signals, terminals, other users, ``exec`` and ``shell``, which pass descriptors on, and what a variable such as
    ``LD_LIBRARY_PATH`` does to a new process need a process: :data:`PROGRAM`.

    Parameters
    ----------
    arguments
        of the command
    stdin
        what it can read
    variables
        that it gets beside those of this process
    """
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors), _no_manager():
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        for name, value in (variables or {}).items():
            patch.setenv(name, value)
        try:
            status = cli.main(list(arguments))
        except SystemExit as end:  # argparse's, after a help or a mistake
            status = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())
