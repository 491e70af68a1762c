"""Hold what each file of tests takes against what it took before, and keep that.

python3 scripts/budgets.py    write tests/budgets.json and docs/tests.md from what the last run took
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from pathlib import Path

from steps import ROOT, main
from tiers import SECOND_TIER

TIMES = ROOT / "build" / "test-times.json"
BUDGETS = ROOT / "tests" / "budgets.json"
TABLE = ROOT / "docs" / "tests.md"
# What any file may take, in seconds, and how many times longer than before a longer one may.
LEAST_BUDGET = 15.0
ALLOWANCE = 2.0
# Seconds that `calibrate` takes on the machine of the budgets.
REFERENCE = 0.2
LOOPS = 4_000_000
INTRODUCTION = """# What each file of tests proves

`python3 scripts/budgets.py` writes this page from the first lines of the files and from what they took in the last run,
on two cores. Several files run at a time; the seconds of each are its own. A file that takes more than twice as long
fails the run. `+` marks a file with tests of the second tier, see [CONTRIBUTING](../CONTRIBUTING.md#tests).

| file in `tests/` | seconds | what it proves |
|---|---|---|
"""


def load() -> dict[str, float]:
    """Return the budgets: seconds by file."""
    budgets: dict[str, float] = json.loads(BUDGETS.read_text())
    return budgets


def calibrate() -> float:
    """Return how many times longer than the budgets' machine this one takes for the same work, at least 1."""
    begin = time.process_time()
    total = 0
    for number in range(LOOPS):
        total += number
    return max(1.0, (time.process_time() - begin) / REFERENCE)


def over_budget(seconds: dict[str, float], budgets: dict[str, float], speed: float) -> list[str]:
    """Return a line about each file that took too long.

    Parameters
    ----------
    seconds
        what each file took
    budgets
        what it took when the budgets were written
    speed
        how many times longer than that machine this one takes
    """
    return [
        f"{file} took {took:.0f} s; its budget is {budget:.0f} s (times {ALLOWANCE * speed:.1f} on this machine)"
        for file, took in seconds.items()
        # Of a short one, chance makes a multiple.
        if took > ALLOWANCE * speed * (budget := max(LEAST_BUDGET, budgets.get(file, 0)))
    ]


def first_line(path: Path) -> str:
    """Return what a file says of itself: the first line of its docstring, which may be several of the file's."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def table(budgets: dict[str, float]) -> str:
    """Return the page that says what each file of tests proves, and how long it takes.

    Parameters
    ----------
    budgets
        seconds by file
    """
    tests = ROOT / "tests"
    rows = []
    for path in sorted(tests.rglob("test_*.py")):
        file = str(path.relative_to(ROOT))
        name = f"{path.relative_to(tests)}{' +' if file in SECOND_TIER else ''}"
        rows.append(f"| {name} | {budgets.get(file, 0):.0f} | {first_line(path)} |")
    return INTRODUCTION + "\n".join(rows) + "\n"


def budgets(arguments: list[str]) -> int:
    """Write what each file took in the last run as its budget; files that did not run keep theirs."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args(arguments)
    seconds = load()
    if TIMES.exists():
        took = json.loads(TIMES.read_text())
        seconds.update({file: max(1, round(each / took["speed"])) for file, each in took["files"].items()})
    kept = {file: each for file, each in sorted(seconds.items()) if (ROOT / file).exists()}
    BUDGETS.write_text(json.dumps(kept, indent=1) + "\n")
    TABLE.write_text(table(kept))
    return 0


if __name__ == "__main__":
    main(budgets)
