"""A release is refused where versions, tags or files disagree; workflows call what exists; links lead somewhere."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# What a check that must pass is told.
VERSION = "1.2.3"
CHANGELOG = "# Changelog\n\n## 1.2.3 (2026-05-04)\n\n- New.\n\n## 1.2.2 (2026-01-02)\n"


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import scripts/release.py: its folder is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("release")


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., None]:
    """Make a repository with one commit, and return what runs git there."""

    def run(*arguments: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)

    run("init", "--quiet")
    run("commit", "--quiet", "--allow-empty", "--message=one")
    return run


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    """Return the jobs of a workflow."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"]
    return found


def steps() -> list[dict[str, Any]]:
    """Return the steps of all jobs of all workflows."""
    return [step for workflow in WORKFLOWS for job in jobs(workflow).values() for step in job["steps"]]


def headings(page: Path) -> set[str]:
    """Return the names under which GitHub has a page's headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_workflows_call_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {step["run"].split()[1] for step in steps() if step.get("run", "").startswith("make ")}
    assert {"lint", "test-fast", "test-changed", "test-all", "release-check"} <= called
    assert called <= targets


def test_workflows_run_nothing_that_a_developer_cannot() -> None:
    commands = {step["run"] for step in steps() if "run" in step}
    others = {command for command in commands if not command.startswith("make ")}
    # What makes the machine one on which `make` runs.
    assert all(command.startswith(("apt-get update && apt-get install ", "git config ")) for command in others), others


def test_workflows_run_each_python_that_we_name() -> None:
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    [workflow] = [path for path in WORKFLOWS if path.name == "test.yml"]
    assert jobs(workflow)["fast"]["strategy"]["matrix"]["python"] == named


def test_only_publishing_may_do_more_than_read() -> None:
    allowed = {}
    for workflow in WORKFLOWS:
        assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}
        assert "secrets." not in workflow.read_text()
        allowed.update({name: job["permissions"] for name, job in jobs(workflow).items() if "permissions" in job})
    assert allowed == {"publish": {"id-token": "write"}}


def test_actions_are_pinned_to_a_major_version() -> None:
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v\d+", action) for action in actions), actions


# "page" is the name of playwright's fixture.
@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(source: Path) -> None:
    # A page of somebody else's may move; ours are here.
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", source.read_text()):
        path, _, heading = link.partition("#")
        target = source.parent / path if path else source
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def test_changelog_with_the_version_and_its_date(release: Any, tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    release.check_changelog(tmp_path, VERSION)


@pytest.mark.parametrize(
    ("now", "instead"),
    [
        pytest.param("(2026-05-04)", "(unreleased)", id="no date"),
        pytest.param("## 1.2.3 (2026-05-04)\n", "", id="no such version"),
        pytest.param("## 1.2.3 ", "## 1.2.4 (2026-06-07)\n\n## 1.2.3 ", id="not the first"),
        pytest.param("1.2.3", "1x2.3", id="another version"),
        pytest.param(CHANGELOG, "", id="empty"),
    ],
)
def test_changelog_without_it(release: Any, tmp_path: Path, now: str, instead: str) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.replace(now, instead))
    with pytest.raises(release.StepError, match=r"write \"## 1\.2\.3 \(YYYY-MM-DD\)\""):
        release.check_changelog(tmp_path, VERSION)


def test_a_clean_commit_with_a_free_tag(release: Any, tmp_path: Path, git: Callable[..., None]) -> None:
    git("tag", "v1.2.2")
    git("commit", "--quiet", "--allow-empty", "--message=two")
    release.check_git(tmp_path, VERSION)
    # So it is where the release workflow runs.
    git("tag", "v1.2.3")
    release.check_git(tmp_path, VERSION)


def test_files_that_are_not_committed(release: Any, tmp_path: Path, git: Callable[..., None]) -> None:
    (tmp_path / "left").touch()
    with pytest.raises(release.StepError, match=r"Commit or remove .*\n\?\? left$"):
        release.check_git(tmp_path, VERSION)


def test_a_tag_that_is_taken(release: Any, tmp_path: Path, git: Callable[..., None]) -> None:
    git("tag", "v1.2.3")
    git("commit", "--quiet", "--allow-empty", "--message=two")
    with pytest.raises(release.StepError, match=r"v1\.2\.3 is taken"):
        release.check_git(tmp_path, VERSION)


def test_a_tag_of_another_version(release: Any, tmp_path: Path, git: Callable[..., None]) -> None:
    git("tag", "v1.2.4")
    with pytest.raises(release.StepError, match=r"tagged v1\.2\.4, and its version is 1\.2\.3"):
        release.check_git(tmp_path, VERSION)


def test_a_program_that_prints_another_version(release: Any) -> None:
    command = [sys.executable, "-c", r"print('extensions:\n  \x1b[32mours\x1b[0m 1.2.3')"]
    release.expect(r"ours 1\.2\.3$", command)
    with pytest.raises(release.StepError, match=r"does not say .*\n.*\n +ours 1\.2\.3"):
        release.expect(r"ours 1\.2\.30$", command)


def test_all_problems_are_listed(release: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Callable[..., None]:
        def check(*arguments: object) -> None:
            raise release.StepError(f"no {name}")

        return check

    for name in ("check_changelog", "check_git", "build"):
        monkeypatch.setattr(release, name, fail(name))
    with pytest.raises(release.StepError, match=r"(?s)cannot be released.*no check_changelog.*no check_git.*no build"):
        release.release_check([])
