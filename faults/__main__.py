"""Have things go wrong.

python -m faults                           all of them, twenty times each
python -m faults --only "kernel killed"    single ones
python -m faults --seed 7                  at the same moments again
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import interruptible
from .engine import small_engine
from .runs import run
from .scene import Fault, Outcome
from .strikes import FAULTS

ROOT = Path(__file__).parent.parent
RUNS = 20
# Seconds that the engine is away each time.
OUTAGE = 30.0


def say(text: str, begun: float = time.monotonic()) -> None:
    """Tell a person how it gets on."""
    print(f"{time.monotonic() - begun:6.1f} s {text}", flush=True)


def model(fault: Fault, outcomes: list[Outcome]) -> dict[str, Any]:
    """What became of all runs of a fault."""
    return {
        "name": fault.name,
        "runs": len(outcomes),
        "leaks": sum(len(one.leaks) for one in outcomes),
        "lost": sum(len(one.lost) for one in outcomes),
        "seen": list(dict.fromkeys(text for one in outcomes for text in one.seen)),
    }


def main() -> int:
    """Parse the command line and do what it says; the exit status is 1 if a run missed its goal."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="make faults", description="Have things go wrong around kernels.")
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="FAULT", help="single faults")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides the moments")  # noqa: S311
    parser.add_argument("--outage", type=float, default=OUTAGE, help="seconds that the engine is away each time")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "faults.json")
    options = parser.parse_args()
    say(f"seed {options.seed}")
    found = []
    with ExitStack() as stack:
        engine = None
        for fault in (one for one in FAULTS if one.name in options.only):
            if fault.takes == "engine" and engine is None:
                engine = stack.enter_context(small_engine())
            outcomes = []
            for number in range(options.runs):
                outcome = asyncio.run(run(fault, engine, f"{options.seed} {fault.name} {number}", options.outage))
                outcomes.append(outcome)
                say(f"{fault.name}: run {number + 1} of {options.runs}")
                for kind, texts in (("left", outcome.leaks), ("lost", outcome.lost), ("seen", outcome.seen)):
                    for text in texts:
                        say(f"{fault.name}, run {number}: {kind}: {text}")
            found.append(model(fault, outcomes))
            say(f"{fault.name}: {found[-1]['leaks']} left, {found[-1]['lost']} lost in {options.runs} runs")
            # After each, so that what has been seen is there even if a later one fails.
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps({"seed": options.seed, "faults": found}, indent=1) + "\n")
    print(options.output)
    return 1 if any(one["leaks"] or one["lost"] for one in found) else 0


if __name__ == "__main__":
    sys.exit(interruptible(main))
