"""Shells and commands beside the kernel in a container, in the surroundings that the kernel has."""

from __future__ import annotations

import select
from collections.abc import Sequence

from ..engine import Engine
from ..engine.exec import STDOUT, Exec

# Says the shell, and the variables that an interpreter of the supervisor's was started with: the container's own, with
# what the image's ENTRYPOINT and the supervisor added. Its own command line does not fit its pattern.
PROBE = r"""
command -v bash || command -v sh
found=$(grep -ls 'supervisor[.]py\|kernel[.]py' /proc/[0-9]*/cmdline | sort -r -V | head -n 1)
cat "${found%cmdline}environ"
"""
# A folder that is gone, or that root may not enter, is no reason to have no shell: it starts in the container's own.
ENTER = 'cd "$1" 2>/dev/null; shift; exec "$@"'
# Root's own home, and no packages of root's in the person's.
ROOT = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "PYTHONUSERBASE": "", "PIP_USER": "", "CUDA_CACHE_PATH": ""}


def start(
    engine: Engine, container: str, command: Sequence[str] | None, *, cwd: str | None, tty: bool, root: bool
) -> Exec:
    """Start a command or a shell in a container.

    Parameters
    ----------
    engine
        which has it
    container
        its id
    command
        program and arguments; None for a shell: bash, or else sh
    cwd
        folder in it to start in; None for the container's own
    tty
        whether it gets a terminal
    root
        whether it is root, and not who the kernel is

    Raises
    ------
    ContainerEnded
        when the container does not run
    """
    shell, env = _look(engine, container)
    if root:
        own = f"{env.get('PYTHONUSERBASE')}/bin:"
        env = {**env, **ROOT, "PATH": env.get("PATH", "").removeprefix(own)}
    enter = ["sh", "-c", ENTER, "sh", cwd or ".", *(command or [shell])]
    return engine.exec(container, enter, tty=tty, user="0:0" if root else "", env=env)


def _look(engine: Engine, container: str) -> tuple[str, dict[str, str]]:
    """The shell that a container has, and the variables of its kernels."""
    output = b""
    probe = engine.exec(container, ["sh", "-c", PROBE])
    try:
        probe.write_end()
        while True:
            if not probe.pending:
                select.select([probe], [], [])
            pieces = probe.read()
            if pieces is None:
                break
            output += b"".join(piece for stream, piece in pieces if stream == STDOUT)
    finally:
        probe.close()
    shell, _, variables = output.partition(b"\n")
    pairs = (one.decode(errors="surrogateescape").partition("=") for one in variables.split(b"\0") if b"=" in one)
    return shell.decode() or "sh", {name: value for name, _, value in pairs}
