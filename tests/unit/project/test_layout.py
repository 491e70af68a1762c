"""The package stays in parts that one can read: what is longer than that is listed, and the list only shrinks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_tfcontainer

PACKAGE = Path(jupyter_tfcontainer.__file__).parent
FILE_LINES = 450
FUNCTION_LINES = 60
TOP_MODULES = 12

# What is longer. Nothing comes in here; what has become shorter must come out.
LONG_FILES = {
    # One file goes into the container, where nothing of ours can be imported.
    "kernels/inside/supervisor.py",
    "kernels/starter.py",
}
LONG_FUNCTIONS: set[str] = set()


def long_files(package: Path) -> set[str]:
    """Return the Python files that are too long; data has no such limit."""
    return {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > FILE_LINES
    }


def functions(package: Path) -> Iterator[tuple[str, int]]:
    """Yield each function, be it within another or not, and its lines: from ``def`` on, with its docstring."""
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{path.relative_to(package)}::{node.name}", node.end_lineno - node.lineno + 1


def long_functions(package: Path) -> set[str]:
    return {name for name, lines in functions(package) if lines > FUNCTION_LINES}


def test_no_file_is_too_long_but_those_listed() -> None:
    assert long_files(PACKAGE) == LONG_FILES


def test_no_function_is_too_long_but_those_listed() -> None:
    assert long_functions(PACKAGE) == LONG_FUNCTIONS


def test_few_modules_lie_beside_the_folders() -> None:
    assert 0 < len(list(PACKAGE.glob("*.py"))) <= TOP_MODULES


@pytest.mark.parametrize(("more", "found"), [(0, False), (1, True)], ids=["at the limit", "beyond it"])
def test_limits(tmp_path: Path, more: int, found: bool) -> None:
    """What is measured is measured to the line."""
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "file.py").write_text("x = 1\n" * (FILE_LINES + more), encoding="utf-8")
    body = "        x = 1\n" * (FUNCTION_LINES - 1 + more)
    (folder / "methods.py").write_text(f"class C:\n    async def method(self):\n{body}", encoding="utf-8")
    assert long_files(tmp_path) == ({"part/file.py"} if found else set())
    assert long_functions(tmp_path) == ({"part/methods.py::method"} if found else set())
