"""The notebook that `make lab` opens."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent.parent.parent / "examples" / "legacy_tensorflow.ipynb"
# What Python 3 parses and Python 2.7 does not.
NEW_SYNTAX = (
    ast.JoinedStr,
    ast.NamedExpr,
    ast.AsyncFunctionDef,
    ast.AnnAssign,
    ast.Nonlocal,
    ast.YieldFrom,
    ast.MatMult,
    ast.Match,
)
NEW_FIELDS = ("annotation", "cause", "kwonlyargs", "posonlyargs", "returns")
# Names and modules that mean something else on Python 2.7, or nothing.
NEW_NAMES = {
    *("FileNotFoundError", "PermissionError", "FileExistsError", "TimeoutError", "ConnectionError", "exec", "input"),
    *("asyncio", "concurrent", "configparser", "dataclasses", "enum", "pathlib", "typing"),
}


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]


def new_in_python_3(source: str) -> list[str]:
    """What of some code Python 2.7 would not take."""
    # IPython's own lines are no Python.
    nodes = list(ast.walk(ast.parse(re.sub(r"^[%!].*$", "pass", source, flags=re.MULTILINE))))
    names = [getattr(node, field, None) for node in nodes for field in ("id", "module", "name")]
    return [
        *(type(node).__name__ for node in nodes if isinstance(node, NEW_SYNTAX)),
        *(field for field in NEW_FIELDS for node in nodes if getattr(node, field, None)),
        *(str(name) for name in names if name in NEW_NAMES),
        *("class keywords" for node in nodes if isinstance(node, ast.ClassDef) and node.keywords),
        *("starred target" for node in nodes if isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Store)),
        # A source file of Python 2 would have to name its encoding, and the string would be one of bytes.
        *(line for line in source.splitlines() if not line.isascii()),
    ]


def test_is_a_valid_notebook(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert notebook.nbformat == 4
    assert notebook.metadata.kernelspec.language == "python"


def test_nothing_of_a_run_is_kept(notebook: Any) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 5
    for cell in code:
        assert cell.outputs == []
        assert cell.execution_count is None
        assert not cell.metadata
    assert notebook.metadata.language_info == {"name": "python"}  # without a version: it runs on 2.7 and 3.5 alike


def test_runs_on_python_2(notebook: Any) -> None:
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for source in code:
        assert new_in_python_3(source) == []
    # Or `print` and `/` would mean other things there.
    first = ast.parse(code[0].replace("%matplotlib inline", "")).body[0]
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "__future__"
    assert {alias.name for alias in first.names} == {"division", "print_function"}


@pytest.mark.parametrize("source", ["print(*x)", "f(a=1)", "try:\n    pass\nexcept IOError as e:\n    raise", "%pylab"])
def test_what_both_take_is_let_pass(source: str) -> None:
    assert new_in_python_3(source) == []


@pytest.mark.parametrize(
    "source",
    [
        *("f'{x}'", "(x := 1)", "async def f(): pass", "x: int = 1", "first, *rest = x", "a @ b", "raise A from b"),
        *("def f(*, a): pass", "def f(a, /): pass", "def f(a: int): pass", "def f() -> int: pass"),
        *("class A(metaclass=B): pass", "import pathlib", "from typing import Any", "'ü'", "exec('1')"),
        *("def f():\n    yield from x", "try:\n    pass\nexcept FileNotFoundError:\n    pass"),
    ],
)
def test_what_is_new_in_python_3_is_seen(source: str) -> None:
    assert new_in_python_3(source)
