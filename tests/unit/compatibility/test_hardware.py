"""What a machine has, asked through NVIDIA's own bindings; in place of the driver's library is a stand-in."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from nvml_standin import GTX_1080, K80, LIBRARY, RTX_4090, StandIn, build
from uv import find_uv_bin

from jupyter_tfcontainer.compatibility.judge import Card, Machine

TIMEOUT = 60
HOST = platform.node()
MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  367.57  Mon Oct  3 20:37:01 PDT 2016\nGCC version:  5.4.0\n"
OPEN_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)  Sun Jul 27\n"
)

READ = """
import dataclasses, json
from jupyter_tfcontainer.compatibility import hardware
print(json.dumps(dataclasses.asdict(hardware.read())))
"""
# Runs a program that sees other files below /proc, which no one else does.
ELSEWHERE = """
set -e
mount -t tmpfs none /proc/driver
if [ -n "$MODULE" ]; then mkdir /proc/driver/nvidia; printf %s "$MODULE" > /proc/driver/nvidia/version; fi
if [ -n "$CPUINFO" ]; then
    printf %s "$CPUINFO" > /proc/driver/cpuinfo
    mount --bind /proc/driver/cpuinfo /proc/cpuinfo
fi
exec "$@"
"""


@dataclass(frozen=True)
class Program:
    """A program that takes the stand-in for this machine's driver.

    Parameters
    ----------
    bindings
        folder with others than those that are installed
    nvml
        the stand-in
    """

    bindings: str
    nvml: StandIn

    def run(self, code: str, *, module: str = "", cpuinfo: str = "") -> str:
        """Run it and return what it prints.

        Parameters
        ----------
        code
            in Python
        module, cpuinfo
            what the kernel tells of the driver's module and of the processor
        """
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", ELSEWHERE, "sh", sys.executable, "-W", "error", "-c", code],
            check=True,
            env={
                **os.environ,
                **self.nvml.variables,
                "PYTHONPATH": self.bindings,
                "MODULE": module,
                "CPUINFO": cpuinfo,
            },
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
        ).stdout

    def read(self, code: str = READ, **kernel: str) -> Machine:
        """What it finds."""
        found: dict[str, Any] = json.loads(self.run(code, **kernel))
        cards = [Card(**{**card, "compute_capability": tuple(card["compute_capability"])}) for card in found["cards"]]
        return Machine(**{**found, "cards": tuple(cards)})

    def lacking(self, folder: Path, *names: str) -> Program:
        """The same with a library that lacks some functions."""
        return replace(self, nvml=replace(self.nvml, library=build(folder, names)))


@pytest.fixture(scope="session", params=["installed", "lowest"])
def bindings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bindings that are installed, and the oldest that we declare to work with."""
    if request.param == "installed":
        return ""
    folder = tmp_path_factory.mktemp("bindings")
    declared = re.search(
        r'"nvidia-ml-py>=(.+?)"', (Path(__file__).parent.parent.parent.parent / "pyproject.toml").read_text()
    )
    assert declared
    pin = f"nvidia-ml-py=={declared[1]}"
    command = [find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*command, "--target", folder, pin], check=True)
    return str(folder)


@pytest.fixture
def program(bindings: str, nvml: StandIn) -> Program:
    return Program(bindings, nvml)


@pytest.fixture
def no_library(program: Program, tmp_path: Path) -> Program:
    """A program that finds no library; a real one is not looked for behind a file that is none."""
    (tmp_path / LIBRARY).touch()
    return replace(program, nvml=replace(program.nvml, library=tmp_path))


def test_no_driver_is_no_problem(no_library: Program) -> None:
    machine = no_library.read()
    assert (machine.driver, machine.cards, machine.problem) == (None, (), None)


@pytest.mark.parametrize(
    "cards",
    [(), (replace(K80, index=0),), (replace(RTX_4090, index=0),), (GTX_1080, K80, RTX_4090)],
    ids=["none", "old", "new", "several"],
)
def test_cards(program: Program, cards: tuple[Card, ...]) -> None:
    program.nvml.describe("535.104.05", cards)
    machine = program.read()
    assert (machine.driver, machine.cards, machine.problem) == ("535.104.05", cards, None)


def test_driver_that_knows_only_the_old_beginning(program: Program, tmp_path: Path) -> None:
    program = program.lacking(tmp_path, "nvmlInitWithFlags")
    program.nvml.describe("367.57", [GTX_1080])
    machine = program.read()
    assert (machine.driver, machine.cards, machine.problem) == ("367.57", (GTX_1080,), None)
    assert program.nvml.calls[0] == "nvmlInit_v2"
    assert program.nvml.calls[-1] == "nvmlShutdown"


def test_old_beginning_that_fails(program: Program, tmp_path: Path) -> None:
    program = program.lacking(tmp_path, "nvmlInitWithFlags")
    program.nvml.describe("367.57", [GTX_1080], [("nvmlInit_v2", 9)])
    machine = program.read()
    assert machine.problem
    assert "modprobe nvidia" in machine.problem


@pytest.mark.parametrize(
    "names", [["nvmlInitWithFlags", "nvmlInit_v2"], ["nvmlDeviceGetCudaComputeCapability"]], ids=["start", "cards"]
)
def test_driver_too_old_to_tell(program: Program, tmp_path: Path, names: list[str]) -> None:
    program = program.lacking(tmp_path, *names)
    program.nvml.describe("367.57", [GTX_1080, K80])
    machine = program.read(module=MODULE)
    assert (machine.driver, machine.cards) == ("367.57", ())
    assert machine.problem
    # Said once, not for each card.
    assert machine.problem.count("too old") == 1
    assert machine.problem.startswith(f"NVIDIA's driver (367.57) on {HOST}")
    assert "418.81.07" in machine.problem


PROBLEMS = {
    9: ["not loaded", "`sudo modprobe nvidia`"],
    18: ["(367.57) have different versions", "Reboot"],
    4: ["You may not use the cards", "`ls -l /dev/nvidia*`"],
    77: ["the cards cannot be read", "77", "`nvidia-smi`"],
}


@pytest.mark.parametrize("code", PROBLEMS)
@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlSystemGetDriverVersion", "nvmlDeviceGetCount_v2"])
def test_why_there_are_no_cards(program: Program, code: int, function: str) -> None:
    program.nvml.describe("367.57", [GTX_1080], [(function, code)])
    machine = program.read(module=MODULE)
    assert (machine.driver, machine.cards) == ("367.57", ())
    assert machine.problem
    for words in [HOST, *PROBLEMS[code]]:
        assert words in machine.problem
    assert machine.problem.endswith(".")
    # What was begun is ended, and nothing else.
    assert program.nvml.calls.count("nvmlShutdown") == (function != "nvmlInitWithFlags")


CARD_PROBLEMS = {
    15: ["GPU 1 is lost", "Reboot"],
    4: ["You may not use GPU 1", "`ls -l /dev/nvidia*`"],
    16: ["GPU 1 cannot be read", "GPU requires re", "`nvidia-smi`"],
}


@pytest.mark.parametrize("code", CARD_PROBLEMS)
@pytest.mark.parametrize(
    "function",
    [
        "nvmlDeviceGetHandleByIndex_v2",
        "nvmlDeviceGetUUID",
        "nvmlDeviceGetName",
        "nvmlDeviceGetCudaComputeCapability",
        "nvmlDeviceGetMemoryInfo",
    ],
)
def test_one_card_that_fails_does_not_hide_the_others(program: Program, code: int, function: str) -> None:
    program.nvml.describe("535.104.05", [GTX_1080, K80, RTX_4090], [(function, code, 1)])
    machine = program.read()
    # They keep the numbers that `nvidia-smi` and the engine know them by.
    assert machine.cards == (GTX_1080, RTX_4090)
    assert machine.problem
    for words in [HOST, *CARD_PROBLEMS[code]]:
        assert words in machine.problem
    assert program.nvml.calls[-1] == "nvmlShutdown"


def test_each_card_that_fails_is_named(program: Program) -> None:
    failures = [("nvmlDeviceGetName", 15, 0), ("nvmlDeviceGetName", 4, 2)]
    program.nvml.describe("535.104.05", [GTX_1080, K80, RTX_4090], failures)
    machine = program.read()
    assert machine.cards == (K80,)
    assert machine.problem
    assert re.search(r"GPU 0 is lost.*\. You may not use GPU 2 ", machine.problem)


def test_what_was_read_stands_if_the_end_fails(program: Program) -> None:
    program.nvml.describe("535.104.05", [GTX_1080], [("nvmlShutdown", 999)])
    machine = program.read()
    assert (machine.driver, machine.cards, machine.problem) == ("535.104.05", (GTX_1080,), None)


@pytest.mark.parametrize(("module", "version"), [(MODULE, "367.57"), (OPEN_MODULE, "580.65.06")], ids=["own", "open"])
def test_module_without_library(no_library: Program, module: str, version: str) -> None:
    machine = no_library.read(module=module)
    assert (machine.driver, machine.cards) == (version, ())
    assert machine.problem
    for words in (HOST, f"loaded ({version})", LIBRARY, "libnvidia-ml1"):
        assert words in machine.problem


@pytest.mark.parametrize("module", ["", MODULE], ids=["none", "loaded"])
def test_no_bindings(program: Program, module: str) -> None:
    machine = program.read("import sys; sys.modules['pynvml'] = None" + READ, module=module)
    assert machine.cards == ()
    if module:
        assert machine.driver == "367.57"
        assert machine.problem
        for words in (HOST, "(367.57)", "`pip install nvidia-ml-py`"):
            assert words in machine.problem
    else:
        assert (machine.driver, machine.problem) == (None, None)


@pytest.mark.parametrize(
    ("failures", "asked"), [([], 2), ([("nvmlDeviceGetName", 15, 1)], 3)], ids=["whole", "with a problem"]
)
def test_a_whole_answer_is_kept(program: Program, failures: list[tuple[str, int, int]], asked: int) -> None:
    program.nvml.describe("535.104.05", [GTX_1080, K80], failures)
    code = "hardware.read(); print(hardware.read() == hardware.read(refresh=True))"
    assert program.run(f"from jupyter_tfcontainer.compatibility import hardware; {code}") == "True\n"
    assert program.nvml.calls.count("nvmlInitWithFlags") == asked
    assert program.nvml.calls.count("nvmlShutdown") == asked


def test_driver_that_comes_later_is_seen(program: Program) -> None:
    """As after `modprobe`: a server runs for weeks."""
    program.nvml.describe("535.104.05", [GTX_1080])
    code = """
import os, pathlib
from jupyter_tfcontainer.compatibility import hardware
description = pathlib.Path(os.environ["NVML_STANDIN"])
whole = description.read_text()
description.write_text(whole + "fail nvmlInitWithFlags 9\\n")
print(hardware.read().driver)
description.write_text(whole)
print(hardware.read().driver)
"""
    assert program.run(code).split() == ["None", "535.104.05"]


def test_many_threads_ask_one_after_the_other(program: Program) -> None:
    program.nvml.describe("535.104.05", [GTX_1080, K80, RTX_4090])
    code = """
import threading
from concurrent.futures import ThreadPoolExecutor
from jupyter_tfcontainer.compatibility import hardware
ready = threading.Barrier(8)
def ask(_):
    ready.wait()
    return [hardware.read(refresh=True) for _ in range(5)]
with ThreadPoolExecutor(8) as pool:
    print(len({answer for answers in pool.map(ask, range(8)) for answer in answers}))
"""
    assert program.run(code) == "1\n"
    calls = program.nvml.calls
    one = calls[: calls.index("nvmlShutdown") + 1]
    assert calls == one * 40


def test_who_else_uses_the_library_keeps_it(program: Program) -> None:
    """Other extensions of the same server do."""
    program.nvml.describe("535.104.05", [GTX_1080])
    code = """
import pynvml
from jupyter_tfcontainer.compatibility import hardware
pynvml.nvmlInit()
hardware.read()
print(pynvml.nvmlDeviceGetCount())
"""
    assert program.run(code) == "1\n"


@pytest.mark.parametrize(
    ("cpuinfo", "avx"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse4_2 avx f16c\n\nprocessor\t: 1\nflags\t\t: fpu sse4_2 avx f16c\n", True),
        ("processor\t: 0\nmodel name\t: avx\nflags\t\t: fpu sse4_1 xavx avx2x\nvmx flags\t: avx\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", None),
    ],
    ids=["with", "without", "arm"],
)
def test_avx(no_library: Program, cpuinfo: str, avx: bool | None) -> None:
    assert no_library.read(cpuinfo=cpuinfo).avx is avx


def test_processor_of_this_machine(no_library: Program) -> None:
    machine = no_library.read()
    [flags] = re.findall(r"^Flags: +(.*)$", subprocess.check_output(["lscpu"], text=True), re.MULTILINE) or [""]
    assert machine.architecture == subprocess.check_output(["uname", "-m"], text=True).strip()
    assert machine.avx is (("avx" in flags.split()) if flags else None)
