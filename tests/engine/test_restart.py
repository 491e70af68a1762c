"""Restarts: nobody loses an output, what was installed is found, and nothing grows."""

from __future__ import annotations

import signal
import threading
import time
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from homes import LEGACY, MODERN, Home, processes
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from kernels import TIMEOUT, connected, kernel, rounds, run, until, value

ROUNDS = rounds(4, 10)
RESTARTS = rounds(15, 50)
LINES = 20
# What an image's Python has to do with an engine, one image shows.
IMAGES = pytest.mark.parametrize(
    "image", [pytest.param(LEGACY, id="legacy"), pytest.param(MODERN, id="modern", marks=pytest.mark.every_engine)]
)


class Page:
    """A client as a page is one: it looks at its sockets all the time."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self._outputs: dict[str, str] = defaultdict(str)
        self._idle: dict[str, threading.Event] = defaultdict(threading.Event)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        # Without the client's own method: it makes an event loop for each thread, and leaves it open.
        socket = self.client.iopub_channel.socket
        while not self._ended.is_set():
            if not socket.poll(100):
                continue
            _, message = self.client.session.recv(socket)
            request = message["parent_header"].get("msg_id", "")
            if message["msg_type"] == "stream":
                self._outputs[request] += message["content"]["text"]
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                self._idle[request].set()

    def ask(self, number: int) -> str:
        """Have lines printed; the request's id comes back."""
        code = f"import sys\nfor line in range({LINES}): sys.stdout.write('{number} %d\\n' % line)"
        request: str = self.client.execute(code)
        return request

    def outputs(self, request: str) -> str | None:
        """All that one execution printed, or None when its end did not reach this client."""
        return self._outputs[request] if self._idle[request].wait(5) else None

    def close(self) -> None:
        """Listen no more."""
        self._ended.set()
        self._thread.join()


@pytest.mark.parametrize(
    ("how", "image"),
    [
        pytest.param("polite", MODERN, id="polite-modern"),
        pytest.param("now", MODERN, id="now-modern", marks=pytest.mark.every_engine),
        pytest.param("killed", MODERN, id="killed-modern"),
        # The Python inside has a part in this one alone: it is gone when the next request comes.
        pytest.param("killed", LEGACY, id="killed-legacy"),
        pytest.param("polite", LEGACY, id="polite-legacy", marks=pytest.mark.slow),
        pytest.param("now", LEGACY, id="now-legacy", marks=pytest.mark.slow),
    ],
)
def test_two_clients_receive_every_output(home: Home, image: str, how: str) -> None:
    """Both stay connected throughout, and ask as soon as the restart is done, or even before."""
    with kernel(home.add("tf", image)) as (manager, one), connected(manager) as other:
        pages = [Page(one), Page(other)]
        try:
            for number in range(ROUNDS):
                if how == "killed":
                    manager.signal_kernel(signal.SIGKILL)
                    assert until(lambda: not manager.is_alive(), 5)
                    # Asked while there is no kernel: the requests wait in the clients' sockets.
                    requests = [page.ask(number) for page in pages]
                    manager.restart_kernel(now=True)
                else:
                    manager.restart_kernel(now=how == "now")
                    requests = [page.ask(number) for page in pages]
                expected = "".join(f"{number} {line}\n" for line in range(LINES))
                got = [page.outputs(request) for page, request in zip(pages, requests, strict=True)]
                assert got == [expected, expected], f"round {number}"
        finally:
            for page in pages:
                page.close()


def wheel(folder: Path, version: str) -> str:
    """Make a package of one module, to be installed without a network."""
    path = folder / f"answer-{version}-py2.py3-none-any.whl"
    info = f"answer-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answer.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: answer\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", f"answer.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path.name


def pip_install(client: BlockingKernelClient, name: str) -> None:
    value(
        client,
        "import subprocess, sys; subprocess.check_output([sys.executable, '-m', 'pip', 'install', "
        f"'--no-index', '--upgrade', '/notebooks/{name}'], stderr=subprocess.STDOUT) and None",
    )


@IMAGES
def test_installed_package_is_there_after_a_restart(home: Home, image: str) -> None:
    """The home is empty at first: the spare interpreter began when there was no folder for packages."""
    first, second = wheel(home.workspace, "1.0"), wheel(home.workspace, "2.0")
    with kernel(home.add("tf", image)) as (manager, client):
        assert "answer" in run(client, "import answer").error
        for name, version in ((first, "1.0"), (second, "2.0")):
            pip_install(client, name)
            manager.restart_kernel()
            client.wait_for_ready(timeout=TIMEOUT)
            assert value(client, "import answer; print(answer.VERSION)") == version
    # The environment keeps it: another container has it from its start.
    with kernel("tf") as (_, client):
        assert value(client, "import answer; print(answer.VERSION)") == "2.0"


def resources(home: Home) -> dict[str, Any]:
    containers = home.containers()
    return {
        "containers": len(containers),
        "processes": sum(len(processes(one["Id"])) for one in containers),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "folders": len(list((home.data / "tfcontainer" / "c").glob("*"))),
        "sockets": len(list((home.data / "tfcontainer" / "c").glob("*/run/*"))),
    }


def test_restarts_leak_nothing(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (manager, client):

        def restart(times: int) -> dict[str, Any]:
            for _ in range(times):
                manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=TIMEOUT)
            value(client, "1")
            found: dict[str, Any] = {}

            def settled() -> bool:
                """Whether the next spare is there once more, and nothing that comes and goes beside it."""
                found.update(resources(home))
                return bool(found["processes"] == 3)

            assert until(settled, TIMEOUT)
            return found

        before = restart(5)  # pools of threads fill up to their sizes
        started = time.monotonic()
        after = restart(RESTARTS)
        print(f"\n{RESTARTS} restarts: {time.monotonic() - started:.1f} s; {before} -> {after}")
        assert after["descriptors"] <= before["descriptors"] + 2
        assert after["threads"] <= before["threads"] + 3
        for name in ("containers", "processes", "folders", "sockets"):
            assert after[name] == before[name]


def test_clients_of_another_process_find_the_kernel(home: Home) -> None:
    """The connection file is the truth: `jupyter console --existing` and the like read it."""
    with kernel(home.add("tf", LEGACY)) as (manager, _):
        client = KernelManager(connection_file=manager.connection_file).client()
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=TIMEOUT)
            assert value(client, "print(2)") == "2"
        finally:
            client.stop_channels()
