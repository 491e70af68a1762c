"""The command ``jupyter tfcontainer``.

``kernel`` is what a kernelspec of ours names as its command. Clients that know kernel provisioners never run it; the
others, such as the local kernels of VS Code, do, and get to know what to do instead.
"""

from __future__ import annotations

import argparse
import sys

from . import __version__

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
    parser = argparse.ArgumentParser(
        prog="jupyter tfcontainer", description="Notebook kernels in TensorFlow containers."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True)
    kernel = commands.add_parser("kernel", help="what the kernelspecs name as their command")
    kernel.add_argument("-f", metavar="FILE", help="connection file")
    parser.parse_args(argv)
    print(NO_PROVISIONER, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
