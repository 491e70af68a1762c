"""Build the images that the tests and `make lab` use, from Debian and PyPI alone.

    python scripts/images.py [NAME ...]     build what is missing or out of date
    python scripts/images.py --remove       remove these images again

An image carries the hash of its recipe as a label, so a second run only looks.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from steps import ROOT, StepError, cache_dir, main, need, run, step

LABEL = "jupyter-tfcontainer.recipe"
RECIPES = ROOT / "tests" / "images"
DEBOOTSTRAP = (
    "mmdebstrap",
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
)
# apt-get refuses to run twice at once.
APT_LOCK = Lock()


@dataclass(frozen=True)
class Image:
    """One image: either a Debian release or a recipe on top of another image."""

    tag: str
    suite: str = ""
    packages: tuple[str, ...] = ()
    parent: str = ""
    recipe: str = ""
    changes: tuple[str, ...] = ()


IMAGES = {
    "bare": Image(
        tag="tfcontainer/python:bare",
        suite="bullseye",
        packages=("python2.7", "python3", "ca-certificates"),
        changes=('CMD ["bash"]',),
    ),
    "tensorflow": Image(
        tag="tfcontainer/tensorflow:1.2.1-cpu",
        parent="bare",
        recipe="tensorflow",
        changes=(
            "WORKDIR /notebooks",
            "EXPOSE 6006",
            "EXPOSE 8888",
            'CMD ["/run_jupyter.sh", "--allow-root"]',
        ),
    ),
    # The Docker of Debian's next release, which tests run: CDI needs a newer one than Debian 12 has.
    "docker": Image(
        tag="tfcontainer/docker:trixie",
        suite="trixie",
        packages=("docker.io", "iptables"),
        changes=('CMD ["dockerd"]',),
    ),
    "debian": Image(
        tag="tfcontainer/python:debian",
        suite="bookworm",
        packages=("python3", "ca-certificates"),
        changes=('CMD ["bash"]',),
    ),
    "modern": Image(
        tag="tfcontainer/python:modern",
        parent="debian",
        recipe="modern",
        changes=('CMD ["bash"]',),
    ),
    # For the benchmark alone, which asks for it by name.
    "gateway_provisioners": Image(
        tag="tfcontainer/benchmark:gateway_provisioners-modern",
        parent="modern",
        recipe="gateway_provisioners",
        changes=("ENV KERNEL_LANGUAGE=python", 'CMD ["/usr/local/bin/bootstrap-kernel.sh"]'),
    ),
}
FOR_TESTS = [name for name in IMAGES if name != "gateway_provisioners"]


def recipe_hash(image: Image) -> str:
    """Return a hash of everything that an image is made from."""
    digest = hashlib.sha256(repr((image, DEBOOTSTRAP)).encode())
    if image.parent:
        digest.update(recipe_hash(IMAGES[image.parent]).encode())
        for path in sorted((RECIPES / image.recipe).iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def built_hash(tag: str) -> str | None:
    """Return the recipe hash that the engine's image of that name carries, if it has one."""
    template = f'{{{{index .Config.Labels "{LABEL}"}}}}'
    try:
        return run(["docker", "image", "inspect", "--format", template, tag]).strip()
    except StepError:
        return None


def debian_mirror() -> str:
    """Return DEBIAN_MIRROR, or the mirror that this machine's apt uses for Debian itself."""
    if mirror := os.environ.get("DEBIAN_MIRROR"):
        return mirror
    targets = run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"],
        hint="This image is made with Debian's tools: build it on Debian.",
    )
    for line in targets.splitlines():
        site, _, release = line.partition(" ")
        # Updates and security have mirrors of their own that hold no whole release.
        if re.fullmatch(r"[a-z]+", release):
            return site
    raise StepError("apt knows no Debian mirror: add one to /etc/apt/sources.list.d.")


def root_filesystem(image: Image) -> Path:
    """Return the cached tar file of a minimal Debian, made on first use."""
    archive = cache_dir() / f"{image.suite}-{recipe_hash(image)}.tar"
    if not archive.exists():
        with APT_LOCK:
            need({"mmdebstrap": "mmdebstrap"})
        partial = archive.with_name(f"partial-{os.getpid()}-{archive.name}")
        try:
            run(
                [
                    *(*DEBOOTSTRAP, f"--include={','.join(image.packages)}"),
                    *(image.suite, partial, debian_mirror()),
                ],
                hint="See that apt-get can install packages here, and that DEBIAN_MIRROR, "
                f"if you set it, still has Debian {image.suite}.",
            )
            partial.rename(archive)
        finally:
            partial.unlink(missing_ok=True)
    return archive


def recipe_archive(image: Image) -> bytes:
    """Return a tar file of a recipe, a pip to start with, and the CA bundle that the host names."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=buffer, mode="w") as archive,
        tempfile.TemporaryDirectory(prefix="tfcontainer-") as folder,
    ):
        recipe = RECIPES / image.recipe
        archive.add(recipe, arcname=".")
        # Debian's minimal Python has no pip. A wheel of pip runs as it is.
        version = (recipe / "pip.txt").read_text().split()[0]
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, version])
        archive.add(next(Path(folder).glob("pip-*.whl")), arcname="pip.whl")
        bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
        if bundle and Path(bundle).is_file():
            archive.add(Path(bundle).resolve(), arcname="ca.pem")
    return buffer.getvalue()


def install(image: Image, changes: list[str]) -> None:
    """Run a recipe in a container of the parent image and commit the result."""
    variables = [
        word
        for name in ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
        for word in ("--env", name)
        if name in os.environ
    ]
    container = run(
        [
            # /run is memory: the recipe and the CA bundle live there, so no layer ever holds them.
            *("docker", "run", "--detach", "--tmpfs", "/run", "--network", "host"),
            *(IMAGES[image.parent].tag, "sleep", "infinity"),
        ]
    ).split()[-1]
    start = "mkdir /run/recipe && cd /run/recipe && tar -x && exec sh install.sh"
    try:
        run(
            ["docker", "exec", "--interactive", *variables, container, "sh", "-c", start],
            input=recipe_archive(image),
            text=False,
            hint="Containers must reach PyPI: behind a proxy set https_proxy, "
            "with a certificate authority of your own set PIP_CERT.",
        )
        run(["docker", "commit", *changes, container, image.tag])
    finally:
        run(["docker", "rm", "--force", container])


def build(name: str) -> None:
    """Build an image, and first the one that it stands on, unless they are there already."""
    image = IMAGES[name]
    if image.parent:
        build(image.parent)
    wanted = recipe_hash(image)
    if built_hash(image.tag) == wanted:
        print(f"         {image.tag} is up to date", flush=True)
        return
    changes = [word for line in (*image.changes, f"LABEL {LABEL}={wanted}") for word in ("--change", line)]
    if image.parent:
        with step(f"{image.tag}: pip install into {IMAGES[image.parent].tag}"):
            install(image, changes)
        return
    with step(f"{image.tag}: Debian {image.suite} by mmdebstrap"):
        run(["docker", "import", *changes, root_filesystem(image), image.tag])


def build_all(names: list[str]) -> None:
    """Build several images, one after the other."""
    for name in names:
        build(name)


def images(arguments: list[str]) -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(IMAGES))
    parser.add_argument("--remove", action="store_true", help="remove the images")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(IMAGES)
    if unknown:
        parser.error(f"no such image: {', '.join(sorted(unknown))}")
    names = options.names or list(IMAGES if options.remove else FOR_TESTS)
    if options.remove:
        for name in reversed(names):
            if built_hash(IMAGES[name].tag) is not None:
                run(["docker", "image", "rm", IMAGES[name].tag])
        return 0
    # One thread for each Debian release: mostly they wait for the network and for dpkg.
    chains: dict[str, list[str]] = {}
    for name in names:
        chains.setdefault(IMAGES[name].parent or name, []).append(name)
    with ThreadPoolExecutor() as threads:
        for future in [threads.submit(build_all, chain) for chain in chains.values()]:
            future.result()
    return 0


if __name__ == "__main__":
    main(images)
