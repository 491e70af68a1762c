"""Set up what a module of this folder needs that starts servers as the tests do, and run it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

import engine
from develop import building_images, install, make_venv
from steps import BIN, ROOT, environment, need


def run_module(
    module: str, arguments: Sequence[str], *, programs: dict[str, str], images: Sequence[str], extra: str
) -> int:
    """Run it, and leave no engine behind that was not there; its exit status comes back.

    Parameters
    ----------
    module
        its name
    arguments
        for it
    programs
        what must be installed: Debian's packages by the programs in them
    images
        names of those that it starts containers of
    extra
        of the project, with what it imports
    """
    started = engine.start()
    try:
        need(programs)
        make_venv()
        with building_images(*images):
            install(extra)
        variables = {**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])}
        command = [str(BIN / "python"), "-m", module, *arguments]
        return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
    finally:
        if started:
            engine.stop()
