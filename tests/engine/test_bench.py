"""The benchmark runs, and what it writes is as it says. Goals are not looked at here: this machine has much to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
# A row of each unit. The first two need the same two servers, the third one more.
ROWS = ("restart", "kernels_1_kernel_memory", "throughput_bare")
# Rows of the parts that those are not of: these start containers ahead, import TensorFlow, and pull an image meanwhile.
SLOW_ROWS = ("standby_start_modern", "preloaded_import", "stall")
PLOTS: dict[tuple[str, ...], set[str]] = {
    ROWS: {"benchmark-ratios.svg", "benchmark-first-start.svg"},
    SLOW_ROWS: {"benchmark-ratios.svg", "benchmark-starts.svg"},
}
# What each unit's values can be at all.
PLAUSIBLE = {"s": (0.0001, 120), "MB/s": (0.1, 10_000), "MB": (20, 2000)}
FIELDS = {"name", "ratio", "low", "high", "ours", "theirs", "unit", "baseline"}
RUN_SECONDS = 600


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=RUN_SECONDS,
        check=False,
    )


Done = tuple[tuple[str, ...], Path, str]


@pytest.fixture(scope="module", params=[ROWS, pytest.param(SLOW_ROWS, marks=pytest.mark.slow)], ids=["some", "others"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A short run: its rows, its folder, what it printed."""
    folder = tmp_path_factory.mktemp("bench")
    ended = run(folder, "--only", *request.param)
    assert ended.returncode == 0, ended.stdout[-3000:]
    return request.param, folder, ended.stdout


@pytest.fixture(scope="module")
def found(done: Done) -> dict[str, Any]:
    model = json.loads((done[1] / "bench.json").read_text())
    assert isinstance(model, dict)
    return model


def test_every_row_is_there_with_its_fields(done: Done, found: dict[str, Any]) -> None:
    results = found["results"]
    assert {one["name"] for one in results} == set(done[0]), found["not_measured"]
    assert all(set(one) == FIELDS for one in results)


def test_figures_are_plausible(found: dict[str, Any]) -> None:
    for one in found["results"]:
        least, most = PLAUSIBLE[one["unit"]]
        assert least < one["ours"] < most, one
        assert least < one["theirs"] < most, one
        assert one["ratio"] == pytest.approx(one["ours"] / one["theirs"]), one
        assert one["low"] <= one["ratio"] <= one["high"], one


def test_preload_is_felt(done: Done, found: dict[str, Any]) -> None:
    ratios = [one["ratio"] for one in found["results"] if one["name"] == "preloaded_import"]
    assert len(ratios) == ("preloaded_import" in done[0])
    assert all(ratio < 0.5 for ratio in ratios)


def test_the_steps_of_a_first_start_make_its_time(done: Done, found: dict[str, Any]) -> None:
    if "restart" not in done[0]:
        assert found["first_start"] == {}
        return
    steps = found["first_start"]["legacy"]
    assert len(steps) == 9
    assert 0.1 < sum(steps.values()) < 60
    assert all(seconds >= 0 for seconds in steps.values())


def test_table_and_plots(done: Done, found: dict[str, Any]) -> None:
    rows, folder, output = done
    for goal in found["goals"]:
        (line,) = (line for line in output.splitlines() if line.startswith(f"| {goal['name']} |"))
        assert ("| met |" if goal["met"] else "| not met |") in line
    assert {path.name for path in folder.glob("*.svg")} == PLOTS[rows]
    assert rows[0] in (folder / "benchmark-ratios.svg").read_text()


def test_an_unknown_row_is_refused(tmp_path: Path) -> None:
    ended = run(tmp_path, "--only", "fastest")
    assert ended.returncode == 2
    assert "no such row: fastest" in ended.stdout
