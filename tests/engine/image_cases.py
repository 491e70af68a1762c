"""Images on any engine. The files `test_engine_*.py` run these in the worlds of Podman and of engines without root.

Registries are where the engine looks for them: a rootless Docker has a loopback of its own. Nothing else is fetched:
not every world has a way out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import metadata
from pathlib import Path

import docker
import pytest
import registries
from homes import MODERN, Home, engine_client, is_rootless
from jupyter_client.kernelspec import KernelSpecManager
from kernels import kernel, until, value

from jupyter_tfcontainer.engine.pulls import Progress
from jupyter_tfcontainer.errors import ImageBuildFailed, ImageInUse, ImageMissing, ImagePullFailed, OperationCancelled
from jupyter_tfcontainer.manager import ContainerManager

MEGABYTE = 1_000_000
PODMAN = "podman" in os.environ.get("DOCKER_HOST", "")
NAME = f"tfcontainer/image-cases-{registries.TOKEN}"

# A slow connection in a process of its own: for each line that it reads, it says how many it has and has had.
LINE = """
import sys, registries
line = registries.Slow(int(sys.argv[1]), int(sys.argv[2]))
line.start()
print(line.port, flush=True)
for _ in sys.stdin:
    print(line.connections, line.accepted, flush=True)
line.stop()
"""


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(engine_client()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


def test_build(home: Home, client: docker.APIClient) -> None:
    label = f"LABEL {registries.LABEL}={registries.TOKEN}"
    dockerfile, manager, specs = home.workspace / "Dockerfile", ContainerManager.instance(), KernelSpecManager()
    dockerfile.write_text(f"FROM {MODERN}\n{label}\nCOPY mine.py /opt/mine/\nENV PYTHONPATH=/opt/mine\n")
    (home.workspace / "mine.py").write_text("answer = 42\n")
    operation = manager.images.build(dockerfile, f"{NAME}:built", {"name": "mine"}, specs)
    assert operation.wait().environment == "mine"
    with kernel("mine") as (_, page):
        assert value(page, "import mine; print(mine.answer)") == "42"
    with pytest.raises(ImageInUse, match="the environment mine"):
        manager.images.delete(f"{NAME}:built", specs)
    dockerfile.write_text(f"FROM {MODERN}\n{label}\nRUN echo first > /first\nRUN echo this is why; exit 3\n")
    with pytest.raises(ImageBuildFailed, match=r"(?s)RUN echo this is why; exit 3.*this is why"):
        manager.images.build(dockerfile, f"{NAME}:fails", None, specs).wait()


def test_build_that_is_cancelled(home: Home, client: docker.APIClient) -> None:
    """While a command of it runs."""
    dockerfile = home.workspace / "Dockerfile"
    steps = (f"LABEL {registries.LABEL}={registries.TOKEN}", "RUN echo first > /first", "RUN echo sleeping; sleep 600")
    dockerfile.write_text("\n".join((f"FROM {MODERN}", *steps)))
    before = set(client.images(all=True, quiet=True))
    operation = ContainerManager.instance().images.build(dockerfile, f"{NAME}:cancel", None, KernelSpecManager())

    def stop(_: Progress) -> None:
        if operation.said(0)[-1] == "sleeping":
            operation.cancel("this test")

    with pytest.raises(OperationCancelled, match="was cancelled by this test"):
        operation.wait(stop)
    assert set(client.images(all=True, quiet=True)) == before
    assert until(lambda: not [one for one in client.containers(all=True) if "sleep 600" in one["Command"]], 10)


def test_snapshot(home: Home, client: docker.APIClient) -> None:
    """With a package in the person's own folder, and a file that root wrote."""
    registries.image(client, f"{NAME}:parent", b"1", parent=MODERN)
    name, manager, specs = home.add("tf", f"{NAME}:parent"), ContainerManager.instance(), KernelSpecManager()
    with kernel(name) as (_, page):
        value(page, "import site, os; os.makedirs(site.getusersitepackages(), exist_ok=True)")
        value(page, "print(6, file=open(site.getusersitepackages() + '/mine.py', 'w'))")
        (container,) = home.containers()
        process = client.exec_create(container["Id"], ["sh", "-c", "echo 7 > /seven; rm /layer0"], user="0")
        client.exec_start(process["Id"])
        result = manager.images.snapshot(container["Id"], f"{NAME}:snap", {"name": "snap"}, specs).wait()
    assert result.environment == "snap"
    with kernel("snap") as (_, page):
        code = "import mine, os; print(mine.__file__.split('/')[1], open('/seven').read(), os.path.exists('/layer0'))"
        assert value(page, code).split() == ["opt", "7", "False"]


@pytest.fixture
def index() -> Iterator[str]:
    """An index of packages where the engine is."""
    with registries.index(enter=where_the_engine_is()) as url:
        yield url


def test_prepare(home: Home, client: docker.APIClient, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it stands on is there already: only ipykernel is not."""
    monkeypatch.setenv("PIP_INDEX_URL", index)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index)
    registries.without_ipykernel(client, f"{NAME}:bare")
    with kernel(home.add("tf", f"{NAME}:bare")) as (_, page):
        assert value(page, "import ipykernel; print(ipykernel.__version__)") == metadata.version("ipykernel")
    models = ContainerManager.instance().images.list(KernelSpecManager())
    assert [one["origin"] for one in models if one["parent"] == f"{NAME}:bare"] == ["prepared"]


def test_archives(home: Home, client: docker.APIClient) -> None:
    registries.image(client, f"{NAME}:saved", os.urandom(MEGABYTE))
    manager, file = ContainerManager.instance(), home.workspace / "image.tar"
    manager.images.save(f"{NAME}:saved", file).wait()
    client.remove_image(f"{NAME}:saved")
    result = manager.images.load(file).wait()
    # Podman names the registry as well.
    assert str(result.reference).endswith(f"{NAME}:saved")
    assert client.images(f"{NAME}:saved")


def test_no_workshop_outlives_us(home: Home, client: docker.APIClient) -> None:
    """A process that is killed leaves no container in which it made something."""
    script = (
        "import os, sys\n"
        "from jupyter_tfcontainer.engine import candidates, connect\n"
        "engine = connect(candidates(''))\n"
        f"with engine.held(engine.image({MODERN!r}), {{}}) as container:\n"
        "    print(container, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    container = done.stdout.strip()
    assert container
    assert until(lambda: container not in {one["Id"] for one in client.containers(all=True)}, 20)


def where_the_engine_is() -> tuple[str, ...]:
    """The command that runs another on the network that the engine pulls from."""
    if PODMAN or not is_rootless():
        return ()
    daemon = Path(os.environ["XDG_RUNTIME_DIR"], "docker.pid").read_text().strip()
    return ("nsenter", "--user", "--preserve-credentials", "--net", f"--target={daemon}")


class Line:
    """A slow connection where the engine is."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        #: As references name the registry behind it.
        self.name = f"127.0.0.1:{self._read()}"

    def counts(self) -> list[int]:
        """How many connections there are, and have been."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return [int(one) for one in self._read().split()]

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def slow(registry: registries.Registry, speed: int) -> Iterator[Line]:
    """A slow connection to a registry, cut afterwards."""
    with subprocess.Popen(
        [*where_the_engine_is(), sys.executable, "-c", LINE, str(registry.port), str(speed)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(registries.__file__).parent)},
    ) as process:
        yield Line(process)


@pytest.fixture(scope="module")
def registry() -> Iterator[registries.Registry]:
    with registries.registry(enter=where_the_engine_is()) as one:
        yield one


@pytest.fixture(scope="module")
def big(registry: registries.Registry) -> None:
    """An image of three layers that cannot be made smaller, in the registry."""
    with closing(engine_client()) as client:
        reference = f"{registry.name}/test/big:1"
        registries.image(client, reference, *(os.urandom(size * MEGABYTE) for size in (6, 3, 1)))
        registries.push(client, reference)


@pytest.mark.usefixtures("big")
def test_pull(home: Home, client: docker.APIClient, registry: registries.Registry) -> None:
    """What is told of bytes never shrinks and ends with all of them."""
    told: list[Progress] = []
    with slow(registry, 3 * MEGABYTE) as line:
        reference = f"{line.name}/test/big:1"
        result = ContainerManager.instance().images.pull(reference).wait(told.append)
    counts = [one.current for one in told]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    # Podman tells a size once a second: of layers that are there sooner, never.
    assert (6 if PODMAN else 10) * MEGABYTE <= counts[-1] == told[-1].total < 11 * MEGABYTE
    assert (told[-1].layers_done, told[-1].layers, told[-1].sized) == (3, 3, True)
    assert told[-1].extracted == told[-1].current
    assert client.inspect_image(reference)["Id"] == result.image


@pytest.mark.usefixtures("big")
def test_pull_that_is_cancelled(home: Home, client: docker.APIClient, registry: registries.Registry) -> None:
    """In the midst of it: the registry is asked for nothing more."""
    with slow(registry, MEGABYTE) as line:
        reference = f"{line.name}/test/big:1"
        operation = ContainerManager.instance().images.pull(reference)

        def stop(progress: Progress) -> None:
            if progress.current:
                operation.cancel("this test")

        with pytest.raises(OperationCancelled, match="was cancelled by this test"):
            operation.wait(stop)
        assert until(lambda: line.counts()[0] == 0, 10)
        accepted = line.counts()[1]
        assert not client.images(reference)
        assert line.counts() == [0, accepted]


@pytest.mark.usefixtures("big")
def test_pulls_that_fail(home: Home, registry: registries.Registry) -> None:
    images = ContainerManager.instance().images
    with pytest.raises(ImageMissing, match="See that its name and tag are spelt right"):
        images.pull(f"{registry.name}/test/big:2").wait()
    with pytest.raises(ImageMissing, match="See that its name and tag are spelt right"):
        images.pull(f"{registry.name}/test/other:1").wait()
    with pytest.raises(ImagePullFailed, match="The registry cannot be reached from there"):
        images.pull(f"127.0.0.1:{registries.free_port()}/test/big:1").wait()
