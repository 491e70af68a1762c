"""The peers from PyPI, each in a virtual environment of its own, set up as its own documentation says."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from homes import LEGACY, MODERN, Home

# An image that dockernel can use ends in the command of its kernel.
DOCKERNEL = "FROM {image}\nCMD {python} -m ipykernel_launcher -f $DOCKERNEL_CONNECTION_FILE\n"
TAG = "tfcontainer/benchmark:{name}-{kind}"
PYTHONS = {"legacy": "python", "modern": "python3"}
IMAGES = {"legacy": LEGACY, "modern": MODERN}


@dataclass(frozen=True)
class Peer:
    """Another program that runs kernels in containers.

    Parameters
    ----------
    package
        its name on PyPI, with what it needs for Docker
    install
        adds its kernelspecs to a home: virtual environment, home, variables, kind of image
    excuses
        why it cannot run in a kind of image
    variables
        for its server
    """

    package: str
    install: Callable[[Path, Home, dict[str, str], str], None]
    excuses: dict[str, str]
    variables: dict[str, str]

    @property
    def name(self) -> str:
        """How it is called."""
        return self.package.partition("[")[0]


def _dockernel(environment: Path, home: Home, variables: dict[str, str], kind: str) -> None:
    tag = TAG.format(name="dockernel", kind=kind)
    text = DOCKERNEL.format(image=IMAGES[kind], python=PYTHONS[kind])
    _run(["docker", "build", "--tag", tag, "-"], input=text)
    # It names the kernelspec after the image, and has a folder of its own for it.
    store = home.root / "home" / ".local" / "share" / "jupyter" / "kernels"
    store.mkdir(parents=True, exist_ok=True)
    before = set(store.iterdir())
    _run([environment / "bin" / "dockernel", "install", tag, "--name", kind], env=variables)
    (made,) = set(store.iterdir()) - before
    made.rename(home.data / "kernels" / kind)


def _envkernel(environment: Path, _home: Home, variables: dict[str, str], kind: str) -> None:
    # Without a display name of ours it writes one that Jupyter does not take.
    command = ["docker", f"--name={kind}", f"--display-name={kind}", "--user", "--pwd", f"--python={PYTHONS[kind]}"]
    _run([environment / "bin" / "envkernel", *command, IMAGES[kind]], env=variables)


def _gateway_provisioners(environment: Path, _home: Home, variables: dict[str, str], kind: str) -> None:
    tag = TAG.format(name="gateway_provisioners", kind=kind)
    _run([sys.executable, Path(__file__).parent.parent / "scripts" / "images.py", "gateway_provisioners"])
    command = ["install", "--user", f"--kernel-name={kind}", f"--image-name={tag}"]
    _run([environment / "bin" / "jupyter-docker-spec", *command], env=variables)


PEERS = (
    Peer("dockernel", _dockernel, {}, {}),
    Peer("envkernel", _envkernel, {}, {}),
    Peer(
        "gateway_provisioners[docker]",
        _gateway_provisioners,
        {"legacy": "what it puts into the image needs Python 3.10, and the image has Python 2.7"},
        # By default it starts nothing for root.
        {"KERNEL_USERNAME": "somebody"},
    ),
)


def environment(peer: Peer, folder: Path) -> Path:
    """A peer's virtual environment, made if it is not there, with the Jupyter server that we measure ours on.

    Parameters
    ----------
    peer
        which
    folder
        where these environments are
    """
    path = folder / peer.name
    wanted = " ".join([peer.package, *(f"{name}=={version(name)}" for name in ("jupyter_server", "jupyter_client"))])
    stamp = path / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(path, clear=True, with_pip=True)
        _run([path / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted.split(), "ipykernel"])
        stamp.write_text(wanted)
    return path


def released(path: Path, peer: Peer) -> str:
    """The version of a peer that is in its environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({peer.name!r}))"
    return _run([path / "bin" / "python", "-c", code]).strip()


def install(peer: Peer, path: Path, home: Home, variables: dict[str, str]) -> None:
    """Add a peer's kernelspecs, called as the kinds of images are, to a home."""
    for kind in IMAGES:
        if kind not in peer.excuses:
            (home.data / "kernels").mkdir(exist_ok=True)
            peer.install(path, home, variables, kind)


def _run(command: list[str | Path], **options: object) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(  # type: ignore[call-overload]
        words, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} ended with status {done.returncode}:\n{done.stdout[-2000:]}")
    return str(done.stdout)
