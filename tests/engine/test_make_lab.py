"""`make lab` on a machine with nothing but Debian and Python: a container in which it starts an engine of its own."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).parent.parent.parent
FRESH = "tfcontainer/python:debian"
# Where a machine reaches its registries through a certificate authority of its own, this says so to each program.
TRUST = ("NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
PROXY = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "DEBIAN_MIRROR")
LAB_ARGS = "--no-browser --port 8890 --IdentityProvider.token=fresh"
RUNNING = re.compile(r"Jupyter Server \S+ is running at:")
REMOVAL = 600
# Steps that take long.
ONCE = {"starting dockerd", "pip install, the front end built on the way"}

# Starts a kernel through the Lab that runs, and sees how it comes up.
START_KERNEL = """
import json, urllib.request
request = urllib.request.Request(
    "http://127.0.0.1:8890/api/kernels",
    data=json.dumps({"name": "tf-1.2.1-cpu"}).encode(),
    headers={"Authorization": "token fresh"},
)
kernel = json.load(urllib.request.urlopen(request))
urllib.request.urlopen(
    urllib.request.Request(
        "http://127.0.0.1:8890/api/kernels/" + kernel["id"], method="DELETE", headers={"Authorization": "token fresh"}
    )
)
print(kernel["name"])
"""


class Machine:
    """A machine that a person has just set up.

    Parameters
    ----------
    container
        its id
    """

    def __init__(self, container: str) -> None:
        self.container = container

    def run(self, *command: str) -> str:
        """Run a command on it."""
        return subprocess.run(
            ["docker", "exec", self.container, *command], check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def lab(self) -> tuple[str, float]:
        """Run `make lab` until JupyterLab runs; what it printed, and how many seconds that took."""
        started = time.monotonic()
        lines: list[str] = []
        command = ["docker", "exec", "--workdir", "/project", self.container, "make", "lab", f"LAB_ARGS={LAB_ARGS}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as make:
            assert make.stdout is not None
            for line in make.stdout:
                lines.append(line.rstrip())
                if RUNNING.search(line):
                    make.terminate()  # ends `docker exec` only: Lab goes on
                    return "\n".join(lines), time.monotonic() - started
        raise AssertionError("\n".join(lines))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    # What is removed at the end is an engine with its images: that takes an engine long.
    engine = docker.APIClient(timeout=REMOVAL)
    variables = {name: os.environ[name] for name in (*TRUST, *PROXY) if name in os.environ}
    bundles = {os.environ[name] for name in TRUST if name in os.environ}
    container = engine.create_container_from_config(
        {
            "Image": FRESH,
            "Cmd": ["sleep", "infinity"],
            "Env": [f"{name}={value}" for name, value in variables.items()],
            # An engine's data cannot lie on another's overlay.
            "Volumes": {"/var/lib/docker": {}},
            "HostConfig": {
                "Binds": ["/sys/fs/cgroup:/sys/fs/cgroup", *(f"{bundle}:{bundle}:ro" for bundle in sorted(bundles))],
                # What an engine needs; "privileged" is more than some machines can give.
                "CapAdd": ["NET_ADMIN", "SYS_ADMIN"],
                "DeviceCgroupRules": ["a *:* rwm"],
                "MaskedPaths": [],
                "ReadonlyPaths": [],
                "SecurityOpt": ["apparmor=unconfined", "seccomp=unconfined"],
            },
        }
    )["Id"]
    try:
        engine.start(container)
        engine.put_archive(container, "/", checkout())
        machine = Machine(container)
        machine.run("apt-get", "update", "--quiet")
        machine.run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "make")
        yield machine
    finally:
        engine.remove_container(container, force=True, v=True)
        engine.close()


def checkout() -> bytes:
    """A tar file of what git has of this project, changes included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in listed.split("\0"):
            if name and (ROOT / name).exists():
                archive.add(ROOT / name, arcname=f"project/{name}")
    return buffer.getvalue()


def steps(told: str) -> list[str]:
    """Return which steps `make lab` took, by what it says at the end of each."""
    # The last such line is the sum.
    return re.findall(r"^ +[\d.]+ s (?!in all)(.+)$", told, re.MULTILINE)


@pytest.mark.slow
def test_make_lab_from_nothing(machine: Machine) -> None:
    for program in ("node", "docker", "dockerd", "pip"):
        assert machine.run("sh", "-c", f"command -v {program} || true") == "", program
    told, seconds = machine.lab()
    print(f"\n{told}\n{seconds:.0f} s until JupyterLab was running")
    # Each step with its time, and in one line why the official image is not used.
    first = steps(told)
    assert set(first) >= ONCE, first
    assert any(step.endswith(" by mmdebstrap") for step in first), first
    assert re.search(
        r"^ +No GPU for tensorflow/tensorflow:1.2.1-gpu-py3, so a CPU image from Debian and PyPI stands in\.$",
        told,
        re.MULTILINE,
    )
    kernelspecs = json.loads(machine.run("/project/.venv/bin/jupyter", "kernelspec", "list", "--json"))["kernelspecs"]
    assert kernelspecs["tf-1.2.1-cpu"]["spec"]["display_name"] == "TF 1.2.1 CPU"
    assert "tf-1.2.1-gpu" in kernelspecs
    assert machine.run("python3", "-c", START_KERNEL).strip() == "tf-1.2.1-cpu"
    # The second time, nothing that takes long is done.
    machine.run("/project/.venv/bin/jupyter", "lab", "stop", "8890")
    told, seconds = machine.lab()
    print(f"{told}\n{seconds:.1f} s the second time")
    assert [step for step in steps(told) if step in first] == []
