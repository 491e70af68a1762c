"""``catalog``: which TensorFlow releases there are, and which of them run here."""

from __future__ import annotations

import argparse

from ..compatibility import catalog, hardware, judge
from ..compatibility.judge import Verdict
from .commands import HELP
from .output import coloured, complain, dump, table

COLOURS = {"works": "green", "warns": "yellow", "cannot": "red"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "catalog",
        help=HELP["catalog"],
        description="List the images of TensorFlow releases, each with what it has and whether it runs on this "
        "machine: “works”, “warns” (with a caveat) or “cannot”. `show IMAGE` says why.",
    )
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--gpu", dest="device", action="store_const", const="gpu", help="only images for a GPU")
    device.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="only images for the processor")
    parser.add_argument(
        "--search",
        metavar="TEXT",
        default="",
        help="only images that have all these words, such as “1.4.0”, “cuda 8.0”, “python 3.5”, “jupyter”",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all that is known of each")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List what there is."""
    here, known = hardware.read(), catalog.load()
    images = known.search(arguments.search) if arguments.search else known.images
    found = [(image, judge.judge(image, here, known)) for image in images if arguments.device in (None, image.device)]
    if arguments.json:
        dump([{**image.model(), "verdict": verdict.model()} for image, verdict in found])
        return 0
    if not found:
        complain("No image of the catalog is like that. `jupyter tfcontainer catalog` lists them all.")
        return 1
    rows = [
        (
            image.tensorflow or "?",
            image.reference(),
            image.python or "?",
            (image.cuda.version if image.cuda else "?") if image.device == "gpu" else "-",
            {True: "yes", False: "no", None: "?"}[image.jupyter],
            verdict.word,
        )
        for image, verdict in found
    ]
    table(("RELEASE", "IMAGE", "PYTHON", "CUDA", "JUPYTER", "HERE"), rows, shrink=(1,), ends=(1,))
    return 0


def explain(verdict: Verdict) -> str:
    """A verdict in words."""
    return f"{coloured(verdict.word, COLOURS[verdict.word])}. " + " ".join(one.sentence for one in verdict.reasons)
