"""Pure: from what was measured to ratios."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

RESAMPLES = 2000
# Of what the resamples give, 95 % are between these two.
LOW, HIGH = 0.025, 0.975

Statistic = Callable[[Sequence[float]], float]


class Samples:
    """What was measured: values by what they are of, and whose."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)
        #: Why something has not been measured, by whose it would be.
        self.excuses: dict[str, str] = {}

    def add(self, quantity: str, side: str, *values: float) -> None:
        """Add values."""
        self._values[quantity, side] += values

    def of(self, quantity: str, side: str) -> list[float]:
        """The values of one side, in the order in which they came."""
        return self._values.get((quantity, side), [])


def percentile(percent: int) -> Statistic:
    """The statistic that so many per cent of the values are not above."""

    def statistic(values: Sequence[float]) -> float:
        return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]

    return statistic


STATISTICS: dict[str, Statistic] = {"median": median, "p95": percentile(95), "p99": percentile(99)}


@dataclass(frozen=True)
class Row:
    """One line of the benchmark.

    Parameters
    ----------
    name
        of the line
    quantity
        what is compared
    ours, theirs
        the two sides
    baseline
        what the other side is, in words
    unit
        of the values
    goal
        what the ratio is to be at most, or at least where more is better
    more_is_better
        whether it is
    statistic
        of the values of each side
    """

    name: str
    quantity: str
    ours: str
    theirs: str
    baseline: str
    unit: str = "s"
    goal: float | None = None
    more_is_better: bool = False
    statistic: str = "median"

    def met(self, ratio: float) -> bool | None:
        """Whether a ratio is as it is to be, or None where there is no goal."""
        if self.goal is None:
            return None
        return ratio >= self.goal if self.more_is_better else ratio <= self.goal


def result(row: Row, samples: Samples) -> dict[str, Any] | None:
    """What was found for a row, or None if one of its sides has not been measured.

    Parameters
    ----------
    row
        the row
    samples
        what was measured

    Returns
    -------
    dict
        ``ratio`` of the statistics, ``low`` and ``high``: where 95 % of the ratios are that one gets from samples drawn
        at random, with replacement, from each side's own (bootstrap)
    """
    ours, theirs = samples.of(row.quantity, row.ours), samples.of(row.quantity, row.theirs)
    statistic = STATISTICS[row.statistic]
    if not ours or not theirs or not statistic(theirs):
        return None
    # The same samples give the same figures.
    chance = random.Random(row.name + row.theirs)  # noqa: S311
    ratios = sorted(
        statistic(chance.choices(ours, k=len(ours))) / below
        for _ in range(RESAMPLES)
        if (below := statistic(chance.choices(theirs, k=len(theirs))))
    )
    return {
        "name": row.name,
        "ratio": statistic(ours) / statistic(theirs),
        "low": ratios[int(LOW * len(ratios))],
        "high": ratios[min(int(HIGH * len(ratios)), len(ratios) - 1)],
        "ours": statistic(ours),
        "theirs": statistic(theirs),
        "unit": row.unit,
        "baseline": row.baseline,
    }
