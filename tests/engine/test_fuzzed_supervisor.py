"""The control protocol, whatever is said in it, on the Python of each image: nobody hangs, and the kernel runs on."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from homes import LEGACY, MODERN, processes, temporary_home
from hypothesis import example, given, settings
from hypothesis import strategies as st
from junk import JUNK, SAME
from jupyter_client.manager import KernelManager
from kernels import TIMEOUT, connected, value

from jupyter_tfcontainer.errors import ContainerError
from jupyter_tfcontainer.kernels.container import RunningContainer
from jupyter_tfcontainer.kernels.supervisor_client import Message, SupervisorClient
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.provisioner import TFContainerProvisioner

MEGABYTE = 2**20
# What is asked; a stop is what it says.
OPS = ("own", "descriptors", "launch", "warm", "expect", "signal", "list", "ports", "dial", "run", "dance")
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "kernel": st.sampled_from(["other", "nobody"]) | JUNK,
    "launch": st.integers() | JUNK,
    "connection": st.just({}) | JUNK,
    "cwd": st.just("/") | JUNK,
    "env": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2) | JUNK,
    "arguments": st.just([]) | JUNK,
    "subscribers": JUNK,
    "warm": st.floats() | JUNK,
    "signum": st.sampled_from([0, 15, 99]) | JUNK,
    "program": st.sampled_from(["board.py", "../kernel.py"]) | JUNK,
    "number": st.integers() | JUNK,
    "port": st.integers(-1, 70_000) | JUNK,
    "owner": st.just("x") | JUNK,
    "token": JUNK,
    "id": JUNK,
}
REQUESTS = st.fixed_dictionaries({"op": st.sampled_from(OPS) | JUNK}, optional=FIELDS)


class Place:
    """A kernel in a container, and its supervisor's memory."""

    def __init__(self, manager: KernelManager) -> None:
        assert isinstance(manager.provisioner, TFContainerProvisioner)
        self.container: RunningContainer = manager.provisioner.running
        self._process = psutil.Process(processes(self.container.id)[0])

    def memory(self) -> int:
        """Of the supervisor, in bytes."""
        return int(self._process.memory_info().rss)

    def connect(self) -> socket.socket:
        """A connection to it, as a program in the container may have one."""
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(self.container.folders.run / "control.sock"))
        one.settimeout(TIMEOUT)
        return one

    def well(self) -> None:
        """See that the supervisor answers, and has the kernel."""
        kernels = self.container.control().request("list")["kernels"]
        assert self.container.kernel
        assert self.container.kernel.kernel_id in [one["kernel"] for one in kernels]


@pytest.fixture(scope="module", params=[LEGACY, MODERN], ids=["legacy", "modern"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        for name, folder in home.variables().items():
            patch.setenv(name, folder)
        patch.chdir(home.workspace)
        ContainerManager.clear_instance()
        manager = KernelManager(kernel_name=home.add("tf", request.param))
        manager.start_kernel()
        try:
            with connected(manager) as client:
                place = Place(manager)
                yield place
                assert value(client, "print(6 * 7)") == "42"
                place.well()
        finally:
            manager.shutdown_kernel(now=True)
            manager.context.destroy()
            ContainerManager.instance().close()


@settings(SAME, max_examples=60)
@given(
    pieces=st.lists(
        st.binary(max_size=40) | REQUESTS.map(lambda one: json.dumps(one).encode() + b"\n"), min_size=1, max_size=5
    ),
    others=st.integers(0, 2),
)
@example(pieces=[b"[" * 100_000 + b"\n"], others=0)
@example(pieces=[json.dumps({"op": "\u00e9"}).encode() + b"\n"], others=0)
@example(pieces=[b"[]\n"], others=0)
def test_anybody_says_anything(place: Place, pieces: list[bytes], others: int) -> None:
    """Garbage, halves, and several at a time, of who does not own it."""
    connections = [place.connect() for _ in range(others + 1)]
    for number, piece in enumerate(pieces):
        with suppress(OSError):  # it has hung up
            connections[number % len(connections)].sendall(piece)
    place.well()
    for one in connections:
        one.close()


@settings(SAME, max_examples=60)
@given(request_=REQUESTS)
@example(request_={"op": "run", "program": "\u00e9", "number": 1, "arguments": [], "cwd": "/"})
@example(request_={"op": "signal", "kernel": "nobody", "signum": float("nan")})
def test_its_owner_says_anything(place: Place, request_: dict[str, Any]) -> None:
    fields = {name: one for name, one in request_.items() if name not in ("op", "id")}
    answer = place.container.control().ask(request_["op"], **fields)
    with suppress(ContainerError):
        answer.result(TIMEOUT)
    place.well()


def test_lines_without_end_and_answers_that_nobody_reads(place: Place) -> None:
    before = place.memory()
    with closing(place.connect()) as one, pytest.raises(OSError, match=r"Broken pipe|reset"):
        one.sendall(b"x" * (64 * MEGABYTE))
    one = place.connect()
    one.settimeout(0.5)
    asked = json.dumps({"op": "x" * 1000}).encode() + b"\n"
    with closing(one), suppress(OSError):
        for _ in range(100):
            one.sendall(asked * 1000)
    place.well()
    assert place.memory() < before + 100 * MEGABYTE


def test_more_connections_than_it_takes(place: Place) -> None:
    connections = [place.connect() for _ in range(200)]
    place.well()
    assert connections[-1].recv(1) == b""  # it is hung up on
    for one in connections:
        one.close()
    place.well()


# Our side, and what takes the supervisor's place.

HELLO = {"ok": True, "protocol": 1, "python": "3", "executable": "x", "inodes": {}, "devices": [], "kernels": []}


class Liar:
    """Says what a supervisor says, and then anything; then it hangs up."""

    def __init__(self, folder: str, pieces: list[bytes]) -> None:
        self.path = Path(folder) / "control.sock"
        #: Bytes that were taken from it.
        self.taken = 0
        self._pieces = pieces
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(2)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        control, descriptors = self._listener.accept()[0], self._listener.accept()[0]
        with self._listener, control, descriptors, suppress(OSError):
            control.recv(1000)
            control.sendall(json.dumps({**HELLO, "id": 1, "token": "t"}).encode() + b"\n")
            descriptors.recv(1000)
            descriptors.sendall(b'{"ok": true}\n')
            for piece in self._pieces:
                control.sendall(piece)
                self.taken += len(piece)

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(TIMEOUT)


EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(["ready", "exit"]) | JUNK,
        "id": st.integers(1, 3) | JUNK,
        "ok": JUNK,
        "error": JUNK,
        "connected": st.booleans() | JUNK,
        "launch": JUNK,
        "kernel": JUNK,
    },
)


@settings(SAME, max_examples=60)
@given(
    pieces=st.lists(
        st.binary(max_size=40)
        | EVENTS.map(lambda one: json.dumps(one).encode() + b"\n")
        | JUNK.map(lambda one: json.dumps(one).encode() + b"\n"),
        max_size=5,
    )
)
@example(pieces=[b"[" * 100_000 + b"\n"])
@example(pieces=[b"x" * MEGABYTE] * 3)
def test_a_supervisor_says_anything(pieces: list[bytes]) -> None:
    """The end of the connection is always told, and no request waits for ever."""
    heard: list[Message | None] = []
    with tempfile.TemporaryDirectory(prefix="tfc-") as folder:
        liar = Liar(folder, pieces)
        try:
            with suppress(ContainerError):
                client = SupervisorClient(liar.path, "a test", heard.append)
                try:
                    client.ask("list").result(TIMEOUT)
                finally:
                    client.close()
        finally:
            liar.join()
    assert heard[-1] is None


def test_a_line_of_a_supervisor_has_an_end() -> None:
    """It is not taken into the server's memory to see whether it has."""
    heard: list[Message | None] = []
    with tempfile.TemporaryDirectory(prefix="tfc-") as folder:
        liar = Liar(folder, [b"x" * MEGABYTE] * 100)
        client = SupervisorClient(liar.path, "a test", heard.append)
        liar.join()
        client.close()
    assert heard == [None]
    assert liar.taken < 5 * MEGABYTE
