"""What a person reads in JupyterLab's own dialog when a kernel cannot start. Each failure is caused for real."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import entrypoints
import pytest
from homes import LEGACY, Home, temporary_home
from labs import lab
from pages import LabPage
from playwright.sync_api import Browser

MACHINE = platform.node()
# Nothing listens on this port of any machine.
NO_REGISTRY = "127.0.0.1:1/tensorflow:1.2.1"
OTHER_PERSON = 4321
GPU_ADVICE = (
    "Install the NVIDIA Container Toolkit there (package nvidia-container-toolkit), run "
    "`sudo nvidia-ctk runtime configure --runtime=docker` and restart the engine; or pick an environment without a GPU."
)
NO_GPU = (
    f"On {MACHINE}, the container engine cannot hand over a GPU: the NVIDIA Container Toolkit was not there when the "
    f"engine started. {GPU_ADVICE}"
)


@pytest.fixture(scope="module")
def registry() -> Iterator[socket.socket]:
    """Where a registry would listen; whoever asks it is seen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def home(registry: socket.socket, home: Home) -> Iterator[Home]:
    """A card for each failure that the engine of all tests can cause."""
    with entrypoints.image("echo no licence here >&2; exit 3") as unlicensed:
        home.add("no-registry", NO_REGISTRY)
        home.add("never-pulled", NO_REGISTRY, pull_policy="never")
        home.add("gpu", LEGACY, gpus="all")
        home.add("gpu-to-be-pulled", f"127.0.0.1:{registry.getsockname()[1]}/tensorflow:1.2.1", gpus="all")
        home.add("bare", "tfcontainer/python:bare", pull_policy="never")
        home.add("unlicensed", unlicensed)
        home.add("misspelt", LEGACY, gpu="all")
        yield home


def refusal(page: LabPage, card: str) -> str:
    """What the dialog says; it must be a person's text, and nothing must be left."""
    text = page.refused(card)
    assert len(text) < 500
    assert "Traceback" not in text
    assert "Error" not in text
    assert page.lab.get("api/kernels") == []
    assert page.lab.get("api/sessions") == []
    assert page.lab.home.leftovers() == []
    return text


def test_registry_out_of_reach(page: LabPage) -> None:
    assert refusal(page, "NO-REGISTRY") == (
        f"{MACHINE} could not pull the image {NO_REGISTRY}. The registry cannot be reached from there. See that the "
        f"machine is online and, behind a proxy, that the engine knows it. (The engine says: Get "
        f'"http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused)'
    )


def test_image_that_is_never_pulled(page: LabPage) -> None:
    assert refusal(page, "NEVER-PULLED") == (
        f"The image {NO_REGISTRY} is not on {MACHINE}, and NEVER-PULLED never pulls it (pull_policy). Fetch it there: "
        f"`docker pull {NO_REGISTRY}`, or `docker load` from a file."
    )


def test_no_gpu_route(page: LabPage) -> None:
    assert refusal(page, "GPU") == NO_GPU


def test_nothing_is_pulled_for_a_gpu_that_cannot_come(page: LabPage, registry: socket.socket) -> None:
    assert refusal(page, "GPU-TO-BE-PULLED") == NO_GPU
    with pytest.raises(BlockingIOError):
        registry.accept()


def test_no_ipykernel(page: LabPage) -> None:
    assert refusal(page, "BARE") == (
        f"The image tfcontainer/python:bare on {MACHINE} cannot run a kernel: no ipykernel in this image; looked in: "
        f"python3. Pick an image with Jupyter inside, or make one: a Dockerfile with `FROM tfcontainer/python:bare` "
        f"and `RUN pip install ipykernel`."
    )


def test_container_that_ends_at_start(page: LabPage) -> None:
    assert refusal(page, "UNLICENSED") == (
        f"The container of UNLICENSED ended with exit code 3 on {MACHINE} before its kernel was there. Its log ends:\n"
        f"no licence here"
    )


def test_misspelt_field(page: LabPage) -> None:
    text = refusal(page, "MISSPELT")
    assert text.startswith("The kernelspec misspelt has a field that is not known: gpu. Known are ")
    # Whoever reads on finds what was meant.
    assert " gpus," in text


@pytest.fixture(scope="module")
def persons_page(browser: Browser) -> Iterator[LabPage]:
    """A page of another person's server."""
    with temporary_home() as home:
        home.add("tf", LEGACY)
        url = f"unix://{home.root}/engine.sock"
        with lab(home, uid=OTHER_PERSON, engine_url=url) as server, LabPage(browser, server) as page:
            yield page


def test_no_engine_where_it_is_said_to_be(persons_page: LabPage) -> None:
    place = _place(persons_page)
    place.unlink(missing_ok=True)
    assert refusal(persons_page, "TF") == (
        f"There is no container engine at {place} on {MACHINE} (named by the variable DOCKER_HOST). Install Docker "
        f"(package docker.io on Debian and Ubuntu), or start it: `sudo systemctl start docker`."
    )


def test_engine_that_has_ended(persons_page: LabPage) -> None:
    place = _place(persons_page)
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        place.chmod(0o666)
    assert refusal(persons_page, "TF") == (
        f"Nothing listens at {place} on {MACHINE} (named by the variable DOCKER_HOST): the container engine is not "
        f"running. Start it: `sudo systemctl start docker`."
    )


def test_engine_that_the_person_may_not_use(persons_page: LabPage) -> None:
    place = _place(persons_page)
    place.unlink(missing_ok=True)
    place.symlink_to("/var/run/docker.sock")
    assert refusal(persons_page, "TF") == (
        f"The container engine's socket {place} on {MACHINE} is there, but you may not use it. Ask the administrator "
        f"of {MACHINE} to add you to the group that owns it (`sudo usermod -aG docker $USER`, then log in again). Who "
        f"may talk to that socket is root on the machine; a rootless engine needs no such right."
    )


def _place(page: LabPage) -> Path:
    return page.lab.home.root / "engine.sock"


def test_no_engine_at_all(browser: Browser) -> None:
    with temporary_home() as home:
        home.add("tf", LEGACY)
        with lab(home, without_engine=True) as server, LabPage(browser, server) as page:
            runtime = f"/run/user/{os.getuid()}"
            places = (
                f"/var/run/docker.sock, {runtime}/docker.sock, {runtime}/podman/podman.sock, /run/podman/podman.sock"
            )
            assert refusal(page, "TF") == (
                f"No container engine answers on {MACHINE} (looked at {places}). Install Docker (package docker.io on "
                f"Debian and Ubuntu), or start it: `sudo systemctl start docker`; one at another place is named by "
                f"DOCKER_HOST."
            )
