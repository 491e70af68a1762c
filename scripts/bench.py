"""Set up what the benchmark needs, and run it: `python3 scripts/bench.py --help`."""

from __future__ import annotations

from modules import run_module
from steps import main

PROGRAMS = {"docker-registry": "docker-registry"}
IMAGES = ("tensorflow", "modern")


def bench(arguments: list[str]) -> int:
    """Measure."""
    return run_module("benchmarks", arguments, programs=PROGRAMS, images=IMAGES, extra="bench")


if __name__ == "__main__":
    main(bench)
