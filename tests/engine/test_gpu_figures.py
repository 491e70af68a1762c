"""What cards do, and which container's processes have memory there: real containers, and a stand-in for the driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import openapi
import pytest
from homes import MODERN, Home
from kernels import TIMEOUT, until
from nvml_standin import GTX_1080, K80, StandIn, build

from jupyter_tfcontainer.engine import labels

GIB = 2**30
# For each line with ids of containers, a line with what the cards do and what is known of those.
ASK = """
import json, sys
from dataclasses import asdict
from jupyter_tfcontainer.manager import ContainerManager
manager = ContainerManager()
for line in sys.stdin:
    use = manager.cards.use()
    figures = [manager.containers.figures(container, use) for container in line.split()]
    print(json.dumps({"cards": [asdict(card) for card in use.cards], "figures": figures}), flush=True)
manager.close()
"""
REST = """
import sys
from jupyter_tfcontainer.compatibility.gpu_usage import Cards
cards = Cards(idle=0.1)
print(len(cards.use().cards), flush=True)
sys.stdin.read()
"""
# NVML's errors.
NOT_SUPPORTED, UNINITIALIZED = 3, 1
Ask = Callable[..., dict[str, Any]]


@contextmanager
def program(nvml: StandIn, code: str, *wrapper: str) -> Iterator[subprocess.Popen[str]]:
    """A program that takes the stand-in for this machine's driver; it must end well."""
    process = subprocess.Popen(
        [*wrapper, sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **nvml.variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
    assert process.returncode == 0


@contextmanager
def asking(nvml: StandIn, *wrapper: str) -> Iterator[Ask]:
    """A way to ask a program for figures."""
    with program(nvml, ASK, *wrapper) as process:
        there, back = process.stdin, process.stdout
        assert there
        assert back

        def ask(*containers: str) -> dict[str, Any]:
            there.write(" ".join(containers) + "\n")
            there.flush()
            answer: dict[str, Any] = json.loads(back.readline())
            openapi.check("GET", "api/tfcontainer/machine/cards", 200, answer["cards"])
            openapi.check("GET", "api/tfcontainer/containers/stats", 200, answer["figures"])
            return answer

        yield ask


def memory(answer: dict[str, Any]) -> list[int | None]:
    """Bytes on the cards of each container."""
    return [one["gpu_memory"] for one in answer["figures"]]


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture
def containers(home: Home, client: docker.APIClient) -> Iterator[list[str]]:
    """Two containers, of which the first was given GPUs, as far as it can tell."""
    found = []
    try:
        for gpus in ("all", "void"):
            marks = {labels.FOLDER: str(home.root / "c")}
            env = {"NVIDIA_VISIBLE_DEVICES": gpus}
            one = client.create_container(MODERN, ["sleep", "600"], environment=env, labels=marks, entrypoint=[])
            found.append(one["Id"])
            client.start(one["Id"])
        yield found
    finally:
        for one in found:
            client.remove_container(one, force=True)


@pytest.fixture
def pids(client: docker.APIClient, containers: list[str]) -> list[int]:
    """A process of each, as this machine numbers it."""
    return [client.inspect_container(one)["State"]["Pid"] for one in containers]


def test_what_cards_do(home: Home, nvml: StandIn) -> None:
    """While a program looks: it does not begin anew each time."""
    cards = (GTX_1080, K80)
    nvml.describe("535.104.05", cards, uses=[(0, 3 * GIB, 42)])
    with asking(nvml) as ask:
        first, second = ask()["cards"]
        assert first == {
            "uuid": GTX_1080.uuid,
            "memory": 3 * GIB,
            "memory_total": GTX_1080.memory,
            "utilization": 0.42,
        }
        assert (second["uuid"], second["memory"], second["utilization"]) == (K80.uuid, 0, 0)
        nvml.describe("535.104.05", cards, uses=[(0, GIB, 7)])
        assert until(lambda: ask()["cards"][0]["memory"] == GIB, TIMEOUT)
        assert ask()["cards"][0]["utilization"] == 0.07
    assert nvml.calls.count("nvmlInitWithFlags") == nvml.calls.count("nvmlShutdown") == 1


@pytest.mark.parametrize(
    ("function", "field"),
    [("nvmlDeviceGetMemoryInfo", "memory"), ("nvmlDeviceGetUtilizationRates", "utilization")],
)
def test_what_a_card_does_not_tell_is_unknown(home: Home, nvml: StandIn, function: str, field: str) -> None:
    nvml.describe("535.104.05", (GTX_1080, K80), [(function, NOT_SUPPORTED, 0)])
    with asking(nvml) as ask:
        first, second = ask()["cards"]
    assert (first[field], second[field]) == (None, 0)


def test_a_container_has_what_its_processes_have(
    home: Home, nvml: StandIn, containers: list[str], pids: list[int]
) -> None:
    """On all cards; what others have is not its."""
    nvml.describe("535.104.05", (GTX_1080, K80))
    with asking(nvml) as ask:
        # That one was given GPUs and uses none is a figure, that the other was given none is none.
        assert memory(ask(*containers)) == [0, None]
        processes = [(0, pids[0], GIB), (1, pids[0], 2 * GIB), (0, os.getpid(), 5 * GIB)]
        nvml.describe("535.104.05", (GTX_1080, K80), processes=processes)
        assert until(lambda: memory(ask(*containers)) == [3 * GIB, None], TIMEOUT), ask(*containers)
        nvml.describe("535.104.05", (GTX_1080, K80), processes=[(1, pids[1], GIB)])
        assert until(lambda: memory(ask(*containers)) == [0, GIB], TIMEOUT), ask(*containers)


def test_memory_that_the_driver_does_not_know(
    home: Home, nvml: StandIn, containers: list[str], pids: list[int]
) -> None:
    nvml.describe("535.104.05", (GTX_1080,), processes=[(0, pids[0], -1), (0, pids[0], GIB)])
    with asking(nvml) as ask:
        assert memory(ask(*containers)) == [None, None]


def test_a_driver_that_knows_only_the_second_version(
    home: Home, nvml: StandIn, containers: list[str], pids: list[int], tmp_path: Path
) -> None:
    without = ["nvmlDeviceGetComputeRunningProcesses_v3"]
    old = replace(nvml, library=build(tmp_path, without))
    old.describe("470.42.01", (GTX_1080,), processes=[(0, pids[0], GIB)])
    with asking(old) as ask:
        assert memory(ask(*containers)) == [GIB, None]


@pytest.mark.parametrize("without", [["nvmlDeviceGetComputeRunningProcesses_v3"], []], ids=["lacks", "fails"])
def test_a_driver_that_tells_of_no_processes(
    home: Home, nvml: StandIn, containers: list[str], tmp_path: Path, without: list[str]
) -> None:
    if without:
        nvml = replace(nvml, library=build(tmp_path, [*without, "nvmlDeviceGetComputeRunningProcesses_v2"]))
    failures = [(f"nvmlDeviceGetComputeRunningProcesses_v{version}", NOT_SUPPORTED, 1) for version in (2, 3)]
    nvml.describe("418.81.07", (GTX_1080, K80), () if without else failures)
    with asking(nvml) as ask:
        answer = ask(*containers)
    # What it does tell stands.
    assert [card["memory"] for card in answer["cards"]] == [0, 0]
    assert memory(answer) == [None, None]


def test_in_a_namespace_of_its_own_nothing_is_known(
    home: Home, nvml: StandIn, containers: list[str], pids: list[int]
) -> None:
    """As for a Jupyter in a container, to which a driver tells of no processes."""
    nvml.describe("535.104.05", (GTX_1080,))
    with asking(nvml, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child") as ask:
        assert memory(ask(*containers)) == [None, None]
    # Even where it sees the processes of its engine.
    with asking(nvml, "unshare", "--pid", "--fork", "--kill-child") as ask:
        assert memory(ask(*containers)) == [None, None]


def test_no_driver(home: Home, nvml: StandIn, containers: list[str]) -> None:
    """Nobody has described one."""
    with asking(nvml) as ask:
        answer = ask(*containers)
        assert (answer["cards"], memory(answer)) == ([], [None, None])
        # It may be loaded later.
        nvml.describe("535.104.05", (GTX_1080,))
        assert until(lambda: len(ask()["cards"]) == 1, TIMEOUT)


def test_a_driver_that_goes_and_comes_back(home: Home, nvml: StandIn) -> None:
    nvml.describe("535.104.05", (GTX_1080,))
    with asking(nvml) as ask:
        assert len(ask()["cards"]) == 1
        nvml.describe("535.104.05", (GTX_1080,), [("nvmlDeviceGetCount_v2", UNINITIALIZED)])
        # What fails is read when something is asked of a card.
        assert until(lambda: ask()["cards"] == [], TIMEOUT)
        nvml.describe("550.54.14", (GTX_1080, K80))
        assert until(lambda: len(ask()["cards"]) == 2, TIMEOUT)
    assert nvml.calls.count("nvmlInitWithFlags") > 1


def test_a_driver_that_nobody_asks_is_let_go(home: Home, nvml: StandIn) -> None:
    nvml.describe("535.104.05", (GTX_1080,))
    with program(nvml, REST) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        assert until(lambda: "nvmlShutdown" in nvml.calls, TIMEOUT)
