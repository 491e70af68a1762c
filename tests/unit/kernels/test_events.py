"""What listeners are told, against the schema that they know."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from typing import Any, get_args

import pytest
from jupyter_events.schema import EventSchema

from jupyter_tfcontainer.engine.pulls import Progress
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.kernels import events
from jupyter_tfcontainer.kernels.container import Exit
from jupyter_tfcontainer.kernels.events import STEPS, KernelEvents
from jupyter_tfcontainer.server.schemas import KERNEL_STATE, SCHEMAS

SCHEMA = EventSchema(SCHEMAS / "kernel_state.v1.yaml")
ENVIRONMENT = Environment(name="tf", display_name="TF 1.2.1", image="tf:1", env={"TOKEN": "s3cret"})
SOME = Progress(current=5, total=10, layers_done=0, layers=2, sized=False)


class Listener:
    """Keeps what it is told, and checks it against the schema."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.tell = KernelEvents(self._hear, "k-1", ENVIRONMENT)

    def _hear(self, event: dict[str, Any]) -> None:
        SCHEMA.validate(event)
        # The schema itself lets pass what it does not know.
        assert event.keys() <= SCHEMA.properties.keys()
        self.heard.append(event)


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_the_schema_is_the_one_that_is_emitted() -> None:
    assert SCHEMA.id == KERNEL_STATE
    assert sorted(path.name for path in SCHEMAS.iterdir()) == [
        "environments.v1.yaml",
        "kernel_state.v1.yaml",
        "operation.v1.yaml",
    ]


def test_each_step(listener: Listener) -> None:
    for step in STEPS:
        listener.tell.step(step)
    assert [event["step"] for event in listener.heard] == list(STEPS)
    assert listener.heard[0] == {
        "kernel_id": "k-1",
        "environment": "tf",
        "display_name": "TF 1.2.1",
        "state": "starting",
        "message": "Looking for the container engine.",
        "step": "engine",
    }
    listener.tell.step("launch", "c0ffee")
    assert listener.heard[-1]["container"] == "c0ffee"
    assert set(STEPS) == set(get_args(events.Step)) == set(SCHEMA.properties["step"]["enum"])


def test_each_state_is_in_the_schema() -> None:
    assert set(get_args(events.State)) == set(SCHEMA.properties["state"]["enum"])


@pytest.mark.parametrize(
    "how",
    [
        Exit.from_event({"oom": False, "signal": None, "code": 3}),
        Exit.from_event({"oom": False, "signal": int(signal.SIGSEGV), "code": None}),
        Exit.from_event({"oom": True, "signal": int(signal.SIGKILL), "code": None}),
        Exit("container"),
    ],
)
def test_each_death(listener: Listener, how: Exit) -> None:
    listener.tell.emit(
        "dead", "It ended.", reason=how.reason, exit_code=how.code, signal=how.signal, memory_limit=None, host="h"
    )
    (event,) = listener.heard
    assert event["reason"] == how.reason
    assert event.get("exit_code") == how.code
    assert event.get("signal") == how.signal
    assert None not in event.values()


def test_running_and_failed(listener: Listener) -> None:
    listener.tell.emit("running", "TF runs.", host="h")
    listener.tell.emit("failed", "It cannot.")
    assert [event["state"] for event in listener.heard] == ["running", "failed"]


def test_progress_of_a_pull(listener: Listener) -> None:
    listener.tell.pulling(SOME)
    (event,) = listener.heard
    assert (event["state"], event["step"], event["message"]) == ("starting", "pull", "Pulling the image.")
    assert event["progress"] == {"current": 5, "total": 10, "layers_done": 0, "layers": 2, "sized": False}


def test_progress_is_told_now_and_then_and_at_the_end(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PROGRESS_INTERVAL", 20)
    for current in range(1000):
        listener.tell.pulling(replace(SOME, current=current))
    listener.tell.pulling(replace(SOME, current=1000, layers_done=2))
    assert [event["progress"]["current"] for event in listener.heard] == [0, 1000]


def test_progress_is_told_again_after_the_interval(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PROGRESS_INTERVAL", 0)
    for current in range(10):
        listener.tell.pulling(replace(SOME, current=current))
    assert [event["progress"]["current"] for event in listener.heard] == list(range(10))


def test_no_secret_is_told(listener: Listener) -> None:
    """Events reach every listener that is authorised."""
    listener.tell.step("engine")
    assert "s3cret" not in str(listener.heard)


def test_what_each_step_took(listener: Listener) -> None:
    listener.tell.step("boot")
    listener.tell.step("launch")
    assert re.fullmatch(r"boot \d, launch \d; \d+ ms", listener.tell.took())
