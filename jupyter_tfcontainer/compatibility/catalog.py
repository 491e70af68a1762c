"""The catalog: every TensorFlow release, its images, and what each needs; and how it is looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from .catalog_file import Reader, read
from .records import CUDA, Architecture, Capability, Device, Image, Release, Report


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
        reader = Reader(data)
        return cls(
            releases=reader.releases(),
            nvidia=reader.nvidia(),
            cuda=reader.cuda,
            architectures=reader.architectures(),
            reports=reader.reports(),
            growth_since=reader.growth_since,
            avx_since=reader.avx_since,
        )

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


@cache
def load() -> Catalog:
    """The catalog that comes with this package."""
    return Catalog.from_data(read())
