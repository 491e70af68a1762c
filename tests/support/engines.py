"""Container engines of a test's own, each in a network namespace of its own."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

START_SECONDS = 60
# The data of engines that have an image each, made once and kept for later runs. Tests move HOME, so it is read here.
SEEDS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyter_tfcontainer" / "seeds"

# Where an engine has what images are made of.
LAYERS = "overlay2"

# Stands in for NVIDIA's container toolkit, which needs a card: the engine offers device requests if it finds a program
# of this name, and calls it before each container that asked for GPUs. It keeps what was asked for, and hands over a
# device by a card's name: here it is /dev/null. It is a shell script, since the engine may run where the tests' own
# Python is not.
HOOK_NAME = "nvidia-container-runtime-hook"
HOOK = """#!/bin/sh
set -eu
state=$(cat)
bundle=$(expr "$state" : '.*"bundle":"\\([^"]*\\)"')
process=$(expr "$state" : '.*"pid":\\([0-9]*\\)')
root=$(expr "$(cat "$bundle/config.json")" : '.*"root":{{"path":"\\([^"]*\\)"')
# Docker's 20.10 adds what was asked for behind what was there.
grep -o '"NVIDIA_VISIBLE_DEVICES=[^"]*"' "$bundle/config.json" | tr -d '"' | cut -d = -f 2 | uniq >> {record!r}
nsenter --mount --target "$process" mknod -m 666 "$root/dev/nvidia0" c 1 3
"""
# The toolkit's other half, which an engine may have as a runtime: it does its part, and leaves the rest to runc.
RUNTIME_NAME = "nvidia-container-runtime"
RUNTIME = """#!{python}
import json, os, sys
if "create" in sys.argv:
    with open(sys.argv[sys.argv.index("--bundle") + 1] + "/config.json", "r+") as file:
        config = json.load(file)
        asked = [one.partition("=")[2] for one in config["process"]["env"] if "NVIDIA_VISIBLE_DEVICES=" in one]
        if asked != ["void"]:
            device = {{"path": "/dev/nvidia0", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}}
            config["linux"].setdefault("devices", []).append(device)
            file.seek(0)
            json.dump(config, file)
    with open({record!r}, "a") as record:
        print(*asked, file=record)
os.execvp("runc", ["runc", *sys.argv[1:]])
"""


Kind = TypeVar("Kind", bound="PrivateEngine")


def hiding(folder: Path) -> list[str]:
    """What to put in front of a command that shall find a folder empty."""
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        'mount -t tmpfs x "$0"; exec "$@"',
        str(folder),
    ]


class PrivateEngine:
    """A Docker Engine that nobody else uses.

    Parameters
    ----------
    folder
        for its socket, its data and its programs
    namespace
        name of its network namespace
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self.folder = folder
        self.namespace = namespace
        self.programs = folder / "bin"
        self.programs.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._restart: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        """Its address, as in ``DOCKER_HOST``."""
        return f"unix://{self.folder}/docker.sock"

    def enter(self) -> list[str]:
        """The command that runs another where the engine is to be."""
        # `ip netns exec` would mount /sys anew and hide the control groups.
        return ["nsenter", f"--net=/run/netns/{self.namespace}"]

    def start(self, *options: str, settings: Mapping[str, Any] | None = None, hide: Path | None = None) -> None:
        """Start it and wait for its word that it is ready.

        Parameters
        ----------
        options
            of its command line
        settings
            for its ``daemon.json``
        hide
            folder of this machine that it shall not see, as an engine that runs shut off from it
        """
        self._restart = lambda: self.start(*options, settings=settings, hide=hide)
        # The protocol of sd_notify(3), which dockerd speaks.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, self.log.open("ab") as log:
            notify.bind(str(self.folder / "notify"))
            notify.settimeout(START_SECONDS)
            (self.folder / "daemon.json").write_text(json.dumps(settings or {}))
            files = {
                "--config-file": "daemon.json",
                "--data-root": "data",
                "--exec-root": "exec",
                "--pidfile": "pid",
            }
            command = [*self.enter(), *(hiding(hide) if hide else []), "dockerd", "--host", self.url, *options]
            for option, name in files.items():
                command += [option, str(self.folder / name)]
            self._process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    "PATH": f"{self.programs}:{os.environ['PATH']}:/usr/sbin:/usr/bin",
                    "NOTIFY_SOCKET": str(self.folder / "notify"),
                },
                stdout=log,
                stderr=log,
            )
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
            except TimeoutError:
                raise AssertionError(self.log.read_text()[-2000:]) from None
            finally:
                (self.folder / "notify").unlink()

    def stop(self) -> None:
        """Stop it, and with it its containers."""
        if self._process:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Kill it. Those of its containers that may outlive it do."""
        self.signal(signal.SIGKILL)
        assert self._process
        self._process.wait(START_SECONDS)
        self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    @property
    def requests(self) -> Path:
        """What the stand-in for NVIDIA's toolkit keeps."""
        return self.folder / "requests"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "log"

    def docker(self, *arguments: str) -> str:
        """Run Docker's command line on it."""
        return subprocess.run(
            ["docker", "--host", self.url, *arguments], check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def seed(self, image: str) -> None:
        """Give it an image of the engine that all tests share, before its first start.

        Its layers are hard links, which engines never write to: they mount layers read-only, and remove them by name.

        Parameters
        ----------
        image
            the image's name
        """
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        with seed(image) as made_once:
            # A test may have mounted a disk there.
            linked = made_once.stat().st_dev == data.stat().st_dev
            for part in made_once.iterdir():
                copy = ["cp", "-al"] if linked and part.name == LAYERS else ["cp", "-a"]
                subprocess.run([*copy, part, data], check=True)

    def load(self, image: str, *tags: str) -> None:
        """Give it an image of the engine that all tests share, while it runs and has none.

        Parameters
        ----------
        image
            the image's name
        tags
            more names for the image
        """
        assert self._restart
        assert not self.docker("images", "--all", "--quiet")
        self.stop()
        self.seed(image)
        self._restart()
        for tag in tags:
            self.docker("tag", image, tag)

    def install_hook(self) -> None:
        """Put in the stand-in for NVIDIA's toolkit; the engine notices at its start."""
        self._install(HOOK_NAME, HOOK)

    def install_runtime(self) -> dict[str, Any]:
        """Put in the stand-in for NVIDIA's runtime; the settings that register it come back."""
        return {"runtimes": {"nvidia": {"path": str(self._install(RUNTIME_NAME, RUNTIME))}}}

    def _install(self, name: str, script: str) -> Path:
        program = self.programs / name
        program.write_text(script.format(python=sys.executable, record=str(self.requests)))
        program.chmod(0o755)
        return program

    def gpu_requests(self) -> list[str]:
        """``NVIDIA_VISIBLE_DEVICES`` of each container that asked for GPUs, in order."""
        return self.requests.read_text().splitlines() if self.requests.exists() else []


@contextmanager
def seed(image: str) -> Iterator[Path]:
    """Give the data of an engine that has one image; nobody replaces it meanwhile.

    Beside it is a list of what is in its layers, as `contents` gives it.
    """
    found = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", image], check=True, text=True, stdout=subprocess.PIPE
    )
    folder = SEEDS / image.replace("/", "_").replace(":", "_")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # The first of the tests' processes makes it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = folder / found.stdout.strip().removeprefix("sha256:")
        if not wanted.exists():
            # These are of images that have been built anew since, or half made.
            subprocess.run(["find", folder, "-mindepth", "1", "!", "-name", "lock", "-delete"], check=True)
            partial = folder / "partial"
            with private_engine() as engine:
                engine.start()
                with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
                    subprocess.run(["docker", "--host", engine.url, "load", "--quiet"], stdin=save.stdout, check=True)
                engine.stop()
                subprocess.run(["mv", engine.folder / "data", partial], check=True)
            wanted.with_suffix(".json").write_text(json.dumps(contents(partial / LAYERS)))
            partial.rename(wanted)
        yield wanted


def contents(folder: Path) -> dict[str, list[int]]:
    """Return what tells whether a file below a folder was changed: mode, owner, size, and time of the last change."""
    found = {}
    for parent, _, files in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in files)):
            state = path.lstat()
            found[str(path.relative_to(folder))] = [
                *(state.st_mode, state.st_uid, state.st_gid),
                *(state.st_size, state.st_mtime_ns),
            ]
    return found


@contextmanager
def private_engine() -> Iterator[PrivateEngine]:
    """An engine that is yet to be started, and is gone afterwards."""
    with made(PrivateEngine) as engine:
        yield engine


@contextmanager
def made(kind: type[Kind]) -> Iterator[Kind]:
    """An engine of a kind, yet to be started, and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tfc-engine-"))
    namespace = folder.name
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    engine = None
    try:
        engine = kind(folder, namespace)
        yield engine
    finally:
        if engine:
            engine.stop()
        subprocess.run(["ip", "netns", "delete", namespace], check=True)
        # Three times as fast as Python on the thousands of files of an image.
        subprocess.run(["rm", "-rf", folder], check=True)
