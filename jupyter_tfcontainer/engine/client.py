"""The door to one container engine: every call to it goes through here, and every error comes out as one of ours.

Calls block; those of asyncio's world come through a thread (``threads.py``).
"""

from __future__ import annotations

import builtins
import codecs
import io
import os
import platform
import re
import secrets
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
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
    EngineSilent,
    GPURouteMissing,
    ImageMissing,
    TFContainerError,
)
from . import gpu, labels, own_container, podman
from .discovery import PODMAN, Address
from .exec import Exec
from .images import HELD, TRIAL_SECONDS, EngineImages
from .info import EngineFacts
from .podman_service import PodmanService
from .stats import read_stats

# Seconds an engine may take for one answer. A start under load takes a few; a pull has no such limit, its stream
# counts.
TIMEOUT = 60
# The API of Docker 20.10 (2020) and Podman 4: what we need is there.
API_VERSION = "1.41"
# Seconds that the end of a log is waited for.
LOG_TIMEOUT = 2.0
# Connections kept open at a time: as many starts as may be under way, and a few.
POOL = 40

Model = dict[str, Any]
# The most that is read of a file in a container, in bytes: an image may have anything in it.
READ_LIMIT = 2**20
# The image of a GPU trial has no file in it.
EMPTY_TAR = b"\0" * 10240
# What is mounted where, as this process sees it (proc(5)).
MOUNTS = Path("/proc/self/mountinfo")
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
        if address == PODMAN and not all(map(_is_absent, addresses, failures)):
            break
        try:
            return _served_podman() if address == PODMAN else Engine(address)
        except EngineError as error:
            failures.append(error)
    raise next((one for one in failures if not isinstance(one, EngineNotFound)), _nothing_found(addresses, failures))


def _is_absent(address: Address, failure: EngineError) -> bool:
    """Whether there is nothing at an address that the person could have meant: root's Podman is for root."""
    return isinstance(failure, EngineNotFound) or (isinstance(failure, EnginePermissionDenied) and address.podman)


def _served_podman() -> Engine:
    """Podman, by its program alone."""
    service = PodmanService()
    try:
        return Engine(Address(f"unix://{service.socket}", "its program"), service)
    except EngineError as error:
        raise service.failure() from error


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
    service
        what makes it answer there, if that is ours

    Raises
    ------
    EngineNotFound, EnginePermissionDenied, EngineFailed
        when it does not answer
    """

    def __init__(self, address: Address, service: PodmanService | None = None) -> None:
        self._url = address.url
        self._service = service
        #: The outputs that are listened to until a container has said its word.
        self._awaited: dict[str, Any] = {}
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
            self._own_container = self._find_own_container() if address.socket else None
        except (DockerException, requests.RequestException, OSError, AttributeError) as error:
            # AttributeError: it answered JSON that is no object.
            self._api.close()
            raise _unreachable(address, error) from error
        #: What there is of images beside having one.
        self.images = EngineImages(address.url, API_VERSION, self._api, self._door, self.facts)

    def _ask(self) -> EngineFacts:
        api: Any = self._api
        # Asked in our version of the API, an engine leaves out the devices that it tells of in a later one.
        info = api._result(api._get(api._url("/info", versioned_api=False)), json=True)  # noqa: SLF001
        self._gpu_route: gpu.Route | None = None
        return EngineFacts.from_engine(self._url, info, self._api.version())

    def _find_own_container(self) -> own_container.OwnContainer | None:
        if not MOUNTS.exists():  # no Linux
            return None
        number = own_container.container_id(MOUNTS.read_text(errors="replace"))
        try:
            return own_container.OwnContainer.from_engine(self._api.inspect_container(number)) if number else None
        except NotFound:
            return None  # another engine's

    def ping(self) -> None:
        """See that it still answers.

        Raises
        ------
        EngineNotFound, EngineFailed
            with what to do
        """
        with self._door():
            self._api.ping()

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()
        if self._service:
            self._service.stop()

    # Images.

    def image(self, reference: str) -> Model | None:
        """What the engine knows of an image, or None where it has none of that name."""
        with self._door():
            try:
                return cast("Model", self._api.inspect_image(reference))
            except ImageNotFound:
                return None
            except APIError as error:
                if "invalid reference format" not in _explanation(error):
                    raise
                return None

    # Containers.

    def create(self, config: Model, name: str | None = None, platform: str | None = None) -> str:
        """Create a container from Docker's create arguments; its id comes back.

        Raises
        ------
        MountMissing
            when we run in a container ourselves, and a folder to mount is in there only
        """
        if self._own_container:
            config = self._own_container.translated(config)
        with self._door():
            try:
                if self.facts.kind == "podman":
                    api: Any = self._api
                    url = f"{api.base_url}{podman.API}/containers/create"
                    answer = api.post(url, json=podman.specification(config, name), timeout=TIMEOUT)
                    return str(api._result(answer, json=True)["Id"])  # noqa: SLF001 - so that errors are docker-py's
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
        """The content of one file in a container, or None where there is none, or something else, or a huge one."""
        archive = io.BytesIO()
        with self._door():
            try:
                chunks, _ = self._api.get_archive(container, path)
            except NotFound:
                return None
            with closing(chunks):
                for chunk in chunks:
                    archive.write(chunk)
                    if archive.tell() > READ_LIMIT:
                        return None
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            member = tar.next()
            file = tar.extractfile(member) if member and member.isfile() else None
            return file.read() if file else None

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
            self._awaited[container] = stream
            try:
                with closing(stream), closing(stream._response):  # noqa: SLF001 - only docker-py keeps it
                    self._api.start(container)
                    meanwhile()
                    for _, chunk in frames_iter(stream, tty=False):
                        output += chunk
                        if marker in output:
                            return output.decode(errors="replace"), None
            finally:
                del self._awaited[container]
            # docker-py would wait for ever.
            code = self._api.wait(container, timeout=TIMEOUT)["StatusCode"]
            if self.facts.kind == "docker":
                # What was printed while we were being attached came twice. Podman's log may come behind.
                with suppress(APIError):  # it was removed, since somebody gave it up
                    output = self._api.logs(container)
        return output.decode(errors="replace"), code

    def hang_up(self, container: str) -> None:
        """Have :meth:`start_until` hear no more of a container: an engine that does not answer ends no stream."""
        if stream := self._awaited.get(container):
            with suppress(OSError, ValueError):  # it has just ended
                stream._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - a close would not wake who listens

    def inspect(self, container: str) -> Model:
        """What the engine knows of a container."""
        with self._door():
            return cast("Model", self._api.inspect_container(container))

    def figures(self, container: Model) -> Model:
        """What a container that runs uses at this time.

        Parameters
        ----------
        container
            what :meth:`inspect` told of it

        Raises
        ------
        ContainerEnded
            when it does not run
        """
        if not container["State"]["Running"]:
            raise ContainerEnded(f"The container does not run on {self.facts.host} any more.")
        with self._door():
            # The engine's other way takes a second or two: it waits for its next turn.
            stats = self._api.stats(container["Id"], stream=False, one_shot=True)
        return read_stats(stats, container, self.facts.memory)

    def list(self, owner: int) -> list[Model]:
        """The containers of ours, running or not, that a user started."""
        with self._door():
            filters = {"label": f"{labels.OWNER}={owner}"}
            return cast("list[Model]", self._api.containers(all=True, filters=filters))

    def old_trials(self, owner: int) -> builtins.list[str]:
        """The ids of the containers in which a user tried or made something, and which nobody has removed.

        Those of programs that live are younger, or run.
        """
        before = time.time() - TRIAL_SECONDS
        with self._door():
            found = [
                *self._api.containers(all=True, filters={"label": f"{labels.TRIAL}={owner}"}),
                *self._api.containers(all=True, filters={"name": f"^/?{HELD}{owner}-"}),
            ]
        return [one["Id"] for one in found if one["State"] != "running" and one["Created"] < before]

    def remove(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes; it is gone then.

        One that was gone already is what was wanted.
        """
        with self._door():
            try:
                if self.facts.kind == "podman":  # it would ask the container to end, and wait for that
                    with suppress(APIError):
                        self._api.kill(container)
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                # Another process, or the engine itself, is at it.
                if "is already in progress" not in _explanation(error):
                    raise
                with suppress(NotFound):
                    self._api.wait(container, timeout=TIMEOUT, condition="removed")

    def logs(self, container: str, tail: int) -> str:
        """The last lines of a container's log."""
        with self._door():
            return str(self._api.logs(container, tail=tail).decode(errors="replace"))

    def logs_until(self, container: str, tail: int, word: str) -> str:
        """The last lines of a running container's log, once they have a word in them.

        Podman writes the log beside the container: what that has printed comes a moment later (seen: 4.3.1).
        """
        log = self.logs(container, tail)
        if word in log:
            return log
        log = ""
        with closing(self.follow(container, tail, LOG_TIMEOUT)) as pieces:
            for piece in pieces:
                log += piece
                if word in log:
                    break
        return log

    def follow(
        self,
        container: str,
        tail: int,
        seconds: float | None = None,
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Generator[str, None, None]:
        """The last lines of a container's log, and what it prints from then on, until it ends.

        Parameters
        ----------
        container
            its id
        tail
            how many lines
        seconds
            how long at most; None for any time
        opened
            is told how to end it, from whichever thread
        """
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with self._door():
            log: Any = self._api.logs(container, tail=tail, stream=True, follow=True)
            opened(log.close)
            patience = threading.Timer(seconds or 0.0, log.close)
            if seconds is not None:
                patience.start()
            try:
                with closing(log._response):  # noqa: SLF001 - only docker-py keeps it
                    for piece in log:
                        yield decode(piece)
            finally:
                patience.cancel()

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

    def gpu_route(self) -> gpu.Route:
        """How this engine hands over GPUs; where it does not say, trials do.

        Raises
        ------
        GPURouteMissing
            when more than one way was tried and none works: what was said of the first
        """
        route = self._gpu_route
        if route is None:
            route = self._gpu_route = self._first_that_works(gpu.routes(self.facts))
        return route

    def _first_that_works(self, routes: tuple[gpu.Route, ...]) -> gpu.Route:
        refusals: list[GPURouteMissing] = []
        for route in routes:
            if len(routes) == 1:
                return route
            try:
                self._try(route, "all")
            except GPURouteMissing as error:
                refusals.append(error)
            else:
                return route
        raise refusals[0]

    def try_gpu_route(self, gpus: gpu.GPUs) -> None:
        """See whether this engine can hand over GPUs.

        Raises
        ------
        GPURouteMissing
            with what to do
        """
        self._try(self.gpu_route(), gpus)

    def _try(self, route: gpu.Route, gpus: gpu.GPUs) -> None:
        """Start a container whose image has nothing in it: that gets as far as the route, and no further."""
        config = {
            "Cmd": ["/"],
            "Env": [f"NVIDIA_VISIBLE_DEVICES={gpu.visible_devices(gpus)}"],
            "Labels": {labels.TRIAL: str(os.getuid())},
            "HostConfig": {"NetworkMode": "none", **gpu.host_config(gpus, route)},
        }
        with self._door():
            answer = self._api.import_image_from_data(EMPTY_TAR, changes=[f"LABEL {labels.TRIAL}={os.getuid()}"])
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
        with self._door():
            # Podman's own API, which kernels need there, knows nothing of an input.
            created = self._api.create_container_from_config(config, f"{HELD}{os.getuid()}-{secrets.token_hex(6)}")
        container = str(created["Id"])
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
            "Labels": {labels.TRIAL: str(os.getuid())},
            "HostConfig": {"NetworkMode": "none"},
        }
        container = self.create(config)
        try:
            return self.start_until(container, NOTHING, lambda: None)[0]
        finally:
            self.remove(container)

    def _look(self) -> str:
        return f"See what it does: `{_journal(self.facts.kind == 'podman', self.facts.rootless)}`."

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
        except requests.JSONDecodeError as error:
            # As Docker 20.10 answers who asks for the figures of a container that ends just then: with nothing.
            raise EngineFailed(f"{self.facts.name} gave an answer that cannot be read. {self._look()}") from error
        except requests.Timeout as error:
            raise EngineSilent(f"{self.facts.name} has not answered for {TIMEOUT} s. {self._look()}") from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineNotFound(
                f"{self.facts.name} does not answer any more. Start it again: "
                f"`{_start(self.facts.kind == 'podman', self.facts.rootless)}`."
            ) from error


def _start(podman: bool, own: bool) -> str:
    """The command that starts an engine."""
    unit = "podman.socket" if podman else "docker"
    return f"systemctl --user start {unit}" if own else f"sudo systemctl start {unit}"


def _journal(podman: bool, own: bool) -> str:
    """The command that shows what an engine says."""
    unit = "podman" if podman else "docker"
    return f"journalctl --user -u {unit}" if own else f"sudo journalctl -u {unit}"


def _explanation(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)


def _unreachable(address: Address, error: Exception) -> EngineError:
    """What kept us from an engine, by the operating system's error at the bottom of the chain."""
    cause, machine = _os_error(error), platform.node()
    place = f"{address.socket} on {machine}" if address.socket else address.url
    start = _start(address.podman, address.own)
    if isinstance(cause, PermissionError) and address.podman:
        return EnginePermissionDenied(
            f"Podman's socket {place} is there, but you may not use it: it is root's. Start your own Podman, which "
            f"needs no rights: `{_start(podman=True, own=True)}`."
        )
    if isinstance(cause, PermissionError):
        return EnginePermissionDenied(
            f"The container engine's socket {place} is there, but you may not use it. Ask the administrator of "
            f"{machine} to add you to the group that owns it (`sudo usermod -aG docker $USER`, then log in again). "
            f"Who may talk to that socket is root on the machine; a rootless engine needs no such right."
        )
    if isinstance(cause, FileNotFoundError):
        return EngineNotFound(
            f"There is no container engine at {place} (named by {address.source}). Install "
            f"{'Podman (package podman' if address.podman else 'Docker (package docker.io'} on Debian and Ubuntu), or "
            f"start it: `{start}`."
        )
    if isinstance(cause, ConnectionRefusedError):
        return EngineNotFound(
            f"Nothing listens at {place} (named by {address.source}): the container engine is not running. Start it: "
            f"`{start}`."
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
