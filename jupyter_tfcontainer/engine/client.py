"""The door to one container engine: every call to it goes through here, and every error comes out as one of ours.

Calls block; those of asyncio's world come through a thread (``threads.py``).
"""

from __future__ import annotations

import builtins
import io
import re
import tarfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, cast

from docker.errors import APIError, ImageNotFound, NotFound

from ..errors import ContainerEnded, EngineFailed
from . import containers, gpu, labels
from .connection import API_VERSION, Connection, explanation
from .container_output import ContainerOutput
from .discovery import Address
from .exec import Exec
from .gpu_trials import GPUTrials
from .images import HELD, TRIAL_SECONDS, EngineImages
from .info import EngineFacts
from .podman_service import PodmanService
from .stats import read_stats

Model = dict[str, Any]
# The most that is read of a file in a container, in bytes: an image may have anything in it.
READ_LIMIT = 2**20


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
        self._service = service
        self._connection = Connection(address)
        self._api, self._door = self._connection.api, self._connection.door
        self._output = ContainerOutput(self._connection)
        self._gpu = GPUTrials(self._connection)
        #: What there is of images beside having one.
        self.images = EngineImages(address.url, API_VERSION, self._api, self._door, self.facts)

    @property
    def facts(self) -> EngineFacts:
        """What the engine says of itself."""
        return self._connection.facts

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
                if "invalid reference format" not in explanation(error):
                    raise
                return None

    # Containers.

    def create(self, config: Model, name: str | None = None, platform: str | None = None) -> str:
        """Create a container from Docker's create arguments; its id comes back."""
        return containers.create(self._connection, config, name, platform)

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
        """Start a container and wait for a word in its output, or for its end."""
        return self._output.start_until(container, marker, meanwhile)

    def hang_up(self, container: str) -> None:
        """Have :meth:`start_until` hear no more of a container: an engine that does not answer ends no stream."""
        self._output.hang_up(container)

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
        """Kill and remove a container with its anonymous volumes; it is gone then."""
        containers.remove(self._connection, container)

    def logs(self, container: str, tail: int) -> str:
        """The last lines of a container's log."""
        return self._output.logs(container, tail)

    def logs_until(self, container: str, tail: int, word: str) -> str:
        """The last lines of a running container's log, once they have a word in them."""
        return self._output.logs_until(container, tail, word)

    def follow(
        self,
        container: str,
        tail: int,
        seconds: float | None = None,
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Generator[str, None, None]:
        """The last lines of a container's log, and what it prints from then on, until it ends."""
        return self._output.follow(container, tail, seconds, opened)

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
        """How this engine hands over GPUs; where it does not say, trials do."""
        return self._gpu.route()

    def try_gpu_route(self, gpus: gpu.GPUs) -> None:
        """See whether this engine can hand over GPUs."""
        self._gpu.try_route(gpus)

    def held(self, image: Model, host: Model) -> AbstractContextManager[str]:
        """A container that does nothing, as its image's user; it is gone afterwards, or when this process dies."""
        return containers.held(self._connection, image, host)

    def run_in(self, image: str, interpreters: Sequence[str], program: str) -> str:
        """Run a Python program in a container of its own, with each interpreter that there is."""
        return containers.run_in(self._connection, self._output, image, interpreters, program)
