"""Containers: ``ps``, ``logs``, ``ports``, ``stop``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from ..errors import ContainerError, ContainerNotFound
from ..manager import ContainerManager
from .commands import HELP
from .output import ago, complain, dump, home_relative, say, table

CONTAINER = "id of a container or its beginning, or the name of its environment if that has no other"
ID_LENGTH = 12
TAIL = 200
# Seconds that a Jupyter server may take to shut a kernel down.
SHUTDOWN = 30


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    ps = commands.add_parser(
        "ps",
        help=HELP["ps"],
        description="List your containers: those with a kernel, those that wait for one, and those that have ended; "
        "each with its notebook where that is known, else its folder.",
    )
    ps.add_argument("--json", action="store_true", help="print JSON")
    ps.set_defaults(run=_ps)

    logs = commands.add_parser(
        "logs",
        help=HELP["logs"],
        description="Print the log of a container: what its kernel, and TensorFlow beneath Python, have written.",
    )
    logs.add_argument("container", metavar="CONTAINER", help=CONTAINER)
    logs.add_argument("--tail", metavar="N", type=_lines, default=TAIL, help=f"last lines to print (default: {TAIL})")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the container ends, or Ctrl-C")
    logs.set_defaults(run=_logs)

    ports = commands.add_parser(
        "ports",
        help=HELP["ports"],
        description="List the ports of a container at which programs listen, and those that its environment declares; "
        "each with its address at the Jupyter server that runs the container's kernel. Only that server leads there.",
    )
    ports.add_argument("container", metavar="CONTAINER", help=CONTAINER)
    ports.add_argument("--json", action="store_true", help="print JSON")
    ports.set_defaults(run=_ports)

    stop = commands.add_parser(
        "stop",
        help=HELP["stop"],
        description="End containers and the kernels in them, whoever started them, and remove them. A kernel of a "
        "running Jupyter server is shut down by that server, so that it does not restart it. What is not saved in the "
        "workspace or in the environment's home is lost.",
    )
    stop.add_argument("containers", metavar="CONTAINER", nargs="+", help=CONTAINER)
    stop.set_defaults(run=_stop)


def find(text: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    """The one container that is meant.

    Parameters
    ----------
    text
        its id or the beginning of it, or the name of its environment
    models
        the containers that there are

    Raises
    ------
    ContainerNotFound
        when there is none, or more than one
    """
    found = [one for one in models if one["environment"] == text] or [
        one for one in models if text and one["id"].startswith(text)
    ]
    if len(found) > 1:
        # What only waits is nobody's.
        found = [one for one in found if one["state"] != "standby"] or found
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{one['id'][:ID_LENGTH]} ({one['environment']})" for one in found)
        raise ContainerNotFound(f"Which one? {text} may be {several}.")
    raise ContainerNotFound(
        f"You have no container {text}, nor one of an environment of that name. `jupyter tfcontainer ps` lists them."
    )


def _lines(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines")
    return int(text)


def _ps(arguments: argparse.Namespace) -> int:
    models = ContainerManager.instance().containers.list()
    if arguments.json:
        dump(models)
        return 0
    if not models:
        complain("No container of yours runs.")
        return 0
    rows = [
        (
            one["id"][:ID_LENGTH],
            one["environment"],
            "ended" if one["state"] == "ended" else "kernel" if one["kernel"] else "waits",
            ago(one["created"]),
            home_relative(one["notebook"] or one["workspace"]),
            one["image"],
        )
        for one in models
    ]
    heads = ("CONTAINER", "ENVIRONMENT", "STATE", "STARTED", "WORKS ON", "IMAGE")
    table(heads, rows, shrink=(5, 4, 1), ends=(5, 4))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    manager = ContainerManager.instance()
    container = find(arguments.container, manager.containers.list())["id"]
    if arguments.follow:
        for piece in manager.containers.follow_logs(container, arguments.tail):
            sys.stdout.write(piece)
            sys.stdout.flush()
    else:
        sys.stdout.write(manager.containers.logs(container, arguments.tail))
    return 0


def _ports(arguments: argparse.Namespace) -> int:
    model = find(arguments.container, ContainerManager.instance().containers.list())
    found = _ports_there(model)
    if arguments.json:
        dump(found)
    elif not found:
        complain("Nobody listens in that container, and its environment declares no ports.")
    else:
        rows = [(str(one["port"]), "yes" if one["listening"] else "no", one["url"]) for one in found]
        table(("PORT", "LISTENS", "ADDRESS"), rows)
    return 0


def _ports_there(model: dict[str, Any]) -> list[dict[str, Any]]:
    """What the Jupyter server that runs a container says of its ports.

    Raises
    ------
    ContainerError
        when no server does
    """
    for server in _servers():
        try:
            found = _ask(server, "GET", f"{model['id']}/ports")
        except (OSError, ValueError):
            continue  # it is another's, or the server has gone
        return [{**one, "url": urljoin(server["url"], one["url"])} for one in found]
    raise ContainerError(
        f"No Jupyter server that `jupyter server list` shows runs the container {model['id'][:ID_LENGTH]} "
        f"({model['environment']}), and only such a one leads to its ports."
    )


def _servers() -> Iterator[dict[str, Any]]:
    """The Jupyter servers of this user."""
    # It takes a second or two to import, since the grammar of all URIs comes with it; most commands need none of it.
    from jupyter_server.serverapp import list_running_servers

    yield from list_running_servers()


def _stop(arguments: argparse.Namespace) -> int:
    manager = ContainerManager.instance()
    models = manager.containers.list()
    status = 0
    # All are found before the first is stopped: a mistake stops none.
    for one in {one["id"]: one for one in (find(text, models) for text in arguments.containers)}.values():
        name = f"{one['id'][:ID_LENGTH]} ({one['environment']})"
        try:
            server = manager.containers.server(one["id"])
            if server is None:
                manager.remove(one["id"])
                say(f"Stopped {name}.")
            else:
                say(f"Stopped {name}: the Jupyter server at {_stop_there(server, one)} has shut its kernel down.")
        except ContainerNotFound:
            say(f"{name} has ended meanwhile.")
        except ContainerError as error:
            complain(str(error))
            status = 1
    return status


def _stop_there(pid: int, model: dict[str, Any]) -> str:
    """Have the Jupyter server that runs a kernel shut it down: else it would take the end for a death, and restart it.

    Parameters
    ----------
    pid
        of the server, or 0 for any
    model
        of the container

    Returns
    -------
    str
        address of the server

    Raises
    ------
    ContainerError
        when it cannot be asked, or does not do it
    """
    container, at, why = model["id"], "", "which is not among those that `jupyter server list` shows"
    for server in _servers():
        if pid in (server["pid"], 0):
            try:
                if _ask(server, "GET", container)["state"] == "elsewhere":
                    continue
                _ask(server, "DELETE", container)
            except (OSError, ValueError, KeyError) as error:
                at, why = f" at {server['url']}", f"which did not do so for this command ({error})"
            else:
                return str(server["url"])
    raise ContainerError(
        f"The kernel in {container[:ID_LENGTH]} ({model['environment']}) is for a Jupyter server{at} to stop, {why}. "
        f"Had its container been removed from here, that server would have restarted it: shut the kernel down there."
    )


def _ask(server: dict[str, Any], method: str, container: str) -> Any:
    # Imported here: one command in ten asks a server.
    import ssl
    import urllib.request

    request = urllib.request.Request(  # noqa: S310 - a server's own word where it is
        f"{server['url']}api/tfcontainer/containers/{container}",
        method=method,
        headers={"Authorization": f"token {server['token']}"},
    )
    # It is a process of this machine: no proxy leads there, and its certificate is for the names that others use.
    unnamed = ssl.create_default_context()
    unnamed.check_hostname = False
    unnamed.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unnamed))
    with opener.open(request, timeout=SHUTDOWN) as answer:
        return json.loads(answer.read() or "{}")
