"""Tell who takes the processor's time, by the kernel's own process accounting, see acct(2) and acct(5)."""

from __future__ import annotations

import ctypes
import os
import struct
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# `struct acct_v3`: of its fields, the version, user and system time, and the command's name.
RECORD = struct.Struct("=xB30xHH12x16s")
VERSION = 3
TICKS = 100
# Processes that live longer than a run, so that the kernel writes no record of them.
DAEMONS = ("dockerd", "containerd")
# What all containers of Docker's default driver took together, in control groups of version 1 and 2.
CONTAINERS = {"/sys/fs/cgroup/cpuacct/docker/cpuacct.usage": 1e9, "/sys/fs/cgroup/docker/cpu.stat": 1e6}


def ticks(number: int) -> int:
    """Expand the kernel's ``comp_t``: 13 bits, times a power of eight of 3 bits."""
    return (number & 0x1FFF) << 3 * (number >> 13)


def read(records: bytes) -> dict[str, float]:
    """Add the records of processes that have ended up.

    Parameters
    ----------
    records
        what the kernel wrote

    Returns
    -------
    dict
        seconds of processor time by the command's name
    """
    seconds: dict[str, float] = defaultdict(float)
    for version, user, system, name in RECORD.iter_unpack(records[: len(records) // RECORD.size * RECORD.size]):
        if version & 0xF == VERSION:
            seconds[name.rstrip(b"\0").decode(errors="replace")] += (ticks(user) + ticks(system)) / TICKS
    return seconds


def daemons() -> dict[str, float]:
    """Return the seconds that engines have taken so far, without their children that have ended."""
    seconds: dict[str, float] = defaultdict(float)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has just ended
            continue
        if name in DAEMONS:
            user, system = rest.split()[11:13]
            seconds[name] += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return seconds


def containers() -> float:
    """Return the seconds that containers of the default engine have taken so far; 0 where that is not told."""
    for path, unit in CONTAINERS.items():
        try:
            text = Path(path).read_text()
        except OSError:
            continue
        return int(text.split()[1] if "usage_usec" in text else text) / unit
    return 0.0


@contextmanager
def accounting() -> Iterator[dict[str, float]]:
    """Account for the processes of the whole machine while the `with` block runs.

    Yields
    ------
    dict
        filled at the end of the block: seconds of processor time by the command's name. It stays empty where the kernel
        or the lack of rights does not allow that.
    """
    seconds: dict[str, float] = defaultdict(float)
    libc = ctypes.CDLL(None)
    with tempfile.NamedTemporaryFile(prefix="tfcontainer-acct-") as file:
        before, inside = daemons(), containers()
        if libc.acct(file.name.encode()):
            yield seconds
            return
        try:
            yield seconds
        finally:
            libc.acct(None)
            # An engine that has been started in between has taken all that it has since then.
            engines = {name: used - before[name] for name, used in daemons().items()}
            for name, used in (*read(Path(file.name).read_bytes()).items(), *engines.items()):
                seconds[name] += used
            if (took := containers() - inside) > 0:
                seconds["(in containers, also counted above)"] = took
