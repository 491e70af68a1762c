"""What was found, as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from homes import engine_client

from .figures import Row, result
from .stage import Stage

SPREAD = "low and high: 95 % of the ratios that resamples of both sides give (bootstrap)"
OURS = ("ipykernel", "jupyter_client", "jupyter_server")
GIGA = 2**30


def model(rows: list[Row], stage: Stage, seconds: float, load: tuple[float, float]) -> dict[str, Any]:
    """The JSON model.

    Parameters
    ----------
    rows
        which were asked for
    stage
        what was measured
    seconds
        that it took
    load
        the machine's load average before and after
    """
    found = [(row, result(row, stage.samples)) for row in rows]
    return {
        "results": [one for _, one in found if one],
        "goals": [
            {"name": row.name, "baseline": row.baseline, "goal": row.goal, "met": row.met(one["ratio"])}
            for row, one in found
            if one and row.goal is not None
        ],
        "not_measured": [
            {"name": row.name, "baseline": row.baseline, "why": _why(row, stage)} for row, one in found if not one
        ],
        "first_start": {side: _medians(steps) for side, steps in stage.steps.items()},
        "spread": SPREAD,
        "seconds": seconds,
        "machine": _machine(load),
        "versions": {**{name: version(name) for name in OURS}, **stage.versions},
    }


def _why(row: Row, stage: Stage) -> str:
    excuses = stage.samples.excuses
    if stage.samples.of(row.quantity, row.ours) and stage.samples.of(row.quantity, row.theirs):
        return "theirs is nought, so there is no ratio"
    return excuses.get(row.theirs) or excuses.get(row.ours) or "it is not part of a run as short as this"


def _medians(steps: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(one[name] for one in steps) for name in steps[0]}


def _machine(load: tuple[float, float]) -> dict[str, Any]:
    client = engine_client()
    try:
        engine = client.version()["Version"]
    finally:
        client.close()
    return {
        "cores": os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / GIGA:.0f} GiB",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "engine": engine,
        # Containers have the engine's priority, whatever ours is.
        "nice": os.nice(0),
        "load_before": load[0],
        "load_after": load[1],
        "when": datetime.now(timezone.utc).isoformat(timespec="minutes"),
    }


def write(found: dict[str, Any], path: Path) -> None:
    """Write the model into a file."""
    path.write_text(json.dumps(found, indent=1) + "\n")


def table(found: dict[str, Any]) -> str:
    """The results as lines of a Markdown table."""
    goals = {(goal["name"], goal["baseline"]): goal for goal in found["goals"]}
    lines = [
        "| row | ours | theirs | unit | ratio | 95 % | goal | | against |",
        "|---|---:|---:|---|---:|---|---|---|---|",
    ]
    for one in found["results"]:
        goal = goals.get((one["name"], one["baseline"]))
        verdict = ("met" if goal["met"] else "not met") if goal else ""
        sign = "≥" if one["unit"] == "MB/s" else "≤"
        cells = [
            one["name"],
            _short(one["ours"]),
            _short(one["theirs"]),
            one["unit"],
            f"{one['ratio']:.2f}",
            f"{one['low']:.2f} to {one['high']:.2f}",
            f"{sign} {goal['goal']}" if goal else "",
            verdict,
            one["baseline"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        f"| {one['name']} | | | | | | | not measured: {one['why']} | {one['baseline']} |"
        for one in found["not_measured"]
    ]
    return "\n".join(lines)


def _short(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"  # noqa: PLR2004


def summary(found: dict[str, Any]) -> str:
    """Under which circumstances the figures came to be."""
    machine, versions = found["machine"], found["versions"]
    niced = ", **under `nice`, which holds up local kernels and not containers**" if machine["nice"] else ""
    return (
        f"{machine['when']}, {found['seconds']:.0f} s; {machine['cores']} cores, {machine['memory']}, "
        f"load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after (a run makes its own){niced}; "
        f"{machine['system']}, Docker {machine['engine']}, Python {machine['python']}, "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
    )
