"""Set up what the benchmark needs, and run it: `python3 scripts/bench.py --help`."""

from __future__ import annotations

import os
import subprocess

import engine
from develop import BIN, building_images, environment, install, make_venv
from steps import ROOT, main, need

PROGRAMS = {"docker-registry": "docker-registry"}
IMAGES = ("tensorflow", "modern")


def bench(arguments: list[str]) -> int:
    """Measure, and leave no engine behind that was not there."""
    started = engine.start()
    try:
        need(PROGRAMS)
        make_venv()
        with building_images(*IMAGES):
            install("bench")
        # The benchmark starts servers and homes as the tests do.
        variables = {**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        command = [str(BIN / "python"), "-m", "benchmarks", *arguments]
        return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
    finally:
        if started:
            engine.stop()


if __name__ == "__main__":
    main(bench)
