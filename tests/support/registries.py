"""Registries of a test's own on loopback: Debian's docker-registry, and slow connections to it."""

from __future__ import annotations

import asyncio
import ctypes
import io
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import docker
from homes import MODERN
from kernels import until

# Images of tests, pushed or built here, bear it, with what tells this run from others on the same engine.
LABEL = "jupyter-tfcontainer.test"
TOKEN = secrets.token_hex(4)
START_SECONDS = 20
PIECE = 65536
# What `htpasswd -nbB somebody s3cret` prints.
USER, PASSWORD = "somebody", "s3cret"
HTPASSWD = "somebody:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"


class Registry:
    """One registry.

    Parameters
    ----------
    folder
        for all that it has
    namespace
        the network namespace that it is to listen in, or an empty name for ours
    auth
        whether it wants to know who comes
    enter
        the command that runs another where it is to be, if no namespace has a name there
    """

    def __init__(self, folder: Path, namespace: str = "", *, auth: bool = False, enter: Sequence[str] = ()) -> None:
        self.folder = folder
        #: That it listens at, which the system picks when it starts.
        self.port = 0
        self._enter = ("nsenter", f"--net=/run/netns/{namespace}") if namespace else tuple(enter)
        self._auth = auth
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """As references name it."""
        return f"127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[str]:
        """The paths that it was asked for, in order."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return [json.loads(line)["http.request.uri"] for line in lines if '"response completed' in line]

    def start(self) -> None:
        """Start it and wait until it answers."""
        config = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.name},
        }
        if self._auth:
            (self.folder / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.folder / "htpasswd")}}
        # JSON is YAML.
        (self.folder / "config.yml").write_text(json.dumps(config))
        command = [*self._enter, "docker-registry", "serve", str(self.folder / "config.yml")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "OTEL_SDK_DISABLED": "1"}
            )
        assert until(self._listens, START_SECONDS)

    def _listens(self) -> bool:
        said = re.search(r'"listening on 127\.0\.0\.1:(\d+)"', (self.folder / "log").read_text(errors="replace"))
        self.port = int(said[1]) if said else 0
        return self.port != 0

    def kill(self) -> None:
        """End it without a word to anyone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def registry(namespace: str = "", *, auth: bool = False, enter: Sequence[str] = ()) -> Iterator[Registry]:
    """A registry that runs, and is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tfc-registry-") as folder:
        one = Registry(Path(folder), namespace, auth=auth, enter=enter)
        one.start()
        try:
            yield one
        finally:
            one.kill()


def copy(source: Registry, target: Registry) -> None:
    """Give a registry all that another has."""
    shutil.copytree(source.folder / "data", target.folder / "data")


class Slow:
    """A slow connection to a registry.

    Parameters
    ----------
    target
        port of the registry
    speed
        bytes a second that come through it, on all connections together
    namespace
        the network namespace that it listens in, or an empty name for ours, in which the registry is
    """

    def __init__(self, target: int, speed: int, namespace: str = "") -> None:
        self.target, self.speed, self.namespace = target, speed, namespace
        self.port = 0
        #: Those that there are, and those that there have been.
        self.connections = self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow-connection")

    @property
    def name(self) -> str:
        """As references name the registry behind it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Let connections in."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Cut them."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        # A socket stays where it was made.
        with entered(self.namespace):
            listener = socket.create_server(("127.0.0.1", 0))
        with closing(self._loop):
            self._loop.run_until_complete(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connect(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, sock=listener)
        self.port = listener.getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.accepted += 1
        other: asyncio.StreamWriter | None = None
        try:
            back, other = await asyncio.open_connection("127.0.0.1", self.target)
            up = asyncio.ensure_future(_copy(reader, other, 0))
            down = asyncio.ensure_future(self._copy_slowly(back, writer))
            try:
                await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (up, down):
                    task.cancel()
                await asyncio.gather(up, down, return_exceptions=True)
        except OSError:
            pass
        finally:
            self.connections -= 1
            for one in (writer, other):
                if one:
                    one.transport.abort()

    async def _copy_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _copy(reader, writer, self.speed)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, speed: int) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
            if speed:
                await asyncio.sleep(len(data) / speed)


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Have this thread, and no other, be in a network namespace for a while."""
    if not namespace:
        yield
        return
    # Python 3.12 is the first that has a function for it.
    c = ctypes.CDLL(None, use_errno=True)

    def enter(place: BinaryIO) -> None:
        assert c.setns(place.fileno(), 0) == 0, os.strerror(ctypes.get_errno())

    with Path("/proc/thread-self/ns/net").open("rb") as here, Path("/run/netns", namespace).open("rb") as there:
        enter(there)
        try:
            yield
        finally:
            enter(here)


@contextmanager
def slow(one: Registry, speed: int, namespace: str = "") -> Iterator[Slow]:
    """A slow connection, cut afterwards."""
    connection = Slow(one.port, speed, namespace)
    connection.start()
    try:
        yield connection
    finally:
        connection.stop()


@contextmanager
def far(client: docker.APIClient, name: str, *sizes: int) -> Iterator[Slow]:
    """A slow connection to a registry that has an image in which a kernel runs, with layers of so many megabytes."""
    with registry() as one:
        reference = f"{one.name}/{name}"
        image(client, reference, *(os.urandom(size * 10**6) for size in sizes), parent=MODERN)
        push(client, reference)
        with slow(one, 10**6) as line:
            yield line


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def image(client: docker.APIClient, reference: str, *layers: bytes, parent: str = "scratch") -> str:
    """Make an image with a file in each layer; its id comes back."""
    lines = [
        f"FROM {parent}",
        *(f"COPY layer{number} /layer{number}" for number in range(len(layers))),
    ]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in {
            "Dockerfile": "\n".join(lines).encode(),
            **{f"layer{n}": one for n, one in enumerate(layers)},
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    context.seek(0)
    options: dict[str, Any] = {"custom_context": True, "labels": {LABEL: TOKEN}, "rm": True, "forcerm": True}
    for event in client.build(fileobj=context, tag=reference, decode=True, **options):
        assert "error" not in event, event
    return str(client.inspect_image(reference)["Id"])


def without_ipykernel(client: docker.APIClient, reference: str) -> None:
    """Make an image that has all that ipykernel stands on, and not ipykernel."""
    container = client.create_container(MODERN, ["python3", "-m", "pip", "uninstall", "--yes", "ipykernel"])["Id"]
    try:
        client.start(container)
        assert client.wait(container)["StatusCode"] == 0
        repository, _, tag = reference.rpartition(":")
        changes = ['CMD ["sh"]', f"LABEL {LABEL}={TOKEN}"]
        client.commit(container, repository, tag, pause=False, changes=changes)
    finally:
        client.remove_container(container, force=True)


@contextmanager
def index(enter: Sequence[str] = ()) -> Iterator[str]:
    """Serve an index of packages with our own ipykernel in it; its address comes back.

    Parameters
    ----------
    enter
        the command that runs another where it is to be
    """
    package = metadata.distribution("ipykernel")
    with tempfile.TemporaryDirectory(prefix="tfc-index-") as folder:
        Path(folder, "ipykernel").mkdir()
        with zipfile.ZipFile(Path(folder, f"ipykernel/ipykernel-{package.version}-py3-none-any.whl"), "w") as wheel:
            for path in package.files or ():
                if path.parts[0].startswith("ipykernel") and path.suffix != ".pyc":
                    wheel.write(path.locate(), path)
        command = [*enter, sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with subprocess.Popen(
            command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout
            serving = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            assert serving
            try:
                yield serving[0]
            finally:
                process.terminate()


def images(client: docker.APIClient) -> dict[str, list[str]]:
    """The names of the images of tests that there are, those without one included, by their ids."""
    found = client.images(all=True, filters={"label": f"{LABEL}={TOKEN}"})
    return {one["Id"]: [name for name in _names(one) if not name.startswith("<none>")] for one in found}


def _names(one: dict[str, Any]) -> list[str]:
    return [*(one["RepoTags"] or []), *(one["RepoDigests"] or [])]


@contextmanager
def nothing_left(client: docker.APIClient) -> Iterator[None]:
    """Images that a test brings are removed after it; they must all have a name, and no container in them."""
    before = images(client)
    yield
    new = {image: names for image, names in images(client).items() if image not in before}
    containers = [one["Id"] for one in client.containers(all=True) if one["ImageID"] in new]
    for name in [name for names in new.values() for name in names]:
        with suppress(docker.errors.NotFound):  # it went with another
            client.remove_image(name, force=True)
    # What they stand on goes with them, if it has no name.
    assert [one for one in images(client) if one not in before] == []
    assert containers == []


def push(client: docker.APIClient, reference: str, **options: Any) -> str:
    """Push an image and remove it here; its digest comes back."""
    repository, _, tag = reference.rpartition(":")
    digest = ""
    for event in client.push(repository, tag=tag, stream=True, decode=True, **options):
        assert "error" not in event, event
        digest = event.get("aux", {}).get("Digest", digest)
    client.remove_image(reference)
    return digest


def fetch(url: str) -> bytes:
    """What is at an address of this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=START_SECONDS) as answer:
        return bytes(answer.read())
