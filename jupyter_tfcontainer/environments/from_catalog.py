"""What the catalog offers as an environment. Pure: no I/O beside reading the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..compatibility import catalog
from ..compatibility.records import Device, Image
from ..errors import EnvironmentNotFound


@dataclass(frozen=True)
class Offer:
    """An environment that could be made.

    Parameters
    ----------
    name
        for its kernelspec
    display_name
        for launchers
    image
        that it would run in
    """

    name: str
    display_name: str
    image: Image

    @property
    def config(self) -> dict[str, Any]:
        """Its fields."""
        gpus = {"gpus": "all"} if self.image.device == "gpu" else {}
        return {"image": self.image.reference(), **gpus}


def offer(release: str, device: Device, python: str | None = None) -> Offer:
    """The environment of a release.

    Parameters
    ----------
    release
        of TensorFlow
    device
        what for
    python
        version, or its beginning, such as ``3``; by default the newest that the release has an image with

    Raises
    ------
    EnvironmentNotFound
        when the catalog has no such release, or no such image of it
    """
    known = catalog.load()
    if release not in known.releases:
        raise EnvironmentNotFound(f"The catalog has no TensorFlow {release}. It has {', '.join(known.releases)}.")
    image = known.find(release, device, python)
    if image is None:
        with_python = f" with Python {python}" if python else ""
        raise EnvironmentNotFound(f"There is no image of TensorFlow {release} for the {device.upper()}{with_python}.")
    suffix, words = (f"-py{python}", f" (Python {python})") if python else ("", "")
    return Offer(f"tf-{release}-{device}{suffix}", f"TF {release} {device.upper()}{words}", image)
