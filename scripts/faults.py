"""Set up what is needed to have things go wrong, and do it.

python3 scripts/faults.py faults   what goes wrong around kernels; `--help` tells more
python3 scripts/faults.py soak     kernels are started and stopped, again and again
"""

from __future__ import annotations

from modules import run_module
from steps import StepError, main

PROGRAMS = {"gcc": "gcc libc6-dev", "ip": "iproute2"}
IMAGES = ("modern",)
# The modules, by the words that ask for them.
MODULES = {"faults": "faults", "soak": "faults.soak"}


def faults(arguments: list[str]) -> int:
    """Do what is asked for."""
    if not arguments or arguments[0] not in MODULES:
        raise StepError(f"Say which: {', '.join(MODULES)}.")
    return run_module(MODULES[arguments[0]], arguments[1:], programs=PROGRAMS, images=IMAGES, extra="test")


if __name__ == "__main__":
    main(faults)
