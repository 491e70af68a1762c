"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    Parameters
    ----------
    what
        was looked at
    level
        how it is
    text
        how it is, in words, with what to do where it is not well
    """

    what: str
    level: Level
    text: str
