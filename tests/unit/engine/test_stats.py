"""What engines tell of a container's use."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_tfcontainer.engine.stats import read_stats

GIB = 1024**3
CONTAINER = {"Id": "c", "HostConfig": {"NanoCpus": 0}}


def stats(**memory: Any) -> dict[str, Any]:
    return {
        "read": "2026-11-24T11:40:21.5Z",
        "pids_stats": {"current": 3},
        "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
        "memory_stats": {"usage": 800, "limit": 16 * GIB, **memory},
    }


@pytest.mark.parametrize(
    ("detail", "memory"),
    [
        ({"inactive_file": 200}, 600),  # cgroup v2
        ({"inactive_file": 0, "total_inactive_file": 300}, 500),  # cgroup v1
        ({"inactive_file": 900}, 0),
        (None, 800),  # Podman
    ],
)
def test_files_that_the_kernel_keeps_do_not_count(detail: Any, memory: int) -> None:
    assert read_stats(stats(stats=detail), CONTAINER, 16 * GIB)["memory"] == memory


@pytest.mark.parametrize(("limit", "told"), [(16 * GIB, None), (2**64 - 1, None), (0, None), (4 * GIB, 4 * GIB)])
def test_a_limit_that_is_none(limit: int, told: int | None) -> None:
    assert read_stats(stats(limit=limit), CONTAINER, 16 * GIB)["memory_limit"] == told


def test_processors() -> None:
    limited = {**CONTAINER, "HostConfig": {"NanoCpus": 1_500_000_000}}
    read = read_stats(stats(), limited, 16 * GIB)
    assert (read["cpu_seconds"], read["cpu_limit"], read["pids"]) == (1.5, 1.5, 3)
    assert read_stats(stats(), CONTAINER, 16 * GIB)["cpu_limit"] is None


@pytest.mark.parametrize(
    ("written", "fraction"),
    [("21.450026231Z", 0.450026231), ("21Z", 0.0), ("21.5+02:00", 0.5), ("21.123456789-05:00", 0.123456789)],
)
def test_times_as_go_writes_them(written: str, fraction: float) -> None:
    time = read_stats({**stats(), "read": f"2026-11-24T11:40:{written}"}, CONTAINER, GIB)["time"]
    hours = {"+02:00": -2, "-05:00": 5}.get(written[-6:], 0)
    assert time == pytest.approx(1_795_520_421 + 3600 * hours + fraction, abs=1e-5)
