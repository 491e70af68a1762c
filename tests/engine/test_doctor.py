"""`jupyter tfcontainer doctor`, in each state that a machine can be in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, command
from engines import HOOK_NAME, PrivateEngine, hiding, private_engine
from homes import LEGACY, MODERN, Home
from nvml_standin import GTX_1080, K80, RTX_4090, StandIn
from people import as_person

FLAGSHIP = "tensorflow/tensorflow:1.2.1-gpu-py3"
LAB = "jupyter-tfcontainer"
PERSON = 4321
PREFIX = Path(sys.prefix)
PACKAGES = Path(sysconfig.get_path("purelib"))
# What tells Jupyter of our kernel provisioner.
[DISTRIBUTION] = PACKAGES.glob("jupyter_tfcontainer-*.dist-info")
# In a virtual environment Jupyter lets its files win over the person's, unless told otherwise.
PERSONS_FIRST = {"JUPYTER_PREFER_ENV_PATH": "0"}
Findings = dict[str, list[tuple[str, str]]]


def doctor(variables: dict[str, str] | None = None, process: list[str] | None = None) -> tuple[int, Findings]:
    """Ask the doctor: exit status, and level and text of each finding by what was looked at.

    It is asked in this process, unless a command is given that runs it in another.
    """
    if process:
        done = subprocess.run(
            [*process, "doctor", "--json"],
            check=False,
            text=True,
            capture_output=True,
            env={**os.environ, **(variables or {})},
            timeout=60,
        )
    else:
        done = command("doctor", "--json", variables=variables)
    assert done.stderr == ""
    found: Findings = {}
    for one in json.loads(done.stdout):
        found.setdefault(one["what"], []).append((one["level"], one["text"]))
    return done.returncode, found


def of(found: Findings, name: str) -> list[tuple[str, str]]:
    """What was found of one environment."""
    return [(level, text) for level, text in found["environment"] if text.startswith((f"{name} ", f"{name}:"))]


def test_all_is_well_but_for_the_gpu(home: Home) -> None:
    home.add("tf", LEGACY)
    status, found = doctor()
    assert status == 0
    for what in ("engine", "permission", "disk", "container", "provisioner", "server", "front end"):
        [(level, _)] = found[what]
        assert level == "ok", what
    assert found["container"][0][1].startswith(f"One of {LEGACY} started, with Python 2.7.18")
    assert found["driver"][0][0] == "warning"
    assert "cards" not in found
    [(level, text)] = found["GPU route"]
    assert (level, "Install the NVIDIA Container Toolkit" in text) == ("warning", True)
    assert "Tried was a device request" in text
    assert ("ok", "tf can be tried: its image is not in the catalog.") in found["environment"]
    assert ("ok", f"{LEGACY} is here") in [(level, text.partition(" (")[0]) for level, text in found["image"]]
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
        os.chown(folder, PERSON, PERSON)
    status, found = doctor({"DOCKER_HOST": "unix:///var/run/docker.sock"}, as_person([PROGRAM], uid=PERSON))
    assert status == 1
    [(level, text)] = found["permission"]
    assert (level, "is there, but you may not use it" in text) == ("problem", True)
    assert "sudo usermod -aG docker $USER" in text
    # Which engine it is nobody can say, nor is that another problem.
    assert "engine" not in found


@pytest.fixture(scope="module")
def small() -> Iterator[PrivateEngine]:
    """An engine whose images are on a small disk of its own. It is started anew by each test."""
    with private_engine() as engine:
        data = engine.folder / "data"
        data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", data], check=True)
        try:
            engine.start()
            engine.load(MODERN)
            yield engine
        finally:
            engine.stop()
            subprocess.run(["umount", data], check=True)


def test_a_disk_that_is_almost_full(home: Home, small: PrivateEngine) -> None:
    _, found = doctor({"DOCKER_HOST": small.url})
    [(level, text)] = found["disk"]
    assert (level, "GB are free in" in text, "`docker system df`" in text) == ("warning", True, True)
    ballast = small.folder / "data" / "ballast"
    subprocess.run(["fallocate", "-l", str(shutil.disk_usage(ballast.parent).free - 10**8), ballast], check=True)
    status, found = doctor({"DOCKER_HOST": small.url})
    ballast.unlink()
    assert status == 1
    [(level, text)] = found["disk"]
    assert (level, f"MB are free in {small.folder}/data, where the images are." in text) == ("problem", True)


def test_an_engine_that_does_not_see_this_machines_folders(home: Home, small: PrivateEngine) -> None:
    home.add("tf", MODERN)
    small.stop()
    small.start(hide=home.workspace)
    status, found = doctor({"DOCKER_HOST": small.url})
    assert status == 1
    [(level, text)] = found["container"]
    assert (level, f"does not see the folder {home.workspace} of this machine" in text) == ("problem", True)
    assert small.docker("ps", "--all", "--quiet") == ""


@pytest.mark.parametrize(
    ("way", "named"),
    [("hook", "By a device request, since the engine lists neither"), ("runtime", "By the runtime nvidia, since")],
)
def test_the_way_to_gpus_is_named(home: Home, small: PrivateEngine, way: str, named: str) -> None:
    """A stand-in for NVIDIA's toolkit tells what was tried."""
    home.add("tf", "127.0.0.1:1/tensorflow:gpu", gpus="all")
    small.stop()
    if way == "hook":
        small.install_hook()
    small.start(settings=small.install_runtime() if way == "runtime" else None)
    before = small.gpu_requests()
    _, found = doctor({"DOCKER_HOST": small.url})
    [(level, text)] = found["GPU route"]
    assert (level, text.startswith(named)) == ("ok", True)
    assert small.gpu_requests() == [*before, "all"]
    assert ("ok", "tf can be tried: its image is not in the catalog.") in found["environment"]
    if way == "hook":
        # It was there when the engine started.
        (small.programs / HOOK_NAME).unlink()
        _, found = doctor({"DOCKER_HOST": small.url})
        [(level, text)] = found["GPU route"]
        assert (level, "was there when it started and is gone" in text) == ("warning", True)
        assert text.endswith(
            "Tried was a device request, since the engine lists neither CDI devices of NVIDIA nor a runtime nvidia."
        )
        [text] = [text for level, text in found["environment"] if level == "problem"]
        assert text.startswith("tf cannot run here: it asks for GPUs (gpus), and the engine on ")


def test_a_driver_without_a_way_to_it(home: Home, nvml: StandIn) -> None:
    """A card is there, and the engine cannot hand it over: that is a problem, and no mere warning."""
    nvml.describe("367.57", [GTX_1080])
    home.add("tf", "tensorflow/tensorflow:2.4.0-gpu", gpus="all")
    status, found = doctor(nvml.variables, [PROGRAM])
    assert status == 1
    assert found["driver"] == [("ok", "NVIDIA's driver 367.57.")]
    assert found["cards"] == [("ok", "0: NVIDIA GeForce GTX 1080 (compute capability 6.1, 8.5 GB).")]
    assert found["GPU route"][0][0] == "problem"
    [(level, text)] = of(found, "tf")
    assert level == "problem"
    assert "tf cannot run here. CUDA 11.0 needs NVIDIA driver 450.51.06 or later" in text


def test_a_driver_that_does_not_answer(home: Home, nvml: StandIn) -> None:
    # NVML_ERROR_LIB_RM_VERSION_MISMATCH
    nvml.describe("535.104.05", [GTX_1080], [("nvmlInitWithFlags", 18)])
    status, found = doctor(nvml.variables, [PROGRAM])
    assert status == 1
    [(level, text)] = found["driver"]
    assert (level, "have different versions, as after an update. Reboot" in text) == ("problem", True)
    assert "cards" not in found


def test_a_card_that_is_lost(home: Home, nvml: StandIn) -> None:
    # NVML_ERROR_GPU_IS_LOST
    nvml.describe("367.57", [GTX_1080, K80], [("nvmlDeviceGetMemoryInfo", 15, 1)])
    status, found = doctor(nvml.variables, [PROGRAM])
    assert status == 1
    [(level, text)] = found["cards"]
    assert (level, "0: NVIDIA GeForce GTX 1080" in text) == ("problem", True)
    assert "GPU 1 is lost: it has fallen off the bus" in text


def test_a_driver_that_shows_no_card(home: Home, nvml: StandIn) -> None:
    nvml.describe("367.57")
    _, found = doctor(nvml.variables, [PROGRAM])
    assert found["driver"][0][0] == "ok"
    [(level, text)] = found["cards"]
    assert (level, text.startswith("It shows no card")) == ("warning", True)


def test_what_cannot_run_is_a_problem_if_the_person_made_it(home: Home, nvml: StandIn) -> None:
    """What comes with us is the shipped TF 1.2.1 GPU; it is in the virtual environment that the tests run in."""
    nvml.describe("535.104.05", [RTX_4090])
    home.add("mine", FLAGSHIP, gpus="all")
    home.add("forced", FLAGSHIP, gpus="all", compatibility="ignore")
    home.add("card", FLAGSHIP, gpus=["7"])
    home.add("big", LEGACY, memory="2g")
    home.configure(max_memory="1g")
    _, found = doctor(nvml.variables, [PROGRAM])
    why = "CUDA 8.0's cuBLAS has no code for compute capability 8.9"
    for name, level, said in (
        ("mine", "problem", f"mine cannot run here. {why}"),
        ("tf-1.2.1-gpu", "warning", f"tf-1.2.1-gpu cannot run here. {why}"),
        ("forced", "warning", f"forced cannot run here, and is to try all the same. {why}"),
        ("card", "problem", "card: The environment card asks for GPU 7 (gpus), which "),
        ("big", "problem", "big: BIG asks for 2147483648 bytes of memory; the policy of "),
    ):
        [one] = of(found, name)
        assert (one[0], one[1].startswith(said)) == (level, True), one


def test_the_trial_is_made_with_what_the_policy_allows(home: Home) -> None:
    home.configure(max_memory="1g")
    home.add("a-big-one", LEGACY, memory="2g")
    home.add("small", LEGACY)
    status, found = doctor()
    assert (status, found["container"][0][0]) == (1, "ok")
    home.configure(allowed_images=["nothing/*"])
    status, found = doctor()
    assert status == 1
    [(level, text)] = found["container"]
    assert (level, "ContainerManager.allowed_images = ['nothing/*'] (set in " in text) == ("problem", True)


def test_what_is_hidden_is_no_matter(home: Home) -> None:
    assert command("delete", "tf-1.2.1-gpu").returncode == 0
    _, found = doctor()
    assert of(found, "tf-1.2.1-gpu") == [("ok", "tf-1.2.1-gpu is hidden from launchers.")]


def test_an_image_that_is_not_here(home: Home) -> None:
    """It is pulled by the first start, unless nobody may."""
    image = "127.0.0.1:1/tensorflow:1.2.1"
    home.add("tf", image)
    _, found = doctor()
    assert ("ok", f"{image} is not here yet: a first start pulls it.") in found["image"]
    home.add("alone", image, pull_policy="never")
    status, found = doctor()
    assert status == 1
    [text] = [text for level, text in found["image"] if level == "problem"]
    assert text.startswith(f"{image} is not here, and alone may not pull it (pull_policy: never). Fetch it: `docker ")


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
        done = command("show", name)
        assert (done.returncode, done.stderr) == (1, f"{text}\n")
    assert found["container"][0][0] == "ok"
    # Jupyter lists none of them either.
    names = {one["name"] for one in json.loads(command("list", "--json").stdout)}
    assert "tf" in names
    assert not names & contents.keys()


def test_a_server_extension_that_is_off(home: Home) -> None:
    off = {"ServerApp": {"jpserver_extensions": {"jupyter_tfcontainer": False}}}
    (home.root / "config" / "jupyter_server_config.json").write_text(json.dumps(off))
    status, found = doctor(PERSONS_FIRST)
    assert status == 1
    [(level, text)] = found["server"]
    assert (level, "`jupyter server extension enable jupyter_tfcontainer`" in text) == ("problem", True)


@pytest.mark.parametrize("where", ["config/labconfig", "lab/settings"])
@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ({"disabledExtensions": {LAB: True}}, f"`jupyter labextension enable {LAB}`"),
        ({"disabledExtensions": {f"{LAB}:plugin": True}}, f"`jupyter labextension enable {LAB}:plugin`"),
        (
            {"disabledExtensions": {LAB: True}, "lockedExtensions": {LAB: True}},
            f"`jupyter labextension unlock {LAB}`, then `jupyter labextension enable {LAB}`",
        ),
    ],
    ids=["whole", "plugin", "locked"],
)
def test_a_front_end_that_is_off(home: Home, where: str, content: Any, cure: str) -> None:
    path = home.root / where / "page_config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    status, found = doctor({**PERSONS_FIRST, "JUPYTERLAB_DIR": str(home.root / "lab")})
    assert status == 1
    [(level, text)] = found["front end"]
    how = "disabled and locked" if "lockedExtensions" in content else "disabled"
    assert (level, text) == ("problem", f"The JupyterLab extension is {how} ({path}). Enable it: {cure}.")


def test_a_front_end_whose_settings_cannot_be_read(home: Home) -> None:
    path = home.root / "lab" / "settings" / "page_config.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    status, found = doctor({"JUPYTERLAB_DIR": str(home.root / "lab")})
    assert status == 1
    [(level, text)] = found["front end"]
    assert (level, text.startswith("JupyterLab's page_config.json cannot be read: ")) == ("problem", True)


def test_a_front_end_that_another_extension_has_switched_off(home: Home) -> None:
    folder = home.data / "labextensions" / "other"
    folder.mkdir(parents=True)
    lab = {"_build": {"load": "static/x.js"}, "disabledExtensions": [LAB]}
    (folder / "package.json").write_text(json.dumps({"name": "other", "version": "1", "jupyterlab": lab}))
    status, found = doctor(PERSONS_FIRST)
    assert status == 1
    [(level, text)] = found["front end"]
    assert (level, text.startswith("The JupyterLab extension is disabled. Enable it: ")) == ("problem", True)


def test_a_front_end_that_is_not_built(home: Home) -> None:
    folder = home.data / "labextensions" / LAB
    folder.mkdir(parents=True)
    package = {"name": LAB, "version": "1", "jupyterlab": {"extension": True}}
    for content in (None, {}, package, {**package, "jupyterlab": {"_build": {"load": "static/remoteEntry.js"}}}):
        if content is not None:
            (folder / "package.json").write_text(json.dumps(content))
        status, found = doctor(PERSONS_FIRST)
        assert status == 1
        [(level, text)] = found["front end"]
        assert (level, f"is not built: {folder} lacks" in text) == ("problem", True)


@pytest.mark.parametrize(
    ("folder", "what", "level", "said"),
    [
        (PREFIX / "share" / "jupyter" / "labextensions", "front end", "problem", "extension is not installed"),
        (PACKAGES / "jupyterlab_server", "front end", "warning", "JupyterLab is not installed beside this program"),
        (DISTRIBUTION, "provisioner", "problem", "Jupyter does not find the kernel provisioner"),
    ],
    ids=["lab extension", "lab", "provisioner"],
)
def test_what_is_not_installed(home: Home, folder: Path, what: str, level: str, said: str) -> None:
    status, found = doctor(process=[*hiding(folder), PROGRAM])
    assert status == (1 if level == "problem" else 0)
    [(how, text)] = found[what]
    assert (how, said in text) == (level, True)


def test_its_help_tells_the_exit_status() -> None:
    done = command("doctor", "--help")
    assert done.returncode == 0
    assert "Exit status: 0 if there is no problem, be there warnings or not; 1 if there is one." in " ".join(
        done.stdout.split()
    )
