"""`jupyter tfcontainer doctor`, in each state that a machine can be in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from homes import LEGACY, Home
from nvml_standin import GTX_1080, StandIn
from people import as_person

PROGRAM = str(Path(sys.executable).with_name("jupyter-tfcontainer"))
Findings = dict[str, list[tuple[str, str]]]


def doctor(variables: dict[str, str] | None = None, command: list[str] | None = None) -> tuple[int, Findings]:
    """Ask the doctor: exit status, and level and text of each finding by what was looked at."""
    done = subprocess.run(
        [*(command or [PROGRAM]), "doctor", "--json"],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, **(variables or {})},
        timeout=60,
    )
    assert done.stderr == ""
    found: Findings = {}
    for one in json.loads(done.stdout):
        found.setdefault(one["what"], []).append((one["level"], one["text"]))
    return done.returncode, found


def test_all_is_well_but_for_the_gpu(home: Home) -> None:
    home.add("tf", LEGACY)
    status, found = doctor()
    assert status == 0
    for what in ("engine", "disk", "container", "provisioner", "server", "front end"):
        [(level, _)] = found[what]
        assert level == "ok", what
    assert found["container"][0][1].startswith(f"One of {LEGACY} started, with Python 2.7.18")
    assert found["cards"][0][0] == "warning"
    [(level, text)] = found["GPU route"]
    assert (level, "Install the NVIDIA Container Toolkit" in text) == ("warning", True)
    assert ("ok", "tf: its image is here.") in found["environment"]
    assert home.leftovers() == []


def test_it_reads_well_in_a_pipe(home: Home) -> None:
    home.add("tf", LEGACY)
    done = subprocess.run([PROGRAM, "doctor"], check=True, text=True, stdout=subprocess.PIPE)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok       engine       Docker ")
    assert "\x1b" not in done.stdout
    # A line for each finding, however long.
    assert all(line.split()[0] in ("ok", "warning", "problem") for line in lines)


def test_no_engine(home: Home) -> None:
    home.add("tf", LEGACY)
    status, found = doctor({"DOCKER_HOST": f"unix://{home.root}/nothing.sock"})
    assert status == 1
    [(level, text)] = found["engine"]
    assert (level, text.startswith(f"There is no container engine at {home.root}/nothing.sock")) == ("problem", True)
    # What needs no engine is looked at all the same.
    assert "container" not in found
    assert found["provisioner"][0][0] == "ok"


def test_no_permission(home: Home) -> None:
    for folder in (home.root, *home.root.iterdir()):
        os.chown(folder, 4321, 4321)
    status, found = doctor({"DOCKER_HOST": "unix:///var/run/docker.sock"}, as_person([PROGRAM], uid=4321))
    assert status == 1
    [(level, text)] = found["engine"]
    assert (level, "is there, but you may not use it" in text) == ("problem", True)
    assert "sudo usermod -aG docker $USER" in text


def test_a_driver_without_a_way_to_it(home: Home, nvml: StandIn) -> None:
    """A card is there, and the engine cannot hand it over: that is a problem, and no mere warning."""
    nvml.describe("367.57", [GTX_1080])
    home.add("tf", "tensorflow/tensorflow:2.4.0-gpu", gpus="all")
    status, found = doctor(nvml.variables)
    assert status == 1
    assert found["cards"] == [
        ("ok", "Driver 367.57; 0: NVIDIA GeForce GTX 1080 (compute capability 6.1, 8.5 GB)."),
    ]
    assert found["GPU route"][0][0] == "problem"
    [text] = [text for _, text in found["environment"] if text.startswith("tf:")]
    assert "its image is yet to be pulled. Cannot: CUDA 11.0 needs NVIDIA driver 450.51.06 or later" in text


def test_a_driver_that_does_not_answer(home: Home, nvml: StandIn) -> None:
    # NVML_ERROR_LIB_RM_VERSION_MISMATCH
    nvml.describe("535.104.05", [GTX_1080], [("nvmlInitWithFlags", 18)])
    status, found = doctor(nvml.variables)
    assert status == 1
    assert found["cards"][0][0] == "problem"


def test_a_kernelspec_that_cannot_be_read(home: Home) -> None:
    home.add("bad", LEGACY, gpu="all")
    status, found = doctor()
    assert status == 1
    levels = {level for level, text in found["environment"] if "not known: gpu" in text}
    assert levels == {"problem"}


def test_what_is_no_kernelspec_at_all(home: Home) -> None:
    """It is told of with its folder, and keeps nothing else from being looked at."""
    contents = {"no-json": "{", "no-object": "[]", "no-list": '{"argv": 1}'}
    for name, content in contents.items():
        path = home.data / "kernels" / name / "kernel.json"
        path.parent.mkdir(parents=True)
        path.write_text(content)
    home.add("tf", LEGACY)
    status, found = doctor()
    assert status == 1
    for name in contents:
        [text] = [text for level, text in found["environment"] if level == "problem" and f"kernelspec {name} " in text]
        assert f"Correct kernel.json in {home.data / 'kernels' / name}" in text
        done = subprocess.run([PROGRAM, "show", name], check=False, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (1, f"{text}\n")
    assert found["container"][0][0] == "ok"
    # Jupyter lists none of them either.
    listed = subprocess.run([PROGRAM, "list", "--json"], check=True, stdout=subprocess.PIPE)
    names = {one["name"] for one in json.loads(listed.stdout)}
    assert "tf" in names
    assert not names & contents.keys()


@pytest.mark.parametrize(
    ("file", "content", "what", "cure"),
    [
        (
            "jupyter_server_config.json",
            {"ServerApp": {"jpserver_extensions": {"jupyter_tfcontainer": False}}},
            "server",
            "jupyter server extension enable jupyter_tfcontainer",
        ),
        (
            "labconfig/page_config.json",
            {"disabledExtensions": {"jupyter-tfcontainer": True}},
            "front end",
            "jupyter labextension enable jupyter-tfcontainer",
        ),
    ],
    ids=["server", "lab"],
)
def test_an_extension_that_is_off(home: Home, file: str, content: Any, what: str, cure: str) -> None:
    path = home.root / "config" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    # In a virtual environment Jupyter lets its files win over the person's, unless told otherwise.
    status, found = doctor({"JUPYTER_PREFER_ENV_PATH": "0"})
    assert status == 1
    [(level, text)] = found[what]
    assert (level, cure in text) == ("problem", True)
