"""A Jupyter that itself runs in a container of the engine, with the engine's socket mounted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from homes import MODERN, Home, engine_client
from people import ROOT

from jupyter_tfcontainer.engine import labels
from jupyter_tfcontainer.kernels.state_file import Record

# A client of Jupyter's, in the container.
CLIENT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from kernels import kernel, value
from jupyter_tfcontainer.errors import TFContainerError
from jupyter_tfcontainer.manager import ContainerManager
try:
    with kernel("tf") as (_, client):
        said = value(client, "print(open('note').read()); open('made', 'w').close(); import os; print(os.getcwd())")
    ContainerManager.instance().close()
except TFContainerError as error:
    said = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


@pytest.fixture
def prepared(home: Home) -> Home:
    home.add("tf", MODERN)
    (home.workspace / "note").write_text("from the machine")
    return home


def inside(home: Home, mounts: dict[Path, str], **variables: str) -> str:
    """What the client says that runs in a container with these folders of the machine mounted."""
    words = ["docker", "run", "--rm", "--network=none", f"--user={os.getuid()}:{os.getgid()}", "--workdir=/box/ws"]
    for folder in dict.fromkeys((ROOT, Path(sys.prefix), Path(sys.base_prefix))):
        words += ["--volume", f"{folder}:{folder}:ro"]
    words += ["--volume", "/var/run/docker.sock:/var/run/docker.sock"]
    for outside, place in mounts.items():
        words += ["--volume", f"{outside}:{place}"]
    settings = {name: value.replace(str(home.root), "/box") for name, value in home.variables().items()}
    for name, value in {**settings, "PYTHONPATH": str(ROOT), **variables}.items():
        words += ["--env", f"{name}={value}"]
    done = subprocess.run(
        [*words, MODERN, sys.executable, "-c", CLIENT, str(ROOT / "tests" / "support")],
        check=False,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    with closing(engine_client()) as engine:
        left = engine.containers(all=True, filters={"label": f"{labels.WORKSPACE}=/box/ws"})
    assert not left
    return str(json.loads(done.stdout.splitlines()[-1]))


def test_folders_have_other_names_there(prepared: Home) -> None:
    """Our `/box` is another folder of the machine, which is what the engine must be told."""
    assert inside(prepared, {prepared.root: "/box"}) == "from the machine\n/notebooks"
    assert (prepared.workspace / "made").exists()


def test_the_nearest_mount_counts(prepared: Home, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("from a mount in a mount")
    said = inside(prepared, {prepared.root: "/box", tmp_path: "/box/ws"})
    assert said == "from a mount in a mount\n/notebooks"
    assert (tmp_path / "made").exists()


def test_folder_that_is_in_the_container_only(prepared: Home) -> None:
    said = inside(prepared, {prepared.root: "/box"}, JUPYTER_DATA_DIR="/opt/data", JUPYTER_PATH="/box/data")
    assert said.startswith("MountMissing: Jupyter runs in the container ")
    assert "its folder /opt/data/tfcontainer/homes/tf is in there only" in said
    assert "(`--volume FOLDER:/opt/data/tfcontainer/homes/tf`)" in said


def test_containers_of_those_outside_are_left_alone(prepared: Home) -> None:
    """Their folders cannot be seen from in there, nor whether anybody holds them."""
    folder = prepared.root / "elsewhere"
    folder.mkdir()
    with closing(Record(folder)), closing(engine_client()) as engine:
        names = {labels.OWNER: str(os.getuid()), labels.FOLDER: str(folder)}
        starting = engine.create_container(MODERN, labels=names)["Id"]
        try:
            inside(prepared, {prepared.root / "ws": "/box/ws", prepared.root / "data": "/box/data"})
            assert engine.inspect_container(starting)["State"]["Status"] == "created"
        finally:
            engine.remove_container(starting)
