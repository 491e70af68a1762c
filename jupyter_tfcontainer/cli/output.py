"""What the command prints: tables, JSON, colours where somebody sees them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, TextIO

GAP = "  "
# The least that a column is cut to: less says nothing.
NARROWEST = 12
# ISO/IEC 6429, "Select graphic rendition".
COLOURS = {"green": "32", "yellow": "33", "red": "31", "bold": "1"}
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def say(text: str = "") -> None:
    """Print a line."""
    print(text)


def complain(text: str) -> None:
    """Print text where errors go."""
    print("\n".join(wrapped(line, 0, sys.stderr) for line in text.split("\n")), file=sys.stderr)


def confirmed(question: str) -> bool:
    """Ask whether something may be done. Where nobody can be asked, nobody says yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip().lower()
    if not sys.stdin.isatty():
        print(file=sys.stderr)
    return answer in ("y", "yes")


def dump(value: Any) -> None:
    """Print JSON."""
    print(json.dumps(value, indent=2))


def width(stream: TextIO | None = None) -> int | None:
    """How many columns a reader has; None in a pipe, where nothing is cut or wrapped."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def coloured(text: str, colour: str) -> str:
    """Text in a colour, for a terminal whose person has nothing against it."""
    # https://no-color.org: set, and not to nothing.
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return f"\033[{COLOURS[colour]}m{text}\033[0m"
    return text


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, shrink: Sequence[int] = (), ends: Sequence[int] = ()
) -> None:
    """Print a table.

    Parameters
    ----------
    heads
        of the columns
    rows
        their cells
    shrink
        the columns to cut where a terminal is too narrow, the first of them first
    ends
        those of them whose ends tell more than their beginnings, as with paths
    """
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    available = width()
    if available is not None:
        for index in shrink:
            excess = sum(widths) + len(GAP) * (len(widths) - 1) - available
            if excess > 0:
                widths[index] = min(widths[index], max(NARROWEST, len(heads[index]), widths[index] - excess))
    for number, row in enumerate([heads, *rows]):
        cells = [
            cut(cell, size, end=bool(number) and index in ends).ljust(size)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        line = GAP.join(cells).rstrip()
        say(line if number else coloured(line, "bold"))


def cut(text: str, size: int, *, end: bool = False) -> str:
    """Text, and if it is too long its beginning, or its end."""
    if len(text) <= size:
        return text
    return f"…{text[1 - size :]}" if end else f"{text[: size - 1]}…"


def wrapped(text: str, indent: int, stream: TextIO | None = None) -> str:
    """A paragraph for a terminal, all lines but the first indented."""
    available = width(stream)
    if available is None:
        return text
    lines = textwrap.wrap(
        text,
        max(available - indent, NARROWEST),
        # Commands, paths and the names of images are to be copied.
        break_long_words=False,
        break_on_hyphens=False,
    )
    return ("\n" + " " * indent).join(lines)


def fields(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    indent = max(len(name) for name, _ in pairs) + len(GAP)
    for name, value in pairs:
        say(f"{name.ljust(indent)}{wrapped(value, indent)}".rstrip())


def ago(moment: str) -> str:
    """How long ago an ISO date was, in one unit."""
    seconds = max(0, int((datetime.now(timezone.utc) - datetime.fromisoformat(moment)).total_seconds()))
    size, name = next(((size, name) for size, name in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds // size} {name} ago"


def size(number: float) -> str:
    """A number of bytes as people write it."""
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:  # noqa: PLR2004 - the unit's own
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def home_relative(path: str) -> str:
    """A path as short as people write it."""
    home = os.path.expanduser("~")  # noqa: PTH111 - text in, text out
    return f"~{path[len(home) :]}" if path == home or path.startswith(f"{home}/") else path
