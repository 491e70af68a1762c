"""What the kernel writes of processes that have ended is what we read; it takes the rights of root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
BUSY = "while __import__('time').process_time() < 0.3: pass"
PROGRAM = f"""
import subprocess, sys
sys.path.insert(0, {str(SCRIPTS)!r})
from accounting import accounting
with accounting() as seconds:
    subprocess.run([sys.executable, "-c", {BUSY!r}], check=True)
print(max(used for name, used in seconds.items() if name.startswith("py")))
"""


def test_processor_time_is_that_of_processes() -> None:
    # The accounts of these processes alone: those of the whole run are kept at the same time.
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PROGRAM]
    told = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    # The kernel looks who runs at each tick of its clock, which on a busy machine may miss some.
    assert 0.05 <= float(told) < 3
