"""The Docker of Debian's next release, where CDI works, with stand-ins for what NVIDIA's toolkit writes."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from engines import PrivateEngine

IMAGE = "tfcontainer/docker:trixie"
# runc cannot start containers in a mere chroot, so the engine's root file system becomes the root of a mount namespace.
# Of the machine it has the devices, the control groups, and the folder in which tests have theirs: what is to be
# mounted into containers must be at the same place for the engine.
ENTER = """
set -eu
cd "$ROOT"
mount --bind . .
cd "$ROOT"
for place in /dev /proc /sys; do mount --rbind "$place" ".$place"; done
mkdir -p ".$SHARED"
mount --bind "$SHARED" ".$SHARED"
mount -t tmpfs -o mode=755 tmpfs run
pivot_root . .
umount -l .
cd /
exec "$@"
"""


def device(*numbers: int) -> dict[str, Any]:
    """The part of a CDI file that stands in for cards: CUDA's devices are /dev/null by another name."""
    nodes = [*(f"nvidia{number}" for number in numbers), "nvidiactl"]
    return {
        "deviceNodes": [{"path": f"/dev/{node}", "hostPath": "/dev/null"} for node in nodes],
        "env": [f"STANDIN_GPU_{number}=in" for number in numbers],
    }


# What `nvidia-ctk cdi generate` writes where there are two cards.
CDI = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {"name": "0", "containerEdits": device(0)},
        {"name": "1", "containerEdits": device(1)},
        {"name": "GPU-1111", "containerEdits": device(1)},
        {"name": "all", "containerEdits": device(0, 1)},
        # Of a card that has gone: what all cards share comes, and no card.
        {"name": "gone", "containerEdits": device()},
    ],
}


class NewerDocker(PrivateEngine):
    """A Docker that knows CDI, and that nobody else uses."""

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder, namespace)
        self.root = folder / "root"
        for made in (self.root, self.cdi.parent):
            made.mkdir()
        container = subprocess.run(["docker", "create", IMAGE], check=True, text=True, stdout=subprocess.PIPE).stdout
        try:
            with subprocess.Popen(["docker", "export", container.strip()], stdout=subprocess.PIPE) as export:
                subprocess.run(["tar", "-x", "-C", self.root], stdin=export.stdout, check=True)
        finally:
            subprocess.run(["docker", "rm", container.strip()], check=True, stdout=subprocess.DEVNULL)

    @property
    def cdi(self) -> Path:
        """Its list of GPUs."""
        return self.folder / "cdi" / "nvidia.json"

    def know_gpus(self) -> None:
        """Give it a list of GPUs; it notices by itself."""
        self.cdi.write_text(json.dumps(CDI))

    def cdi_settings(self) -> dict[str, Any]:
        """The settings that turn CDI on."""
        return {"features": {"cdi": True}, "cdi-spec-dirs": [str(self.cdi.parent)]}

    def enter(self) -> list[str]:
        """The command that runs another where the engine is to be."""
        words = ["env", f"ROOT={self.root}", f"SHARED={tempfile.gettempdir()}"]
        return [*super().enter(), *words, "unshare", "--mount", "sh", "-c", ENTER, "sh"]
