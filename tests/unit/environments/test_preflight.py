"""What is found out before anything is pulled or started."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jupyter_tfcontainer.compatibility import catalog, judge
from jupyter_tfcontainer.compatibility.judge import Card, Machine
from jupyter_tfcontainer.environments import preflight
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.errors import GPUNotFound, Incompatible

K80 = Card(0, "GPU-00000000", "Tesla K80", (3, 7), 11 * 1024**3)
RTX_3090 = Card(1, "GPU-11111111", "GeForce RTX 3090", (8, 6), 24 * 1024**3)
HERE = Machine("x86_64", avx=True, driver="470.82.01", cards=(K80, RTX_3090), problem=None)
BARE = Machine("x86_64", avx=True, driver=None, cards=(), problem=None)
LEGACY = "tensorflow/tensorflow:1.2.1-gpu-py3"


def environment(image: str = LEGACY, **fields: Any) -> Environment:
    return Environment(name="tf", display_name="TF", image=image, **{"gpus": "all", **fields})


def test_what_cannot_run_is_refused_with_what_would() -> None:
    with pytest.raises(Incompatible) as refused:
        preflight.check(environment(gpus=("1",)), HERE, "host")
    said = str(refused.value)
    assert said.startswith("TF cannot run on host. CUDA 8.0's cuBLAS has no code for compute capability 8.6")
    assert "What would run here: " in said
    assert said.endswith('set the field compatibility of the environment tf to "ignore".')


def test_the_person_may_try_all_the_same() -> None:
    found = preflight.check(environment(gpus=("1",), compatibility="ignore"), HERE, "host")
    assert found
    assert found.word == "cannot"


@pytest.mark.parametrize("gpus", [1, ("0",), ("GPU-00000000",)], ids=str)
def test_only_the_cards_that_it_gets_count(gpus: Any) -> None:
    found = preflight.check(environment(gpus=gpus), HERE, "host")
    assert found
    assert [each.card for each in found.cards] == [K80]


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        (3, "The environment tf asks for 3 GPUs (gpus), and host has 2: "),
        (("0", "7"), "The environment tf asks for GPU 7 (gpus), which host has not. It has "),
        (("GPU-22222222",), "The environment tf asks for GPU GPU-22222222 (gpus), which host has not. It has "),
    ],
    ids=["count", "index", "uuid"],
)
def test_cards_that_are_not_there(gpus: Any, said: str) -> None:
    with pytest.raises(GPUNotFound) as refused:
        preflight.check(environment("any/image", gpus=gpus), HERE, "host")
    cards = "0 (Tesla K80, GPU-00000000), 1 (GeForce RTX 3090, GPU-11111111)."
    assert str(refused.value) == said + cards


def test_what_the_catalog_does_not_know_is_not_judged() -> None:
    assert preflight.check(environment("my/own:image"), HERE, "host") is None


def test_where_no_card_is_seen_the_engine_decides() -> None:
    """The driver's library may be out of this program's sight, and the cards not out of the engine's."""
    found = preflight.check(environment(), BARE, "host")
    assert found
    assert (found.word, found.reasons[0].sentence) == ("warns", "NVIDIA's driver tells of no card on host.")


@pytest.mark.parametrize("here", [BARE, replace(BARE, problem="Nobody knows."), HERE], ids=["bare", "unknown", "cards"])
def test_of_a_release_and_its_environment_the_same_is_said(here: Machine) -> None:
    """`catalog` and `show` agree on all that there is, with cards and without."""
    known = catalog.load()
    for image in known.images:
        asked = environment(image.reference(), gpus="all" if image.device == "gpu" else "none")
        found = preflight.verdict(asked, here, "host")
        assert found
        assert found.word == judge.judge(image, here, known).word, image.reference()


def test_for_want_of_a_card_no_start_is_refused_but_said_to_fail() -> None:
    found = preflight.verdict(environment(), BARE, "host")
    assert found
    assert [reason.code for reason in found.reasons] == ["libcuda-missing", "instead"]


def test_a_processor_that_cannot_is_refused_without_a_card_too() -> None:
    old = Machine("x86_64", avx=False, driver=None, cards=(), problem=None)
    with pytest.raises(Incompatible, match="AVX"):
        preflight.check(environment("tensorflow/tensorflow:1.15.5-gpu-py3-jupyter"), old, "host")


def test_on_the_processor() -> None:
    found = preflight.check(environment("tensorflow/tensorflow:1.2.1-py3", gpus="none"), BARE, "host")
    assert found
    assert found.word == "works"
