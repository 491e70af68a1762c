"""The command ``jupyter tfcontainer``: each command is parsed, one call into the core, printed.

``kernel`` is what a kernelspec of ours names as its command. Clients that know kernel provisioners never run it; the
others, such as the local kernels of VS Code, do, and get to know what to do instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from ..errors import TFContainerError
from . import interrupts
from .commands import COMMANDS
from .output import complain, say

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
    argv = sys.argv[1:] if argv is None else argv
    arguments = _parser(argv).parse_args(argv)
    try:
        try:
            return _run(arguments)
        finally:
            _close()
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


def _close() -> None:
    """Close the manager, if the command had one."""
    if (module := sys.modules.get("jupyter_tfcontainer.manager.manager")) and module.ContainerManager.initialized():
        module.ContainerManager.instance().close()


class _Version(argparse.Action):
    """Prints the version, which is looked up only for this."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .. import __version__

        say(__version__)
        parser.exit()


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    """Make the parser of a command line; the modules of other commands are not imported, as that takes a while."""
    parser = argparse.ArgumentParser(
        prog="jupyter tfcontainer",
        description="Notebook kernels in TensorFlow containers: see whether they work here, which TensorFlow can run, "
        "make environments and images, and look into what runs.",
        epilog="`jupyter tfcontainer COMMAND --help` tells more of each.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show program's version number and exit"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    # There is no option before it that takes a value.
    command = next((one for one in argv if not one.startswith("-")), None)
    for module, helps in COMMANDS.items():
        if command in helps:
            import_module(f".{module}", __name__).add(commands)
        else:
            for name, text in helps.items():
                commands.add_parser(name, help=text)
    # Nobody types it, so the help does not show it.
    kernel = commands.add_parser("kernel", description="What the kernelspecs name as their command.")
    kernel.add_argument("-f", metavar="FILE", help="connection file")
    kernel.set_defaults(run=_kernel)
    return parser


def _kernel(_: argparse.Namespace) -> int:
    complain(NO_PROVISIONER)
    return 1
