"""Containers of one engine as they come and go, for kernels and for what is tried or made in one that nobody keeps."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound
from docker.utils.socket import frames_iter

from ..errors import EngineFailed, ImageMissing
from . import labels, podman
from .connection import Connection, explanation
from .container_output import ContainerOutput
from .images import HELD

Model = dict[str, Any]
# The program is $0, the interpreters are the rest.
RUN_WITH_EACH = 'for one; do if command -v "$one" >/dev/null; then "$one" -E -s -c "$0" 2>/dev/null; fi; done'
# No program of ours prints that.
NOTHING = b"\0"


def create(connection: Connection, config: Model, name: str | None = None, platform: str | None = None) -> str:
    """Create a container from Docker's create arguments; its id comes back.

    Raises
    ------
    MountMissing
        when we run in a container ourselves, and a folder to mount is in there only
    """
    if connection.own_container:
        config = connection.own_container.translated(config)
    with connection.door():
        try:
            if connection.facts.kind == "podman":
                api: Any = connection.api
                url = f"{api.base_url}{podman.API}/containers/create"
                answer = api.post(url, json=podman.specification(config, name), timeout=connection.timeout)
                return str(api._result(answer, json=True)["Id"])  # noqa: SLF001 - so that errors are docker-py's
            return str(connection.api.create_container_from_config(config, name, platform)["Id"])
        except ImageNotFound as error:
            raise ImageMissing(f"The image {config['Image']} is not on {connection.facts.host}.") from error


def remove(connection: Connection, container: str) -> None:
    """Kill and remove a container with its anonymous volumes; it is gone then.

    One that was gone already is what was wanted.
    """
    with connection.door():
        try:
            if connection.facts.kind == "podman":  # it would ask the container to end, and wait for that
                with suppress(APIError):
                    connection.api.kill(container)
            connection.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # Another process, or the engine itself, is at it.
            if "is already in progress" not in explanation(error):
                raise
            with suppress(NotFound):
                connection.api.wait(container, timeout=connection.timeout, condition="removed")


@contextmanager
def held(connection: Connection, image: Model, host: Model) -> Iterator[str]:
    """A container that does nothing, as its image's user; it is gone afterwards, or when this process dies.

    It ends with its input, which is us.

    Parameters
    ----------
    connection
        the way to the engine
    image
        the engine's description of its image
    host
        its ``HostConfig``

    Raises
    ------
    EngineFailed
        when there is no shell in it
    """
    config: Model = {
        "Image": image["Id"],
        "Cmd": ["sh", "-c", "echo ready; exec cat >/dev/null"],
        "OpenStdin": True,
        "StdinOnce": True,
        "HostConfig": {**host, "AutoRemove": True},
    }
    if image["Config"].get("Entrypoint"):
        # Where there is none, none is set: an image that is made of the container could not be rid of it.
        config["Entrypoint"], config["Cmd"] = ["sh"], config["Cmd"][1:]
    with connection.door():
        # Podman's own API, which kernels need there, knows nothing of an input.
        created = connection.api.create_container_from_config(config, f"{HELD}{os.getuid()}-{secrets.token_hex(6)}")
    container = str(created["Id"])
    try:
        with connection.door():
            stream = connection.api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        with closing(stream), closing(stream._response):  # noqa: SLF001 - only docker-py keeps it
            with connection.door():
                connection.api.start(container)
            output = b""
            for _, chunk in frames_iter(stream, tty=False):
                output += chunk
                if b"ready" in output:
                    break
            else:
                raise EngineFailed(f"No shell starts in it: {output.decode(errors='replace').strip()}.")
            yield container
    finally:
        remove(connection, container)


def run_in(
    connection: Connection, output: ContainerOutput, image: str, interpreters: Sequence[str], program: str
) -> str:
    """Run a Python program in a container of its own, with each interpreter that there is.

    Parameters
    ----------
    connection, output
        the way to the engine
    image
        id of the image
    interpreters
        their names
    program
        its text

    Returns
    -------
    str
        what it printed, and nothing where there is no interpreter

    Raises
    ------
    EngineFailed
        where there is no shell either
    """
    config = {
        "Image": image,
        "Entrypoint": ["sh"],
        "Cmd": ["-c", RUN_WITH_EACH, program, *interpreters],
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "Labels": {labels.TRIAL: str(os.getuid())},
        "HostConfig": {"NetworkMode": "none"},
    }
    container = create(connection, config)
    try:
        return output.start_until(container, NOTHING, lambda: None)[0]
    finally:
        remove(connection, container)
