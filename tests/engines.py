"""Container engines of a test's own, each in a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60

# Stands in for NVIDIA's container toolkit, which needs a card: the engine offers device requests if it finds a program
# of this name, and calls it before each container that asked for GPUs. It keeps what was asked for.
HOOK_NAME = "nvidia-container-runtime-hook"
HOOK = """#!{python}
import json, sys
with open(json.load(sys.stdin)["bundle"] + "/config.json") as file:
    variables = json.load(file)["process"]["env"]
with open({record!r}, "a") as record:
    record.writelines(one.partition("=")[2] + "\\n" for one in variables if one.startswith("NVIDIA_VISIBLE_DEVICES="))
"""


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

    def start(self, *options: str) -> None:
        """Start it and wait for its word that it is ready."""
        # The protocol of sd_notify(3), which dockerd speaks.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, self.log.open("ab") as log:
            notify.bind(str(self.folder / "notify"))
            notify.settimeout(START_SECONDS)
            (self.folder / "daemon.json").write_text("{}")
            settings = {
                "--config-file": "daemon.json",
                "--data-root": "data",
                "--exec-root": "exec",
                "--pidfile": "pid",
            }
            # `ip netns exec` would mount /sys anew and hide the control groups.
            command = ["nsenter", f"--net=/run/netns/{self.namespace}", "dockerd", "--host", self.url, *options]
            for option, name in settings.items():
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
        hook = self.programs / HOOK_NAME
        hook.write_text(HOOK.format(python=sys.executable, record=str(self.requests)))
        hook.chmod(0o755)

    def gpu_requests(self) -> list[str]:
        """The value of ``NVIDIA_VISIBLE_DEVICES`` for each container that asked for GPUs, in order."""
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
        shutil.rmtree(folder)
