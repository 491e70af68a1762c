"""Container engines of a test's own, each in a network namespace of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 60

# Stands in for NVIDIA's container toolkit, which needs a card: the engine offers device requests if it finds a program
# of this name, and calls it before each container that asked for GPUs. It keeps what was asked for.
HOOK_NAME = "nvidia-container-runtime-hook"
KEEP = """#!{python}
import json, os, sys
def keep(bundle):
    with open(bundle + "/config.json") as file:
        variables = json.load(file)["process"]["env"]
    devices = [one.partition("=")[2] for one in variables if one.startswith("NVIDIA_VISIBLE_DEVICES=")]
    with open({record!r}, "a") as record:
        # Docker's 20.10 adds what was asked for behind what was there.
        print(*dict.fromkeys(devices), file=record)
"""
HOOK = (
    KEEP
    + """
keep(json.load(sys.stdin)["bundle"])
"""
)
# The toolkit's other half, which an engine may have as a runtime: it does its part, and leaves the rest to runc.
RUNTIME_NAME = "nvidia-container-runtime"
RUNTIME = (
    KEEP
    + """
if "create" in sys.argv:
    keep(sys.argv[sys.argv.index("--bundle") + 1])
os.execvp("runc", ["runc", *sys.argv[1:]])
"""
)


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

    @property
    def url(self) -> str:
        """Its address, as in ``DOCKER_HOST``."""
        return f"unix://{self.folder}/docker.sock"

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
            # `ip netns exec` would mount /sys anew and hide the control groups.
            command = ["nsenter", f"--net=/run/netns/{self.namespace}", *(hiding(hide) if hide else [])]
            command += ["dockerd", "--host", self.url, *options]
            for option, name in files.items():
                command += [option, str(self.folder / name)]
            self._process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    "PATH": f"{self.programs}:{os.environ['PATH']}",
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

    def load(self, image: str, *tags: str) -> None:
        """Copy an image from the engine that all tests share, and give it more names."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
            subprocess.run(["docker", "--host", self.url, "load", "--quiet"], stdin=save.stdout, check=True)
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
def private_engine() -> Iterator[PrivateEngine]:
    """An engine that is yet to be started, and is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tfc-engine-"))
    namespace = folder.name
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    engine = PrivateEngine(folder, namespace)
    try:
        yield engine
    finally:
        engine.stop()
        subprocess.run(["ip", "netns", "delete", namespace], check=True)
        # Three times as fast as Python on the thousands of files of an image.
        subprocess.run(["rm", "-rf", folder], check=True)
