"""Pulls by a Docker without root. `test_engines.py` runs these in its world.

Podman would have to be told, before it starts, which registries have no certificate.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest
import registries
from homes import Home, engine_client
from jupyter_client.kernelspec import KernelSpecManager
from kernels import until
from registries import Registry

from jupyter_tfcontainer.errors import ImageMissing, OperationCancelled
from jupyter_tfcontainer.manager import ContainerManager

MEGABYTE = 1_000_000


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(engine_client()) as client, registries.nothing_left(client):
        yield client


@pytest.fixture
def registry() -> Iterator[Registry]:
    with registries.registry() as one:
        yield one


def test_pull(home: Home, registry: Registry, client: docker.APIClient) -> None:
    with registries.slow(registry, 4 * MEGABYTE) as line:
        staged, reference = f"{registry.name}/test/big:1", f"{line.name}/test/big:1"
        image = registries.image(client, staged, os.urandom(4 * MEGABYTE))
        registries.push(client, staged)
        manager = ContainerManager.instance()
        with pytest.raises(ImageMissing):
            manager.images.pull(f"{registry.name}/test/big:2").wait()

        operation = manager.images.pull(reference)
        assert until(lambda: line.connections > 0, 20)
        operation.cancel("a test")
        with pytest.raises(OperationCancelled, match="was cancelled by a test"):
            operation.wait()
        assert until(lambda: line.connections == 0, 20)
        assert client.images(reference) == []

        result = manager.images.pull(reference).wait()
        assert result.image is not None
        assert result.image.removeprefix("sha256:") == image.removeprefix("sha256:")
        (model,) = [one for one in manager.images.list(KernelSpecManager()) if reference in one["references"]]
        assert model["origin"] == "pulled"
        manager.images.delete(reference, KernelSpecManager())
        assert client.images(reference) == []
