"""The catalog: every TensorFlow release, its images, and what each needs. Reads catalog.yaml.

What is not known is None here, and said to be so wherever it matters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib.resources import files
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


# Compared by identity: it is big, and there is one.
@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """All that is known.

    Parameters
    ----------
    releases
        by version, oldest first
    nvidia
        NVIDIA's own images, oldest first
    cuda
        by version, oldest first
    architectures
        oldest first
    reports
        the most special first
    growth_since, avx_since
        the first release that heeds ``TF_FORCE_GPU_ALLOW_GROWTH``, and that needs AVX
    """

    releases: Mapping[str, Release]
    nvidia: tuple[Image, ...]
    cuda: Mapping[str, CUDA]
    architectures: tuple[Architecture, ...]
    reports: tuple[Report, ...]
    growth_since: str
    avx_since: str

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Catalog:
        """The catalog from what catalog.yaml says."""
        return _Reader(data).catalog()

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """All images."""
        return (*(image for release in self.releases.values() for image in release.images), *self.nvidia)

    def find(self, tensorflow: str, device: Device, python: str | None = None) -> Image | None:
        """The image of a release to prefer, or None if there is none.

        Parameters
        ----------
        tensorflow
            release
        device
            what for
        python
            version, or its beginning, such as ``3``
        """
        release = self.releases.get(tensorflow)
        return release.find(device, python) if release else None

    def of_image(self, reference: str) -> Image | None:
        """The image that a reference names, also with a registry or a mirror in front, or with a digest behind.

        Parameters
        ----------
        reference
            such as ``docker.io/tensorflow/tensorflow:1.2.1-gpu-py3``
        """
        # A digest alone could be anything.
        name, _, tag = reference.partition("@")[0].rpartition(":")
        for image in self.images:
            if image.tag == tag and f"/{name}".endswith(f"/{image.repository}"):
                return image
        return None

    def mirrored(self, reference: str, prefix: str) -> str:
        """Where an image comes from if a mirror has copies of the catalog's.

        Parameters
        ----------
        reference
            of any image
        prefix
            of the mirror; without one everything stays where it is
        """
        if not prefix:
            return reference
        return next((image.reference(prefix) for image in self.images if image.reference() == reference), reference)

    def search(self, text: str) -> tuple[Image, ...]:
        """The images that have all words, in the reference or as in ``cuda 8.0``, ``python 3.5``, ``jupyter``.

        Parameters
        ----------
        text
            words
        """
        # "cuda 8.0" is one word: TensorFlow 1.8.0 is another matter.
        words = re.sub(r"\b(cuda|python|tensorflow)\s+(?=\d)", r"\1=", text.lower()).split()
        return tuple(image for image in self.images if all(word in _words(image) for word in words))

    def architecture(self, capability: Capability) -> Architecture | None:
        """The generation of a card: of its own compute capability, or else the next older one of the same major."""
        older = [each for each in self.architectures if each.capability <= capability]
        return older[-1] if older and older[-1].capability[0] == capability[0] else None


def _words(image: Image) -> str:
    cuda = f"cuda={image.cuda.version}" if image.cuda else ""
    python = f"python={image.python}" if image.python else ""
    tensorflow = f"tensorflow={image.tensorflow}" if image.tensorflow else ""
    jupyter = "jupyter" if image.jupyter else ""
    return f"{image.reference()} {tensorflow} {image.device} {cuda} {python} {jupyter}".lower()


class _Reader:
    """Makes the catalog from what catalog.yaml says."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.growth_since: str = data["since"]["growth"]["tensorflow"]
        self.avx_since: str = data["since"]["avx"]["tensorflow"]
        self.cuda = {
            version: CUDA(
                version=version,
                **{**row, "oldest": self.maybe(row["oldest"]), "sources": self.sources(row["sources"])},
            )
            for version, row in data["cuda"].items()
        }
        self.code = {
            release: Code(
                machine=capabilities(row["machine"]),
                ptx=capabilities(row["ptx"]),
                partly=capabilities(row["partly"]),
                wheel=row["wheel"],
            )
            for release, row in data["code"].items()
        }
        self.defects = {
            name: Defect(**{**row, "sources": self.sources(row["sources"])}) for name, row in data["defects"].items()
        }

    def catalog(self) -> Catalog:
        data = self.data
        return Catalog(
            releases={version: self.release(version, row) for version, row in data["releases"].items()},
            nvidia=tuple(self.nvidia(tag, row) for tag, row in data["nvidia"].items()),
            cuda=self.cuda,
            architectures=tuple(self.architecture(name, row) for name, row in data["architectures"].items()),
            reports=tuple(self.report(row) for row in data["reports"].values()),
            growth_since=self.growth_since,
            avx_since=self.avx_since,
        )

    def sources(self, places: list[int], tensorflow: str = "") -> tuple[str, ...]:
        return tuple(self.data["sources"][place].replace("{tensorflow}", tensorflow) for place in places)

    @staticmethod
    def maybe(text: str | None) -> Capability | None:
        return capability(text) if text else None

    def architecture(self, name: str, row: Mapping[str, Any]) -> Architecture:
        return Architecture(
            **{**row, "cards": tuple(row["cards"]), "sources": self.sources(row["sources"])},
            capability=capability(name),
        )

    def report(self, row: Mapping[str, Any]) -> Report:
        [oldest, newest], [first, last] = row["cuda"], row["capabilities"]
        return Report(
            cuda=(oldest, newest),
            capabilities=(self.maybe(first), self.maybe(last)),
            fails=row["outcome"] == "fails",
            error=row.get("error"),
            sources=self.sources(row["sources"]),
        )

    def release(self, version: str, row: Mapping[str, Any]) -> Release:
        sources = self.sources([*row["published_by"], *row["sources"]], version)
        images = tuple(self.image(version, row, tag, sources) for tag in row["images"])
        return Release(
            tensorflow=version,
            published=row["published"],
            images=images if row["published"] is not False else (),
            sources=sources,
        )

    def image(self, version: str, row: Mapping[str, Any], tag: str, sources: tuple[str, ...]) -> Image:
        device, python, jupyter, workdir = row["images"][tag]
        gpu: dict[str, Any] = {}
        if device == "gpu":
            gpu = {
                "cuda": self.cuda[row["cuda"]] if row["cuda"] else None,
                "cudnn": row["cudnn"],
                "code": self.code[row["code"]] if row["code"] else None,
                "needs_libcuda": row["needs_libcuda"],
                "defect": self.defects[row["defect"]] if row["defect"] else None,
            }
        return Image(
            registry=DOCKER_HUB,
            repository=TENSORFLOW,
            tag=tag,
            tensorflow=version,
            published=row["published"],
            device=device,
            python=python,
            jupyter=jupyter,
            workdir=workdir,
            architecture=self.data["architecture"],
            avx=numbers(version) >= numbers(self.avx_since),
            growth=numbers(version) >= numbers(self.growth_since),
            sources=sources,
            **gpu,
        )

    def nvidia(self, tag: str, row: Mapping[str, Any]) -> Image:
        release = row["tensorflow"]
        return Image(
            registry=NVIDIA_REGISTRY,
            repository=NVIDIA,
            tag=tag,
            tensorflow=release,
            published=True,
            device="gpu",
            python=row["python"],
            jupyter=row["jupyter"],
            workdir=row["workdir"],
            architecture=None,
            avx=None,
            growth=numbers(release) >= numbers(self.growth_since) if release else None,
            cuda=self.cuda[row["cuda"]] if row["cuda"] else None,
            cudnn=row["cudnn"],
            minimum_driver=row["minimum_driver"],
            data_centre_drivers=tuple(row["data_centre_drivers"]),
            oldest=self.maybe(row["oldest"]),
            sources=self.sources(row["sources"]),
        )


def read() -> dict[str, Any]:
    """What catalog.yaml says."""
    text = files(__package__).joinpath("catalog.yaml").read_text(encoding="utf-8")
    # Imported here, since all commands but few need no catalog.
    import yaml

    # libyaml takes a tenth of the time, and not every PyYAML has it.
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return data


@cache
def load() -> Catalog:
    """The catalog that comes with this package."""
    return Catalog.from_data(read())
