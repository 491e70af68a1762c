"""Images with an entrypoint of a test's own."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from homes import MODERN


@contextmanager
def image(script: str) -> Iterator[str]:
    """An image whose containers first run a shell script, which finds the command in its arguments.

    It is gone afterwards.
    """
    name = f"tfcontainer-test/{secrets.token_hex(4)}"
    container = _docker("create", MODERN, "true")
    try:
        entrypoint = json.dumps(["sh", "-c", script, "sh"])
        _docker("commit", "--change", f"ENTRYPOINT {entrypoint}", container, name)
    finally:
        _docker("rm", container)
    try:
        yield name
    finally:
        _docker("rmi", name)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
