"""Files of environments that only this user may read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..paths import data_folder


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the kernelspecs, on the same disk, in which Jupyter looks for none."""
    data_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kernelspec-", dir=data_folder()) as folder:
        yield Path(folder)


def write(path: Path, content: str) -> None:
    """Write a file that this user only may read, so that a reader sees the old or the new and never a half."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink()
        raise
