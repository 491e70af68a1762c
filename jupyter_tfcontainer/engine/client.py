"""The door to one container engine: every call to it goes through here, and every error comes out as one of ours.

Calls block; those of asyncio's world come through a thread (``threads.py``).
"""

from __future__ import annotations

import codecs
import io
import platform
import re
import secrets
import socket
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, cast

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils.socket import frames_iter

from ..errors import (
    ContainerEnded,
    ContainerNotFound,
    EngineError,
    EngineFailed,
    EngineNotFound,
    EnginePermissionDenied,
    GPURouteMissing,
    ImageMissing,
    TFContainerError,
)
from . import gpu, labels
from .discovery import Address
from .execs import Exec
from .facts import EngineFacts
from .images import HELD, EngineImages

# Seconds an engine may take for one answer. A start under load takes a few; a pull has no such limit, its stream
# counts.
TIMEOUT = 60
# The API of Docker 20.10 (2020) and Podman 4: what we need is there.
API_VERSION = "1.41"
# Connections kept open at a time: as many starts as may be under way, and a few.
POOL = 40

Model = dict[str, Any]
# The image of a GPU trial has no file in it.
EMPTY_TAR = b"\0" * 10240
# The program is $0, the interpreters are the rest.
RUN_WITH_EACH = 'for one; do if command -v "$one" >/dev/null; then "$one" -E -s -c "$0" 2>/dev/null; fi; done'
# No program of ours prints that.
NOTHING = b"\0"


def connect(addresses: list[Address]) -> Engine:
    """The first engine that answers.

    Parameters
    ----------
    addresses
        where to look, in order

    Raises
    ------
    EngineError
        The most telling of what the addresses answered: a socket that may not be used says more than one that is not
        there.
    """
    failures: list[EngineError] = []
    for address in addresses:
        try:
            return Engine(address)
        except EngineError as error:
            failures.append(error)
    raise next((one for one in failures if not isinstance(one, EngineNotFound)), _nothing_found(addresses, failures))


def _nothing_found(addresses: list[Address], failures: list[EngineError]) -> EngineError:
    if len(failures) == 1:
        return failures[0]
    places = ", ".join(address.url.removeprefix("unix://") for address in addresses)
    return EngineNotFound(
        f"No container engine answers on {platform.node()} (looked at {places}). Install Docker (package docker.io on "
        f"Debian and Ubuntu), or start it: `sudo systemctl start docker`; one at another place is named by DOCKER_HOST."
    )


class Engine:
    """One engine that has answered.

    Parameters
    ----------
    address
        where it is

    Raises
    ------
    EngineNotFound, EnginePermissionDenied, EngineFailed
        when it does not answer
    """

    def __init__(self, address: Address) -> None:
        self._url = address.url
        if address.socket:
            # Tried ahead: docker-py leaves sockets open that it cannot connect.
            try:
                with socket.socket(socket.AF_UNIX) as trial:
                    trial.connect(str(address.socket))
            except OSError as error:
                raise _unreachable(address, error) from error
        try:
            self._api = APIClient(base_url=address.url, version=API_VERSION, timeout=TIMEOUT, max_pool_size=POOL)
        except DockerException as error:
            raise EngineNotFound(
                f"{address.url}, named by {address.source}, is not the address of an engine: {error}."
            ) from error
        try:
            self.facts = self._ask()
        except (DockerException, requests.RequestException, OSError, AttributeError) as error:
            # AttributeError: it answered JSON that is no object.
            self._api.close()
            raise _unreachable(address, error) from error
        #: What there is of images beside having one.
        self.images = EngineImages(address.url, API_VERSION, self._api, self._door, self.facts)

    def _ask(self) -> EngineFacts:
        return EngineFacts.from_engine(self._url, self._api.info(), self._api.version())

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()

    # Images.

    def image(self, reference: str) -> Model | None:
        """What the engine knows of an image, or None where it has none of that name."""
        with self._door():
            try:
                return cast("Model", self._api.inspect_image(reference))
            except ImageNotFound:
                return None

    # Containers.

    def create(self, config: Model, name: str | None = None, platform: str | None = None) -> str:
        """Create a container from the engine's own create arguments; its id comes back."""
        with self._door():
            try:
                return str(self._api.create_container_from_config(config, name, platform)["Id"])
            except ImageNotFound as error:
                raise ImageMissing(f"The image {config['Image']} is not on {self.facts.host}.") from error

    def put(self, container: str, files: dict[str, bytes]) -> None:
        """Write files into a container, by their absolute paths; readable by everyone in it, writable by its root."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, content in files.items():
                member = tarfile.TarInfo(path.lstrip("/"))
                member.size = len(content)
                member.mode = 0o644
                tar.addfile(member, io.BytesIO(content))
        with self._door():
            self._api.put_archive(container, "/", archive.getvalue())

    def read(self, container: str, path: str) -> bytes | None:
        """The content of one file in a container, or None where there is none."""
        with self._door():
            try:
                chunks, _ = self._api.get_archive(container, path)
                archive = io.BytesIO(b"".join(chunks))
            except NotFound:
                return None
        with tarfile.open(fileobj=archive) as tar:
            for member in tar:
                if file := tar.extractfile(member):
                    return file.read()
        return None

    def start_until(self, container: str, marker: bytes, meanwhile: Callable[[], None]) -> tuple[str, int | None]:
        """Start a container and wait for a word in its output, or for its end.

        Nothing is polled: both come through one stream.

        Parameters
        ----------
        container
            its id
        marker
            the word
        meanwhile
            called once the container runs

        Returns
        -------
        tuple of str and int or None
            its output so far, and its exit code if it ended

        Raises
        ------
        GPURouteMissing
            when the engine cannot hand over what was asked
        """
        output = b""
        with self._door():
            stream = self._api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1, "logs": 1})
            with closing(stream), closing(stream._response):  # noqa: SLF001 - only docker-py keeps it
                self._api.start(container)
                meanwhile()
                for _, chunk in frames_iter(stream, tty=False):
                    output += chunk
                    if marker in output:
                        return output.decode(errors="replace"), None
            code = self._api.wait(container)["StatusCode"]
        return output.decode(errors="replace"), code

    def inspect(self, container: str) -> Model:
        """What the engine knows of a container."""
        with self._door():
            return cast("Model", self._api.inspect_container(container))

    def list(self, owner: int) -> list[Model]:
        """The containers of ours, running or not, that a user started."""
        with self._door():
            filters = {"label": f"{labels.OWNER}={owner}"}
            return cast("list[Model]", self._api.containers(all=True, filters=filters))

    def remove(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes. One that is gone already is what was wanted."""
        with self._door():
            try:
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                # Another process, or the engine itself, is at it.
                if "is already in progress" not in _explanation(error):
                    raise

    def logs(self, container: str, tail: int) -> str:
        """The last lines of a container's log."""
        with self._door():
            return str(self._api.logs(container, tail=tail).decode(errors="replace"))

    def follow(self, container: str, tail: int) -> Iterator[str]:
        """The last lines of a container's log, and what it prints from then on, until it ends."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with self._door(), closing(self._api.logs(container, tail=tail, stream=True, follow=True)) as log:
            for piece in log:
                yield decode(piece)

    def exec(
        self,
        container: str,
        command: Sequence[str],
        *,
        tty: bool = False,
        user: str = "",
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Exec:
        """Start a further process in a running container.

        Parameters
        ----------
        container
            its id
        command
            program and arguments
        tty
            whether it gets a terminal
        user
            as ``UID:GID``; empty for the container's own
        workdir
            folder in the container that it starts in
        env
            variables beyond those of the container

        Raises
        ------
        ContainerEnded
            when the container does not run
        """
        try:
            return Exec(self._api, self._door, container, command, tty=tty, user=user, workdir=workdir, env=env)
        except EngineFailed as error:
            if re.search("is not running|is paused", str(error)):
                raise ContainerEnded(f"The container does not run on {self.facts.host} any more.") from error
            raise

    def try_gpu_route(self, gpus: gpu.GPUs) -> None:
        """See whether this engine can hand over GPUs.

        The trial's image has nothing in it: starting it gets as far as the route, and no further.

        Raises
        ------
        GPURouteMissing
            with what to do
        """
        route = gpu.choose_route(self.facts)
        config = {
            "Cmd": ["/"],
            "Env": [f"NVIDIA_VISIBLE_DEVICES={gpu.visible_devices(gpus)}"],
            "Labels": {labels.TRIAL: ""},
            "HostConfig": {"NetworkMode": "none", **gpu.host_config(gpus, route)},
        }
        with self._door():
            answer = self._api.import_image_from_data(EMPTY_TAR)
        image = re.findall(r"sha256:[0-9a-f]{64}", str(answer))[-1]
        try:
            container = self.create({"Image": image, **config})
            try:
                with self._door():
                    self._api.start(container)
            except EngineFailed:
                pass  # "/" is no program: it got past the route
            finally:
                self.remove(container)
        finally:
            with suppress(TFContainerError), self._door():
                self._api.remove_image(image, force=True)

    @contextmanager
    def held(self, image: Model, host: Model) -> Iterator[str]:
        """A container that does nothing, as its image's user; it is gone afterwards, or when this process dies.

        It ends with its input, which is us.

        Parameters
        ----------
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
        container = self.create(config, f"{HELD}{secrets.token_hex(6)}")
        try:
            with self._door():
                stream = self._api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            with closing(stream), closing(stream._response):  # noqa: SLF001 - only docker-py keeps it
                with self._door():
                    self._api.start(container)
                output = b""
                for _, chunk in frames_iter(stream, tty=False):
                    output += chunk
                    if b"ready" in output:
                        break
                else:
                    raise EngineFailed(f"No shell starts in it: {output.decode(errors='replace').strip()}.")
                yield container
        finally:
            self.remove(container)

    def run_in(self, image: str, interpreters: Sequence[str], program: str) -> str:
        """Run a Python program in a container of its own, with each interpreter that there is.

        Parameters
        ----------
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
            "Labels": {labels.TRIAL: ""},
            "HostConfig": {"NetworkMode": "none"},
        }
        container = self.create(config)
        try:
            return self.start_until(container, NOTHING, lambda: None)[0]
        finally:
            self.remove(container)

    @contextmanager
    def _door(self) -> Iterator[None]:
        try:
            yield
        except NotFound as error:
            raise ContainerNotFound(f"The container is not on {self.facts.host} any more.") from error
        except APIError as error:
            explanation = _explanation(error)
            if sentence := gpu.explain(explanation):
                # Its ways to GPUs may have changed since it was asked: the next start goes the one that there is now.
                with suppress(DockerException, requests.RequestException):
                    self.facts = self._ask()
                raise GPURouteMissing(f"On {self.facts.host}, {sentence}") from error
            raise EngineFailed(f"{self.facts.name} refused: {explanation}") from error
        except requests.Timeout as error:
            raise EngineFailed(
                f"{self.facts.name} has not answered for {TIMEOUT} s. See what it does: `sudo journalctl -u docker`."
            ) from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineNotFound(
                f"{self.facts.name} does not answer any more. Start it again: `sudo systemctl start docker`."
            ) from error


def _explanation(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)


def _unreachable(address: Address, error: Exception) -> EngineError:
    """What kept us from an engine, by the operating system's error at the bottom of the chain."""
    cause, machine = _os_error(error), platform.node()
    place = f"{address.socket} on {machine}" if address.socket else address.url
    if isinstance(cause, PermissionError):
        return EnginePermissionDenied(
            f"The container engine's socket {place} is there, but you may not use it. Ask the administrator of "
            f"{machine} to add you to the group that owns it (`sudo usermod -aG docker $USER`, then log in again). "
            f"Who may talk to that socket is root on the machine; a rootless engine needs no such right."
        )
    if isinstance(cause, FileNotFoundError):
        return EngineNotFound(
            f"There is no container engine at {place} (named by {address.source}). Install Docker (package docker.io "
            f"on Debian and Ubuntu), or start it: `sudo systemctl start docker`."
        )
    if isinstance(cause, ConnectionRefusedError):
        return EngineNotFound(
            f"Nothing listens at {place} (named by {address.source}): the container engine is not running. Start it: "
            f"`sudo systemctl start docker`."
        )
    return EngineFailed(f"The container engine at {place} (named by {address.source}) does not answer as one: {error}")


def _os_error(error: BaseException) -> OSError | None:
    """The operating system's error in a chain of exceptions; requests and urllib3 keep it among their arguments."""
    seen: list[BaseException] = [error]
    for one in seen:
        if isinstance(one, PermissionError | FileNotFoundError | ConnectionRefusedError):
            return one
        inner = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        seen.extend(item for item in inner if isinstance(item, BaseException) and item not in seen)
    return None
