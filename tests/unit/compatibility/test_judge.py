"""Verdicts, against rows that were written by hand from the sources they name, before the code."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from jupyter_tfcontainer.compatibility.catalog import Catalog, load
from jupyter_tfcontainer.compatibility.catalog_file import read
from jupyter_tfcontainer.compatibility.judge import SEVERITY, Card, Machine, Verdict, choose, judge, judge_release

# Names as NVML gives them.
FERMI = ("GeForce GTX 560 Ti 448", (2, 0))
K4000 = ("Quadro K4000", (3, 0))
K80 = ("Tesla K80", (3, 7))
GTX_750 = ("NVIDIA GeForce GTX 750 Ti", (5, 0))
GTX_980 = ("NVIDIA GeForce GTX 980", (5, 2))
GTX_1080 = ("NVIDIA GeForce GTX 1080", (6, 1))
V100 = ("Tesla V100-SXM2-16GB", (7, 0))
T4 = ("Tesla T4", (7, 5))
RTX_2080 = ("NVIDIA GeForce RTX 2080 Ti", (7, 5))
A100 = ("NVIDIA A100-SXM4-40GB", (8, 0))
RTX_3080 = ("NVIDIA GeForce RTX 3080", (8, 6))
RTX_3090 = ("NVIDIA GeForce RTX 3090", (8, 6))
RTX_4090 = ("NVIDIA GeForce RTX 4090", (8, 9))
H100 = ("NVIDIA H100 PCIe", (9, 0))
B200 = ("NVIDIA B200", (10, 0))
RTX_5090 = ("NVIDIA GeForce RTX 5090", (12, 0))
CARDS = (K80, GTX_1080, V100, T4, A100, RTX_3090, RTX_4090, H100, B200)

R367, R390, R418, R450 = "367.57", "390.157", "418.226.00", "450.248.02"
R470, R535, R580, R590 = "470.256.02", "535.230.02", "580.95.05", "590.44.01"
DRIVERS = (R367, R390, R418, R450, R470, R535, R580)

NVIDIA = "nvcr.io/nvidia/tensorflow:"
WHEEL = "wheel's fatbin headers: tensorflow_images[].gpu.compute_capability"
MATRIX = "https://docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html"
MINOR = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
RELEASE_NOTES = "NVIDIA CUDA release notes, CUDA Toolkit and compatible driver versions"
AMPERE = "https://docs.nvidia.com/cuda/ampere-compatibility-guide"
TURING = "https://docs.nvidia.com/cuda/turing-compatibility-guide"
TENSORFLOW = "https://github.com/tensorflow/tensorflow/issues/"
NOTEBOOKS = "https://github.com/rlan/notebooks/issues/"
GROWTH = "v1.12.0 tensorflow/core/common_runtime/gpu/gpu_bfc_allocator.cc"
AVX = "tensorflow RELEASE.md 1.6.0"
NGC_NOTES = "https://docs.nvidia.com/deeplearning/frameworks/tensorflow-release-notes/"


@dataclass(frozen=True, eq=False)
class Row:
    """What must be said of an image on a machine, and where that is known from.

    Parameters
    ----------
    runs
        a release and ``cpu`` or ``gpu``, or the reference of an image
    cards
        names and compute capabilities
    driver
        of NVIDIA, or None
    word, codes
        of the verdict, the codes in any order
    says
        what its sentences must contain: the figures
    source
        where the row is known from
    figures
        what in the catalog it rests on, each with another value, which must fail the row
    instead
        the images that it must offer
    architecture, avx, problem
        of the machine
    """

    runs: str
    cards: tuple[tuple[str, tuple[int, int]], ...]
    driver: str | None
    word: str
    codes: set[str]
    says: tuple[str, ...]
    source: tuple[str, ...]
    figures: tuple[tuple[tuple[str, ...], Any], ...]
    instead: tuple[str, ...] | None = None
    architecture: str = "x86_64"
    avx: bool | None = True
    problem: str | None = None

    def machine(self) -> Machine:
        """The machine of the row."""
        return machine(
            *self.cards, driver=self.driver, architecture=self.architecture, avx=self.avx, problem=self.problem
        )

    def verdict(self, catalog: Catalog) -> Verdict:
        """What is said of it."""
        if ":" in self.runs:
            image = catalog.of_image(self.runs)
            assert image is not None
            return judge(image, self.machine(), catalog)
        release, device = self.runs.split()
        return judge_release(catalog.releases[release], "cpu" if device == "cpu" else "gpu", self.machine(), catalog)

    def problems(self, catalog: Catalog) -> Iterator[str]:
        """What is otherwise than the row says."""
        verdict = self.verdict(catalog)
        codes = {reason.code for reason in verdict.reasons}
        text = " ".join(reason.sentence for reason in verdict.reasons)
        if verdict.word != self.word:
            yield f"{verdict.word}: {text}"
        if codes - {"instead"} != self.codes:
            yield f"{codes}: {text}"
        for figure in self.says:
            if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\.?\d)", text):
                yield f"no {figure}: {text}"
        if self.instead is not None and verdict.instead != self.instead:
            yield f"instead {verdict.instead}: {text}"


def machine(
    *cards: tuple[str, tuple[int, int]],
    driver: str | None,
    architecture: str = "x86_64",
    avx: bool | None = True,
    problem: str | None = None,
) -> Machine:
    """A machine with these cards."""
    made = tuple(
        Card(index, f"GPU-{index}", name, capability, 16 * 1024**3) for index, (name, capability) in enumerate(cards)
    )
    return Machine(architecture, avx, driver, made, problem)


ROWS = (
    # -- It works, or nearly: machine code for the card.
    Row(
        "1.2.1 gpu",
        (K80,),
        R470,
        "warns",
        {"no-growth-switch"},
        ("1.12.0", "all memory"),
        ("https://github.com/NVIDIA/nvidia-docker/issues/1106 (CUDA 8.0 fine on K80)", WHEEL, GROWTH),
        (
            (("code", "1.2.1", "machine"), "5.2"),
            (("since", "growth", "tensorflow"), "1.2.0"),
            (("releases", "1.2.1", "code"), "2.17.0"),
        ),
    ),
    Row(
        "1.4.0 gpu",
        (K80,),
        R470,
        "warns",
        {"no-growth-switch"},
        ("1.4.0",),
        (TENSORFLOW + "14701 (1.4.0-gpu-py3 on K80: performance is good)", WHEEL),
        ((("code", "1.4.0", "machine"), "5.2 6.0 6.1"), (("architectures", "3.7", "last_driver"), 460)),
    ),
    Row(
        "1.3.0 gpu",
        (GTX_1080,),
        R535,
        "warns",
        {"no-growth-switch"},
        ("1.3.0",),
        (WHEEL + " (first with 6.1)", MATRIX),
        ((("code", "1.3.0", "machine"), "3.0 3.5 3.7 5.2"), (("cuda", "8.0", "newest"), "5.x")),
    ),
    Row(
        "1.13.1 gpu",
        (T4,),
        R450,
        "works",
        {"works"},
        ("7.0", "7.5", "410.48", "CUDA 10.0"),
        (TURING + " (cubins of 7.0 run on 7.5)", MATRIX, WHEEL),
        (
            (("code", "1.13.1", "machine"), "3.5 3.7 5.2 6.0 6.1"),
            (("cuda", "10.0", "newest"), "6.x"),
            (("cuda", "10.0", "minimum_driver"), "455.23"),
            (("since", "growth", "tensorflow"), "1.14.0"),
        ),
    ),
    Row(
        "2.4.1 gpu",
        (RTX_3090,),
        R470,
        "works",
        {"works"},
        ("8.0", "8.6", "450.51.06", "CUDA 11.0"),
        (AMPERE + " (a cubin runs on the same major and a higher minor)", WHEEL, MATRIX),
        (
            (("code", "2.4.1", "machine"), "3.5 5.0 6.0 7.0 7.5"),
            (("cuda", "11.0", "newest"), "7.5"),
            (("cuda", "11.0", "minimum_driver"), "470.82.01"),
            (("cuda", "11.0", "toolkit_driver"), "495.29.05"),
        ),
    ),
    Row(
        "2.4.1 gpu",
        (A100,),
        R450,
        "works",
        {"works"},
        ("8.0", "450.51.06"),
        (RELEASE_NOTES, MATRIX, WHEEL),
        ((("architectures", "8.0", "first_cuda"), "11.2"), (("cuda", "11.0", "minimum_driver"), "450.249")),
    ),
    Row(
        "2.5.0 gpu",
        (GTX_1080,),
        R470,
        "works",
        {"works"},
        ("6.0", "6.1", "450.80.02"),
        (AMPERE, WHEEL, MINOR),
        ((("code", "2.5.0", "machine"), "3.5 5.0 7.0 7.5 8.0"), (("architectures", "6.1", "last_driver"), 460)),
    ),
    Row(
        "2.16.1 gpu",
        (GTX_980,),
        R580,
        "works",
        {"works"},
        ("5.0", "5.2", "525.60.13", "CUDA 12.3"),
        (WHEEL + " (last with 5.0)", MATRIX + " (Maxwell until R580)"),
        (
            (("architectures", "5.2", "last_driver"), 570),
            (("cuda", "12.3", "oldest"), "6.0"),
            (("releases", "2.16.1", "code"), "2.17.0"),
        ),
    ),
    Row(
        "2.17.0 gpu",
        (RTX_4090,),
        R580,
        "works",
        {"works"},
        ("8.9", "525.60.13", "CUDA 12.3"),
        (WHEEL, TENSORFLOW + "62412 (2.17.0-gpu works)", RELEASE_NOTES),
        ((("cuda", "12.3", "minimum_driver"), "590.44.01"), (("cuda", "12.3", "newest"), "7.5")),
    ),
    # -- PTX only.
    Row(
        "1.2.1 gpu",
        (GTX_1080,),
        R470,
        "warns",
        {"ptx-only", "no-growth-switch"},
        ("6.1", "minutes", "3.0, 3.5 and 5.2"),
        (WHEEL, MATRIX + " (6.1 since CUDA 8.0)", AMPERE),
        (
            (("code", "1.2.1", "ptx"), ""),
            (("code", "1.2.1", "machine"), "3.0 3.5 5.2 6.1"),
            (("cuda", "8.0", "newest"), "5.x"),
        ),
    ),
    Row(
        "2.10.0 gpu",
        (A100,),
        R470,
        "warns",
        {"ptx-only"},
        ("8.0", "minutes"),
        (WHEEL + " (8.0 in some kernels only)", RELEASE_NOTES),
        ((("cuda", "11.2", "toolkit_driver"), "470.256.03"),),
    ),
    Row(
        "2.12.0 gpu",
        (H100,),
        R535,
        "warns",
        {"ptx-only"},
        ("9.0", "minutes", "3.5, 5.0, 6.0, 7.0 and 7.5"),
        (TENSORFLOW + "60739", TENSORFLOW + "62320 (works, takes long to start)", MATRIX + " (9.0 since 11.8)"),
        (
            (("cuda", "11.8", "newest"), "8.9"),
            (("cuda", "11.8", "toolkit_driver"), "545.23.06"),
            (("architectures", "9.0", "first_cuda"), "12.3"),
        ),
    ),
    Row(
        "2.16.1 gpu",
        (H100,),
        R580,
        "warns",
        {"ptx-only"},
        ("9.0",),
        (WHEEL + " (9.0 as PTX)", MATRIX),
        ((("cuda", "12.3", "newest"), "8.9"), (("cuda", "12.3", "toolkit_driver"), "580.95.06")),
    ),
    Row(
        "1.4.0 gpu",
        (V100,),
        R535,
        "warns",
        {"libraries-slow", "no-growth-switch"},
        ("CUDA 8.0", "7.0", "6.x"),
        (TENSORFLOW + "14701 (1.4.0-gpu-py3 on V100: runs, very slow to start)", MATRIX),
        ((("reports", "cuda-8.0-volta", "outcome"), "fails"), (("cuda", "8.0", "newest"), "7.0")),
    ),
    # -- Card too new.
    Row(
        "1.2.1 gpu",
        (RTX_2080,),
        R450,
        "cannot",
        {"card-too-new"},
        ("CUDA 8.0", "7.5", "6.x", "matrix product"),
        ("https://github.com/NVIDIA/nvidia-docker/issues/1106", MATRIX),
        ((("reports", "cuda-8.0-turing", "capabilities"), ["8.0", None]), (("releases", "1.2.1", "cuda"), "10.0")),
    ),
    Row(
        "1.2.1 gpu",
        (RTX_3090,),
        R535,
        "cannot",
        {"card-too-new"},
        ("CUDA 8.0", "8.6", "GeForce RTX 3090", "6.x", "matrix product", "TensorFlow 2.4.0", NVIDIA + "23.01-tf1-py3"),
        ("known_failures: CUDA 8.0 image on Ampere or Hopper", AMPERE, MATRIX),
        (
            (("cuda", "8.0", "newest"), "8.6"),
            (("nvidia", "23.01-tf1-py3", "minimum_driver"), "545"),
            (("releases", "2.4.0", "cuda"), "10.1"),
        ),
        instead=("tensorflow/tensorflow:2.4.0-gpu-jupyter", NVIDIA + "23.01-tf1-py3"),
    ),
    Row(
        "1.2.1 gpu",
        (H100,),
        R535,
        "cannot",
        {"card-too-new"},
        ("CUDA 8.0", "9.0", NVIDIA + "23.01-tf1-py3"),
        ("known_failures: CUDA 8.0 image on Ampere or Hopper", MATRIX),
        ((("nvidia", "23.01-tf1-py3", "oldest"), "10.0"), (("nvidia", "23.01-tf1-py3", "cuda"), "10.0")),
    ),
    Row(
        "1.11.0 gpu",
        (RTX_2080,),
        R450,
        "cannot",
        {"card-too-new"},
        ("CUDA 9.0", "7.5", "7.2", "TensorFlow 1.13.1"),
        (TENSORFLOW + "23027 (TensorFlow 1.8 to 1.11, CUDA 9.0)", TENSORFLOW + "25403", MATRIX + " (7.5 since 10.0)"),
        ((("reports", "cuda-9.0-turing", "outcome"), "slow"), (("releases", "1.13.1", "cuda"), "9.0")),
        instead=("tensorflow/tensorflow:1.13.1-gpu-py3-jupyter", NVIDIA + "19.02-py3"),
    ),
    Row(
        "1.14.0 gpu",
        (RTX_3080,),
        R535,
        "cannot",
        {"card-too-new"},
        ("CUDA 10.0", "8.6", "7.5"),
        (TENSORFLOW + "44832 (1.14.0-gpu-py3 on RTX 3080)",),
        ((("cuda", "10.0", "newest"), "8.6"), (("reports", "cuda-10-ampere", "capabilities"), ["8.9", None])),
    ),
    Row(
        "2.3.0 gpu",
        (A100,),
        R470,
        "cannot",
        {"card-too-new"},
        ("CUDA 10.1", "8.0", "7.5", "TensorFlow 2.4.0"),
        (AMPERE + " 1.3.1", "https://github.com/google-research/electra/issues/136 (CUDA 10.1)"),
        ((("reports", "cuda-10-ampere", "cuda"), ["10.0", "10.0"]), (("cuda", "10.1", "newest"), "8.0")),
        instead=("tensorflow/tensorflow:2.4.0-gpu-jupyter",),
    ),
    Row(
        "1.15.5 gpu",
        (RTX_4090,),
        R535,
        "cannot",
        {"card-too-new"},
        ("CUDA 10.0", "8.9", NVIDIA + "23.01-tf1-py3"),
        ("https://github.com/YudongGuo/AD-NeRF/issues/132",),
        ((("reports", "cuda-10-ampere", "outcome"), "slow"), (("releases", "1.15.5", "cuda"), "11.8")),
    ),
    Row(
        "2.17.0 gpu",
        (RTX_5090,),
        R580,
        "cannot",
        {"card-too-new"},
        ("12.0", "CUDA 12.3", "CUDA_ERROR_INVALID_PTX"),
        (TENSORFLOW + "101746 (2.16.2 and 2.20.0)", TENSORFLOW + "90291 (2.18)"),
        ((("reports", "cuda-12.3-blackwell", "capabilities"), ["12.1", "12.1"]), (("cuda", "12.3", "newest"), "12.0")),
    ),
    # -- Not known whether CUDA's libraries run on the card.
    Row(
        "2.11.0 gpu",
        (H100,),
        R535,
        "warns",
        {"libraries-unknown", "ptx-only"},
        ("CUDA 11.2", "9.0", "8.6", "not known"),
        (MATRIX + " (9.0 since 11.8)", "cuda_compute_capability: 11.1-11.4"),
        ((("cuda", "11.2", "newest"), "9.0"), (("releases", "2.11.0", "cuda"), "11.8")),
    ),
    Row(
        "2.17.0 gpu",
        (B200,),
        R580,
        "warns",
        {"libraries-unknown", "ptx-only"},
        ("CUDA 12.3", "10.0", "9.0", "not known"),
        (MATRIX + " (10.0 since 12.8)",),
        ((("cuda", "12.3", "newest"), "12.0"), (("architectures", "10.0", "last_driver"), 570)),
    ),
    # -- Card too old.
    Row(
        "1.2.1 gpu",
        (FERMI,),
        R390,
        "cannot",
        {"card-too-old"},
        ("2.0", "3.0"),
        (WHEEL, MATRIX),
        (
            (("code", "1.2.1", "machine"), "2.0 3.5 5.2"),
            (("architectures", "2.0", "last_driver"), 375),
        ),
    ),
    Row(
        "2.17.0 gpu",
        (GTX_980,),
        R535,
        "cannot",
        {"card-too-old"},
        ("5.2", "6.0", "TensorFlow 2.14.0"),
        (WHEEL + " (2.17.0 begins at 6.0)",),
        ((("releases", "2.14.0", "published"), False), (("releases", "2.15.0", "defect"), None)),
        instead=("tensorflow/tensorflow:2.14.0-gpu-jupyter",),
    ),
    Row(
        "2.17.0 gpu",
        (K80,),
        R535,
        "cannot",
        {"card-too-old", "driver-too-new"},
        ("3.7", "6.0", "R470", R535),
        (WHEEL, MATRIX + " (Kepler until R470)"),
        ((("architectures", "3.7", "last_driver"), 535), (("architectures", "3.7", "last_driver"), None)),
        instead=(),
    ),
    Row(
        "2.16.1 gpu",
        (K80,),
        R470,
        "cannot",
        {"card-too-old", "driver-too-old"},
        ("3.7", "2.16.1 has code for compute capability 5.0", "525.60.13", "R470", "TensorFlow 2.11.1"),
        (WHEEL, MINOR, RELEASE_NOTES),
        ((("cuda", "12.3", "minimum_driver"), "450.80.02"), (("cuda", "11.2", "toolkit_driver"), "495.29.05")),
        instead=("tensorflow/tensorflow:2.11.1-gpu-jupyter",),
    ),
    Row(
        "2.14.0 gpu",
        (K80,),
        R470,
        "warns",
        {"driver-behind-toolkit"},
        ("520.61.05", "450.80.02", R470),
        (WHEEL + " (last with 3.5)", MINOR),
        ((("cuda", "11.8", "oldest"), "5.0"), (("cuda", "11.8", "toolkit_driver"), "470.57.02")),
    ),
    # -- Driver.
    Row(
        "1.5.0 gpu",
        (K80,),
        R367,
        "cannot",
        {"driver-too-old"},
        ("CUDA 9.0", "384.81", R367, "TensorFlow 1.4.1"),
        ("https://github.com/NVIDIA/nvidia-docker/issues/543", RELEASE_NOTES),
        ((("cuda", "9.0", "minimum_driver"), "367.48"), (("cuda", "9.0", "minimum_driver"), "384.90")),
        # The driver of CUDA 8.0's second release is newer.
        instead=("tensorflow/tensorflow:1.4.1-gpu-py3",),
    ),
    Row(
        "2.5.0 gpu",
        (T4,),
        R418,
        "cannot",
        {"driver-too-old"},
        ("CUDA 11.2", "450.80.02", R418, "TensorFlow 2.3.4"),
        (MINOR,),
        ((("cuda", "11.2", "minimum_driver"), "418.39"), (("cuda", "10.1", "minimum_driver"), "418.226.01")),
        instead=("tensorflow/tensorflow:2.3.4-gpu-jupyter",),
    ),
    Row(
        "2.10.0 gpu",
        (T4,),
        R450,
        "warns",
        {"driver-behind-toolkit"},
        ("450.80.02", "460.27.03", "NVIDIA_DISABLE_REQUIRE"),
        (MINOR, "NVIDIA_REQUIRE_CUDA of latest-gpu-jupyter with CUDA 11.2.1, a layer dump"),
        ((("cuda", "11.2", "toolkit_driver"), "450.80.02"), (("cuda", "11.2", "minimum_driver"), "460.27.03")),
    ),
    Row(
        "2.10.0 gpu",
        (A100,),
        R450,
        "cannot",
        {"driver-cannot-compile"},
        ("460.27.03", "8.0", "TensorFlow 2.4.1"),
        ("CUDA runtime API, cudaErrorUnsupportedPtxVersion: PTX by a compiler newer than the driver", MINOR, WHEEL),
        ((("cuda", "11.2", "toolkit_driver"), "450.80.02"),),
    ),
    Row(
        "1.2.1 gpu",
        (GTX_1080,),
        R367,
        "warns",
        {"driver-behind-toolkit", "ptx-only", "no-growth-switch"},
        ("367.48", "375.26", "not known"),
        (RELEASE_NOTES + ": 8.0.44 and 8.0.61",),
        ((("cuda", "8.0", "toolkit_driver"), "367.48"), (("cuda", "8.0", "minimum_driver"), "375.26")),
    ),
    Row(
        "2.17.0 gpu",
        (V100,),
        R590,
        "cannot",
        {"driver-too-new"},
        ("R580", "Volta", R590),
        (MATRIX + " (Maxwell, Pascal and Volta end with R580)",),
        ((("architectures", "7.0", "last_driver"), None), (("architectures", "7.0", "name"), "Turing")),
    ),
    Row(
        "2.5.0 gpu",
        (RTX_4090,),
        R470,
        "cannot",
        {"driver-older-than-card"},
        ("8.9", "CUDA 11.8", "520.61.05"),
        (MATRIX + " (8.9 since 11.8)", RELEASE_NOTES),
        ((("architectures", "8.9", "first_cuda"), "11.2"), (("cuda", "11.8", "toolkit_driver"), "470.57.02")),
        instead=(),
    ),
    Row(
        "2.17.0 gpu",
        (B200,),
        R535,
        "cannot",
        {"driver-older-than-card", "driver-cannot-compile"},
        ("10.0", "CUDA 12.8", "560.28.03", "CUDA 12.6", "545.23.06"),
        (MATRIX + " (10.0 since 12.8)", RELEASE_NOTES + " (12.6)"),
        ((("architectures", "10.0", "first_cuda"), "12.3"), (("cuda", "12.6", "toolkit_driver"), "535.54.03")),
    ),
    # -- GPU images that are broken as shipped.
    Row(
        "2.15.0 gpu",
        (RTX_3090,),
        R535,
        "cannot",
        {"image-broken"},
        ("CUDA 12.2", "CUDA 11.8", "TensorFlow 2.14.0"),
        (TENSORFLOW + "62412 (list_physical_devices is empty)",),
        ((("releases", "2.15.0", "defect"), None), (("defects", "cuda-11.8", "certain"), False)),
    ),
    Row(
        "2.18.0 gpu",
        (RTX_4090,),
        R580,
        "cannot",
        {"image-broken"},
        ("cuDNN 9", "8.9.6.50", "tensorflow[and-cuda]", "TensorFlow 2.17.0"),
        (TENSORFLOW + "81344", "https://github.com/tensorflow/build/issues/217"),
        ((("releases", "2.18.0", "defect"), None), (("defects", "cudnn-8", "certain"), False)),
        instead=("tensorflow/tensorflow:2.17.0-gpu-jupyter",),
    ),
    Row(
        "2.19.0 gpu",
        (H100,),
        R580,
        "cannot",
        {"image-broken"},
        ("cuDNN 9", "8.9.6.50"),
        ("https://github.com/tensorflow/build/issues/221 (libcudnn8 8.9.6.50 measured)",),
        ((("releases", "2.19.0", "defect"), None), (("releases", "2.19.0", "cudnn"), "9.3")),
    ),
    Row(
        "2.20.0 gpu",
        (RTX_4090,),
        R580,
        "warns",
        {"image-broken-likely"},
        ("cuDNN 9", "not measured"),
        ("tensorflow/build tensorflow_runtime_dockerfiles @5b1c753: unchanged since 2.18, not measured for 2.20.0",),
        ((("releases", "2.20.0", "defect"), None), (("releases", "2.20.0", "defect"), "cudnn-8")),
    ),
    Row(
        "2.21.0 gpu",
        (A100,),
        R580,
        "cannot",
        {"image-broken"},
        ("cuDNN",),
        ("a user's measurement of 2.21.0-gpu: no GPU registered (find_string 63087017017)",),
        ((("releases", "2.21.0", "defect"), None),),
    ),
    # -- No image.
    Row(
        "2.17.1 gpu",
        (RTX_4090,),
        R580,
        "cannot",
        {"no-image"},
        ("2.17.1", "TensorFlow 2.17.0"),
        (NOTEBOOKS + "145",),
        ((("releases", "2.17.0", "published"), False),),
        instead=("tensorflow/tensorflow:2.17.0-gpu-jupyter",),
    ),
    Row(
        "2.4.4 cpu",
        (),
        None,
        "cannot",
        {"no-image"},
        ("2.4.4", "TensorFlow 2.4.1"),
        (TENSORFLOW + "53214",),
        ((("releases", "2.4.1", "published"), False),),
        instead=("tensorflow/tensorflow:2.4.1-jupyter",),
    ),
    # -- Processor.
    Row(
        "1.5.1 cpu",
        (),
        None,
        "works",
        {"works-processor"},
        ("1.5.1",),
        (AVX,),
        ((("since", "avx", "tensorflow"), "1.5.0"),),
        avx=False,
    ),
    Row(
        "1.6.0 cpu",
        (),
        None,
        "cannot",
        {"avx-missing"},
        ("AVX", "1.6.0", "TensorFlow 1.5.1"),
        (AVX,),
        ((("since", "avx", "tensorflow"), "1.7.0"),),
        avx=False,
        instead=("tensorflow/tensorflow:1.5.1-py3",),
    ),
    Row(
        "2.11.0 gpu",
        (T4,),
        R535,
        "cannot",
        {"avx-missing"},
        ("AVX", "1.6.0"),
        (AVX,),
        ((("since", "avx", "tensorflow"), "2.12.0"),),
        avx=False,
        # Without AVX there is 1.5.1 at most, whose CUDA 9.0 fails on this card.
        instead=(),
    ),
    Row(
        "2.11.0 cpu",
        (),
        None,
        "warns",
        {"avx-unknown"},
        ("AVX", "not known"),
        (AVX,),
        ((("since", "avx", "tensorflow"), "2.12.0"),),
        avx=None,
    ),
    Row(
        "1.15.5 cpu",
        (),
        None,
        "cannot",
        {"architecture"},
        ("x86_64", "aarch64"),
        ("tensorflow_images[].gpu.compute_capability.measured_on_wheel: all are x86_64",),
        ((("architecture",), "aarch64"),),
        architecture="aarch64",
        instead=(),
    ),
    # -- No card.
    Row(
        "1.2.1 gpu",
        (),
        None,
        "cannot",
        {"libcuda-missing"},
        ("libcuda.so.1", "tensorflow/tensorflow:1.2.1-py3"),
        (TENSORFLOW + "10642 (1.1.0-gpu without the NVIDIA runtime)", WHEEL + ", ELF NEEDED"),
        ((("releases", "1.2.1", "needs_libcuda"), False), (("releases", "1.2.1", "needs_libcuda"), None)),
        instead=("tensorflow/tensorflow:1.2.1-py3",),
    ),
    Row(
        "1.15.5 gpu",
        (),
        None,
        "warns",
        {"no-gpu"},
        ("1.15.5", "tensorflow/tensorflow:1.15.5-jupyter"),
        (WHEEL + ", ELF NEEDED: from 1.14.0 on libcuda.so.1 is not needed",),
        ((("releases", "1.15.5", "needs_libcuda"), True),),
    ),
    Row(
        "0.12.1 gpu",
        (),
        None,
        "warns",
        {"no-gpu", "unknown"},
        ("libcuda.so.1", "not known", "0.12.1 whether it can be imported"),
        ("import_needs_libcuda_so_1: null",),
        ((("releases", "0.12.1", "needs_libcuda"), True), (("releases", "0.12.1", "needs_libcuda"), False)),
    ),
    Row(
        "1.15.5 gpu",
        (),
        None,
        "warns",
        {"gpu-unknown"},
        ("The NVIDIA library could not be loaded.",),
        ("the machine's own word",),
        (),
        problem="The NVIDIA library could not be loaded.",
    ),
    # -- What is not known.
    Row(
        "0.12.1 gpu",
        (GTX_1080,),
        R470,
        "warns",
        {"unknown", "no-growth-switch"},
        ("not known", "0.12.1 for which cards it has machine code"),
        ("compute_capability: null",),
        ((("releases", "0.12.1", "code"), "1.0.1"),),
    ),
    Row(
        "0.12.0 cpu",
        (),
        None,
        "warns",
        {"unknown"},
        ("0.12.0", "not known", "published"),
        ("images_published: null",),
        ((("releases", "0.12.0", "published"), True),),
    ),
    # -- NVIDIA's own images.
    Row(
        NVIDIA + "23.01-tf1-py3",
        (RTX_4090,),
        R535,
        "works",
        {"works"},
        ("525", "6.0", "8.9", "CUDA 12.0"),
        (NGC_NOTES + "rel-23-01.html",),
        (
            (("nvidia", "23.01-tf1-py3", "minimum_driver"), "545"),
            (("nvidia", "23.01-tf1-py3", "oldest"), None),
            (("nvidia", "23.01-tf1-py3", "cuda"), None),
            (("nvidia", "23.01-tf1-py3", "tensorflow"), None),
        ),
    ),
    Row(
        NVIDIA + "23.01-tf1-py3",
        (K80,),
        R470,
        "cannot",
        {"card-too-old"},
        ("3.7", "6.0"),
        (NGC_NOTES + "rel-23-01.html",),
        ((("nvidia", "23.01-tf1-py3", "oldest"), "3.5"),),
        instead=("tensorflow/tensorflow:1.15.5-gpu-jupyter", NVIDIA + "21.10-tf1-py3"),
    ),
    Row(
        NVIDIA + "22.12-tf1-py3",
        (RTX_3090,),
        R535,
        "warns",
        {"unknown"},
        ("not known", "which CUDA", "which driver", "for which cards"),
        ("https://www.github.com/NVIDIA/tensorflow/releases",),
        ((("nvidia", "22.12-tf1-py3", "minimum_driver"), "545"),),
    ),
    Row(
        NVIDIA + "22.10-tf1-py3",
        (A100,),
        R470,
        "warns",
        {"driver-data-centre", "unknown"},
        ("520", "470.57", R470, "22.10-tf1-py3 which release of TensorFlow it has."),
        (NGC_NOTES + "rel-22-10.html",),
        (
            (("nvidia", "22.10-tf1-py3", "data_centre_drivers"), []),
            (("nvidia", "22.10-tf1-py3", "minimum_driver"), "470"),
            (("nvidia", "22.10-tf1-py3", "tensorflow"), "1.15.5"),
        ),
    ),
    Row(
        NVIDIA + "22.10-tf1-py3",
        (RTX_3090,),
        R470,
        "cannot",
        {"driver-too-old"},
        ("520", R470, NVIDIA + "21.10-tf1-py3"),
        (NGC_NOTES + "rel-22-10.html (other drivers on data centre cards only)",),
        ((("nvidia", "22.10-tf1-py3", "minimum_driver"), "470"), (("nvidia", "22.10-tf1-py3", "minimum_driver"), None)),
    ),
    Row(
        NVIDIA + "19.02-py3",
        (RTX_3090,),
        R535,
        "cannot",
        {"card-too-new"},
        ("CUDA 10.0", "8.6"),
        ("https://docs.nvidia.com/deeplearning/dgx/tensorflow-release-notes/rel_19.02.html", AMPERE),
        ((("nvidia", "19.02-py3", "cuda"), "11.8"),),
        instead=(NVIDIA + "23.01-tf1-py3",),
    ),
    Row(
        NVIDIA + "21.10-tf1-py3",
        (RTX_3090,),
        R470,
        "warns",
        {"unknown"},
        ("not known", "21.10-tf1-py3 for which cards it has machine code"),
        (NGC_NOTES + "rel_21-10.html (says nothing of cards)",),
        ((("nvidia", "21.10-tf1-py3", "oldest"), "6.0"), (("nvidia", "21.10-tf1-py3", "minimum_driver"), "495")),
    ),
    # -- Where a figure is met exactly, or missed narrowly.
    Row(
        "1.13.1 gpu",
        (T4,),
        "410.48",
        "works",
        {"works"},
        ("410.48",),
        (RELEASE_NOTES + ": CUDA 10.0 accepts 410.48",),
        ((("cuda", "10.0", "minimum_driver"), "410.49"), (("cuda", "10.0", "toolkit_driver"), "410.49")),
    ),
    Row(
        NVIDIA + "20.06-tf1-py3",
        (T4,),
        "450.36.06",
        "warns",
        {"unknown"},
        ("20.06-tf1-py3 which release of TensorFlow it has and for which cards it has machine code.",),
        ("https://docs.nvidia.com/deeplearning/dgx/tensorflow-release-notes/rel_20-06.html (driver 450 or later)",),
        ((("nvidia", "20.06-tf1-py3", "minimum_driver"), "450.51.06"),),
    ),
    Row(
        "1.2.1 gpu",
        (GTX_750,),
        R470,
        "warns",
        {"ptx-only", "no-growth-switch"},
        ("5.0", "3.0, 3.5 and 5.2"),
        (AMPERE + " (a cubin for 5.2 does not run on 5.0)", WHEEL),
        ((("code", "1.2.1", "machine"), "3.0 3.5 5.0"), (("code", "1.2.1", "ptx"), "5.2")),
    ),
    Row(
        NVIDIA + "21.10-tf1-py3",
        (K4000,),
        R470,
        "cannot",
        {"card-too-old"},
        ("CUDA 11.4", "3.5", "3.0"),
        ("cuda_compute_capability: 11.1-11.4 begins at 3.5", MATRIX + " (3.0 until CUDA 10.2)"),
        ((("cuda", "11.4", "oldest"), "3.0"),),
        instead=("tensorflow/tensorflow:1.4.1-gpu-py3", NVIDIA + "18.11-py3"),
    ),
    Row(
        "1.12.0 gpu",
        (V100,),
        R390,
        "works",
        {"works"},
        ("CUDA 9.0", "384.81", "7.0"),
        (GROWTH, RELEASE_NOTES, WHEEL),
        ((("since", "growth", "tensorflow"), "1.12.3"), (("cuda", "9.0", "minimum_driver"), "390.158")),
    ),
    Row(
        "2.11.0 gpu",
        (RTX_5090,),
        R580,
        "warns",
        {"libraries-unknown", "ptx-only"},
        ("CUDA 11.2", "12.0", "8.6"),
        (TENSORFLOW + "101746 (tells of 2.16.2 and 2.20.0 only)", MATRIX + " (12.0 since 12.8)"),
        ((("reports", "cuda-12.3-blackwell", "cuda"), ["11.2", "12.3"]),),
    ),
    # -- What is not known of NVIDIA's own images, and matters on some machines only.
    Row(
        NVIDIA + "23.01-tf1-py3",
        (RTX_4090,),
        R535,
        "warns",
        {"unknown"},
        ("23.01-tf1-py3 whether it needs AVX.",),
        (NGC_NOTES + "rel-23-01.html (says nothing of the processor)",),
        ((("nvidia", "23.01-tf1-py3", "tensorflow"), None),),
        avx=False,
    ),
    Row(
        NVIDIA + "23.01-tf1-py3",
        (H100,),
        R535,
        "warns",
        {"unknown"},
        ("23.01-tf1-py3 for which processor it is.",),
        (NGC_NOTES + "rel-23-01.html (says nothing of the processor)",),
        ((("nvidia", "23.01-tf1-py3", "tensorflow"), None),),
        architecture="aarch64",
    ),
    Row(
        "1.2.1 gpu",
        (B200,),
        R580,
        "cannot",
        {"card-too-new"},
        ("CUDA 8.0", "10.0", "Of no image is it known"),
        ("known_failures: CUDA 8.0 image on Ampere or Hopper", MATRIX + " (10.0 since 12.8, newer than any image has)"),
        ((("cuda", "12.0", "newest"), "12.0"), (("cuda", "12.3", "newest"), "12.0")),
        instead=(),
    ),
    Row(
        "1.13.1 gpu",
        (),
        None,
        "cannot",
        {"avx-missing", "libcuda-missing"},
        ("AVX", "libcuda.so.1"),
        (AVX, WHEEL + ", ELF NEEDED"),
        ((("releases", "1.13.1", "needs_libcuda"), False),),
        avx=False,
        instead=(),
    ),
    Row(
        "2.17.0 gpu",
        (RTX_4090,),
        None,
        "warns",
        {"gpu-unknown"},
        ("not known", "driver"),
        ("the machine's own word",),
        (),
    ),
    # -- Several cards.
    Row(
        "1.2.1 gpu",
        (K80, RTX_3090),
        R470,
        "warns",
        {"no-growth-switch", "other-cards"},
        ("1 (NVIDIA GeForce RTX 3090)", "8.6"),
        ("https://github.com/NVIDIA/nvidia-docker/issues/1106",),
        ((("cuda", "8.0", "newest"), "8.6"),),
    ),
    Row(
        "1.2.1 gpu",
        (T4, A100),
        R470,
        "cannot",
        {"card-too-new"},
        ("7.5", "6.x"),
        ("https://github.com/NVIDIA/nvidia-docker/issues/1106",),
        ((("cuda", "8.0", "newest"), "7.5"),),
    ),
)


def identity(row: Row) -> str:
    """What tells a row from others, in a test's name."""
    cards = "+".join(name for name, _ in row.cards) or "no card"
    return f"{row.runs.rpartition('/')[2]}-{cards}-{row.driver}-{row.architecture}-{row.avx}"


def altered(data: dict[str, Any], path: tuple[str, ...], value: Any) -> Catalog:
    """The catalog with one figure another."""

    def changed(part: dict[str, Any], name: str, *names: str) -> dict[str, Any]:
        return {**part, name: changed(part[name], *names) if names else value}

    catalog = changed(data, *path)
    assert catalog != data
    return Catalog.from_data(catalog)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return read()


def test_rows_are_forty() -> None:
    assert len(ROWS) >= 40
    assert len({(row.runs, row.machine()) for row in ROWS}) == len(ROWS)
    assert all(row.source for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=identity)
def test_row(row: Row) -> None:
    assert list(row.problems(load())) == []


def test_every_rule_has_a_row() -> None:
    seen = {reason.code for row in ROWS for reason in row.verdict(load()).reasons}
    assert seen == set(SEVERITY)


@pytest.mark.parametrize("row", ROWS, ids=identity)
def test_other_figures_fail_the_row(row: Row, data: dict[str, Any]) -> None:
    for path, value in row.figures:
        assert list(row.problems(altered(data, path, value))), f"{path} = {value}: it says the same"


ALTERED: dict[str, tuple[Any, ...]] = {
    "minimum_driver": ("367.00", "999.1"),
    "toolkit_driver": ("367.00", "999.1", None),
    "oldest": ("1.0", "12.9", None),
    "newest": ("1.x", "12.9"),
    "last_driver": (1, 999),
    "first_cuda": ("7.5", "12.8"),
    "machine": ("1.0", "2.0 3.0 3.5 3.7 5.0 5.2 6.0 6.1 7.0 7.5 8.0 8.6 8.9 9.0 10.0 12.0"),
    "ptx": ("", "2.0"),
    "needs_libcuda": (True, False, None),
    "defect": (None, "cudnn-8", "cudnn-8-likely"),
    "published": (True, False, None),
    "cuda": ("8.0", "12.8", None),
    "tensorflow": ("1.0.0", "2.21.0"),
    "outcome": ("fails", "slow"),
    "certain": (True, False),
    "needs": ("cuDNN 10",),
    "data_centre_drivers": ([], ["999.1"]),
}


def rests_on(row: Row, data: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The parts of the catalog that tell of the row's image, of its CUDA, and of its cards."""
    release = data["nvidia"].get(row.runs.rpartition(":")[2]) or data["releases"][row.runs.split()[0]]
    yield ("nvidia", row.runs.rpartition(":")[2]) if ":" in row.runs else ("releases", row.runs.split()[0])
    yield from (("since", name) for name in data["since"])
    if release["cuda"]:
        yield ("cuda", release["cuda"])
    if release.get("code"):
        yield ("code", release["code"])
    if release.get("defect"):
        yield ("defects", release["defect"])
    for _, (major, minor) in row.cards:
        yield ("architectures", f"{major}.{minor}")


def test_any_figure_that_rows_rest_on_fails_one(data: dict[str, Any]) -> None:
    rows: dict[tuple[str, ...], list[Row]] = {}
    for row in ROWS:
        for part in rests_on(row, data):
            rows.setdefault(part, []).append(row)
    said = {row: row.verdict(load()).model() for row in ROWS}
    silent = []
    tried = 0
    for (table, name), concerned in rows.items():
        for key, values in ALTERED.items():
            if key not in data[table][name]:
                continue
            for value in values:
                if value == data[table][name][key]:
                    continue
                catalog = altered(data, (table, name, key), value)
                if any(row.verdict(catalog).model() != said[row] for row in concerned):
                    tried += 1
                    if not any(any(row.problems(catalog)) for row in concerned):
                        silent.append((table, name, key, value))
    assert not silent, "\n".join(map(str, silent))
    assert tried > 200


def test_every_release_on_every_card_and_driver() -> None:
    catalog = load()
    assert len(catalog.releases) >= 66
    words = set()
    for release, card, driver in itertools.product(catalog.releases.values(), CARDS, DRIVERS):
        verdict = judge_release(release, "gpu", machine(card, driver=driver), catalog)
        words.add(verdict.word)
        for reason in verdict.reasons:
            assert reason.code in SEVERITY
            assert re.fullmatch(r"[A-Z].+[.]", reason.sentence), reason.sentence
            # A dialog has room for so much, and no sentence tells what is not there.
            assert len(reason.sentence) < 300
            assert "None" not in reason.sentence
        assert [reason.code == "instead" for reason in verdict.reasons].count(True) == (verdict.word == "cannot")
    assert words == {"works", "warns", "cannot"}


def test_what_is_offered_instead_runs() -> None:
    catalog = load()
    offered = 0
    for release, card, driver in itertools.product(catalog.releases.values(), CARDS, DRIVERS):
        there = machine(card, driver=driver)
        for reference in judge_release(release, "gpu", there, catalog).instead:
            image = catalog.of_image(reference)
            assert image is not None
            assert judge(image, there, catalog).word != "cannot"
            offered += 1
    assert offered > 1000


RANKS = ("works", "warns", "cannot")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card[0])
def test_a_newer_driver_makes_nothing_worse(card: tuple[str, tuple[int, int]]) -> None:
    """Except that drivers for a card end."""
    catalog = load()
    for image in catalog.images:
        if image.device == "gpu":
            verdicts = [judge(image, machine(card, driver=driver), catalog) for driver in DRIVERS]
            for older, newer in itertools.pairwise(verdicts):
                ended = "driver-too-new" in {reason.code for reason in newer.reasons}
                assert ended or RANKS.index(newer.word) <= RANKS.index(older.word), image.tag


def test_drivers_for_a_card_end() -> None:
    image = load().find("1.2.1", "gpu")
    assert image is not None
    words = [judge(image, machine(K80, driver=driver), load()).word for driver in DRIVERS]
    assert words == ["warns"] * 5 + ["cannot"] * 2


def test_a_processor_with_less_makes_nothing_better() -> None:
    catalog = load()
    for image in catalog.images:
        words = [
            judge(image, machine(T4, driver=R535, avx=avx, architecture=architecture), catalog).word
            for avx, architecture in ((True, "x86_64"), (None, "x86_64"), (False, "x86_64"), (False, "aarch64"))
        ]
        assert [RANKS.index(word) for word in words] == sorted(RANKS.index(word) for word in words), image.tag


def test_several_cards() -> None:
    catalog = load()
    image = catalog.find("1.2.1", "gpu")
    assert image is not None
    verdict = judge(image, machine(RTX_3090, K80, driver=R470), catalog)
    assert [(each.card.index, each.word) for each in verdict.cards] == [(0, "cannot"), (1, "warns")]
    assert verdict.word == "warns"
    [other] = [reason for reason in verdict.reasons if reason.code == "other-cards"]
    assert other.figures == {"good": [1], "worse": [0]}
    assert other.sentence.startswith("Choose card 1 only. Card 0 (NVIDIA GeForce RTX 3090): CUDA 8.0")

    alike = judge(image, machine(K80, K80, driver=R470), catalog)
    assert [each.word for each in alike.cards] == ["warns", "warns"]
    assert {reason.code for reason in alike.reasons} == {"no-growth-switch"}


def test_a_card_of_no_known_generation() -> None:
    """Nothing is said of drivers for it; what is known of CUDA still holds."""
    catalog = load()
    image = catalog.find("2.17.0", "gpu")
    assert image is not None
    verdict = judge(image, machine(("NVIDIA X", (13, 0)), driver=R580), catalog)
    assert {reason.code for reason in verdict.reasons} == {"libraries-unknown", "ptx-only"}
    # Compute capability 8.7 is not in the table, and has the drivers of the next older one.
    verdict = judge(image, machine(("Orin", (8, 7)), driver=R418), catalog)
    assert "driver-older-than-card" in {reason.code for reason in verdict.reasons}


def test_one_card_of_several_cannot_be_read() -> None:
    image = load().find("2.17.0", "gpu")
    assert image is not None
    verdict = judge(image, machine(RTX_4090, driver=R580, problem="Card 1 is lost."), load())
    assert verdict.word == "warns"
    assert [reason.sentence for reason in verdict.reasons] == ["Card 1 is lost."]


@pytest.mark.parametrize(
    ("card", "driver", "expected"),
    [
        # 2.20.0 is newer, and hardly finds a GPU.
        (RTX_4090, R580, "tensorflow/tensorflow:2.17.0-gpu-jupyter"),
        (GTX_980, R580, "tensorflow/tensorflow:2.16.2-gpu-jupyter"),
        (K80, R470, "tensorflow/tensorflow:2.11.1-gpu-jupyter"),
        (T4, R418, "tensorflow/tensorflow:2.3.4-gpu-jupyter"),
        (V100, R390, "tensorflow/tensorflow:1.12.3-gpu-py3"),
    ],
)
def test_choice(card: tuple[str, tuple[int, int]], driver: str, expected: str) -> None:
    chosen = choose(machine(card, driver=driver), load())
    assert chosen is not None
    image, verdict = chosen
    assert image.reference() == expected
    assert verdict.word == "works"


def test_choice_of_a_release() -> None:
    catalog = load()
    there = machine(RTX_3090, driver=R535)
    chosen = choose(there, catalog, "1.2.1")
    assert chosen is not None
    assert chosen[0].reference() == "tensorflow/tensorflow:1.2.1-gpu-py3"
    assert chosen[1] == judge(chosen[0], there, catalog)
    on_processor = choose(there, catalog, "1.2.1", "cpu")
    assert on_processor is not None
    assert on_processor[0].reference() == "tensorflow/tensorflow:1.2.1-py3"
    assert choose(there, catalog, "2.17.1") is None
    assert choose(there, catalog, "9.9.9") is None
    without = choose(machine(driver=None), catalog)
    assert without is not None
    assert without[0].device == "cpu"


def test_model() -> None:
    image = load().find("1.2.1", "gpu")
    assert image is not None
    model = judge(image, machine(RTX_3090, driver=R535), load()).model()
    assert json.loads(json.dumps(model)) == model
    assert model["word"] == "cannot"
    assert [reason["code"] for reason in model["reasons"]] == ["card-too-new", "instead"]
    assert model["reasons"][0]["figures"] == {
        "cuda": "8.0",
        "capability": "8.6",
        "card": "NVIDIA GeForce RTX 3090",
        "newest": "6.x",
        "error": "CUBLAS_STATUS_EXECUTION_FAILED",
    }
    [card] = model["cards"]
    assert (card["index"], card["uuid"], card["word"]) == (0, "GPU-0", "cannot")
