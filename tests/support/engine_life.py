"""Tests that a process runs in the world of another engine than the default one, and what is to come of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

from engine_worlds import Kind, World, world
from people import ROOT

LIFE = [f"tests/engine/test_{name}.py" for name in ("lifecycle", "restart", "death", "messages")]
# Those whose outcome depends on the engine: the others are about what is between a kernel and us, inside one container.
EVERY_ENGINE = ["-m", "every_engine"]
IMAGES = "tests/engine/image_cases.py"
PODMAN = "tests/engine/podman_cases.py"
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


@contextmanager
def living(kind: Kind, *images: str) -> Iterator[World]:
    """Give an engine in its world, with images of the default one."""
    with world(kind) as made:
        made.start()
        made.load(*images)
        yield made


def collected(*words: str) -> list[str]:
    """Return the tests that pytest finds if it is called with some words."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    return sorted(line for line in done.stdout.splitlines() if "::" in line)


def passed(engine: World, *words: str) -> list[str]:
    """Return the tests that pass if pytest is called with some words in an engine's world; none may end otherwise."""
    report = engine.folder / "home" / "report.xml"
    begun = time.monotonic()
    done = subprocess.run(
        engine.python(
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *words),
            DOCKER_HOST=engine.url,
            # The report of the whole run is not theirs to write.
            TEST_REPORT="",
        ),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it
    assert not [one.get("name") for one in cases if len(one) and one[0].tag in ("failure", "error", "skipped")]
    print(f"{engine.kind}: {len(cases)} tests of {' '.join(words)} in {time.monotonic() - begun:.0f} s")
    return sorted(f"{one.get('classname', '').replace('.', '/')}.py::{one.get('name')}" for one in cases)


def all_pass(engine: World, *words: str) -> None:
    """See that all tests that pytest finds if it is called with some words pass in an engine's world."""
    names = passed(engine, *words)
    assert names == collected(*words)
    assert names


def podmans_own_pass(engine: World) -> None:
    """See that what is Podman's alone passes: its own API, GPUs, and that it can be without a daemon."""
    usual = engine.socket
    engine.stop()
    try:
        # Its usual place is empty: our looks at it come through another.
        engine.start(engine.folder / "home" / "podman.sock")
        engine.run("sh", "-c", f"cat > /run/cdi/nvidia.yaml <<'END'\n{CDI}\nEND", root=True)
        all_pass(engine, PODMAN)
    finally:
        engine.stop()
        engine.start(usual)


def is_found(engine: World) -> None:
    """See that an engine is found at its usual place."""
    script = (
        "from jupyter_tfcontainer.engine import candidates, connect; facts = connect(candidates('')).facts; "
        "print(facts.url, facts.kind, facts.rootless)"
    )
    found = subprocess.run(engine.python("-c", script), check=True, text=True, stdout=subprocess.PIPE).stdout
    kind = "docker" if "docker" in engine.kind else "podman"
    assert found.split() == [engine.url, kind, str(engine.rootless)]
