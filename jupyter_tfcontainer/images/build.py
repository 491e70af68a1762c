"""Images that people make: from a Dockerfile in the workspace, or from a base with packages of Debian and Python."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine import labels
from ..engine.pulls import Progress
from ..errors import ImageBuildFailed, ImageBusy, ImageInvalid
from . import build_env
from .build_container import Workshop, workshop
from .build_env import fetch_pip
from .image_store import Images
from .operations import LAST_LINES, Operation, Result

# What apt-get installs is told with its version, so that it can be asked for again.
APT = r"""
command -v apt-get >/dev/null || { echo "This image has no apt-get: it is neither Debian nor Ubuntu."; exit 1; }
list() { dpkg-query -W -f '${Package}=${Version}\n' | sort; }
list >/run/before
# Old images name sources whose keys have expired: what is wanted may come from the others.
apt-get update || echo "Not all sources of packages answer; trying those that do."
apt-get install --yes --no-install-recommends -- "$@" || exit
list >/run/after
apt-get clean
rm -rf /var/lib/apt/lists/*
printf 'tfcontainer-result: '
comm -13 /run/before /run/after | tr '\n' ' '
echo
"""
VERSION = "import sys; print('tfcontainer-result: %d.%d' % sys.version_info[:2])"
# An option of apt-get or pip is no package.
APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]*(?::[a-z0-9]+)?(?:=[\w.+:~-]+)?")
# What the engine says of its own doings.
ASIDES = (" ---> ", "Removing intermediate container ")
# Where Dockerfiles name images.
FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?")
COPY_FROM = re.compile(r"(?im)^\s*(?:COPY|ADD|RUN)\s[^\n]*?(?:--from=|,from=)([^\s,]+)")


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What is to be installed, and into what.

    Parameters
    ----------
    base
        name of the image
    apt
        Debian packages, as apt-get takes them
    pip
        Python packages, as pip takes them
    """

    base: str
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """See that nothing else is asked for."""
        for one in self.apt:
            if not APT_PACKAGE.fullmatch(one):
                raise ImageInvalid(f"apt says {one!r}, which cannot be a Debian package, such as git or git=1:2.39.5.")
        for one in self.pip:
            if not one.strip() or one.lstrip().startswith("-") or "\n" in one:
                raise ImageInvalid(f"pip says {one!r}, which is no Python package, such as pandas or pandas==0.20.3.")
        if not self.apt and not self.pip:
            raise ImageInvalid("There is nothing to build: name packages for apt or pip, or a Dockerfile.")


def bases(dockerfile: str) -> list[str]:
    """The images that a Dockerfile stands on or copies from. One that it only knows when it runs has a ``$`` in it."""
    text = re.sub(r"\\\s*\n", " ", dockerfile)
    stages = {str(index) for index in range(100)} | {"scratch"}
    found = []
    for image, stage in FROM.findall(text):
        if image.lower() not in stages:
            found.append(image)
        stages.add(stage.lower())
    found += [image for image in COPY_FROM.findall(text) if image.lower() not in stages]
    return found


def build_dockerfile(
    images: Images, dockerfile: Path, reference: str, finish: Callable[[str], str | None] | None = None
) -> Operation:
    """Begin to build an image from a Dockerfile.

    Parameters
    ----------
    images
        of the engine
    dockerfile
        its path; its folder is the context
    reference
        the image's name
    finish
        called with that when it is there; the name of an environment that it made comes back

    Raises
    ------
    ImageBusy
        when another image of that name is being made
    """

    def work(operation: Operation) -> Result:
        around = build_env.find(images.engine.images.proxies())
        step, printed = "", []
        arguments = {name: value for name, value in around.env.items() if name.lower() in build_env.PROXIES}
        marks = {labels.ORIGIN: "built"}
        stream = images.engine.images.build(dockerfile, arguments, marks, around.local, operation.cuttable)
        try:
            for line in stream:
                operation.say(line)
                if line.strip() and not line.startswith(ASIDES):
                    printed.append(line)
                if found := re.match(r"Step (\d+)/(\d+) ?: (.*)", line, re.IGNORECASE):
                    step = f" at step {found[1]} of {found[2]}, `{found[3]}`"
                    done, total = int(found[1]), int(found[2])
                    operation.advance(Progress(0, 0, done - 1, total, sized=False, phase="building"))
                    printed.clear()
        except ImageBuildFailed as error:
            operation.check()
            last = "\n".join(printed[-LAST_LINES:])
            raise ImageBuildFailed(
                f"{operation.noun} from {dockerfile} failed on {images.engine.facts.host}{step}: {error}"
                + (f"\nIts last lines:\n{last}" if last else "")
            ) from error
        made = stream.image
        try:
            operation.check()
            images.engine.images.name(made, reference)
        except BaseException:
            images.engine.images.drop(made)
            raise
        return _finished(images, made, reference, finish)

    return _begin(images, reference, dockerfile, work)


def build_packages(
    images: Images, packages: Packages, reference: str, finish: Callable[[str], str | None] | None = None
) -> Operation:
    """Begin to install packages into an image that is to be another.

    Parameters
    ----------
    images
        of the engine
    packages
        which, and into what
    reference
        the new image's name
    finish
        called with that when it is there; the name of an environment that it made comes back

    Raises
    ------
    ImageBusy
        when another image of that name is being made
    """

    def work(operation: Operation) -> Result:
        base = images.have(packages.base, None, operation)
        inside = images.look(base["Id"])
        around = build_env.find(images.engine.images.proxies())
        recipe: dict[str, Any] = {"base": packages.base, "base_id": base["Id"], "apt": [], "pip": []}
        with workshop(images.engine, operation, base, around) as shop:
            if packages.apt:
                operation.step(f"Installing {_listed(packages.apt)}.")
                env = {"DEBIAN_FRONTEND": "noninteractive"}
                recipe["apt"] = shop.run(["sh", "-c", APT, "sh", *packages.apt], env=env).split()
            if packages.pip:
                operation.step(f"Installing {_listed(packages.pip)}.")
                python = (inside and inside.executable) or "python3"
                installed = _install(shop, python, packages.pip, operation)
                recipe["pip"] = [f"{name}=={version}" for name, version in sorted(installed.items())]
            operation.step(f"Writing {reference}.")
            marks = {
                labels.ORIGIN: "built",
                labels.PARENT: packages.base,
                labels.PARENT_ID: base["Id"],
                labels.RECIPE: json.dumps(recipe),
            }
            made = shop.commit(reference, marks)
        return _finished(images, made, reference, finish)

    return _begin(images, reference, packages, work)


def _install(shop: Workshop, python: str, packages: tuple[str, ...], operation: Operation) -> Mapping[str, str]:
    version = shop.run([python, "-c", VERSION])
    return shop.install(python, packages, fetch_pip(version, operation.cuttable))


def _begin(images: Images, reference: str, what: object, work: Callable[[Operation], Result]) -> Operation:
    key = ("make", reference, what)
    for other in images.operations.list():
        same = other.state == "running" and other.kind in ("build", "snapshot") and other.reference == reference
        if same and images.operations.running(key) is not other:
            raise ImageBusy(
                f"An image named {reference} is being made already, from something else. Wait for that or cancel it, "
                f"or pick another name."
            )
    return images.operations.begin("build", reference, key, work)


def _finished(images: Images, made: str, reference: str, finish: Callable[[str], str | None] | None) -> Result:
    images.look(made)
    environment = finish(reference) if finish else None
    message = f"The image {reference} was built on {images.engine.facts.host}."
    if environment:
        message = f"{message[:-1]}, and the environment {environment} made for it."
    return Result(message, made, reference, environment)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
