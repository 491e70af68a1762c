"""What goes wrong around kernels: nothing is left of it, and nothing is lost that was not killed. Each fault once."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator

import pytest
from engines import PrivateEngine

from faults.runs import run, small_engine
from faults.scene import Fault
from faults.strikes import FAULTS

# Seconds that the engine is away.
OUTAGE = 6.0
# What a person is told of each, in words that matter; None where there is nothing to be told.
TOLD = {
    "server killed": None,
    "engine killed": r"does not answer any more. Start it again: `sudo systemctl start docker`",
    "shim killed": r"ended with its container, which was stopped or killed|ended with exit code 137",
    "supervisor killed": r"ended with its container, which was stopped or killed|ended with exit code 137",
    "spare killed": None,
    "kernel killed": r"The kernel of OTHER was ended by SIGKILL on ",
    "out of memory in the container": r"LIMITED was ended because it reached the memory limit",
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
def engine() -> Iterator[PrivateEngine]:
    with small_engine() as one:
        yield one


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.takes != "engine"], ids=lambda one: one.name)
def test_fault(fault: Fault) -> None:
    _see(fault, None)


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.takes == "engine"], ids=lambda one: one.name)
def test_fault_of_an_engine(fault: Fault, engine: PrivateEngine) -> None:
    _see(fault, engine)


def _see(fault: Fault, engine: PrivateEngine | None) -> None:
    seed = f"{random.randrange(10**6)} {fault.name}"  # noqa: S311 - it decides moments
    print(f"seed {seed}")
    outcome = asyncio.run(run(fault, engine, seed, OUTAGE))
    assert (outcome.leaks, outcome.lost) == ([], [])
    if told := TOLD[fault.name]:
        assert any(re.search(told, text) for text in outcome.seen), outcome.seen
