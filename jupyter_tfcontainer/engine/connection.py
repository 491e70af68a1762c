"""The connection to one engine: what cannot be reached, or is refused, comes out as one of our errors."""

from __future__ import annotations

import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from docker import APIClient
from docker.errors import APIError, DockerException, NotFound

from ..errors import (
    ContainerNotFound,
    EngineError,
    EngineFailed,
    EngineNotFound,
    EnginePermissionDenied,
    EngineSilent,
    GPURouteMissing,
)
from . import gpu, own_container
from .discovery import Address
from .info import EngineFacts

# Seconds an engine may take for one answer. A start under load takes a few; a pull has no such limit, its stream
# counts.
TIMEOUT = 60
# The API of Docker 20.10 (2020) and Podman 4: what we need is there.
API_VERSION = "1.41"
# Connections kept open at a time: as many starts as may be under way, and a few.
POOL = 40
# What is mounted where, as this process sees it (proc(5)).
MOUNTS = Path("/proc/self/mountinfo")


class Connection:
    """The connection to one engine that has answered.

    Parameters
    ----------
    address
        where the engine is

    Attributes
    ----------
    api
        docker-py's client; each use of it belongs into :meth:`door`
    facts
        what the engine says of itself; replaced by newer ones when it refuses GPUs
    own_container
        the container on this engine that we run in, if we do
    timeout
        seconds that one answer may take

    Raises
    ------
    EngineNotFound, EnginePermissionDenied, EngineFailed
        when it does not answer
    """

    def __init__(self, address: Address) -> None:
        self._url = address.url
        self.timeout = TIMEOUT
        if address.socket:
            # Tried ahead: docker-py leaves sockets open that it cannot connect.
            try:
                with socket.socket(socket.AF_UNIX) as trial:
                    trial.connect(str(address.socket))
            except OSError as error:
                raise unreachable(address, error) from error
        try:
            self.api = APIClient(base_url=address.url, version=API_VERSION, timeout=self.timeout, max_pool_size=POOL)
        except DockerException as error:
            raise EngineNotFound(
                f"{address.url}, named by {address.source}, is not the address of an engine: {error}."
            ) from error
        try:
            self.facts = self._ask()
            self.own_container = self._find_own_container() if address.socket else None
        except (DockerException, requests.RequestException, OSError, AttributeError) as error:
            # AttributeError: it answered JSON that is no object.
            self.api.close()
            raise unreachable(address, error) from error

    def _ask(self) -> EngineFacts:
        api: Any = self.api
        # Asked in our version of the API, an engine leaves out the devices that it tells of in a later one.
        info = api._result(api._get(api._url("/info", versioned_api=False)), json=True)  # noqa: SLF001
        return EngineFacts.from_engine(self._url, info, self.api.version())

    def _find_own_container(self) -> own_container.OwnContainer | None:
        if not MOUNTS.exists():  # no Linux
            return None
        number = own_container.container_id(MOUNTS.read_text(errors="replace"))
        try:
            return own_container.OwnContainer.from_engine(self.api.inspect_container(number)) if number else None
        except NotFound:
            return None  # another engine's

    def _look(self) -> str:
        return f"See what it does: `{_journal(self.facts.kind == 'podman', self.facts.rootless)}`."

    @contextmanager
    def door(self) -> Iterator[None]:
        """Turn whatever goes wrong in a call to the engine into one of our errors."""
        try:
            yield
        except NotFound as error:
            raise ContainerNotFound(f"The container is not on {self.facts.host} any more.") from error
        except APIError as error:
            words = explanation(error)
            if sentence := gpu.explain(words):
                # Its ways to GPUs may have changed since it was asked: the next start goes the one that there is now.
                with suppress(DockerException, requests.RequestException):
                    self.facts = self._ask()
                raise GPURouteMissing(f"On {self.facts.host}, {sentence}") from error
            raise EngineFailed(f"{self.facts.name} refused: {words}") from error
        except requests.JSONDecodeError as error:
            # As Docker 20.10 answers who asks for the figures of a container that ends just then: with nothing.
            raise EngineFailed(f"{self.facts.name} gave an answer that cannot be read. {self._look()}") from error
        except requests.Timeout as error:
            raise EngineSilent(f"{self.facts.name} has not answered for {self.timeout} s. {self._look()}") from error
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


def explanation(error: Exception) -> str:
    """Return the engine's own words for an error."""
    return str(getattr(error, "explanation", None) or error)


def unreachable(address: Address, error: Exception) -> EngineError:
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
