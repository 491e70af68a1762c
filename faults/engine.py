"""An engine that others do not feel: on a small disk, and with memory that can be made scarce."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines import PrivateEngine, made
from homes import MODERN

# Enough for an image and its containers, and soon full.
DISK = "2g"
CONTROL_GROUPS = Path("/sys/fs/cgroup")


class SmallEngine(PrivateEngine):
    """An engine whose containers outlive it, and have one control group together."""

    def begin(self) -> None:
        """Start it."""
        self.start("--live-restore", "--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{self.folder.name}")

    def control_groups(self) -> list[Path]:
        """That group, in each hierarchy that has it."""
        found = (path for pattern in ("", "*/") for path in CONTROL_GROUPS.glob(pattern + self.folder.name))
        return sorted({path.resolve() for path in found})

    @contextmanager
    def scarce_memory(self, more: int) -> Iterator[None]:
        """Let all its containers together have no more memory than they have, and so many bytes."""
        # In cgroup v2, and in v1.
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            for folder in self.control_groups():
                if (folder / limit).exists():
                    before = (folder / limit).read_text()
                    (folder / limit).write_text(str(int((folder / usage).read_text()) + more))
                    try:
                        yield
                    finally:
                        (folder / limit).write_text(before)
                    return


@contextmanager
def small_engine() -> Iterator[SmallEngine]:
    """Such an engine, with an image of a kernel."""
    with made(SmallEngine) as engine, disk(engine.folder / "data", DISK):
        engine.begin()
        try:
            engine.load(MODERN)
            yield engine
        finally:
            for container in engine.docker("ps", "--all", "--quiet").split():
                engine.docker("rm", "--force", container)
            engine.stop()
            for folder in engine.control_groups():
                folder.rmdir()


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """A small disk in the place of a folder."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
