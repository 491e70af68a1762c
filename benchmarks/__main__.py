"""Measure.

python -m benchmarks                       all of it, in less than fifteen minutes
python -m benchmarks --only restart        single rows
python -m benchmarks --quick               few repetitions, to see that it works
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from . import lives, load, many, messages, plots, preload, report
from .figures import Row
from .rows import Wanted, wanted
from .servers import ROOT
from .stage import QUICK, Effort, Stage, stage

MEASURES: dict[str, Callable[[Stage, Wanted], Awaitable[None]]] = {
    "lives": lives.measure,
    "preload": preload.measure,
    "messages": messages.measure,
    "load": load.measure,
    "many": many.measure,
}
# As shells have it.
INTERRUPTED = 130
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def say(text: str, begun: float = time.monotonic()) -> None:
    """Tell a person how it gets on."""
    print(f"{time.monotonic() - begun:6.1f} s {text}", flush=True)


async def measure(only: list[str], effort: Effort, output: Path) -> dict[str, Any]:
    """Measure what is asked for; the JSON model comes back.

    It is written after each part, so that what has been measured is there even if a later part fails.
    """
    parts = wanted(only)
    # Whatever ends the run, the servers go with it. A job in the background has SIGINT ignored, else.
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    before, begun = os.getloadavg()[0], time.monotonic()
    rows: list[Row] = []
    found: dict[str, Any] = {}
    async with stage(ROOT / "build" / "benchmark", effort, say) as there:
        for part, asked in parts.items():
            since = time.monotonic()
            await MEASURES[part](there, asked)
            say(f"{part}: {time.monotonic() - since:.1f} s")
            rows += asked.rows
            found = report.model(rows, there, time.monotonic() - begun, (before, os.getloadavg()[0]))
            report.write(found, output)
    return found


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure kernels in containers against others.")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="single rows")
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="folder for bench.json and the plots")
    parser.add_argument("--docs", action="store_true", help="put figures and plots into docs/ as well")
    options = parser.parse_args()
    try:
        wanted(options.only)
    except ValueError as error:
        parser.error(str(error))
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        found = asyncio.run(measure(options.only, QUICK if options.quick else Effort(), options.output / "bench.json"))
    except asyncio.CancelledError:
        return INTERRUPTED
    plots.draw(found, options.output)
    lines = f"{report.table(found)}\n\n{report.summary(found)}"
    if options.docs:
        plots.draw(found, ROOT / "docs")
        page = ROOT / "docs" / "benchmark.md"
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{lines}\n{END}{rest.partition(END)[2]}")
    print(f"\n{lines}\n\n{options.output / 'bench.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
