"""The disk: ``disk`` and ``reset-home``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from ..errors import TFContainerError
from ..manager import ContainerManager
from .commands import HELP
from .output import complain, confirmed, dump, home_relative, say, size, table

ID_LENGTH = 12
# What can be cleaned, in the order in which it is asked about.
KINDS = ("folders", "homes", "images")
Model = dict[str, Any]
# What would be removed, in words; how much that frees; and how it is done.
Freeable = tuple[str, int, Callable[[], None]]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    disk = commands.add_parser(
        "disk",
        help=HELP["disk"],
        description="Show what of ours takes room on the disk: the homes of environments, the folders of containers "
        "and servers, and the images that were made here (prepared, built, snapshots); each with what uses it.",
        epilog="What is cleaned: folders that were left behind by what crashed, homes of environments that are no "
        "more, and images made here that neither an environment nor a container uses.",
    )
    disk.add_argument("--json", action="store_true", help="print JSON")
    disk.add_argument(
        "--clean",
        metavar="KIND",
        nargs="*",
        choices=KINDS,
        help=f"remove what nothing uses, after asking for each; of these kinds only: {', '.join(KINDS)}",
    )
    _add_yes(disk)
    disk.set_defaults(run=_disk)

    reset = commands.add_parser(
        "reset-home",
        help=HELP["reset-home"],
        description="Remove all that is in the home of an environment: what was installed there, the history, the "
        "compute cache. The environment itself, its image and the workspace stay. A kernel of it that runs keeps it "
        "from being reset.",
    )
    reset.add_argument("name", metavar="NAME", help="name of the environment")
    _add_yes(reset)
    reset.set_defaults(run=_reset)


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _disk(arguments: argparse.Namespace) -> int:
    manager = ContainerManager.instance()
    model = manager.disk.model(KernelSpecManager())
    if arguments.clean is not None:
        return _clean(manager, model, arguments.clean or KINDS, yes=arguments.yes)
    if arguments.json:
        dump(model)
        return 0
    table(("WHAT", "SIZE", "USED BY", "WHERE"), _rows(model), shrink=(3, 0, 2), ends=(3,))
    for one in model["disks"]:
        say(f"{size(one['free'])} of {size(one['total'])} are free in {one['folder']}.")
    if model["images"] is None:
        complain("No container engine answers, so what it has, and what uses what, is not known.")
    return 0


def _rows(model: Model) -> list[tuple[str, str, str, str]]:
    folders = model["folders"]
    rows = [("folders of containers and servers", size(folders["size"]), "", "")]
    if folders["left_behind"]:
        rows.append(("folders that were left behind", size(folders["left_behind"]), "nothing", ""))
    for one in model["homes"]:
        containers = ", ".join(container[:ID_LENGTH] for container in one["containers"] or [])
        environment = "nothing: the environment is no more" if one["orphan"] else one["environment"]
        at_least = "" if one["complete"] else "at least "
        rows.append(
            (
                f"home of {one['environment']}",
                f"{at_least}{size(one['size'])}",
                containers or environment,
                home_relative(one["path"]),
            )
        )
    for one in model["images"] or []:
        uses = [*one["used_by"]["environments"], *(each[:ID_LENGTH] for each in one["used_by"]["containers"])]
        rows.append(
            (f"image, {one['origin']}", size(_unique(one)), ", ".join(uses) or "nothing", ", ".join(_names(one)))
        )
    return rows


def _names(image: Model) -> list[str]:
    return image["references"] or [image["id"].removeprefix("sha256:")[:ID_LENGTH]]


def _unique(image: Model) -> int:
    """What is freed with an image; the rest of it others have as well."""
    return int(image["size"] if image["unique_size"] is None else image["unique_size"])


def _clean(manager: ContainerManager, model: Model, kinds: tuple[str, ...] | list[str], *, yes: bool) -> int:
    found = [one for kind in KINDS if kind in kinds for one in _FREEABLE[kind](manager, model)]
    if not found:
        say("There is nothing to clean.")
        return 0
    status = freed = 0
    for what, amount, remove in found:
        if not yes and not confirmed(f"Remove {what} ({size(amount)})?"):
            continue
        try:
            remove()
        except TFContainerError as error:
            complain(str(error))
            status = 1
        else:
            freed += amount
            say(f"Removed {what}.")
    say(f"{size(freed)} are free again.")
    return status


def _left_behind(manager: ContainerManager, model: Model) -> list[Freeable]:
    amount = model["folders"]["left_behind"]
    return [("folders that were left behind", amount, manager.disk.clear)] if amount else []


def _orphans(manager: ContainerManager, model: Model) -> list[Freeable]:
    return [
        (
            f"the home of {one['environment']}, an environment that is no more",
            one["size"],
            partial(manager.disk.reset_home, one["environment"]),
        )
        for one in model["homes"]
        # Where no engine answers nobody knows what runs.
        if one["orphan"] and one["containers"] == []
    ]


def _unused(manager: ContainerManager, model: Model) -> list[Freeable]:
    def remove(image: Model) -> None:
        for reference in image["references"] or [image["id"]]:
            manager.images.delete(reference, KernelSpecManager())

    return [
        (f"the image {', '.join(_names(one))} ({one['origin']})", _unique(one), partial(remove, one))
        for one in model["images"] or []
        if one["freeable"]
    ]


_FREEABLE: dict[str, Callable[[ContainerManager, Model], list[Freeable]]] = {
    "folders": _left_behind,
    "homes": _orphans,
    "images": _unused,
}


def _reset(arguments: argparse.Namespace) -> int:
    if not arguments.yes and not confirmed(
        f"Remove all that is in the home of {arguments.name}? What was installed is lost."
    ):
        complain("Nothing was removed.")
        return 1
    ContainerManager.instance().disk.reset_home(arguments.name)
    say(f"The home of {arguments.name} is empty: its next kernel starts without what was installed there.")
    return 0
