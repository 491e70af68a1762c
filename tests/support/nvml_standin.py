"""A stand-in for NVIDIA's management library, and the machine that it tells of.

A program that gets its variables takes it for the driver of the machine, through NVIDIA's own Python bindings.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jupyter_tfcontainer.compatibility.judge import Card

SOURCE = Path(__file__).parent.parent / "nvml" / "standin.c"
LIBRARY = "libnvidia-ml.so.1"

GTX_1080 = Card(0, "GPU-1080", "NVIDIA GeForce GTX 1080", (6, 1), 8_510_701_568)
K80 = Card(1, "GPU-80", "Tesla K80", (3, 7), 11_996_954_624)
RTX_4090 = Card(2, "GPU-4090", "NVIDIA GeForce RTX 4090", (8, 9), 25_757_220_864)


def build(folder: Path, without: Iterable[str] = ()) -> Path:
    """Compile the stand-in.

    Parameters
    ----------
    folder
        for the library
    without
        names of functions that it shall lack, as old drivers do

    Returns
    -------
    Path
        the folder, for ``LD_LIBRARY_PATH``
    """
    options = [f"-DWITHOUT_{name}" for name in without]
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", *options]
    subprocess.run([*command, "-o", folder / LIBRARY, SOURCE], check=True)
    return folder


@dataclass(frozen=True)
class StandIn:
    """A machine with a driver of our own description.

    Parameters
    ----------
    library
        folder with the library
    description
        the file that says what the machine has
    """

    library: Path
    description: Path

    def describe(
        self,
        driver: str,
        cards: Iterable[Card] = (),
        failures: Iterable[tuple[str, int] | tuple[str, int, int]] = (),
        *,
        uses: Iterable[tuple[int, int, int]] = (),
        processes: Iterable[tuple[int, int, int]] = (),
    ) -> None:
        """Say what the machine has and does, from its next question on.

        Parameters
        ----------
        driver
            version
        cards
            in order, whatever their indices are
        failures
            each a function, the error (``nvmlReturn_t``) it shall return and, if it is one card's only, its index
        uses
            each a card's index, bytes of its memory that are in use, and per cent of the time that it computes
        processes
            each a card's index, a process, and bytes that it has there, -1 where the driver does not know
        """
        lines = [f"driver {driver}"]
        for card in cards:
            major, minor = card.compute_capability
            lines.append(f"card {major} {minor} {card.memory} {card.uuid} {card.name}")
        for word, each in (("use", uses), ("process", processes), ("fail", failures)):
            lines += [f"{word} " + " ".join(map(str, one)) for one in each]
        # It may be read while it is written.
        new = self.description.with_name(f"{self.description.name}.new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.description)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make a program find this driver."""
        paths = [str(self.library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": os.pathsep.join(paths), "NVML_STANDIN": str(self.description)}

    @property
    def calls(self) -> list[str]:
        """The functions that were called, in order."""
        kept = self.description.with_name(f"{self.description.name}.calls")
        return kept.read_text().splitlines() if kept.exists() else []


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stand-in with all its functions."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(nvml_library: Path, tmp_path: Path) -> StandIn:
    """A driver that a test can describe."""
    return StandIn(nvml_library, tmp_path / "nvml.txt")
