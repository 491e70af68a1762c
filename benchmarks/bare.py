"""The ipykernel of an image run bare: in the image's root file system, but in no container.

The kernel gets its messages through the same kind of sockets as ours: what is left is what the container itself costs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from homes import Home

# In a mount namespace of its own, which ends with the kernel: what is mounted there is seen by nobody else.
ENTER = """
set -e
for folder in proc dev sys; do mount --rbind /$folder "$ROOT/$folder"; done
mkdir -p "$ROOT$RUN" "$ROOT/notebooks"
mount --bind "$RUN" "$ROOT$RUN"
mount --bind "$WORKSPACE" "$ROOT/notebooks"
exec chroot "$ROOT" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 PYTHONIOENCODING=utf-8 \\
    sh -c 'cd /notebooks && exec "$@"' sh "$@"
"""


def root_filesystem(image: str, folder: Path) -> Path:
    """A copy of an image's root file system, made if it is not there.

    Parameters
    ----------
    image
        its name
    folder
        where such copies are kept
    """
    identity = _docker("image", "inspect", "--format", "{{.Id}}", image).removeprefix("sha256:")
    root = folder / identity[:16]
    if root.exists():
        return root
    partial = folder / f"{identity[:16]}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    container = _docker("create", image)
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            subprocess.run(["tar", "-x", "-C", partial], stdin=export.stdout, check=True)
    finally:
        _docker("rm", container)
    partial.rename(root)
    return root


def add(home: Home, name: str, root: Path, python: str) -> None:
    """Write the kernelspec of a bare kernel.

    Parameters
    ----------
    home
        of the server that is to have it
    name
        of the kernelspec
    root
        the root file system
    python
        the interpreter in it
    """
    spec = {
        "argv": [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"),
            *(python, "-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "env": {"ROOT": str(root), "RUN": str(home.root / "run"), "WORKSPACE": str(home.workspace)},
        "display_name": name,
        "language": "python",
        "interrupt_mode": "signal",
    }
    folder = home.data / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))


def why_not() -> str:
    """Why this cannot be done here, or nothing."""
    return "" if os.geteuid() == 0 else "only root may enter another root file system"


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout.strip()
