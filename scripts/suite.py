"""Run the checks and tests of a tier, and say what they took."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from accounting import accounting
from budgets import TIMES, calibrate, load, over_budget
from steps import BIN, ROOT, StepError, environment
from tiers import SECOND_TIER, changed_files, second_tier

Tier = Literal["fast", "first", "changed", "all"]
REPORTS = TIMES.with_name("test-reports")
BROWSER_TESTS = "tests/browser"
# They need no engine, so none is to be found.
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere"}
# More than this many tests that are tried again fail the run. Three are the aim, once whole runs have kept to it.
RERUNS = 6
SHOWN = 15

# Tests mostly wait, for engines and kernels; those of a file share what they have set up. The longest file comes first.
BY_FILE = ("--dist=loadfile", "--no-loadscope-reorder")
# On a machine that does much else something may come too late. What fails is tried once more, and told of with why.
AGAIN = ("--reruns=1", "-raR", "--rerun-show-tracebacks")
# In a process of its own: pytest-playwright and pytest-jupyter want an event loop each.
BROWSER = ("-p", "no:jupyter_server", f"--confcutdir={BROWSER_TESTS}")


@dataclass(frozen=True)
class Outcome:
    """What came of a stage: its exit status, and its seconds."""

    name: str
    status: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s  {self.name}: {f'FAILED ({self.status})' if self.status else 'ok'}"


@dataclass(frozen=True)
class Stage:
    """One command of the virtual environment.

    Parameters
    ----------
    name
        what it is called in the report
    command
        program and arguments
    variables
        what its environment has beside ours
    """

    name: str
    command: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """Where `tests/support/timekeeping.py` writes what its tests took."""
        return REPORTS / f"{self.name.replace(' ', '-')}.json"

    def run(self, *, quiet: bool) -> tuple[int, float, str]:
        """Run it; return its exit status, its seconds, and, where it runs quietly, what it printed."""
        begin = time.monotonic()
        variables = {**environment(), "TEST_REPORT": str(self.report), **self.variables}
        done = subprocess.run(
            [BIN / self.command[0], *self.command[1:]],
            cwd=ROOT / "labextension" if self.command[0] == "jlpm" else ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
        )
        return done.returncode, time.monotonic() - begin, done.stdout or ""


def github_files() -> dict[str, list[str]]:
    """Return the files that GitHub reads, by the schemas that they follow."""
    patterns = {
        "github-workflows": "workflows/*.yml",
        "dependabot": "dependabot.yml",
        "github-issue-forms": "ISSUE_TEMPLATE/*_*.yml",
    }
    return {name: sorted(map(str, (ROOT / ".github").glob(pattern))) for name, pattern in patterns.items()}


def linters() -> list[Stage]:
    """Return what looks at the code without running it."""
    # By their names: mypy finds no file in a folder that its settings leave out.
    browser = sorted(str(path.relative_to(ROOT)) for path in (ROOT / BROWSER_TESTS).glob("*.py"))
    return [
        Stage("mypy", ("mypy",)),
        Stage("front end: lint", ("jlpm", "lint:check")),
        Stage("ruff check", ("ruff", "check", ".")),
        Stage("ruff format", ("ruff", "format", "--check", ".")),
        Stage("mypy of the scripts", ("mypy", "scripts")),
        Stage("mypy of the browser tests", ("mypy", *browser)),
        Stage("codespell", ("codespell",)),
        Stage("imports", ("lint-imports", "--no-cache")),
        *(
            Stage(f"GitHub: {schema}", ("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files))
            for schema, files in github_files().items()
        ),
    ]


def unit_tests(processes: int) -> list[Stage]:
    """Return the tests that need neither an engine nor a browser."""
    parallel = (f"--numprocesses={processes}", *BY_FILE) if processes > 1 else ()
    return [
        Stage("unit tests", ("pytest", "tests/unit", "-q", "-m", "not timing", *parallel, *AGAIN), NO_ENGINE),
        Stage("front end: vitest", ("jlpm", "test")),
    ]


def pytest_stage(name: str, *arguments: str, marks: str, processes: int) -> Stage:
    """Return a stage of tests that need an engine."""
    parallel = (f"--numprocesses={processes}", *BY_FILE) if processes else ()
    return Stage(name, ("pytest", *arguments, "-m", marks, *parallel, *AGAIN))


def engine_tests(tier: Tier) -> list[Stage]:
    """Return the tests that need an engine, or a browser as well, in the order that they run in."""
    stages = [
        pytest_stage(
            "tests with an engine", "tests/engine", "tests/project", marks="not slow and not timing", processes=3
        ),
        pytest_stage("tests in a browser", BROWSER_TESTS, *BROWSER, marks="not slow", processes=2),
    ]
    files = second_tier(changed_files()) if tier == "changed" else list(SECOND_TIER) if tier == "all" else []
    with_browser = [path for path in files if path.startswith(BROWSER_TESTS)]
    if tier == "changed":
        print(f"\nThe change touches what these slow tests prove: {', '.join(files) or 'none'}.", flush=True)
    if others := [path for path in files if path not in with_browser]:
        stages.append(pytest_stage("slow tests", *others, marks="slow and not timing", processes=3))
    if with_browser:
        stages.append(pytest_stage("slow tests in a browser", *with_browser, *BROWSER, marks="slow", processes=2))
    # Last, when nothing runs beside them.
    stages.append(pytest_stage("tests of times", "tests/unit", "tests/engine", marks="timing", processes=0))
    return stages


def check(stages: list[Stage], *, at_once: int = 1) -> list[Outcome]:
    """Run stages, all of them.

    Parameters
    ----------
    stages
        what to run
    at_once
        how many run at a time; where it is more than one, what a stage prints is shown once it is done

    Returns
    -------
    list
        what came of each
    """

    def one(stage: Stage) -> Outcome:
        title = f"\n== {stage.name}: {shlex.join(stage.command)[:200]}"
        if at_once == 1:
            print(title, flush=True)
        status, seconds, output = stage.run(quiet=at_once > 1)
        if at_once > 1:
            print(f"{title}\n{output}", flush=True)
        return Outcome(stage.name, status, seconds)

    with ThreadPoolExecutor(at_once) as pool:
        outcomes = list(pool.map(one, stages))
    print("\n" + "\n".join(map(str, outcomes)), flush=True)
    return outcomes


def raise_failed(outcomes: list[Outcome], *problems: str) -> None:
    """Raise a `StepError` if a stage failed, or something else is wrong."""
    failed = [one.name for one in outcomes if one.status]
    lines = [f"{', '.join(failed)} failed; what was printed stands above."] if failed else []
    if lines or problems:
        raise StepError("\n".join([*lines, *problems]))


def longest(seconds: dict[str, float]) -> list[tuple[str, float]]:
    """Return the first of what took longest, with its seconds."""
    return sorted(seconds.items(), key=lambda item: -item[1])[:SHOWN]


def report(processor: dict[str, float], outcomes: list[Outcome], speed: float) -> list[str]:
    """Print what the run took, and keep it in `build/test-times.json`.

    Parameters
    ----------
    processor
        seconds of processor time by the command's name
    outcomes
        of all stages
    speed
        how many times longer than the budgets' machine this one takes

    Returns
    -------
    list
        a line about each file that is over its budget, and one if too many tests were tried again
    """
    stages = [str(one) for one in outcomes]
    # A file may have tests in several stages.
    files: dict[str, float] = defaultdict(float)
    tests: dict[str, float] = {}
    again: list[dict[str, str]] = []
    for path in REPORTS.glob("*.json"):
        model = json.loads(path.read_text())
        for file, seconds in model["files"].items():
            files[file] += seconds
        tests.update(model["tests"])
        again += model["again"]
    TIMES.write_text(
        json.dumps(
            {"speed": speed, "stages": stages, "processor": processor, "files": files, "tests": tests, "again": again},
            indent=1,
        )
    )
    print("\nProcessor time by program, in seconds:")
    for name, seconds in longest(processor):
        print(f"{seconds:8.1f}  {name}")
    print(f"\nSeconds by file, the longest {SHOWN} of {len(files)} (all of them: {TIMES.relative_to(ROOT)}):")
    for file, seconds in longest(files):
        print(f"{seconds:8.1f}  {file}")
    print(f"\nSeconds by test, the longest {SHOWN} of {len(tests)}:")
    for test, seconds in longest(tests):
        print(f"{seconds:8.1f}  {test}")
    print("\n" + "\n".join(stages))
    if again:
        print(f"\nFailed, and tried again: {len(again)}")
        for one in again:
            print(f"  {one['test']}\n    " + one["why"].replace("\n", "\n    "))
    problems = over_budget(files, load(), speed)
    if len(again) > RERUNS:
        problems.append(f"{len(again)} tests were tried again; more than {RERUNS} in a run are too many.")
    return problems


def run_tests(tier: Tier) -> None:
    """Run the checks and tests of a tier; an engine and the images must be there but for ``fast``.

    Raises
    ------
    StepError
        if one failed, a file is over its budget, or too many tests were tried again
    """
    REPORTS.mkdir(parents=True, exist_ok=True)
    for path in REPORTS.glob("*.json"):
        path.unlink()
    if tier == "fast":
        # The second fills what the first one's longest file leaves idle.
        raise_failed(check(unit_tests(processes=os.cpu_count() or 1), at_once=2))
        return
    speed = calibrate()
    with accounting() as processor:
        # The longest first.
        outcomes = check([*unit_tests(processes=1), *linters()], at_once=2)
        if not any(one.status for one in outcomes):
            outcomes += check(engine_tests(tier))
    raise_failed(outcomes, *report(processor, outcomes, speed))
