"""Images: ``images``, ``pull``, ``prepare``, ``build``, ``snapshot``, ``load``, ``save``, ``rmi``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager

from ..engine.pulls import Progress
from ..images.build import Packages
from ..images.operations import Operation
from ..manager import ContainerManager
from . import interrupts
from .commands import HELP
from .containers import CONTAINER, find
from .output import ago, complain, dump, say, size, table

if TYPE_CHECKING:
    from tqdm import tqdm

IMAGE = "name of the image"
ID_LENGTH = 12
# Phases as a bar is headed.
HEADS = {
    "downloading": "Downloading",
    "retrying": "The registry does not answer; trying again",
    "extracting": "Unpacking",
    "reading": "Reading",
    "writing": "Writing",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    images = commands.add_parser(
        "images",
        help=HELP["images"],
        description="List the images of the engine: what is inside, as far as it is known, and what uses each.",
    )
    images.add_argument("--sizes", action="store_true", help="count what each has for itself, which takes a while")
    images.add_argument("--json", action="store_true", help="print JSON")
    images.set_defaults(run=_images)

    pull = commands.add_parser(
        "pull",
        help=HELP["pull"],
        description="Fetch an image from a registry, with what `docker login` has stored. Ctrl-C cancels.",
    )
    pull.add_argument("reference", metavar="IMAGE", help=IMAGE)
    pull.add_argument("--platform", metavar="PLATFORM", help="such as linux/amd64 (default: the engine's own)")
    pull.set_defaults(run=_pull)

    prepare = commands.add_parser(
        "prepare",
        help=HELP["prepare"],
        description="Make an image with ipykernel from one that has Python only. A start does so by itself.",
    )
    prepare.add_argument("reference", metavar="IMAGE", help=IMAGE)
    prepare.set_defaults(run=_prepare)
    _add_build(commands)

    snapshot = commands.add_parser(
        "snapshot",
        help=HELP["snapshot"],
        description="Make an image of what was installed in a running container, user packages included.",
    )
    snapshot.add_argument("container", metavar="CONTAINER", help=CONTAINER)
    _add_target(snapshot)
    snapshot.set_defaults(run=_snapshot)

    load = commands.add_parser(
        "load",
        help=HELP["load"],
        description="Read images from a file that `save` or `docker save` wrote.",
    )
    load.add_argument("path", metavar="FILE", type=Path, help="the file")
    load.set_defaults(run=_load)

    save = commands.add_parser(
        "save", help=HELP["save"], description="Write an image to a file, for a machine without registry."
    )
    save.add_argument("reference", metavar="IMAGE", help=IMAGE)
    save.add_argument("path", metavar="FILE", type=Path, help="the file to write")
    save.set_defaults(run=_save)

    rmi = commands.add_parser(
        "rmi", help=HELP["rmi"], description="Remove images. One that something uses stays, unless forced."
    )
    rmi.add_argument("references", metavar="IMAGE", nargs="+", help=IMAGE)
    rmi.add_argument("--force", action="store_true", help="even if an environment or an ended container uses it")
    rmi.set_defaults(run=_rmi)


def _add_build(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    build = commands.add_parser(
        "build",
        help=HELP["build"],
        description="Build an image from a Dockerfile, or install packages into another.",
    )
    build.add_argument(
        "path", metavar="PATH", type=Path, nargs="?", help="a Dockerfile or its folder (default: this folder)"
    )
    build.add_argument("--base", metavar="IMAGE", help="instead of a Dockerfile: the image to install into")
    build.add_argument("--apt", metavar="PACKAGE", nargs="+", default=[], help="Debian packages to install into it")
    build.add_argument("--pip", metavar="PACKAGE", nargs="+", default=[], help="Python packages to install into it")
    _add_target(build)
    build.set_defaults(run=_build)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-t", "--tag", metavar="IMAGE", help="name of the new image")
    parser.add_argument("--environment", metavar="NAME", help="make an environment of that name for it")
    parser.add_argument("--display-name", metavar="TEXT", help="as launchers show the environment")


def _environment(arguments: argparse.Namespace) -> dict[str, Any] | None:
    if not arguments.environment:
        return None
    named = {"display_name": arguments.display_name} if arguments.display_name else {}
    return {"name": arguments.environment, **named}


def _images(arguments: argparse.Namespace) -> int:
    models = ContainerManager.instance().images.list(KernelSpecManager(), sizes=arguments.sizes)
    if arguments.json:
        dump(models)
        return 0
    rows = []
    for one in models:
        inside = one["inside"] or {}
        users = one["used_by"]
        uses = [*users["environments"], *(container[:ID_LENGTH] for container in users["containers"])]
        own = [size(one["unique_size"]) if one["unique_size"] is not None else ""] if arguments.sizes else []
        rows.append(
            (
                ", ".join(one["references"]) or one["id"].removeprefix("sha256:")[:ID_LENGTH],
                size(one["size"]),
                *own,
                ago(one["created"]),
                one["origin"],
                inside.get("python") or "",
                inside.get("tensorflow") or "",
                ", ".join(uses),
            )
        )
    own = ["FOR ITSELF"] if arguments.sizes else []
    table(("IMAGE", "SIZE", *own, "MADE", "ORIGIN", "PYTHON", "TENSORFLOW", "USED BY"), rows, shrink=(0, len(own) + 6))
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    return _follow(ContainerManager.instance().images.pull(arguments.reference, arguments.platform))


def _prepare(arguments: argparse.Namespace) -> int:
    return _follow(ContainerManager.instance().images.prepare(arguments.reference))


def _build(arguments: argparse.Namespace) -> int:
    source: Packages | Path
    if arguments.base:
        source = Packages(base=arguments.base, apt=tuple(arguments.apt), pip=tuple(arguments.pip))
    else:
        source = (arguments.path or Path()).absolute()
        if source.is_dir():
            source /= "Dockerfile"
    manager = ContainerManager.instance()
    return _follow(manager.images.build(source, arguments.tag, _environment(arguments), KernelSpecManager()))


def _snapshot(arguments: argparse.Namespace) -> int:
    manager = ContainerManager.instance()
    container = find(arguments.container, manager.containers.list())["id"]
    return _follow(manager.images.snapshot(container, arguments.tag, _environment(arguments), KernelSpecManager()))


def _load(arguments: argparse.Namespace) -> int:
    return _follow(ContainerManager.instance().images.load(arguments.path.absolute()))


def _save(arguments: argparse.Namespace) -> int:
    return _follow(ContainerManager.instance().images.save(arguments.reference, arguments.path.absolute()))


def _rmi(arguments: argparse.Namespace) -> int:
    manager = ContainerManager.instance()
    for reference in arguments.references:
        manager.images.delete(reference, KernelSpecManager(), force=arguments.force)
        say(f"Removed {reference}.")
    return 0


def _follow(operation: Operation) -> int:
    """Show how an operation gets on, until it has ended, of itself or by Ctrl-C."""
    display = _Display(operation)
    operation.watch(display.news)
    try:
        interrupted = interrupts.wait(operation, display.say)
    finally:
        display.close()
    if interrupted > 1:
        interrupts.leave()
    if interrupted:
        complain(operation.message)
        raise KeyboardInterrupt
    say(operation.wait().message)
    return 0


class _Display:
    """What a terminal shows of an operation: its steps, its log, and a bar; a pipe gets all but the bar.

    Parameters
    ----------
    operation
        what to show
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._message = ""
        self._phase = ""
        self._said = 0
        self._bar: tqdm[Any] | None = None

    def news(self) -> None:
        """There is something new."""
        operation = self._operation
        if operation.state != "running":
            return
        if operation.message != self._message:
            self._message = operation.message
            self.say(operation.message)
        for line in operation.said(self._said):
            self._said += 1
            self.say(line)
        if operation.progress and operation.progress.phase in HEADS:
            self._show(operation.progress)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if sys.stderr.isatty():
            from tqdm import tqdm  # not needed in a pipe

            tqdm.write(line, file=sys.stderr)
        else:
            complain(line)

    def close(self) -> None:
        """Nothing more is to be shown."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self, progress: Progress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            self.close()
            if not sys.stderr.isatty():
                complain(f"{HEADS[progress.phase]}.")
        if not sys.stderr.isatty() or progress.phase == "retrying":
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(desc=HEADS[progress.phase], unit="B", unit_scale=True, leave=False, file=sys.stderr)
        # Before each layer has told its size a share of what is known would only go back.
        total = progress.total if progress.sized or progress.phase == "writing" else None
        self._bar.total = total
        if progress.layers:
            self._bar.set_postfix_str(f"{progress.layers_done} of {progress.layers} layers", refresh=False)
        self._bar.n = progress.extracted if progress.phase == "extracting" else progress.current
        self._bar.update(0)
