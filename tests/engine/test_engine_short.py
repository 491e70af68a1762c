"""The engine that differs most from Docker does the most of what kernels and images need.

All that depends on the engine, on each of the others, is in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator

import engine_life
import pytest
from engine_life import EVERY_ENGINE, IMAGES, LIFE
from engine_worlds import World
from homes import MODERN

SHORT = [
    *(
        f"tests/engine/test_lifecycle.py::test_{name}[modern]"
        for name in (
            "kernel_is_the_person_in_the_workspace",
            "interrupt_reaches_the_cell_and_its_children",
            "a_program_on_localhost_is_reached",
        )
    ),
    "tests/engine/test_lifecycle.py::test_restart_keeps_the_container[now-modern]",
    "tests/engine/test_restart.py::test_installed_package_is_there_after_a_restart[modern]",
    "tests/engine/test_death.py::test_death_is_noticed_at_once_and_says_why[modern]",
    *(
        f"tests/engine/test_death.py::test_end_of_the_container_is_noticed_at_once[{how}-modern]"
        for how in ("killed", "removed")
    ),
    *(f"{IMAGES}::{name}" for name in ("test_build", "test_snapshot", "test_pull")),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[World]:
    with engine_life.living("rootless podman", MODERN) as made:
        yield made


def test_a_short_life(engine: World) -> None:
    assert engine_life.passed(engine, *SHORT) == sorted(SHORT)


def test_found_at_its_usual_place(engine: World) -> None:
    engine_life.is_found(engine)


def test_each_part_of_a_life_has_what_every_engine_runs() -> None:
    found = engine_life.collected(*EVERY_ENGINE, *LIFE)
    assert [part for part in LIFE if not any(one.startswith(f"{part}::") for one in found)] == []
    # And these are no engine's own.
    assert {one for one in SHORT if IMAGES not in one} <= set(found)
