"""Say which tests of the second tier a change has to pass.

The first tier, `make test`, runs for every change. The second one is long by nature: its tests are marked ``slow``, and
`make test-all` runs them all. `.ci/run` runs those whose subject a change touches, so that each runs before it can
break for anybody.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from steps import run

if TYPE_CHECKING:
    from collections.abc import Iterable

# What each engine has an idea of its own of: how containers are made, run and ended, and what runs in them.
ENGINES = (
    "jupyter_tfcontainer/engine/**",
    "jupyter_tfcontainer/kernels/**",
    "jupyter_tfcontainer/images/inside/**",
    "tests/support/engine_*.py",
    "tests/engine/*_cases.py",
)
# Test files with slow tests, and the paths that these depend on: `*` stays in a folder, `**` does not.
SECOND_TIER: dict[str, tuple[str, ...]] = {
    "tests/browser/test_versions.py": ("pyproject.toml", "labextension/package.json", "labextension/src/**"),
    "tests/engine/test_bench.py": ("benchmarks/**",),
    "tests/engine/test_engine_podman.py": ENGINES,
    "tests/engine/test_engine_rootless_docker.py": ENGINES,
    "tests/engine/test_engine_rootless_podman.py": ENGINES,
    "tests/engine/test_make_lab.py": (
        "Makefile",
        "pyproject.toml",
        "scripts/develop.py",
        "scripts/engine.py",
        "tests/images/**",
    ),
    "tests/engine/test_messages.py": ("jupyter_tfcontainer/kernels/inside/**",),
    "tests/engine/test_restart.py": ("jupyter_tfcontainer/kernels/**", "jupyter_tfcontainer/provisioner.py"),
    "tests/project/test_packaging.py": ("pyproject.toml",),
}
# Seconds: a change is at most as old as this when it is submitted. An older base only ever makes more tests run.
RECENT = 4 * 3600


def matches(path: str, pattern: str) -> bool:
    """Tell whether a path is one of those that a pattern means."""
    expression = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.fullmatch(expression, path) is not None


def second_tier(changed: Iterable[str]) -> list[str]:
    """Return the test files whose slow tests a change has to pass.

    Parameters
    ----------
    changed
        paths of the files that it touches, relative to the repository
    """
    paths = list(changed)
    return [
        tests
        for tests, patterns in SECOND_TIER.items()
        if any(matches(path, pattern) for path in paths for pattern in (*patterns, tests))
    ]


def changed_files() -> list[str]:
    """Return the files that the change under test touches.

    It begins at the commit ``CI_BASE``, or at the last one that is four hours older than the newest.
    """
    base = os.environ.get("CI_BASE") or _recent_base()
    return run(["git", "diff", "--name-only", "--no-renames", base, "HEAD"]).splitlines()


def _recent_base() -> str:
    newest = int(run(["git", "log", "-1", "--format=%ct"]))
    older = run(["git", "rev-list", "-1", f"--before={newest - RECENT}", "HEAD"]).strip()
    return older or run(["git", "hash-object", "-t", "tree", "/dev/null"]).strip()
