"""What a kernel has published: its recorder keeps the last of it, and what is made of that."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from kernels import TIMEOUT, until, value
from test_supervisor import Local, Owner, local

from jupyter_tfcontainer.errors import ContainerError
from jupyter_tfcontainer.kernels.container import RunningContainer
from jupyter_tfcontainer.kernels.output_log import Published, Recording, replies, text

MEMORY = 200_000
# Seconds that messages wait for the recorder, at least.
PAUSE = 0.05


@pytest.fixture
def supervisor() -> Iterator[Local]:
    with local() as one:
        yield one


@pytest.fixture
def owner(supervisor: Local) -> Owner:
    return supervisor.own()


def recording(owner: Owner, since: str | None = None) -> Recording:
    """Read what the recorder of the kernel keeps."""
    container = SimpleNamespace(kernel=SimpleNamespace(kernel_id="k"), control=lambda: owner.client)
    return Recording(cast("RunningContainer", container), since)


def recorders(supervisor: Local) -> list[psutil.Process]:
    """Those that run."""
    found = []
    for one in supervisor.process.children():
        with suppress(psutil.Error):  # it has just ended
            if any(part.endswith("recorder.py") for part in one.cmdline()):
                found.append(one)
    return found


def recorded(supervisor: Local) -> psutil.Process:
    """Wait for the recorder of a kernel that has just been launched."""
    assert until(lambda: recorders(supervisor), TIMEOUT)
    (one,) = recorders(supervisor)
    return one


# The recorder.


def test_the_last_messages_are_kept(supervisor: Local, owner: Owner) -> None:
    """No more than fit, in order, from any of them on; and it is known which execution they are of."""
    client = supervisor.started(owner, record=MEMORY)
    process = recorded(supervisor)
    assert until(lambda: value(client, "print('heard')") and recording(owner).read(), TIMEOUT)
    few = recording(owner)
    assert "heard" in text(few.read())
    assert not few.gap
    value(client, "import sys\nfor n in range(900): print(n, flush=True)")
    many = recording(owner, since="of yore")
    assert until(lambda: many.read() and "899" in text(recording(owner).read()[-3:]), TIMEOUT)
    last = recording(owner).read()
    assert many.gap
    assert sum(len(part) for one in last for part in one.parts) < MEMORY
    lines = text(last).split()
    assert lines == [str(number) for number in range(int(lines[0]), 900)]
    begun = recording(owner)
    begun.read()
    assert begun.begun
    assert "900" in begun.begun.content["code"]
    # From one of them on, that one included.
    some = recording(owner, since=last[-5].id)
    assert [one.id for one in some.read()] == [one.id for one in last[-5:]]
    assert not some.gap
    value(client, "print('later')")
    assert until(lambda: "later" in text(some.read()), TIMEOUT)
    # As much again takes no more memory than that has taken.
    before = process.memory_info().rss
    value(client, "for n in range(900): print(n, flush=True)\nprint('last')")
    assert until(lambda: "last" in text(recording(owner).read()[-3:]), TIMEOUT)
    assert process.memory_info().rss - before < 20 * MEMORY


def test_it_goes_with_its_kernel(supervisor: Local, owner: Owner) -> None:
    """A restart has one of its own, and where none is asked for there is none."""
    supervisor.started(owner, record=MEMORY)
    first = recorded(supervisor)
    supervisor.started(owner, record=MEMORY)
    assert until(lambda: not first.is_running(), TIMEOUT)
    second = recorded(supervisor)
    assert second.pid != first.pid
    second.kill()
    assert until(lambda: not recorders(supervisor), TIMEOUT)
    # The supervisor may not have heard of its end yet.
    with pytest.raises(ContainerError, match=r"no recorder is beside this kernel|the recorder has ended"):
        recording(owner).read()
    supervisor.started(owner)
    supervisor.spare()
    assert recorders(supervisor) == []
    with pytest.raises(ContainerError, match="no recorder is beside this kernel"):
        recording(owner).read()


def test_it_does_not_wake_for_each_message(supervisor: Local, owner: Owner) -> None:
    """Its turns on a processor would be taken from the kernel and its clients."""
    client = supervisor.started(owner, record=MEMORY)
    process = recorded(supervisor)
    assert until(lambda: value(client, "print('heard')") and recording(owner).read(), TIMEOUT)
    begun, before = time.monotonic(), process.num_ctx_switches().voluntary
    for _ in range(300):
        value(client, "pass")
    rests = (time.monotonic() - begun) / PAUSE
    # Once when the rest begins, and once when something has come after it.
    assert process.num_ctx_switches().voluntary - before <= 2 * rests + 10


# What is made of it.


def message(kind: str, request: str, session: str = "page", **content: Any) -> Published:
    """Something that a kernel has published for a request."""
    header = {"msg_id": f"{kind} {request}", "msg_type": kind, "session": "kernel"}
    parent = {"msg_id": request, "msg_type": "execute_request", "session": session}
    fields: tuple[dict[str, Any], ...] = (header, parent, {}, content)
    return Published([b"topic", b"<IDS|MSG>", b"signature", *(json.dumps(one).encode() for one in fields)])


def ended(request: str, session: str = "page") -> Published:
    return message("status", request, session, execution_state="idle")


def test_replies_that_were_lost() -> None:
    """One for each execution of the page that has ended, as far as its end can be known."""
    error: dict[str, Any] = {"ename": "ValueError", "evalue": "no", "traceback": ["line"]}
    made = list(
        replies(
            [
                message("stream", "first", name="stdout", text="1\n"),
                ended("first"),
                message("execute_input", "second", code="", execution_count=8),
                message("error", "second", **error),
                ended("second"),
                ended("third"),
                message("execute_input", "other", "another page", code="", execution_count=9),
                ended("other", "another page"),
                message("status", "fourth", execution_state="busy"),
                message("execute_input", "fourth", code="", execution_count=10),
            ],
            message("execute_input", "first", code="", execution_count=7),
            "page",
        )
    )
    contents = {one["parent_header"]["msg_id"]: one["content"] for one in made}
    assert contents == {
        "first": {"status": "ok", "execution_count": 7, "user_expressions": {}, "payload": []},
        "second": {"status": "error", "execution_count": 8, **error},
        "third": {"status": "aborted", "execution_count": None},
    }
    assert {one["header"]["msg_type"] for one in made} == {"execute_reply"}
    # JupyterLab takes messages of another session for those of a kernel before a restart.
    assert {one["header"]["session"] for one in made} == {"kernel"}
    assert len({one["header"]["msg_id"] for one in made}) == 3


def test_as_a_person_reads_it() -> None:
    said = text(
        [
            message("execute_input", "one", code="x", execution_count=3),
            message("stream", "one", name="stdout", text="a\n"),
            message("display_data", "one", data={"text/plain": "<Figure>", "image/png": "…"}),
            message("display_data", "one", data={"image/png": "…"}),
            message("error", "one", ename="E", evalue="", traceback=["Traceback", "E: no"]),
            ended("one"),
        ]
    )
    assert said == "\nIn [3]:\na\n<Figure>\n\nTraceback\nE: no\n"
