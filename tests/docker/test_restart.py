"""Restarts: nobody loses an output, what was installed is found, and nothing grows."""

from __future__ import annotations

import os
import signal
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import docker
import pytest
from conftest import LEGACY, MODERN, Home
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.ioloop import IOLoopKernelManager
from kernels import TIMEOUT, connected, kernel, run, until, value
from tornado.ioloop import IOLoop

ROUNDS = 10
LINES = 20
IMAGES = pytest.mark.parametrize("image", [LEGACY, MODERN], ids=["legacy", "modern"])


def outputs(client: BlockingKernelClient, request: str) -> str:
    """All that one execution printed, as far as it reached this client."""
    text = ""
    while True:
        message = client.get_iopub_msg(timeout=TIMEOUT)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "stream":
            text += message["content"]["text"]
        elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return text


@IMAGES
@pytest.mark.parametrize("how", ["polite", "now", "killed"])
def test_two_clients_receive_every_output(home: Home, image: str, how: str) -> None:
    """Both stay connected throughout, and ask as soon as the restart is done, or even before."""
    with kernel(home.add("tf", image)) as (manager, one), connected(manager) as other:
        for number in range(ROUNDS):
            if how == "killed":
                manager.signal_kernel(signal.SIGKILL)
                assert until(lambda: not manager.is_alive(), 5)
                # Asked while there is no kernel: the request waits in the client's socket, as a page's does.
                requests = [_ask(client, number) for client in (one, other)]
                manager.restart_kernel(now=True)
            else:
                manager.restart_kernel(now=how == "now")
                requests = [_ask(client, number) for client in (one, other)]
            expected = "".join(f"{number} {line}\n" for line in range(LINES))
            for client, request in zip((one, other), requests, strict=True):
                assert outputs(client, request) == expected


def _ask(client: BlockingKernelClient, number: int) -> str:
    return client.execute(f"import sys\nfor line in range({LINES}): sys.stdout.write('{number} %d\\n' % line)")


def test_restarter_brings_a_killed_kernel_back(home: Home) -> None:
    """Jupyter's own restarter, which looks every 3 s; the container is the same."""
    name = home.add("tf", LEGACY)
    restarted = threading.Event()

    class Manager(IOLoopKernelManager):  # type: ignore[misc]
        pass

    loop = IOLoop(make_current=False)
    manager = Manager(kernel_name=name, loop=loop)
    thread = threading.Thread(target=loop.start)
    manager.start_kernel()
    before = home.containers()[0]["Id"]
    manager.add_restart_callback(restarted.set, "restart")
    thread.start()
    try:
        with connected(manager) as client:
            client.execute("import os; os.kill(os.getpid(), 9)")
            assert restarted.wait(20)
            client.wait_for_ready(timeout=TIMEOUT)
            assert value(client, "print(1)") == "1"
            assert [one["Id"] for one in home.containers()] == [before]
    finally:
        manager.stop_restarter()
        loop.add_callback(loop.stop)
        thread.join()
        loop.close()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


def wheel(folder: Path, version: str) -> str:
    """Make a package of one module, to be installed without a network."""
    path = folder / f"answer-{version}-py2.py3-none-any.whl"
    info = f"answer-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answer.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: answer\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"answer.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path.name


def pip_install(client: BlockingKernelClient, name: str) -> None:
    value(
        client,
        "import subprocess, sys; subprocess.check_output("
        f"[sys.executable, '-m', 'pip', 'install', '--no-index', '--upgrade', '/notebooks/{name}'], stderr=subprocess.STDOUT) and None",
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
    engine = docker.APIClient()
    try:
        processes = sum(len(engine.top(one["Id"])["Processes"]) for one in home.containers())
    finally:
        engine.close()
    return {
        "containers": len(home.containers()),
        "processes": processes,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "folders": len(list((home.data / "tfcontainer" / "c").glob("*"))),
        "sockets": len(list((home.data / "tfcontainer" / "c").glob("*/run/*"))),
    }


def test_fifty_restarts_leak_nothing(home: Home) -> None:
    with kernel(home.add("tf", LEGACY)) as (manager, client):

        def restart(times: int) -> dict[str, Any]:
            for _ in range(times):
                manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=TIMEOUT)
            value(client, "1")
            # The next spare is there once more.
            assert until(lambda: resources(home)["processes"] == 3, 10)
            return resources(home)

        before = restart(5)  # pools of threads fill up to their sizes
        started = time.monotonic()
        after = restart(50)
        print(f"\n50 restarts: {time.monotonic() - started:.1f} s; {before} -> {after}")
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
