"""What is inside images: found once for each id, and remembered in a file in Jupyter's data folder.

An id stands for the very content, so nothing in it ever becomes wrong.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Where ipykernel is looked for, in order.
INTERPRETERS = ("python3", "python", "python2")

# Images that are remembered; the first to be found is the first to be forgotten.
REMEMBERED = 500


@dataclass(frozen=True)
class Contents:
    """What matters of what is in an image.

    Parameters
    ----------
    python, ipykernel, tensorflow
        versions, or None for what is not there
    executable
        path of that Python
    """

    python: str | None
    ipykernel: str | None
    tensorflow: str | None
    executable: str | None = None

    @classmethod
    def from_json(cls, value: Any) -> Contents:
        """Read what :func:`asdict` or the program inside wrote; what else is in it is left out."""
        return cls(*(value.get(name) for name in ("python", "ipykernel", "tensorflow", "executable")))

    def model(self) -> dict[str, str | None]:
        """The JSON model."""
        return {"python": self.python, "ipykernel": self.ipykernel, "tensorflow": self.tensorflow}


class ContentsCache:
    """What is known of the contents of images, by their ids.

    Parameters
    ----------
    path
        of the file
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def get(self, image: str) -> Contents | None:
        """What is in an image, or None where nobody has looked yet."""
        return self.all().get(image)

    def all(self) -> dict[str, Contents]:
        """All that is known."""
        # ValueError, TypeError: somebody wrote into it; it can be found out again.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(image): Contents.from_json(one) for image, one in found.items()}
        return {}

    def put(self, image: str, contents: Contents) -> None:
        """Remember what is in an image."""
        with self._lock:
            known = self.all()
            if known.get(image) == contents:
                return
            known.pop(image, None)
            kept = list({**known, image: contents}.items())[-REMEMBERED:]
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, new = tempfile.mkstemp(dir=self._path.parent, prefix=".images-")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump({one: asdict(what) for one, what in kept}, file)
                Path(new).replace(self._path)
            except BaseException:
                Path(new).unlink()
                raise
