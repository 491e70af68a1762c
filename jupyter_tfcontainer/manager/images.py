"""Images, through every door: what the policy says of them is asked, and environments are made of them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from ..compatibility import catalog
from ..environments import store
from ..environments.store import Change
from ..errors import ContainerEnded, EnvironmentInvalid, EnvironmentNotFound, ImageInvalid
from ..images import archive, build, prepare, snapshot
from ..images.build import Packages
from ..images.image_store import Images
from ..images.operations import Operation
from .admission import Admission
from .containers import UserContainers
from .lazy_starter import LazyStarter
from .settings import Settings


class ImageManager:
    """What is asked of images, as :class:`UserContainers` is asked of containers.

    Parameters
    ----------
    settings
        have the policy, and where the catalog's images come from
    lazy
        has the engine and its images
    admission
        says which images may be had
    containers
        of which snapshots are made
    before_delete
        is told the id of an image that is to go: what nobody has asked for keeps no image
    """

    def __init__(
        self,
        settings: Settings,
        lazy: LazyStarter,
        admission: Admission,
        containers: UserContainers,
        before_delete: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._lazy = lazy
        self._admission = admission
        self._containers = containers
        self._before_delete = before_delete

    @property
    def _images(self) -> Images:
        return self._lazy.images

    def list(self, specs: KernelSpecManager, *, sizes: bool = False) -> builtins.list[dict[str, Any]]:
        """Models of all images.

        Parameters
        ----------
        specs
            the kernelspecs that there are
        sizes
            whether to count what each has for itself, which takes the engine a while
        """
        return self._images.list(self._environments_images(specs), sizes=sizes)

    def delete(self, reference: str, specs: KernelSpecManager, *, force: bool = False) -> None:
        """Remove an image, or one of its names.

        Raises
        ------
        ImageNotFound, ImageInUse
            with what to do
        """
        if image := self._lazy.engine.image(reference):
            self._before_delete(image["Id"])
        self._images.delete(reference, self._environments_images(specs), force=force)

    def pull(self, reference: str, platform: str | None = None) -> Operation:
        """Begin to pull an image, or join who does.

        Raises
        ------
        ImageInvalid, PolicyRefused
            with what to do
        """
        return self._images.pull(self._admission.admit_image(reference, "This pull"), platform)

    def prepare(self, reference: str) -> Operation:
        """Begin to prepare an image that has no ipykernel, or join who does.

        Raises
        ------
        ImageInvalid, PolicyRefused
            with what to do
        """
        return prepare.prepare(self._images, self._admission.admit_image(reference, "This preparation"))

    def build(
        self,
        source: Packages | Path,
        reference: str | None,
        environment: dict[str, Any] | None,
        specs: KernelSpecManager,
    ) -> Operation:
        """Begin to build an image.

        Parameters
        ----------
        source
            what to install into what, or the path of a Dockerfile
        reference
            the image's name, or None for one that says what it is from
        environment
            what is to be made of it: name, display name and fields; or None
        specs
            the kernelspecs that there are

        Raises
        ------
        TFContainerError
            with what to do, where it cannot begin
        """
        asker = "This build"
        images = self._images
        finish, reference = self._made("built", reference, environment, source, specs)
        if isinstance(source, Packages):
            packages = replace(source, base=self._admission.admit_image(source.base, asker))
            return build.build_packages(images, packages, reference, finish)
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ImageInvalid(f"The Dockerfile {source} cannot be read: {error}") from error
        if self._settings.policy.allowed_images != ("*",):
            for base in build.bases(text):
                self._admission.admit_image(base, asker)
        return build.build_dockerfile(images, source, reference, finish)

    def snapshot(
        self,
        container_id: str,
        reference: str | None,
        environment: dict[str, Any] | None,
        specs: KernelSpecManager,
    ) -> Operation:
        """Begin to make an image of a running container.

        Parameters
        ----------
        container_id
            which container
        reference
            the image's name, or None for one that says what it is from
        environment
            what is to be made of it: name, display name, and what is to be other than in the container's; or None
        specs
            the kernelspecs that there are

        Raises
        ------
        TFContainerError
            with what to do, where it cannot begin
        """
        model = self._containers.get(container_id)
        if model["state"] == "ended":
            raise ContainerEnded(f"The container {container_id[:12]} has ended: a snapshot is made of one that runs.")
        if environment is not None:
            with suppress(EnvironmentNotFound, EnvironmentInvalid):
                environment = {**store.export(model["environment"], None, specs)["config"], **environment}
        finish, reference = self._made("snapshot", reference, environment, model["environment"], specs)
        description = self._lazy.engine.inspect(container_id)
        return snapshot.snapshot(self._images, description, model["image"], reference, finish)

    def save(self, reference: str, path: Path) -> Operation:
        """Begin to write an image to a file.

        Raises
        ------
        ImageNotFound, ImageArchiveFailed, PolicyRefused
            when it cannot begin
        """
        return archive.save(self._images, self._admission.admit_image(reference, "This archive"), path)

    def load(self, path: Path) -> Operation:
        """Begin to read images from a file.

        Raises
        ------
        ImageArchiveFailed, PolicyRefused
            when it cannot begin
        """
        if self._settings.policy.allowed_images != ("*",) and path.is_file():
            for name in archive.names(path):
                self._admission.admit_image(name, "This archive")
        return archive.load(self._images, path)

    def _made(
        self,
        how: str,
        reference: str | None,
        environment: dict[str, Any] | None,
        source: Packages | Path | str,
        specs: KernelSpecManager,
    ) -> tuple[Callable[[str], str | None], str]:
        """What is to become of an image that is made, and its name; both are seen to be possible before it begins."""
        what = (
            source.base if isinstance(source, Packages) else source.parent.name if isinstance(source, Path) else source
        )
        words = str((environment or {}).get("name") or what)
        slug = re.sub(r"[^\w.-]+", "-", words, flags=re.ASCII).strip("-.").lower()
        reference = self._admission.admit_image(
            reference or f"tfcontainer/{how}:{slug or 'image'}", f"This {how} image"
        )
        if "@" in reference:
            raise ImageInvalid(
                f"{reference} is the name of an image that is there: one that is made has no digest yet."
            )
        if environment is None:
            return lambda _: None, reference
        fields = {name: value for name, value in environment.items() if name not in ("name", "display_name")}
        name = str(environment.get("name") or "")
        change = Change(environment.get("display_name"), {**fields, "image": reference})
        store.check(name, change, specs, new=True)
        return lambda _: store.create(name, change, specs).name, reference

    def _environments_images(self, specs: KernelSpecManager) -> dict[str, str]:
        """The image that each environment runs, by the environment's name."""
        known, prefix = catalog.load(), self._settings.registry_prefix
        return {one["name"]: known.mirrored(one["image"], prefix) for one in store.models(specs) if "image" in one}
