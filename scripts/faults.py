"""Set up what the faults need, and have them happen: `python3 scripts/faults.py --help`."""

from __future__ import annotations

import os
import subprocess

import engine
from develop import BIN, building_images, environment, install, make_venv
from steps import ROOT, main, need

PROGRAMS = {"gcc": "gcc libc6-dev", "ip": "iproute2"}
IMAGES = ("modern",)


def faults(arguments: list[str]) -> int:
    """Have things go wrong, and leave no engine behind that was not there."""
    started = engine.start()
    try:
        need(PROGRAMS)
        make_venv()
        with building_images(*IMAGES):
            install()
        # They start servers and homes as the tests and the benchmark do.
        variables = {**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        command = [str(BIN / "python"), "-m", "faults", *arguments]
        return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
    finally:
        if started:
            engine.stop()


if __name__ == "__main__":
    main(faults)
