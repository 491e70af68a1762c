"""What the catalog knows of each release, image, version of CUDA and generation of cards.

What is not known is None here, and said to be so wherever it matters.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

Capability = tuple[int, int]
Device = Literal["cpu", "gpu"]

DOCKER_HUB, TENSORFLOW = "docker.io", "tensorflow/tensorflow"
NVIDIA_REGISTRY, NVIDIA = "nvcr.io", "nvidia/tensorflow"


@cache
def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers, to compare; what is no number (as in ``1.12.0-rc2``) ends it."""
    [start] = re.findall(r"^\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in start.split("."))


def capability(text: str) -> Capability:
    """The compute capability that a text such as ``8.6`` names."""
    major, minor = text.split(".")
    return int(major), int(minor)


def capabilities(text: str) -> tuple[Capability, ...]:
    """The compute capabilities that a text such as ``3.5 5.2`` names."""
    return tuple(capability(part) for part in text.split())


@dataclass(frozen=True, kw_only=True)
class CUDA:
    """A version of CUDA.

    Parameters
    ----------
    version
        such as ``11.2``
    minimum_driver
        the oldest driver that it accepts
    toolkit_driver
        the driver that it came with
    oldest, newest
        the oldest and the newest compute capability that its libraries have machine code for; the newest as NVIDIA
        gives it, such as ``6.x``
    sources
        where this is known from
    """

    version: str
    minimum_driver: str | None
    toolkit_driver: str | None
    oldest: Capability | None
    newest: str | None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A generation of cards.

    Parameters
    ----------
    name
        such as ``Ampere``
    capability
        compute capability
    cards
        examples
    first_cuda
        the first CUDA that knows it
    last_driver
        the last branch of drivers for it, such as 470; None while drivers still come
    sources
        where this is known from
    """

    name: str
    capability: Capability
    cards: tuple[str, ...]
    first_cuda: str
    last_driver: int | None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What people saw of a CUDA on cards that are newer than its libraries.

    Parameters
    ----------
    cuda
        oldest and newest version, None for no end
    capabilities
        oldest and newest compute capability, None for no end
    fails
        whether it failed; else it ran, after a start of minutes
    error
        CUDA's name for the failure
    sources
        the reports
    """

    cuda: tuple[str | None, str | None]
    capabilities: tuple[Capability | None, Capability | None]
    fails: bool
    error: str | None
    sources: tuple[str, ...] = ()

    def tells(self, cuda: str, capability: Capability) -> bool:
        """Whether it tells of this CUDA on this card."""
        (oldest, newest), (first, last) = self.cuda, self.capabilities
        return (
            (oldest is None or numbers(oldest) <= numbers(cuda))
            and (newest is None or numbers(cuda) <= numbers(newest))
            and (first is None or first <= capability)
            and (last is None or capability <= last)
        )


@dataclass(frozen=True, kw_only=True)
class Code:
    """What a release's wheel has for cards, as measured on PyPI's.

    Parameters
    ----------
    machine
        compute capabilities with machine code in every kernel
    ptx
        compute capabilities with PTX, which the driver compiles for newer cards
    partly
        compute capabilities with code in some kernels only
    wheel
        the wheel that was measured
    """

    machine: tuple[Capability, ...]
    ptx: tuple[Capability, ...]
    partly: tuple[Capability, ...]
    wheel: str


@dataclass(frozen=True, kw_only=True)
class Defect:
    """Why a GPU image finds no GPU as it is.

    Parameters
    ----------
    needs
        what its TensorFlow needs and it has not, such as ``cuDNN 9``
    certain
        whether somebody saw it with this image
    cure
        a command that people report to cure it, or None
    sources
        where this is known from
    """

    needs: str
    certain: bool
    cure: str | None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that has TensorFlow.

    Parameters
    ----------
    registry, repository, tag
        together its reference
    tensorflow
        release
    published
        whether it was published
    device
        what its TensorFlow is for
    python
        version
    jupyter
        whether Jupyter is inside, and so ipykernel
    workdir
        its working folder, or ``unset``
    architecture
        of the processor
    avx, growth
        whether it needs AVX; whether it heeds ``TF_FORCE_GPU_ALLOW_GROWTH``
    cuda, cudnn
        versions
    minimum_driver, data_centre_drivers
        what NVIDIA asks for with its own image: a driver, or one of these with data centre cards. For other images,
        CUDA's own minimum holds.
    oldest
        the oldest compute capability that NVIDIA says its own image is for
    code
        what its TensorFlow has for cards
    needs_libcuda
        whether ``import tensorflow`` fails without the driver's library
    defect
        what keeps it from finding a GPU
    sources
        where this is known from
    """

    registry: str
    repository: str
    tag: str
    tensorflow: str | None
    published: bool | None
    device: Device
    python: str | None
    jupyter: bool | None
    workdir: str | None
    architecture: str | None
    avx: bool | None
    growth: bool | None
    cuda: CUDA | None = None
    cudnn: str | None = None
    minimum_driver: str | None = None
    data_centre_drivers: tuple[str, ...] = ()
    oldest: Capability | None = None
    code: Code | None = None
    needs_libcuda: bool | None = None
    defect: Defect | None = None
    sources: tuple[str, ...] = ()

    @property
    def from_nvidia(self) -> bool:
        """Whether it is one of NVIDIA's own."""
        return self.repository == NVIDIA

    @property
    def python_major(self) -> int | None:
        """2 or 3; the tags of official images tell it even where the version is not known."""
        if self.python:
            return int(self.python.split(".")[0])
        return 3 if "-py3" in self.tag else None

    def reference(self, prefix: str = "") -> str:
        """Its reference.

        Parameters
        ----------
        prefix
            of a mirror, such as ``mirror.example:5000/hub``, in the place of its own registry
        """
        # Docker Hub goes without saying, and docker.io/ in front would be another name for the same image.
        registry = prefix.rstrip("/") or ("" if self.registry == DOCKER_HUB else self.registry)
        return "/".join(part for part in (registry, f"{self.repository}:{self.tag}") if part)

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        model = asdict(self)
        model["reference"] = self.reference()
        model["minimum_driver"] = self.minimum_driver or (self.cuda.minimum_driver if self.cuda else None)
        model["oldest"] = written(self.oldest) if self.oldest else None
        if self.cuda and self.cuda.oldest:
            model["cuda"]["oldest"] = written(self.cuda.oldest)
        if self.code:
            for name in ("machine", "ptx", "partly"):
                model["code"][name] = [written(each) for each in model["code"][name]]
        return model


def written(capability: Capability) -> str:
    """A compute capability as people write it."""
    return f"{capability[0]}.{capability[1]}"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release of TensorFlow.

    Parameters
    ----------
    tensorflow
        version
    published
        whether there are images of it
    images
        of it; none if none were published
    sources
        where this is known from
    """

    tensorflow: str
    published: bool | None
    images: tuple[Image, ...]
    sources: tuple[str, ...] = ()

    def find(self, device: Device, python: str | None = None) -> Image | None:
        """The image to prefer: Python 3 before 2, with Jupyter before without.

        Parameters
        ----------
        device
            what for
        python
            version, or its beginning, such as ``3``
        """
        fitting = [image for image in self.images if image.device == device and _has_python(image, python)]
        # Of equals the first, whose tag is the shortest.
        return max(fitting, key=lambda image: (image.python_major or 0, image.jupyter is True), default=None)

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        return {
            "tensorflow": self.tensorflow,
            "published": self.published,
            "images": [image.model() for image in self.images],
            "sources": list(self.sources),
        }


def _has_python(image: Image, python: str | None) -> bool:
    if python is None:
        return True
    if image.python is None:
        return str(image.python_major) == python
    return f"{image.python}.".startswith(f"{python}.")
