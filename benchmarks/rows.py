"""Which lines the benchmark has, and what each is to reach (``goal``)."""

from __future__ import annotations

from dataclasses import dataclass

from .figures import Row

LOCAL = "a local ipykernel of the host"
BARE = "the same ipykernel, bare in the image's root file system"
BY_HAND = "docker run of the notebook server in the image, and a notebook in that"
PEERS = ("dockernel", "envkernel", "gateway_provisioners")
# What the whole of the kernels costs is measured with this many at a time.
MANY = (1, 10, 50)


def _lives() -> list[Row]:
    rows = []
    for ours, suffix, bare in (("legacy", "", "bare"), ("modern", "_modern", "bare_modern")):
        rows += [
            Row(f"first_start{suffix}", "start", ours, "local", LOCAL, goal=1.0 if suffix else 1.2),
            Row(f"first_start{suffix}_bare", "start", ours, bare, BARE),
            Row(f"standby_start{suffix}", "start", f"standby_{ours}", "local", LOCAL, goal=0.25),
            Row(f"restart{suffix}", "restart", ours, "local", LOCAL, goal=0.5),
            Row(f"restart_again{suffix}", "restart_again", ours, "local", LOCAL),
            Row(f"interrupt{suffix}", "interrupt", ours, "local", LOCAL, goal=1.0),
            Row(f"shutdown{suffix}", "shutdown", ours, "local", LOCAL),
            *(
                Row(f"first_start{suffix}", "start", ours, f"{peer}_{ours}", peer, goal=None if suffix else 0.6)
                for peer in PEERS
            ),
            *(Row(f"shutdown{suffix}", "shutdown", ours, f"{peer}_{ours}", peer) for peer in PEERS),
        ]
    return [*rows, Row("first_start", "start", "legacy", "by_hand", BY_HAND)]


def _messages() -> list[Row]:
    rows = []
    for ours, suffix, bare in (("legacy", "", "bare"), ("modern", "_modern", "bare_modern")):
        name = f"round_trip_bare{suffix}"
        rows += [
            Row(name, "round_trip", ours, bare, BARE, goal=1.03),
            Row(f"{name}_p95", "round_trip", ours, bare, BARE, statistic="p95"),
            Row(f"{name}_p99", "round_trip", ours, bare, BARE, statistic="p99"),
            *(
                Row(
                    f"throughput_bare{suffix}{part}",
                    f"throughput{part}",
                    ours,
                    bare,
                    BARE,
                    unit="MB/s",
                    goal=None if part else 0.97,
                    more_is_better=True,
                )
                for part in ("", "_stdout", "_display", "_to_kernel")
            ),
        ]
    return rows


def _load() -> list[Row]:
    rows = []
    for ours, suffix in (("legacy", ""), ("modern", "_modern")):
        baseline = f"{LOCAL}: ten of them start, and no image is pulled"
        rows += [
            Row(f"status_under_load{suffix}", "status", ours, "local", baseline, goal=1.0),
            Row(f"status_under_load{suffix}_p95", "status", ours, "local", baseline, statistic="p95"),
            Row(f"stall{suffix}", "stall", ours, "local", baseline, goal=1.0),
        ]
    return rows


def _many() -> list[Row]:
    rows = []
    for count in MANY:
        rows += [
            Row(f"kernels_{count}_ready", f"ready_{count}", "legacy", "local", LOCAL),
            Row(f"kernels_{count}_compute", f"compute_{count}", "legacy", "local", LOCAL),
            Row(
                f"kernels_{count}_stall",
                f"stall_{count}",
                "legacy",
                "local",
                LOCAL,
                goal=1.0 if count == MANY[-1] else None,
            ),
            Row(f"kernels_{count}_stop", f"stop_{count}", "legacy", "local", LOCAL),
            Row(f"kernels_{count}_server_cpu", f"cpu_{count}", "legacy", "local", LOCAL),
            Row(f"kernels_{count}_server_cpu_at_rest", f"cpu_at_rest_{count}", "legacy", "local", LOCAL, unit="s/s"),
            Row(f"kernels_{count}_server_memory", f"server_memory_{count}", "legacy", "local", LOCAL, unit="MB"),
            Row(f"kernels_{count}_kernel_memory", f"kernel_memory_{count}", "legacy", "local", LOCAL, unit="MB"),
        ]
    return rows


WITHOUT = "the same without preload"
PARTS: dict[str, list[Row]] = {
    "lives": _lives(),
    "preload": [Row("preloaded_import", "import", "preload", "legacy", WITHOUT, goal=0.05)],
    "messages": _messages(),
    "load": _load(),
    "many": _many(),
}


@dataclass(frozen=True)
class Wanted:
    """What is asked of one part.

    Parameters
    ----------
    rows
        its rows
    """

    rows: tuple[Row, ...]

    @property
    def quantities(self) -> set[str]:
        """What they compare."""
        return {row.quantity for row in self.rows}

    def of(self, *names: str) -> list[str]:
        """Those of some sides that they compare."""
        compared = {side for row in self.rows for side in (row.ours, row.theirs)}
        return [name for name in names if name in compared]


def wanted(only: list[str]) -> dict[str, Wanted]:
    """The rows that somebody asked for by name, by the parts that measure them; all without a name.

    Raises
    ------
    ValueError
        if there is no such row
    """
    names = {row.name for rows in PARTS.values() for row in rows}
    if unknown := set(only) - names:
        raise ValueError(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}")
    chosen = {part: tuple(row for row in rows if not only or row.name in only) for part, rows in PARTS.items()}
    return {part: Wanted(rows) for part, rows in chosen.items() if rows}
