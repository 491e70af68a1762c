"""The plots of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "benchmark",  # the same figures give the same file
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
MET, NOT_MET, PLAIN = "#1b7837", "#b2182b", "#4d4d4d"
ROW_HEIGHT = 0.24
STARTS = {
    "standby_start": "ours, TensorFlow 1.2.1, started ahead",
    "standby_start_modern": "ours, newest ipykernel, started ahead",
    "first_start": "ours, TensorFlow 1.2.1",
    "first_start_modern": "ours, newest ipykernel",
}


def draw(found: dict[str, Any], folder: Path) -> list[Path]:
    """Draw all that there are figures for.

    Parameters
    ----------
    found
        the JSON model
    folder
        where the files go
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = {"ratios": _ratios, "starts": _starts, "first-start": _first_start}
    made = []
    for name, plot in plots.items():
        if figure := plot(found):
            path = folder / f"benchmark-{name}.svg"
            figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
            made.append(path)
    return made


def _ratios(found: dict[str, Any]) -> Figure | None:
    """Each row that has a goal: its ratio, the spread, the goal."""
    results = {(one["name"], one["baseline"]): one for one in found["results"]}
    goals = found["goals"]
    if not goals:
        return None
    figure, axes = _axes(len(goals), "ours ÷ theirs (the bar: 95 %; the line: the goal)")
    for number, goal in enumerate(reversed(goals)):
        one = results[goal["name"], goal["baseline"]]
        colour = MET if goal["met"] else NOT_MET
        axes.plot([one["low"], one["high"]], [number, number], color=colour, linewidth=3, alpha=0.4)
        axes.plot(one["ratio"], number, "o", color=colour)
        axes.plot([goal["goal"]] * 2, [number - 0.35, number + 0.35], color=PLAIN, linewidth=1)
    axes.set_yticks(range(len(goals)), [_label(goal) for goal in reversed(goals)])
    axes.set_xscale("log")
    axes.axvline(1, color=PLAIN, linewidth=0.5, linestyle=":")
    ticks = [0.01, 0.03, 0.1, 0.3, 1, 3]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    return figure


def _label(goal: dict[str, Any]) -> str:
    baseline = goal["baseline"]
    return f"{goal['name']} ({baseline})" if " " not in baseline else str(goal["name"])


def _starts(found: dict[str, Any]) -> Figure | None:
    """The seconds until a kernel answers, ours and theirs."""
    bars: dict[str, float] = {}
    for one in found["results"]:
        if one["name"] in STARTS:
            bars[STARTS[one["name"]]] = one["ours"]
    for one in found["results"]:
        if one["name"] in STARTS:
            suffix = ", newest ipykernel" if one["name"] == "first_start_modern" and " " not in one["baseline"] else ""
            bars.setdefault(one["baseline"] + suffix, one["theirs"])
    if not bars:
        return None
    figure, axes = _axes(len(bars), "seconds from POST /api/sessions to the kernel's first reply")
    ordered = sorted(bars.items(), key=lambda bar: -bar[1])
    colours = [MET if name.startswith("ours") else PLAIN for name, _ in ordered]
    drawn = axes.barh([name for name, _ in ordered], [seconds for _, seconds in ordered], color=colours)
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    return figure


def _first_start(found: dict[str, Any]) -> Figure | None:
    """Where the time of a first start goes."""
    sides = found["first_start"]
    if not sides:
        return None
    figure, axes = _axes(len(sides) + 4, "milliseconds")
    colours = mpl.colormaps["tab20c"].colors  # type: ignore[attr-defined]
    begun = dict.fromkeys(sides, 0.0)
    steps = next(iter(sides.values()))
    for number, step in enumerate(steps):
        values = [1000 * sides[side].get(step, 0.0) for side in sides]
        axes.barh(list(sides), values, left=list(begun.values()), color=colours[2 * number], label=step, height=0.6)
        begun = {side: begun[side] + value for side, value in zip(sides, values, strict=True)}
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.35), ncols=3, frameon=False)
    return figure


def _axes(lines: int, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 0.8 + ROW_HEIGHT * lines))
    axes = figure.add_subplot()
    axes.set_xlabel(title)
    return figure, axes
