"""What the catalog offers as an environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jupyter_tfcontainer
from jupyter_tfcontainer.environments.from_catalog import offer
from jupyter_tfcontainer.errors import EnvironmentNotFound


def test_the_flagship_is_what_is_shipped() -> None:
    shipped = Path(jupyter_tfcontainer.__file__).parent / "kernelspecs" / "tf-1.2.1-gpu"
    spec = json.loads((shipped / "kernel.json").read_text())
    found = offer("1.2.1", "gpu")
    assert (found.name, found.display_name) == (shipped.name, spec["display_name"])
    assert found.config == spec["metadata"]["kernel_provisioner"]["config"]


def test_for_the_processor_and_another_python() -> None:
    found = offer("1.2.1", "cpu", "2")
    assert (found.name, found.display_name) == ("tf-1.2.1-cpu-py2", "TF 1.2.1 CPU (Python 2)")
    assert found.config == {"image": "tensorflow/tensorflow:1.2.1"}


def test_what_there_is_not() -> None:
    with pytest.raises(EnvironmentNotFound, match=r"has no TensorFlow 0\.0\.1\. It has 0\.12\.0, "):
        offer("0.0.1", "cpu")
    with pytest.raises(EnvironmentNotFound, match=r"no image of TensorFlow 1\.2\.1 for the GPU with Python 4\."):
        offer("1.2.1", "gpu", "4")
    with pytest.raises(EnvironmentNotFound, match=r"no image of TensorFlow 2\.17\.1 for the CPU\."):
        offer("2.17.1", "cpu")
