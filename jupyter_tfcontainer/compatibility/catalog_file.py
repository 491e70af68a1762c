"""The form of catalog.yaml: reads it, and makes records of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from .records import (
    CUDA,
    DOCKER_HUB,
    NVIDIA,
    NVIDIA_REGISTRY,
    TENSORFLOW,
    Architecture,
    Capability,
    Code,
    Defect,
    Image,
    Release,
    Report,
    capabilities,
    capability,
    numbers,
)


class Reader:
    """Makes records from what catalog.yaml says.

    Parameters
    ----------
    data
        what it says

    Attributes
    ----------
    cuda
        the versions of CUDA
    growth_since, avx_since
        the first release that heeds ``TF_FORCE_GPU_ALLOW_GROWTH``, and that needs AVX
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.growth_since: str = data["since"]["growth"]["tensorflow"]
        self.avx_since: str = data["since"]["avx"]["tensorflow"]
        self.cuda = {
            version: CUDA(
                version=version,
                **{**row, "oldest": self._maybe(row["oldest"]), "sources": self._sources(row["sources"])},
            )
            for version, row in data["cuda"].items()
        }
        self._code = {
            release: Code(
                machine=capabilities(row["machine"]),
                ptx=capabilities(row["ptx"]),
                partly=capabilities(row["partly"]),
                wheel=row["wheel"],
            )
            for release, row in data["code"].items()
        }
        self._defects = {
            name: Defect(**{**row, "sources": self._sources(row["sources"])}) for name, row in data["defects"].items()
        }

    def releases(self) -> dict[str, Release]:
        """Return the releases by version."""
        return {version: self._release(version, row) for version, row in self._data["releases"].items()}

    def nvidia(self) -> tuple[Image, ...]:
        """Return NVIDIA's own images."""
        return tuple(self._nvidia_image(tag, row) for tag, row in self._data["nvidia"].items())

    def architectures(self) -> tuple[Architecture, ...]:
        """Return the generations of cards."""
        return tuple(self._architecture(name, row) for name, row in self._data["architectures"].items())

    def reports(self) -> tuple[Report, ...]:
        """Return what people saw."""
        return tuple(self._report(row) for row in self._data["reports"].values())

    def _sources(self, places: list[int], tensorflow: str = "") -> tuple[str, ...]:
        return tuple(self._data["sources"][place].replace("{tensorflow}", tensorflow) for place in places)

    @staticmethod
    def _maybe(text: str | None) -> Capability | None:
        return capability(text) if text else None

    def _architecture(self, name: str, row: Mapping[str, Any]) -> Architecture:
        return Architecture(
            **{**row, "cards": tuple(row["cards"]), "sources": self._sources(row["sources"])},
            capability=capability(name),
        )

    def _report(self, row: Mapping[str, Any]) -> Report:
        [oldest, newest], [first, last] = row["cuda"], row["capabilities"]
        return Report(
            cuda=(oldest, newest),
            capabilities=(self._maybe(first), self._maybe(last)),
            fails=row["outcome"] == "fails",
            error=row.get("error"),
            sources=self._sources(row["sources"]),
        )

    def _release(self, version: str, row: Mapping[str, Any]) -> Release:
        sources = self._sources([*row["published_by"], *row["sources"]], version)
        images = tuple(self._image(version, row, tag, sources) for tag in row["images"])
        return Release(
            tensorflow=version,
            published=row["published"],
            images=images if row["published"] is not False else (),
            sources=sources,
        )

    def _image(self, version: str, row: Mapping[str, Any], tag: str, sources: tuple[str, ...]) -> Image:
        device, python, jupyter, workdir = row["images"][tag]
        gpu: dict[str, Any] = {}
        if device == "gpu":
            gpu = {
                "cuda": self.cuda[row["cuda"]] if row["cuda"] else None,
                "cudnn": row["cudnn"],
                "code": self._code[row["code"]] if row["code"] else None,
                "needs_libcuda": row["needs_libcuda"],
                "defect": self._defects[row["defect"]] if row["defect"] else None,
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
            architecture=self._data["architecture"],
            avx=numbers(version) >= numbers(self.avx_since),
            growth=numbers(version) >= numbers(self.growth_since),
            sources=sources,
            **gpu,
        )

    def _nvidia_image(self, tag: str, row: Mapping[str, Any]) -> Image:
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
            oldest=self._maybe(row["oldest"]),
            sources=self._sources(row["sources"]),
        )


def read() -> dict[str, Any]:
    """What catalog.yaml says."""
    text = files(__package__).joinpath("catalog.yaml").read_text(encoding="utf-8")
    # Imported here, since all commands but few need no catalog.
    import yaml

    # libyaml takes a tenth of the time, and not every PyYAML has it.
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return data
