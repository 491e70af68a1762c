"""Looking into a container: ``shell`` and ``exec``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from ..environments import lookup
from ..errors import ContainerNotFound, EnvironmentNotFound
from ..manager import ContainerManager
from .commands import HELP
from .containers import CONTAINER, find
from .output import complain, size
from .terminal import drive

# Nothing in a kernel's container gains capabilities (no-new-privileges), and root's own are among them.
ROOT = "as root, where the policy allows that (allow_root): what is root's in the image can be changed, and no more"

WITHOUT = (
    "in a new container of the environment, with an empty home that goes with it: what you have installed is not there"
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    shell = commands.add_parser(
        "shell",
        help=HELP["shell"],
        description="Open a shell (bash, else sh) in a container: as the user that the kernel is, in the folder where "
        "it started, with its variables. For an environment of which no container runs, one is started on this folder, "
        "and removed when the shell ends. The exit status is the shell's.",
    )
    shell.add_argument("container", metavar="CONTAINER", help=f"{CONTAINER}; or the name of any environment")
    shell.add_argument("--root", action="store_true", help=ROOT)
    shell.add_argument("--without-packages", action="store_true", help=WITHOUT)
    shell.set_defaults(run=_shell)

    exec_ = commands.add_parser(
        "exec",
        help=HELP["exec"],
        usage="%(prog)s [-h] [--root] CONTAINER COMMAND [ARGUMENT ...]",
        description="Run a command in a container, as the kernel would: its user, its folder, its variables. Standard "
        "input, output and error are passed through, and so are signals and the exit status.",
    )
    exec_.add_argument("--root", action="store_true", help=ROOT)
    exec_.add_argument("container", metavar="CONTAINER", help=CONTAINER)
    exec_.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="program and its arguments")
    exec_.set_defaults(run=_exec, usage=exec_)


def _shell(arguments: argparse.Namespace) -> int:
    manager = ContainerManager.instance()
    with _container(manager, arguments.container, root=arguments.root, fresh=arguments.without_packages) as container:
        tty = sys.stdin.isatty() and sys.stdout.isatty()
        return drive(manager.containers.exec(container, tty=tty, root=arguments.root))


def _exec(arguments: argparse.Namespace) -> int:
    if not arguments.command:
        arguments.usage.error("the following arguments are required: COMMAND")
    manager = ContainerManager.instance()
    container = find(arguments.container, manager.containers.list())["id"]
    return drive(manager.containers.exec(container, arguments.command, root=arguments.root))


@contextmanager
def _container(manager: ContainerManager, text: str, *, root: bool, fresh: bool) -> Iterator[str]:
    """The container that is meant; or one of an environment, for as long as it is needed."""
    models = [] if fresh else [one for one in manager.containers.list() if one["state"] != "ended"]
    try:
        found: str = find(text, models)["id"]
    except ContainerNotFound:
        if any(one["environment"] == text for one in models):
            raise  # more than one
        try:
            environment = lookup.find(text, KernelSpecManager())
        except EnvironmentNotFound:
            raise ContainerNotFound(
                f"You have neither a container nor an environment {text}. `jupyter tfcontainer ps` and `jupyter "
                f"tfcontainer list` show what there is."
            ) from None
    else:
        yield found
        return
    if root:
        # Before anything is pulled for it.
        manager.admission.review(replace(environment, user="root"))
    container = manager.start(environment, Path.cwd(), listener=_Progress(), standby=False, temporary_home=fresh)
    try:
        yield container.id
    finally:
        manager.release(container)


class _Progress:
    """Says how a start gets on, on one line that it wipes away; what takes no time is not worth a word."""

    def __init__(self) -> None:
        self.shown = False

    def __call__(self, event: dict[str, Any]) -> None:
        progress = event.get("progress")
        if progress:
            # Until every layer has told its size the whole is not known.
            of = f" of {size(progress['total'])}" if progress["sized"] else ""
            layers = f"layers {progress['layers_done']}/{progress['layers']}"
            self._show(f"Pulling the image: {size(progress['current'])}{of}, {layers}")
        elif self.shown:
            self._show("")

    def _show(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self.shown = bool(text)
        elif not self.shown and text:
            complain("Pulling the image.")
            self.shown = True
