"""What the benchmark makes of its samples."""

from __future__ import annotations

import pytest

from benchmarks import rows
from benchmarks.figures import Row, Samples, percentile, result

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
