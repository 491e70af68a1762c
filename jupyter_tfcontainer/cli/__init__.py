"""The command ``jupyter tfcontainer``: each command is parsed, one call into the core, printed.

``kernel`` is what a kernelspec of ours names as its command. Clients that know kernel provisioners never run it; the
others, such as the local kernels of VS Code, do, and get to know what to do instead.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import __version__
from ..errors import TFContainerError
from ..manager import ContainerManager
from . import catalog, containers, disk, doctor, environments, images, interrupts, shells
from .output import complain

NO_PROVISIONER = (
    "This kernel runs in a container, which takes a program that knows Jupyter's kernel provisioners (jupyter_client "
    "7 or later): JupyterLab, "
    "Jupyter Notebook, `jupyter execute`, nbconvert, papermill. In VS Code, start `jupyter lab` and connect to it: "
    "“Select Kernel”, then "
    "“Existing Jupyter Server…”."
)


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv
        its arguments; those of the process where none are given

    Returns
    -------
    int
        the exit status
    """
    arguments = _parser().parse_args(argv)
    try:
        try:
            return _run(arguments)
        finally:
            if ContainerManager.initialized():
                ContainerManager.instance().close()
    except KeyboardInterrupt:
        # Of somebody who has waited long enough for that.
        interrupts.leave()


def _run(arguments: argparse.Namespace) -> int:
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except TFContainerError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return interrupts.INTERRUPTED
    except BrokenPipeError:
        # `| head` has seen enough. What is still in the buffer has nowhere to go when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter tfcontainer",
        description="Notebook kernels in TensorFlow containers: see whether they work here, which TensorFlow can run, "
        "make environments and images, and look into what runs.",
        epilog="`jupyter tfcontainer COMMAND --help` tells more of each.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for group in (doctor, catalog, environments, images, containers, shells, disk):
        group.add(commands)
    # Nobody types it, so the help does not show it.
    kernel = commands.add_parser("kernel", description="What the kernelspecs name as their command.")
    kernel.add_argument("-f", metavar="FILE", help="connection file")
    kernel.set_defaults(run=_kernel)
    return parser


def _kernel(_: argparse.Namespace) -> int:
    complain(NO_PROVISIONER)
    return 1
