"""Deaths of kernels: each is noticed at once, and says why."""

from __future__ import annotations

import asyncio
import os
import queue
import select
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from homes import LEGACY, MODERN, Home, can_limit_memory, engine_client, processes
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_events.schema import EventSchema
from kernels import TIMEOUT, kernel, value

from jupyter_tfcontainer.errors import KernelFailed
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.server import schemas

# What an image's Python has to do with an engine, one image shows.
IMAGES = pytest.mark.parametrize(
    "image", [pytest.param(LEGACY, id="legacy"), pytest.param(MODERN, id="modern", marks=pytest.mark.every_engine)]
)
SCHEMA = EventSchema(schemas.SCHEMAS / "kernel_state.v1.yaml")
MEMORY = 300 * 1024**2
# Seconds from a death to the event that tells it. It takes milliseconds, and up to 1.5 s where ten programs share a
# processor; Jupyter itself looks every 3 s.
NOTICED = 2.5
# What a cell does, what the event says of it, what the process returns, and how a person is told. A kernel that is
# killed after another that ran out of memory in the same container did not run out of memory.
DEATHS: list[tuple[str, dict[str, Any], int, str]] = [
    (
        "held = []\nwhile True: held.append(bytearray(10**7))",
        {"reason": "out_of_memory"},
        -9,
        "was ended because it reached the memory limit",
    ),
    (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        {"reason": "signal", "signal": "SIGKILL"},
        -9,
        "was ended by SIGKILL",
    ),
    (
        "import ctypes; ctypes.string_at(0)",
        {"reason": "signal", "signal": "SIGSEGV"},
        -11,
        "was ended by SIGSEGV",
    ),
    ("import os; os._exit(3)", {"reason": "exited", "exit_code": 3}, 3, "ended with exit code 3"),
]


class Events:
    """What the manager tells; each event is what the schema says."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[float, dict[str, Any]]] = queue.SimpleQueue()
        self._states: list[str] = []
        ContainerManager.instance().listen(lambda event: self._heard.put((time.monotonic(), event)))

    def next(self, state: str) -> tuple[float, dict[str, Any]]:
        """The next event of that state, and when it was told."""
        while True:
            at, event = self._heard.get(timeout=TIMEOUT)
            self._check(event)
            if event["state"] == state:
                return at, event

    def states(self) -> list[str]:
        """Of all that was told, from the first, once nobody is left who could tell more."""
        ContainerManager.instance().close()
        while not self._heard.empty():
            self._check(self._heard.get()[1])
        return self._states

    def _check(self, event: dict[str, Any]) -> None:
        SCHEMA.validate(event)
        assert event.keys() <= SCHEMA._schema["properties"].keys()
        self._states.append(event["state"])


@pytest.fixture
def told(home: Home) -> Events:
    return Events()


def host_pid(client: BlockingKernelClient, container: str) -> int:
    """The kernel's process as this machine numbers it."""
    inside = value(client, "import os; print(os.getpid())")
    found = processes(container)
    for pid in found:
        status = Path(f"/proc/{pid}/status").read_text()
        if f"\t{inside}\n" in status.partition("NSpid:")[2].partition("\n")[0] + "\n":
            return pid
    raise AssertionError(f"none of {found} is process {inside} inside")


@contextmanager
def death_of(pid: int) -> Iterator[list[float]]:
    """Have Linux itself tell when a process dies."""
    times: list[float] = []
    descriptor = os.pidfd_open(pid)

    def wait() -> None:
        if select.select([descriptor], [], [], TIMEOUT)[0]:
            times.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield times
    finally:
        thread.join()
        os.close(descriptor)


def poll(manager: KernelManager) -> int | None:
    assert manager.provisioner
    return asyncio.run(manager.provisioner.poll())


def say(client: BlockingKernelClient, words: str) -> None:
    """Write to the container's log, where TensorFlow's own complaints go."""
    value(client, f"get_ipython().kernel.log.error({words!r})")


@IMAGES
def test_death_is_noticed_at_once_and_says_why(home: Home, told: Events, image: str) -> None:
    # On cgroup v1 an engine without root cannot limit memory.
    limited = can_limit_memory()
    deaths = DEATHS if limited else DEATHS[1:]
    limits: dict[str, Any] = {"memory": MEMORY} if limited else {}
    with kernel(home.add("tf", image, **limits)) as (manager, client):
        container = home.containers()[0]["Id"]
        for code, fields, returncode, why in deaths:
            say(client, f"last words before: {why}")
            assert poll(manager) is None
            with death_of(host_pid(client, container)) as died:
                client.execute(code)
                at, event = told.next("dead")
                assert poll(manager) == returncode
            print(f"\n{why}: told {1000 * (at - died[0]):.0f} ms after the death")
            assert at - died[0] < NOTICED
            assert {
                name: event[name] for name in ("reason", "exit_code", "signal", "memory_limit") if name in event
            } == {**({"memory_limit": MEMORY} if limited else {}), **fields}
            assert event["kernel_id"] == manager.kernel_id
            assert why in event["message"]
            assert event["host"] in event["message"]
            assert event["log"].splitlines()[-1].endswith(f"last words before: {why}")
            # Nothing of what ipykernel tells a terminal, which would fill the few lines that are shown.
            assert "--existing" not in event["log"]
            # The container stays, and the next kernel is ready at once.
            manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=TIMEOUT)
        assert [one["Id"] for one in home.containers()] == [container]
    assert told.states().count("dead") == len(deaths)


@IMAGES
@pytest.mark.parametrize("how", ["killed", "removed"])
def test_end_of_the_container_is_noticed_at_once(home: Home, told: Events, image: str, how: str) -> None:
    with kernel(home.add("tf", image)) as (manager, client):
        say(client, "last words")
        container = home.containers()[0]["Id"]
        with closing(engine_client()) as engine, death_of(host_pid(client, container)) as died:
            if how == "killed":
                engine.kill(container)
            else:
                engine.remove_container(container, force=True)
            # Podman asks the container to end before it removes it.
            asked = how == "removed" and "Podman" in ContainerManager.instance().engine.facts.name
            at, event = told.next("dead")
            assert poll(manager) == (-15 if asked else -9)
        print(f"\ncontainer {how}: told {1000 * (at - died[0]):.0f} ms after the death")
        assert at - died[0] < NOTICED
        assert event["reason"] == ("signal" if asked else "container")
        assert ("was ended by SIGTERM" if asked else "which was stopped or killed") in event["message"]
        if how == "killed":
            assert event["log"].splitlines()[-1].endswith("last words")
    assert told.states().count("dead") == 1


@IMAGES
def test_death_that_was_asked_for_is_no_news(home: Home, told: Events, image: str) -> None:
    with kernel(home.add("tf", image)) as (manager, client):
        for now in (False, True):
            manager.restart_kernel(now=now)
            client.wait_for_ready(timeout=TIMEOUT)
        client.stop_channels()
        manager.shutdown_kernel()
    with kernel("tf"):
        pass  # which ends it without asking it first
    assert set(told.states()) == {"starting", "running"}


@IMAGES
def test_death_at_the_start_fails_it(home: Home, told: Events, image: str) -> None:
    """A person's own packages come before those of the image, and may break its kernel."""
    with kernel(home.add("tf", image)) as (_, client):
        inside = value(client, "import site; print(site.getusersitepackages())")
    site = home.data / "tfcontainer" / "homes" / "tf" / Path(inside).relative_to("/tfcontainer/home")
    (site / "ipykernel").mkdir(parents=True)
    (site / "ipykernel" / "__init__.py").write_text("raise ImportError('broken by hand')\n")
    manager = KernelManager(kernel_name="tf")
    with pytest.raises(KernelFailed, match="exit code 1") as failed:
        manager.start_kernel()
    manager.context.destroy()
    assert str(failed.value).splitlines()[-1] == "ImportError: broken by hand"
    assert not home.containers()
    assert not list((home.data / "tfcontainer" / "c").iterdir())
    event = told.next("failed")[1]
    assert event["message"] == str(failed.value)
    # The home outlives it all: once it is mended, the same environment starts.
    shutil.rmtree(site / "ipykernel")
    with kernel("tf") as (_, client):
        assert value(client, "print(1)") == "1"
    assert "dead" not in told.states()


# A cell that ends its kernel, or tries to: its reply's status and error, whether it asks clients to keep the kernel,
# and what the process returns if it does end.
EXITS: list[tuple[str, tuple[str, str | None, list[bool], int | None]]] = [
    ("import sys; sys.exit()", ("error", "SystemExit", [], None)),
    ("exit(keep_kernel=True)", ("ok", None, [True], None)),
    ("quit()", ("ok", None, [False], 0)),
]


def endings(name: str) -> list[tuple[str, tuple[Any, ...]]]:
    """What such cells come to."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    with kernel(name) as (manager, client):
        for code, _ in EXITS:
            # Else ipykernel aborts what it is asked next, if that comes soon enough.
            answer = client.execute_interactive(code, output_hook=lambda _: None, timeout=TIMEOUT, stop_on_error=False)
            reply = answer["content"]
            asked = [one["keepkernel"] for one in reply.get("payload", []) if one["source"] == "ask_exit"]
            end = None
            if False in asked:
                assert manager.provisioner
                end = asyncio.run(asyncio.wait_for(manager.provisioner.wait(), TIMEOUT))
            else:
                assert value(client, "print(1)") == "1"
            found.append((code, (reply["status"], reply.get("ename"), asked, end)))
    return found


@pytest.mark.parametrize("image", [None, LEGACY, MODERN], ids=["local", "legacy", "modern"])
def test_exit_in_a_cell_is_as_with_a_local_kernel(home: Home, image: str | None) -> None:
    assert endings(home.add("tf", image) if image else "python3") == EXITS
