"""What a container uses: read from the engine's answer. Pure: no I/O."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

Model = dict[str, Any]


def read_stats(stats: Model, container: Model, memory: int) -> Model:
    """The figures of a container at one time.

    Share of a processor is not among them: it takes two times. Who asks again divides what ``cpu_seconds`` grew by,
    by the difference of ``time``; so any number of pages may ask, in turns of their own, and of any engine (Podman
    does not tell of the time before).

    Parameters
    ----------
    stats
        the engine's figures
    container
        what it knows of the container
    memory
        that the engine has, in bytes: it gives this as the limit of containers that have none
    """
    usage, limit = stats["memory_stats"].get("usage", 0), stats["memory_stats"].get("limit", 0)
    detail = stats["memory_stats"].get("stats") or {}
    # What the kernel keeps of files and gives up first is not what the person means (as `docker stats` has it); the
    # first name is that of cgroup v1, where the second leaves out what is below.
    files = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    processors = container["HostConfig"].get("NanoCpus") or 0
    return {
        "id": container["Id"],
        "time": _seconds(stats["read"]),
        "memory": max(usage - files, 0),
        "memory_limit": limit if 0 < limit < memory else None,
        "cpu_seconds": stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        "cpu_limit": processors / 1e9 or None,
        "pids": stats.get("pids_stats", {}).get("current", 0),
    }


def _seconds(written: str) -> float:
    """Seconds of a time as Go writes it: up to nine digits behind the point, and Z or the difference to UTC."""
    match = re.fullmatch(r"([^.Z]+?)(\.\d+)?(Z|[+-]\d\d:\d\d)", written)
    if not match:
        raise ValueError(f"no time: {written}")
    whole, part, zone = match.groups()
    return datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp() + float(part or 0)
