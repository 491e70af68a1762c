"""A container whose entrypoint hangs: neither a person nor a server that stops waits for it for ever."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import docker
import pytest
from homes import MODERN, Home
from kernels import TIMEOUT, kernel, until

from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.errors import ContainerEnded
from jupyter_tfcontainer.kernels import starter
from jupyter_tfcontainer.manager import ContainerManager

IMAGE = "tfcontainer-test/hanging"


@pytest.fixture
def hanging() -> Iterator[str]:
    """An image whose entrypoint says a word and then waits."""
    engine = docker.APIClient()
    entrypoint = json.dumps(["sh", "-c", "echo waiting for a licence >&2; exec sleep 600"])
    container = engine.create_container(MODERN, "true")["Id"]
    # docker-py's commit knows no changes.
    subprocess.run(["docker", "commit", "--change", f"ENTRYPOINT {entrypoint}", container, IMAGE], check=True)
    engine.remove_container(container)
    yield IMAGE
    engine.remove_image(IMAGE)
    engine.close()


def test_it_is_given_up(home: Home, hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for the word to be in the log, on a loaded machine too.
    monkeypatch.setattr(starter, "BOOT_TIMEOUT", 5.0)
    with pytest.raises(ContainerEnded) as refused, kernel(home.add("tf", hanging)):
        pass
    said = str(refused.value)
    assert "was not ready after 5 s, and was removed. Its log ends:\nwaiting for a licence" in said
    assert home.containers() == []


def test_a_manager_that_closes_ends_it(home: Home, hanging: str) -> None:
    manager = ContainerManager.instance()
    environment = Environment(name="tf", display_name="TF", image=hanging)
    start = manager.threads.start(manager.start, environment, home.workspace)
    assert until(lambda: any(one["State"] == "running" for one in home.containers()), TIMEOUT)
    manager.close()
    with pytest.raises(ContainerEnded, match="was removed before its kernel was there, since this program ends"):
        start.result(TIMEOUT)
    assert home.leftovers() == []
