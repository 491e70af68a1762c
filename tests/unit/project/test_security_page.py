"""The page on threats names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent.parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| **"))]


def test_each_threat_has_a_test_that_is_there() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
            there = [one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert test in there, f"{file}::{test}"
