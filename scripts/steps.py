"""What the development scripts share: timed steps, commands, places.

Standard library only: these scripts run before anything is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"


class StepError(Exception):
    """A step cannot go on; the message says what a person can do about it."""


def environment() -> dict[str, str]:
    """Return the variables for programs of the virtual environment."""
    # Hundreds of processes would compile all modules anew, each of them.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**variables, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def cache_dir() -> Path:
    """Return the folder for what is costly to make again, created if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "jupyter_tfcontainer"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print what begins and, when it is done, how long it took."""
    print(f"         {title} …", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"  failed {title}, after {time.monotonic() - start:.1f} s", flush=True)
        raise
    print(f"{time.monotonic() - start:6.1f} s {title}", flush=True)


def run(command: Sequence[str | Path], *, hint: str = "", **kwargs: object) -> str:
    """Run a command quietly and return its standard output.

    Parameters
    ----------
    command
        Program and arguments.
    hint
        What to do if it fails; printed after the end of the command's output.
    **kwargs
        Passed to `subprocess.run`.

    Raises
    ------
    StepError
        If the command is not there or ends with an error.
    """
    words = [str(word) for word in command]
    options: dict[str, object] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        **kwargs,
    }
    try:
        done = subprocess.run(words, check=False, **options)  # type: ignore[call-overload]
    except FileNotFoundError as error:
        raise StepError(f"The program {words[0]} is missing. {hint}".rstrip()) from error
    output = done.stdout or ""
    if not isinstance(output, str):
        output = output.decode(errors="replace")
    if done.returncode:
        tail = "\n".join(output.splitlines()[-25:])
        raise StepError(f"{tail}\n\n`{shlex.join(words)[:200]}` failed ({done.returncode}). {hint}".strip())
    return output


def apt_install(*packages: str) -> None:
    """Install Debian packages."""
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise StepError(f"This is not Debian: install what its packages {names} bring.")
    if os.geteuid():
        raise StepError(f"Programs are missing: sudo apt-get install {names}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if not Path("/run/systemd/system").exists():
        # Where no systemd minds daemons Debian would start them all the same, out of our hands.
        environment["RUNLEVEL"] = "1"
    with step(f"apt-get install {names}"):
        hint = "See that apt's sources answer (apt-get update)."
        run(["apt-get", "update"], env=environment, hint=hint)
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        run(command, env=environment, hint=hint)


def need(programs: dict[str, str]) -> None:
    """Install what brings the programs that are not on the PATH.

    Parameters
    ----------
    programs
        Maps each program to the Debian packages that bring it, separated by spaces.
    """
    missing = [packages for program, packages in programs.items() if not shutil.which(program)]
    if missing:
        apt_install(*" ".join(missing).split())
    if lost := [program for program in programs if not shutil.which(program)]:
        raise StepError(f"Installed, but not on the PATH: {', '.join(lost)}.")


def main(function: Callable[[list[str]], int]) -> None:
    """Run a script's main function; a `StepError` becomes a message and exit status 1."""
    try:
        sys.exit(function(sys.argv[1:]))
    except StepError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
