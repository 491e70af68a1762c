"""Run programs as another person than the one who runs the tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# That person must be able to enter what the programs need, and the tests' own Python may lie in a folder that is closed
# to others. In a mount namespace of the program's own, one with only the needed in it takes that folder's place.
OPEN = """
set -eu
stash=$(mktemp -d)
mount -t tmpfs tmpfs "$stash"
number=0
for path in $NEEDED; do
    number=$((number + 1)); mkdir "$stash/$number"; mount --bind "$path" "$stash/$number"
done
for folder in $CLOSED; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
number=0
for path in $NEEDED; do
    number=$((number + 1)); mkdir -p "$path"; mount --move "$stash/$number" "$path"
done
umount "$stash"; rmdir "$stash"
"""
BECOME = """
exec setpriv --reuid "$PERSON_UID" --regid "$PERSON_GID" --groups "$PERSON_GROUPS" \\
    --inh-caps=-all --bounding-set=-all -- "$@"
"""


def as_person(command: list[str], *, uid: int, groups: tuple[int, ...] = ()) -> list[str]:
    """The command that runs another as somebody else.

    Parameters
    ----------
    command
        what to run
    uid
        user id, and group id
    groups
        supplementary group ids
    """
    variables = {
        **to_be_opened(),
        "PERSON_UID": str(uid),
        "PERSON_GID": str(uid),
        "PERSON_GROUPS": ",".join(map(str, (uid, *groups))),
    }
    settings = [f"{name}={value}" for name, value in variables.items()]
    # A mount namespace, and with it the mounts, ends with its last process.
    spaces = ["unshare", "--mount", "--propagation", "private"]
    return ["env", *settings, *spaces, "sh", "-c", OPEN + BECOME, "sh", *command]


def to_be_opened() -> dict[str, str]:
    """The variables that `OPEN` wants."""
    needed: list[Path] = []
    closed: list[Path] = []
    for path in dict.fromkeys((Path(sys.base_prefix), ROOT)):
        if folder := _closed(path):
            needed.append(path)
            closed += [] if folder in closed else [folder]
    return {"NEEDED": " ".join(map(str, needed)), "CLOSED": " ".join(map(str, closed))}


def _closed(path: Path) -> Path | None:
    """The first folder on the way to a path that others cannot enter."""
    return next((folder for folder in [*reversed(path.parents), path] if not folder.stat().st_mode & 0o001), None)
