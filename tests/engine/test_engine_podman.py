"""Podman does what Docker does, wherever the engine matters, and what only it can do."""

from __future__ import annotations

from collections.abc import Iterator

import engine_life
import pytest
from engine_life import EVERY_ENGINE, IMAGES, LIFE
from engine_worlds import World
from homes import LEGACY, MODERN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[World]:
    with engine_life.living("podman", LEGACY, MODERN) as made:
        yield made


def test_a_kernels_life(engine: World) -> None:
    engine_life.all_pass(engine, *EVERY_ENGINE, *LIFE)


def test_images(engine: World) -> None:
    engine_life.all_pass(engine, IMAGES)


def test_found_at_its_usual_place(engine: World) -> None:
    engine_life.is_found(engine)


def test_podman(engine: World) -> None:
    engine_life.podmans_own_pass(engine)
