"""What goes wrong around kernels: nothing is left of it, and nothing is lost that was not killed. Each fault once."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from homes import MODERN, Home, processes
from kernels import TIMEOUT, until

from faults.engine import SmallEngine, small_engine
from faults.runs import run
from faults.scene import Fault
from faults.strikes import FAULTS
from jupyter_tfcontainer.engine import connection
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.errors import EngineSilent
from jupyter_tfcontainer.kernels import starter
from jupyter_tfcontainer.manager import ContainerManager

HANGING = "tfcontainer-test/hanging-silent"
# Seconds that an engine has for an answer where it is to be seen that it gives none.
PATIENCE = 3
# Seconds that the engine is away: by then an open panel's looks (10 a second) hold each of the 8 threads that ask it.
OUTAGE = 3.0
# What a person is told of each, in words that matter; None where there is nothing to be told.
TOLD = {
    "server killed": None,
    "engine killed": r"does not answer any more. Start it again: `sudo systemctl start docker`",
    "shim killed": r"ended with its container, which was stopped or killed|ended with exit code 137",
    "supervisor killed": r"ended with its container, which was stopped or killed|ended with exit code 137",
    "spare killed": None,
    "kernel killed": r"The kernel of OTHER was ended by SIGKILL on ",
    "out of memory in the container": r"LIMITED was ended because it reached the memory limit",
    "out of memory on the machine": r"OTHER was ended because it reached the memory limit of its container or machine",
    "disk full, the engine's": r"no space left on device",
    "disk full, the person's": r"No space left on device .* See that there is room on that disk",
    "image removed": r"could not pull the image",
    "workspace renamed": r"does not see the folder ~/ws of this machine",
    "engine silent": None,
    "engine answers 500": r"refused: driver failed \(done on purpose\)",
    "clock jumps": None,
    "engine stopped (SIGSTOP)": None,
}


@pytest.fixture(scope="module")
def engine() -> Iterator[SmallEngine]:
    with small_engine() as one:
        yield one


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.takes != "engine"], ids=lambda one: one.name)
def test_fault(fault: Fault) -> None:
    _see(fault, None)


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.takes == "engine"], ids=lambda one: one.name)
def test_fault_of_an_engine(fault: Fault, engine: SmallEngine) -> None:
    _see(fault, engine)


@pytest.fixture
def hanging(engine: SmallEngine) -> Iterator[str]:
    """An image, on that engine, whose entrypoint waits."""
    container = engine.docker("create", MODERN, "true").strip()
    engine.docker("commit", "--change", 'ENTRYPOINT ["sleep", "600"]', container, HANGING)
    engine.docker("rm", container)
    yield HANGING
    engine.docker("rmi", HANGING)


@pytest.fixture
def manager(engine: SmallEngine, home: Home, monkeypatch: pytest.MonkeyPatch) -> ContainerManager:
    """A manager on that engine, without much patience."""
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    monkeypatch.setattr(connection, "TIMEOUT", PATIENCE)
    return ContainerManager.instance()


@contextmanager
def frozen(engine: SmallEngine) -> Iterator[None]:
    """While this lasts the engine says nothing."""
    engine.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        engine.signal(signal.SIGCONT)


def test_start_whose_engine_falls_silent(
    engine: SmallEngine, manager: ContainerManager, home: Home, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends, though the engine does not even end the stream that it listens to; what it left is found later."""
    monkeypatch.setattr(starter, "BOOT_TIMEOUT", 4.0)
    environment = Environment(name="tf", display_name="TF", image=hanging)
    start = manager.threads.start(manager.start, environment, home.workspace)
    assert until(lambda: any(one["State"] == "running" for one in home.containers()), TIMEOUT)
    with frozen(engine), pytest.raises(EngineSilent, match=f"has not answered for {PATIENCE} s"):
        start.result(3 * TIMEOUT)
    # Whether the engine, once it is back, does what it was asked to do before nobody listened any more, is up to it.
    manager.close()
    assert home.leftovers() == []


def test_removal_whose_engine_is_silent(engine: SmallEngine, manager: ContainerManager, home: Home) -> None:
    """What runs in the container ends all the same, and the next start removes it."""
    environment = Environment(name="tf", display_name="TF", image=MODERN)
    container = manager.start(environment, home.workspace, standby=False)
    process = Path(f"/proc/{processes(container.id)[0]}")
    with frozen(engine):
        with pytest.raises(EngineSilent):
            manager.release(container)
        assert until(lambda: not process.exists(), TIMEOUT)
    # Mostly it is there: whether the engine, once it is back, does what it was asked to do is up to it.
    assert {one["Id"] for one in home.containers()} <= {container.id}
    manager.start(environment, home.workspace)
    assert until(lambda: container.id not in [one["Id"] for one in home.containers()], TIMEOUT)
    manager.close()
    assert home.leftovers() == []


def test_ctrl_c_twice_while_the_engine_is_silent(engine: SmallEngine, home: Home) -> None:
    """The first would have it cleaned up, the second does not wait for that; what is left is found later."""
    command = [sys.executable, "-m", "jupyter_tfcontainer.cli"]
    env = {**os.environ, **home.variables(), "DOCKER_HOST": engine.url}
    build = ["build", "--base", MODERN, "--pip", "nothing", "--tag", "tfcontainer-test/nothing:1"]
    before = engine.docker("ps", "--all", "--quiet")
    process = pexpect.spawn(
        command[0], [*command[1:], *build], env=env, encoding="utf-8", timeout=TIMEOUT, dimensions=(24, 200)
    )
    process.expect("Installing nothing")
    with frozen(engine):
        process.sendintr()
        process.expect("Cancelling, and cleaning up. Ctrl-C again leaves it as it is.")
        process.sendintr()
        # In a narrow terminal it takes two lines.
        process.expect(r"`jupyter\s+tfcontainer\s+doctor\s+--clean`\s+removes\s+it")
        process.expect(pexpect.EOF)
        process.close()
    assert process.exitstatus == 128 + signal.SIGINT
    # Whether the engine, once it is back, removes the container that it was asked to remove is up to it.
    subprocess.run([*command, "doctor", "--clean"], env=env, check=False, stdout=subprocess.DEVNULL)
    assert engine.docker("ps", "--all", "--quiet") == before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_runs_that_are_ended(signum: signal.Signals) -> None:
    """They clean up, in the background of a script as well, where shells have Ctrl-C ignored."""
    program = """
import sys, threading
import faults

def main():
    try:
        print("runs", flush=True)
        threading.Event().wait()
    finally:
        print("cleans up")

sys.exit(faults.interruptible(main))
"""
    with subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "runs\n"
        process.send_signal(signum)
        try:
            assert process.communicate(timeout=TIMEOUT)[0] == "cleans up\n"
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGINT


def _see(fault: Fault, engine: SmallEngine | None) -> None:
    seed = f"{random.randrange(10**6)} {fault.name}"  # noqa: S311 - it decides moments
    print(f"seed {seed}")
    outcome = asyncio.run(run(fault, engine, seed, OUTAGE))
    assert (outcome.leaks, outcome.lost) == ([], [])
    # Which is what Jupyter says of an error that nobody has expected.
    assert "Unhandled error" not in outcome.seen
    if told := TOLD[fault.name]:
        assert any(re.search(told, text) for text in outcome.seen), outcome.seen
