"""Other engines than the default one: each lives a kernel's life as Docker does, and what only it can do.

The tests are those of `LIFE`, of `image_cases.py`, and of `podman_cases.py` for Podman, run by a process in the
engine's world.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from engine_worlds import KINDS, Kind, World, world
from homes import LEGACY, MODERN
from people import ROOT

LIFE = [f"tests/docker/test_{name}.py" for name in ("lifecycle", "restart", "death", "messages")]
IMAGES = "tests/docker/image_cases.py"
PODMAN = "tests/docker/podman_cases.py"
# A stand-in for what `nvidia-ctk cdi generate` writes where there is a card: the device is one that every machine has.
CDI = """
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- {name: "0", containerEdits: {deviceNodes: [{path: /dev/fuse}], env: [STANDIN_GPU_0=in]}}
- {name: "1", containerEdits: {deviceNodes: [{path: /dev/net/tun}], env: [STANDIN_GPU_1=in]}}
- {name: all, containerEdits: {deviceNodes: [{path: /dev/fuse}, {path: /dev/net/tun}]}}
- {name: nothing, containerEdits: {env: [STANDIN_GPU_2=in]}}
containerEdits: {env: [STANDIN_GPU=in]}
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The images of the default engine, in a file."""
    archive = tmp_path_factory.mktemp("images") / "images.tar"
    subprocess.run(["docker", "save", "--output", archive, LEGACY, MODERN], check=True)
    yield archive
    archive.unlink()


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, images: Path) -> Iterator[World]:
    with world(request.param) as made:
        made.start()
        made.load(images)
        yield made


def collected(*tests: str) -> list[str]:
    """The names of the tests in some files."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(words, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    return sorted(line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line)


def passed(engine: World, *tests: str) -> list[str]:
    """Run tests in an engine's world, and return the names of those that passed; none may end in another way."""
    report = engine.folder / "home" / "report.xml"
    begun = time.monotonic()
    done = subprocess.run(
        engine.python(
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests), DOCKER_HOST=engine.url
        ),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it
    assert not [one.get("name") for one in cases if len(one) and one[0].tag in ("failure", "error", "skipped")]
    print(f"{engine.kind}: {len(cases)} tests of {' '.join(tests)} in {time.monotonic() - begun:.0f} s")
    return sorted(one.get("name", "") for one in cases)


def test_a_kernels_life(engine: World) -> None:
    names = passed(engine, *LIFE)
    # Docker's own run of them is pytest's.
    assert names == collected(*LIFE)
    assert names


def test_images(engine: World) -> None:
    assert passed(engine, IMAGES) == collected(IMAGES)


def test_found_at_its_usual_place(engine: World) -> None:
    script = (
        "from jupyter_tfcontainer.engine import candidates, connect; facts = connect(candidates('')).facts; "
        "print(facts.url, facts.kind, facts.rootless)"
    )
    found = subprocess.run(engine.python("-c", script), check=True, text=True, stdout=subprocess.PIPE).stdout
    kind = "docker" if "docker" in engine.kind else "podman"
    assert found.split() == [engine.url, kind, str(engine.rootless)]


@pytest.mark.parametrize("kind", [one for one in KINDS if "podman" in one])
def test_podman(kind: Kind, images: Path) -> None:
    """What is Podman's alone: its own API, GPUs, and that it can be without a daemon."""
    with world(kind) as made:
        # Its usual place is empty: our looks at it come through another.
        made.start(made.folder / "home" / "podman.sock")
        made.load(images)
        made.run("sh", "-c", f"cat > /run/cdi/nvidia.yaml <<'END'\n{CDI}\nEND", root=True)
        assert passed(made, PODMAN) == collected(PODMAN)
