"""Set up what is needed to have things go wrong, and do it.

python3 scripts/faults.py faults   what goes wrong around kernels; `--help` tells more
python3 scripts/faults.py soak     kernels are started and stopped, again and again
"""

from __future__ import annotations

import os
import subprocess

import engine
from develop import BIN, building_images, environment, install, make_venv
from steps import ROOT, StepError, main, need

PROGRAMS = {"gcc": "gcc libc6-dev", "ip": "iproute2"}
IMAGES = ("modern",)


# The modules, by the words that ask for them.
MODULES = {"faults": "faults", "soak": "faults.soak"}


def faults(arguments: list[str]) -> int:
    """Do what is asked for, and leave no engine behind that was not there."""
    if not arguments or arguments[0] not in MODULES:
        raise StepError(f"Say which: {', '.join(MODULES)}.")
    started = engine.start()
    try:
        need(PROGRAMS)
        make_venv()
        with building_images(*IMAGES):
            install()
        # They start servers and homes as the tests and the benchmark do.
        variables = {**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        command = [str(BIN / "python"), "-m", MODULES[arguments[0]], *arguments[1:]]
        return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
    finally:
        if started:
            engine.stop()


if __name__ == "__main__":
    main(faults)
