"""Keep what tests take: the longest files run first, and a report says what each file took and what was tried again.

`scripts/suite.py` names a file for the report in ``TEST_REPORT``, prints what stands there, and holds it against
`budgets.json`.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

BUDGETS = Path(__file__).parent.parent / "budgets.json"
REASON_LENGTH = 400


def file_of(nodeid: str) -> str:
    """Return the file of a test, as its name begins with it."""
    return nodeid.partition("::")[0]


class Timekeeper:
    """Adds up seconds.

    Parameters
    ----------
    path
        of the report
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, float] = defaultdict(float)
        self._tests: dict[str, float] = defaultdict(float)
        self._again: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a part of a test: its set-up, its call or its end."""
        self._files[file_of(report.nodeid)] += report.duration
        self._tests[report.nodeid] += report.duration
        # pytest-rerunfailures has one more than pytest knows of.
        if str(report.outcome) == "rerun":
            self._again.append({"test": report.nodeid, "why": report.longreprtext[-REASON_LENGTH:]})

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        model = {"files": self._files, "tests": self._tests, "again": self._again}
        self._path.write_text(json.dumps(model, indent=1))


def pytest_configure(config: pytest.Config) -> None:
    """Keep the time where a report is asked for, in the process that all reports come to."""
    path = os.environ.get("TEST_REPORT")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Timekeeper(Path(path)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: a long one that comes last would keep one process busy, and the others idle."""
    budgets: dict[str, float] = json.loads(BUDGETS.read_text())
    items.sort(key=lambda item: -budgets.get(file_of(item.nodeid), 0))
