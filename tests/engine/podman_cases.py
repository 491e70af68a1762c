"""What is Podman's alone.

The files `test_engine_*.py` run these in a world with Podman, and a stand-in for NVIDIA's CDI file.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import docker
import pytest
from homes import LEGACY, MODERN, Home
from jupyter_client.manager import KernelManager
from kernels import kernel, until, value

from jupyter_tfcontainer.engine import Address, Engine, candidates, connect, labels
from jupyter_tfcontainer.errors import EngineFailed, GPURouteMissing
from jupyter_tfcontainer.manager import ContainerManager

ABSENT = "127.0.0.1:1/tensorflow:1.2.1-gpu"
# Podman has a limit of processes of its own if only other limits are given, and root may not be allowed to raise it.
ULIMITS = {"nofile": [512, 1024], "nproc": [4096, 4096]}
# What the stand-in's devices and variables look like inside.
LOOK = """
import os
devices = [int(os.path.exists(one)) for one in ('/dev/fuse', '/dev/net/tun')]
print(*devices, *sorted(one for one in os.environ if 'STANDIN' in one))
"""


@pytest.mark.parametrize(
    ("gpus", "seen"),
    [
        ("all", "1 1 STANDIN_GPU"),
        (2, "1 1 STANDIN_GPU STANDIN_GPU_0 STANDIN_GPU_1"),
        (["1"], "0 1 STANDIN_GPU STANDIN_GPU_1"),
        ("none", "0 0"),
    ],
)
def test_the_gpus_that_were_asked_for(home: Home, gpus: str | int | list[str], seen: str) -> None:
    with kernel(home.add("gpu", MODERN, gpus=gpus)) as (_, client):
        assert value(client, LOOK) == seen


def refused(home: Home, image: str, gpus: list[str]) -> str:
    manager = KernelManager(kernel_name=home.add("gpu", image, gpus=gpus))
    with pytest.raises(GPURouteMissing) as error:
        manager.start_kernel()
    manager.context.destroy()
    return str(error.value)


@pytest.mark.parametrize("image", [MODERN, ABSENT], ids=["at start", "before a pull"])
def test_unknown_gpu(home: Home, image: str) -> None:
    sentence = refused(home, image, ["9"])
    assert "unresolvable CDI devices nvidia.com/gpu=9" in sentence
    assert "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`" in sentence


def test_gpu_that_does_not_arrive(home: Home) -> None:
    assert "did not get into its container" in refused(home, MODERN, ["nothing"])


def test_limits_reach_the_engine(home: Home) -> None:
    """They go by Podman's own words."""
    name = home.add("tf", MODERN, shm_size="64m", ulimits=ULIMITS, network="none")
    with kernel(name) as (_, client):
        assert value(client, "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))") == "(512, 1024)"
        assert value(client, "import os; s = os.statvfs('/dev/shm'); print(s.f_blocks * s.f_frsize)") == str(64 << 20)
        assert value(client, "import os; print(os.listdir('/sys/class/net'))") == "['lo']"


def test_a_log_is_bounded(home: Home) -> None:
    """By its size, where Podman keeps it in a file."""
    with kernel(home.add("tf", LEGACY)) as (_, client):
        # What this ipykernel does not take for the page goes to the log.
        value(client, "import os; lines = 10000 * (99 * b'x' + b'\\n')")
        value(client, "for _ in range(30): os.write(2, lines) == len(lines) or 1 / 0")
        with closing(docker.APIClient(os.environ["DOCKER_HOST"])) as engine:
            (container,) = home.containers()
            path = Path(engine.inspect_container(container["Id"])["LogPath"])
            assert b"x" * 99 in engine.logs(container["Id"], tail=1)
        assert 0 < path.stat().st_size < 21_000_000


def test_what_is_missing_is_not_made(tmp_path: Path) -> None:
    """Through Docker's API Podman would make it."""
    engine = Engine(Address(os.environ["DOCKER_HOST"], "this test"))
    image = engine.image(MODERN)
    assert image
    mounts = [{"Type": "bind", "Source": str(tmp_path / "missing"), "Target": "/x"}]
    with closing(engine), pytest.raises(EngineFailed, match=r"statfs .*missing: no such file"):
        engine.create({"Image": image["Id"], "Cmd": ["true"], "HostConfig": {"Mounts": mounts}})
    assert not (tmp_path / "missing").exists()


def test_its_program_is_enough(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    name = home.add("tf", MODERN)
    with monkeypatch.context() as only:
        only.delenv("DOCKER_HOST")
        # Where a person's own Podman has its images.
        only.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir if os.getuid() else os.environ["HOME"])
        with kernel(name) as (_, client):
            assert value(client, "print(1)") == "1"
            served = Path(ContainerManager.instance().engine.facts.url.removeprefix("unix://"))
            assert served.exists()
            assert served.parent.stat().st_mode & 0o777 == 0o700
            with closing(docker.APIClient(f"unix://{served}")) as engine:
                assert [one["Labels"][labels.ENVIRONMENT] for one in engine.containers()] == ["tf"]
        ContainerManager.instance().close()
        assert not served.parent.exists()


def test_its_service_ends_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """However we end."""
    monkeypatch.delenv("DOCKER_HOST")
    script = (
        "import sys; from jupyter_tfcontainer.engine import candidates, connect; "
        "engine = connect(candidates('')); print(engine.facts.url, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        served = process.stdout.readline().strip().removeprefix("unix://")
        assert listens(served)
        process.send_signal(signal.SIGKILL)
    assert until(lambda: not Path(served).parent.exists(), 10)


def listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        return trial.connect_ex(path) == 0


def test_program_that_does_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\necho 'no subuid ranges found' >&2\nexit 125\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(EngineFailed, match=r"no subuid ranges found.*`podman info`"):
        connect(candidates(""))
