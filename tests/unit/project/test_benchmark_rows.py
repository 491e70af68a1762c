"""What the benchmark makes of its samples."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks import figures, plots, report, rows
from benchmarks.breakdown import STEPS
from benchmarks.figures import Row, Samples, percentile, result
from benchmarks.stage import QUICK, Stage

START = Row("first_start", "start", "legacy", "local", "a local one", goal=1.2)
THROUGH = Row("throughput_bare", "throughput", "legacy", "bare", "bare", unit="MB/s", goal=0.97, more_is_better=True)


def samples(ours: list[float], theirs: list[float]) -> Samples:
    found = Samples()
    found.add("start", "legacy", *ours)
    found.add("start", "local", *theirs)
    return found


def test_ratio_of_medians() -> None:
    found = result(START, samples([1.0, 2.0, 9.0], [4.0, 4.0, 1.0]))
    assert found is not None
    assert (found["ours"], found["theirs"], found["ratio"]) == (2.0, 4.0, 0.5)
    assert (found["name"], found["unit"], found["baseline"]) == ("first_start", "s", "a local one")


def test_spread_is_that_of_the_samples() -> None:
    narrow = result(START, samples([2.0] * 10, [4.0] * 10))
    wide = result(START, samples([1.0, 2.0, 3.0] * 5, [4.0] * 10))
    assert narrow is not None
    assert (narrow["low"], narrow["high"]) == (0.5, 0.5)
    assert wide is not None
    assert 0.25 <= wide["low"] < wide["ratio"] < wide["high"] <= 0.75
    assert wide == result(START, samples([1.0, 2.0, 3.0] * 5, [4.0] * 10))


def test_a_percentile_is_not_the_median() -> None:
    tail = Row("p99", "start", "legacy", "local", "a local one", statistic="p99")
    found = result(tail, samples([1.0] * 98 + [5.0, 6.0], [1.0] * 100))
    assert found is not None
    assert 5 < found["ratio"] <= 6
    assert percentile(50)([1.0, 2.0, 9.0]) == 2.0
    assert percentile(99)([3.0]) == 3.0


def test_nothing_is_made_up() -> None:
    assert result(START, samples([1.0], [])) is None
    assert result(START, samples([], [1.0])) is None
    assert result(START, samples([1.0], [0.0])) is None


@pytest.mark.parametrize(
    ("row", "ratio", "met"),
    [(START, 1.2, True), (START, 1.21, False), (THROUGH, 0.97, True), (THROUGH, 1.2, True), (THROUGH, 0.9, False)],
)
def test_goals(row: Row, ratio: float, met: bool) -> None:
    assert row.met(ratio) is met


def test_single_rows() -> None:
    asked = rows.wanted(["restart", "throughput_bare"])
    assert {part: {row.name for row in one.rows} for part, one in asked.items()} == {
        "lives": {"restart"},
        "messages": {"throughput_bare"},
    }
    assert asked["lives"].of("local", "modern", "legacy") == ["local", "legacy"]
    assert asked["messages"].quantities == {"throughput"}


def test_unknown_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no such row: start;.* first_start"):
        rows.wanted(["start"])


def test_each_row_is_one() -> None:
    found = [(row.name, row.baseline) for asked in rows.wanted([]).values() for row in asked.rows]
    assert len(found) == len(set(found))


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The model of a run that has measured all rows but one, with ours always twice theirs."""
    stage = Stage(tmp_path, QUICK, print, AsyncExitStack())
    asked = [row for one in rows.wanted([]).values() for row in one.rows]
    for quantity, side in {(row.quantity, row.ours) for row in asked} | {(row.quantity, row.theirs) for row in asked}:
        ours = any(row.ours == side for row in asked)
        if side != "by_hand":
            stage.samples.add(quantity, side, *([2.0, 2.0] if ours else [1.0, 1.0]))
    stage.samples.excuses["by_hand"] = "nobody typed it"
    stage.steps = {side: [dict.fromkeys(STEPS.values(), 0.1)] for side in ("legacy", "modern")}
    machine = {"cores": 2, "memory": "8 GiB", "load_before": 0.5, "load_after": 1.5, "nice": 0, "when": "now"}
    monkeypatch.setattr(report, "_machine", lambda _: {**machine, "system": "S", "engine": "20", "python": "3"})
    monkeypatch.setattr(figures, "RESAMPLES", 20)
    return report.model(asked, stage, 60.0, (0.5, 1.5))


def test_the_whole_table(every: dict[str, Any]) -> None:
    lines = report.table(every).splitlines()[2:]
    asked = [row for one in rows.wanted([]).values() for row in one.rows]
    assert len(lines) == len(asked)
    found = {(cells[1], cells[9]): cells for cells in ([cell.strip() for cell in line.split("|")] for line in lines)}
    for row in asked:
        cells = found[row.name, row.baseline]
        if row.theirs == "by_hand":
            assert cells[8] == "not measured: nobody typed it"
            continue
        ratio = 1.0 if any(one.ours == row.theirs for one in asked) else 2.0
        assert cells[2:6] == ["2", f"{2 / ratio:.3g}", row.unit, f"{ratio:.2f}"]
        sign = "≥" if row.more_is_better else "≤"
        assert cells[7] == (f"{sign} {row.goal}" if row.goal is not None else "")
        assert cells[8] == {None: "", True: "met", False: "not met"}[row.met(ratio)]
    assert report.summary(every).startswith("now, 60 s; 2 cores, 8 GiB, load 0.5 before and 1.5 after")


def test_all_plots(every: dict[str, Any], tmp_path: Path) -> None:
    drawn = {path.name: path.read_text() for path in plots.draw(every, tmp_path)}
    assert set(drawn) == {"benchmark-ratios.svg", "benchmark-starts.svg", "benchmark-first-start.svg"}
    for goal in every["goals"]:
        assert goal["name"] in drawn["benchmark-ratios.svg"]
    assert all(name in drawn["benchmark-starts.svg"] for name in plots.STARTS.values())
    assert all(step.split(",")[0] in drawn["benchmark-first-start.svg"] for step in STEPS.values())
