"""What runs in which tier, what a change has to pass, and what a run says of its time."""

from __future__ import annotations

import ast
import importlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
FLAKY = """
tries = []

def test_flaky():
    tries.append(1)
    assert len(tries) > 1, "not at once"

def test_steady():
    pass
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import scripts by their names: their folder is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


@pytest.fixture
def tiers(script: Any) -> Any:
    return script("tiers")


@pytest.fixture
def suite(script: Any) -> Any:
    return script("suite")


@pytest.fixture
def budgets(script: Any) -> Any:
    return script("budgets")


def marked(path: Path, mark: str) -> bool:
    """Whether something in a file of tests bears a mark."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == mark
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "mark"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def git(folder: Path, *arguments: str, date: str = "") -> str:
    """Run git as somebody whom no configuration knows."""
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **who, **dates},
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout


def test_each_file_with_slow_tests_says_what_they_depend_on(tiers: Any) -> None:
    slow = {str(path.relative_to(ROOT)) for path in TESTS.rglob("test_*.py") if marked(path, "slow")}
    assert set(tiers.SECOND_TIER) == slow


def test_each_path_in_the_table_is_there(tiers: Any) -> None:
    files = git(ROOT, "ls-files").splitlines()
    for patterns in tiers.SECOND_TIER.values():
        for pattern in patterns:
            assert any(tiers.matches(path, pattern) for path in files), pattern


def test_patterns(tiers: Any) -> None:
    assert tiers.matches("a/b.py", "a/*.py")
    assert not tiers.matches("a/c/b.py", "a/*.py")
    assert tiers.matches("a/c/b.py", "a/**")
    assert tiers.matches("a/c/d/b.py", "a/**/b.py")
    assert not tiers.matches("a/bxpy", "a/b.py")


def test_a_change_has_to_pass_what_it_touches(tiers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"tests/test_engines.py": ("engine/**",), "tests/test_lab.py": ("Makefile", "scripts/*.py")}
    monkeypatch.setattr(tiers, "SECOND_TIER", table)
    assert tiers.second_tier(["README.md"]) == []
    assert tiers.second_tier(["engine/a/b.py"]) == ["tests/test_engines.py"]
    assert tiers.second_tier(["Makefile", "engine/a.py"]) == [*table]
    # A test that is changed itself is run.
    assert tiers.second_tier(["tests/test_lab.py"]) == ["tests/test_lab.py"]


def test_what_a_change_is(tiers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    commits = []
    for name, date in (("old", "2026-01-01T00:00"), ("then", "2026-01-02T00:00"), ("now", "2026-01-02T01:00")):
        (tmp_path / name).write_text(name)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", name, date=f"{date}:00Z")
        commits.append(git(tmp_path, "rev-parse", "HEAD").strip())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI_BASE", raising=False)
    # What came within four hours.
    assert tiers.changed_files() == ["now", "then"]
    monkeypatch.setenv("CI_BASE", commits[1])
    assert tiers.changed_files() == ["now"]
    # Where nothing is old enough, as in a clone without history, everything is new.
    monkeypatch.delenv("CI_BASE")
    git(tmp_path, "checkout", "--quiet", "--orphan", "alone")
    git(tmp_path, "commit", "--quiet", "--message", "alone", date="2026-01-02T01:00:00Z")
    assert tiers.changed_files() == ["now", "old", "then"]


def test_processor_time_is_added_up_by_program(script: Any) -> None:
    def record(version: int, user: int, system: int, name: bytes) -> bytes:
        # `struct acct_v3` of acct(5), field by field.
        return struct.pack("=BBHIIIIIIfHHHHHHHH16s", 0, version, *[0] * 8, user, system, *[0] * 6, name)

    records = record(3, 100, 50, b"python3") + record(3, 0, 1 << 13 | 25, b"runc") + record(3, 50, 0, b"python3")
    # Half a record is one that the kernel is about to write; another version means other fields.
    read = script("accounting").read(records + record(2, 100, 0, b"old") + b"\3" * 10)
    assert read == {"python3": 2.0, "runc": 2.0}


def test_a_file_over_its_budget_is_told_of(budgets: Any) -> None:
    limits = {"a": 20.0, "b": 20.0, "d": 1.0}
    took = {"a": 39.0, "b": 41.0, "c": 31.0, "d": 29.0}
    lines = budgets.over_budget(took, limits, 1.0)
    assert [line.split()[0] for line in lines] == ["b", "c"]
    assert "b took 41 s; its budget is 20 s" in lines[0]
    assert budgets.over_budget(took, limits, 2.0) == []


@pytest.fixture
def folders(suite: Any, budgets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have reports, times and budgets of a run of its own."""
    for module in (suite, budgets):
        monkeypatch.setattr(module, "TIMES", tmp_path / "TIMES")
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "REPORTS", tmp_path / "REPORTS")
    monkeypatch.setattr(budgets, "BUDGETS", tmp_path / "BUDGETS")
    monkeypatch.setattr(budgets, "TABLE", tmp_path / "TABLE")
    (tmp_path / "REPORTS").mkdir()
    (tmp_path / "BUDGETS").write_text('{"gone": 3}')
    return tmp_path


def test_a_test_that_is_tried_again_is_told_of(
    suite: Any, budgets: Any, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders / "test_it.py").write_text(FLAKY)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "timekeeping", "-p", "no:cacheprovider", "--reruns=1"]
    variables = {"TEST_REPORT": str(folders / "REPORTS" / "it.json"), "PYTHONPATH": str(TESTS / "support")}
    subprocess.run(words, cwd=folders, env={**os.environ, **variables}, check=True)
    assert suite.report({"python3": 12.5}, [suite.Outcome("it", 0, 1.0)], 1.0) == []
    output = capsys.readouterr().out
    assert "Failed, and tried again: 1\n" in output
    assert "not at once" in output
    assert "12.5  python3" in output
    kept = json.loads((folders / "TIMES").read_text())
    assert set(kept["files"]) == {"test_it.py"}
    assert set(kept["tests"]) == {"test_it.py::test_flaky", "test_it.py::test_steady"}
    # They become the budgets of the runs to come; a file that is no more there needs none.
    budgets.budgets([])
    assert json.loads((folders / "BUDGETS").read_text()) == {"test_it.py": 1}


def test_too_many_that_are_tried_again_fail_the_run(suite: Any, folders: Path, script: Any) -> None:
    again = [{"test": f"test_it.py::test_{number}", "why": "late"} for number in range(suite.RERUNS + 1)]
    model = {"files": {"a.py": 20.0}, "tests": {}, "again": again}
    for stage in ("one", "another"):
        (folders / "REPORTS" / f"{stage}.json").write_text(json.dumps({**model, "again": []}))
    # What a file takes in each stage counts together.
    (line,) = suite.report({}, [], 1.0)
    assert line.startswith("a.py took 40 s")
    (folders / "REPORTS" / "third.json").write_text(json.dumps({**model, "files": {}}))
    problems = suite.report({}, [], 1.0)
    assert any("were tried again; more than" in line for line in problems)
    outcomes = [suite.Outcome("fine", 0, 1.0), suite.Outcome("broken", 1, 1.0)]
    with pytest.raises(script("steps").StepError, match=r"(?s)broken failed.*tried again"):
        suite.raise_failed(outcomes, *problems)
    suite.raise_failed(outcomes[:1])


def test_the_page_of_tests_is_what_the_files_say(budgets: Any) -> None:
    assert budgets.TABLE.read_text() == budgets.table(budgets.load()), "run python3 scripts/budgets.py"
    for path in TESTS.rglob("test_*.py"):
        assert budgets.first_line(path), path
