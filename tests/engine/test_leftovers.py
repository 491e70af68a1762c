"""A start that is killed at any point leaves nothing that the doctor, or the next start, does not find and remove."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from engines import private_engine
from homes import MODERN, Home, engine_client
from kernels import kernel, until, value

from jupyter_tfcontainer.engine import client, gpu_trials, images, labels
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.kernels import host_folders
from jupyter_tfcontainer.manager import ContainerManager

PROGRAM = str(Path(sys.executable).with_name("jupyter-tfcontainer"))
SECONDS = 60
# A program that kills itself when a start of its own has come to a step, the first of which is that the lock is there.
# What others have left stays, which a start removes that has the time for it.
KILLED = """
import os, signal, sys
from pathlib import Path
from jupyter_tfcontainer import locks
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.manager import ContainerManager

def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

image, step = sys.argv[1:]
if step == "lock":
    locks.hold = end
ContainerManager.sweep = lambda self: None
manager = ContainerManager.instance()
manager.listen(lambda event: end() if event.get("step") == step else None)
manager.launch(
    Environment(name="tf", display_name="TF", image=image), Path.cwd(),
    kernel_id="1", key="k", signature_scheme="hmac-sha256", cwd=Path.cwd(), env={},
)
"""
STEPS = ("lock", "create", "boot", "launch")


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """The address of an engine on which no other program of this user removes what it finds."""
    with private_engine() as engine:
        engine.start()
        engine.load(MODERN)
        yield engine.url


@pytest.fixture
def home(engine: str, monkeypatch: pytest.MonkeyPatch, home: Home) -> Home:
    """As in other tests, but on that engine."""
    monkeypatch.setenv("DOCKER_HOST", engine)
    return home


def killed(home: Home, step: str) -> None:
    """Have a start killed at a step."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, MODERN, step],
        cwd=home.workspace,
        check=False,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    # The folder of one that had no lock yet might be one that is just being made.
    for folder in (home.data / "tfcontainer" / "c").iterdir():
        os.utime(folder, times=(0, 0))


def doctor(*options: str) -> tuple[str, str]:
    """What the doctor says of it."""
    done = subprocess.run(
        [PROGRAM, "doctor", "--json", *options], check=False, text=True, stdout=subprocess.PIPE, timeout=SECONDS
    )
    [finding] = [one for one in json.loads(done.stdout) if one["what"] == "leftovers"]
    return finding["level"], finding["text"]


def test_doctor_finds_and_removes_what_killed_starts_left(home: Home) -> None:
    """There is no environment whose start might do that."""
    assert doctor()[0] == "ok"
    for step in STEPS:
        killed(home, step)
    folders = {path.name for path in (home.data / "tfcontainer" / "c").iterdir()}
    containers = home.containers()
    assert (len(folders), len(containers)) == (len(STEPS), 2)
    level, text = doctor()
    assert (level, "`jupyter tfcontainer doctor --clean`" in text) == ("warning", True)
    assert all(f"the container {one['Id'][:12]} (tf)" in text for one in containers)
    # Those of containers go with them.
    used = {Path(one["Labels"][labels.FOLDER]).name for one in containers}
    assert all(f"/{name}" in text for name in folders - used)
    assert len(home.containers()) == 2
    level, text = doctor("--clean")
    assert (level, text.endswith("Removed.")) == ("ok", True)
    assert home.leftovers() == []


@pytest.mark.parametrize("step", STEPS)
def test_the_next_start_removes_what_a_killed_one_left(home: Home, step: str) -> None:
    killed(home, step)
    before = {one["Id"] for one in home.containers()}
    with kernel(home.add("tf", MODERN)) as (_, page):
        assert value(page, "print(1)") == "1"
        assert until(lambda: not before & {one["Id"] for one in home.containers()}, SECONDS)
    ContainerManager.instance().close()
    assert home.leftovers() == []


def test_what_a_living_program_has_is_none(home: Home) -> None:
    """Though there is no kernel in it: one may be about to be."""
    environment = Environment(name="tf", display_name="TF", image=MODERN)
    container = ContainerManager.instance().start(environment, home.workspace)
    level, text = doctor("--clean")
    assert (level, "Removed" in text) == ("ok", False)
    assert [one["Id"] for one in home.containers()] == [container.id]


def test_the_folder_of_a_start_under_way_is_none(home: Home) -> None:
    """What has no lock may be just about to get it."""
    host_folders.make(folders := host_folders.container_folders("tf", ""), (), home.workspace)
    assert list(host_folders.abandoned_folders((), "")) == []
    os.utime(folders.state, times=(0, 0))
    assert list(host_folders.abandoned_folders((), "")) == [folders.state]
    folders.run.rmdir()
    folders.state.rmdir()


@pytest.fixture
def trial(home: Home) -> Iterator[tuple[str, str]]:
    """What a trial leaves whose program is killed: a container, and the image with nothing in it."""
    with closing(engine_client()) as engine:
        marks = {labels.TRIAL: str(os.getuid())}
        changes = [f"LABEL {labels.TRIAL}={os.getuid()}"]
        answer = json.loads(engine.import_image_from_data(gpu_trials.EMPTY_TAR, changes=changes))
        container = engine.create_container(MODERN, "true", labels=marks)["Id"]
        yield container, answer["status"]
        engine.remove_container(container)
        engine.remove_image(answer["status"])


def test_old_trials(home: Home, trial: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found when no living program can need them any more."""
    engine = ContainerManager.instance().engine
    container, image = trial
    assert container not in engine.old_trials(os.getuid())
    assert image not in engine.images.old_trials(os.getuid())
    for module in (client, images):
        monkeypatch.setattr(module, "TRIAL_SECONDS", -5)
    assert container in engine.old_trials(os.getuid())
    assert image in engine.images.old_trials(os.getuid())
    assert container not in engine.old_trials(os.getuid() + 1)


def test_old_workshops(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container in which an image was to be made, and that was never started, has no label but a name."""
    monkeypatch.setattr(client, "TRIAL_SECONDS", -5)
    engine = ContainerManager.instance().engine
    with closing(engine_client()) as api:
        container = api.create_container(MODERN, "true", name=f"{images.HELD}{os.getuid()}-{home.root.name}")["Id"]
        assert container in engine.old_trials(os.getuid())
        api.remove_container(container)
