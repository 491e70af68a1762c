"""Whatever an engine says while it pulls: progress that makes sense, or an error of ours; and it ends."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from junk import JUNK, SAME
from kernels import TIMEOUT

from jupyter_tfcontainer.engine import pulls
from jupyter_tfcontainer.engine.images import EngineImages
from jupyter_tfcontainer.engine.info import EngineFacts
from jupyter_tfcontainer.engine.pulls import Progress
from jupyter_tfcontainer.errors import ImageError

STATUSES = [
    *("Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting"),
    *("Pull complete", "Already exists", "Retrying in 5 seconds", "Pulling from x"),
]
# What an engine says, in any order, and with anything in the place of anything.
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a" * 12, "b" * 12, "c" * 12, "latest"]) | JUNK,
        "status": st.sampled_from(STATUSES) | JUNK,
        "progressDetail": st.fixed_dictionaries(
            {}, optional={"current": st.integers() | JUNK, "total": st.integers() | JUNK}
        )
        | JUNK,
        "stream": JUNK,
    },
)
ERRORS = st.fixed_dictionaries({"error": JUNK})
STREAMS = st.lists(EVENTS | EVENTS | EVENTS | JUNK | ERRORS, max_size=30)


def sensible(progress: Progress) -> None:
    """See that it can be shown."""
    for number in (progress.current, progress.total, progress.extracted, progress.layers_done, progress.layers):
        assert type(number) is int
        assert number >= 0
    assert progress.layers_done <= progress.layers


@settings(SAME, max_examples=300)
@given(events=STREAMS)
@example(events=[{"id": "a" * 12, "status": "Download complete"}] * 3)
def test_any_events(events: list[Any]) -> None:
    with suppress(ImageError):
        for progress in pulls.follow("x", "tower", events):
            sensible(progress)


def test_layers_without_end() -> None:
    """Each of them is remembered, and they are counted at each event."""
    events = ({"id": f"{number:012x}", "status": "Pulling fs layer"} for number in range(20_000))
    assert max(one.layers for one in pulls.follow("x", "tower", events)) == pulls.LAYERS


class Engine:
    """An engine that answers a pull with any bytes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.sock"
        self.answer = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                if b"POST" not in connection.recv(65536):
                    return
                connection.sendall(self.answer)

    def close(self) -> None:
        """End it."""
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
            last.sendall(b"the end")
            self._thread.join(TIMEOUT)
        self._listener.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="tfc-") as folder, closing(Engine(Path(folder))) as engine:
        yield engine


def pulled(engine: Engine) -> list[Progress]:
    """How a pull gets on."""

    def cuttable(_: Callable[[], None]) -> AbstractContextManager[None]:
        return nullcontext()

    door = cast("Any", None)  # for what is answered at once
    facts = EngineFacts.from_engine(f"unix://{engine.path}", {}, {})
    images = EngineImages(facts.url, "1.41", door, door, facts)
    return list(images.pull("tower.example/x:1", None, cuttable))


def framed(pieces: list[bytes]) -> bytes:
    """An answer in pieces, as engines give it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces if one)


LINES = EVENTS.map(lambda event: json.dumps(event).encode() + b"\r\n")
HUGE = json.dumps({"status": "x" * 3_000_000}).encode()


@settings(SAME, max_examples=60)
@given(
    pieces=st.lists(LINES | st.binary(max_size=50), max_size=8),
    cut=st.integers(0, 2000),
    whole=st.booleans(),
)
@example(pieces=[HUGE], cut=0, whole=True)
@example(pieces=[HUGE[:-5]], cut=0, whole=True)
@example(pieces=[b"[" * 200_000], cut=0, whole=True)
@example(pieces=[b'{"status": "\xff"}'], cut=0, whole=True)
def test_any_bytes(engine: Engine, pieces: list[bytes], cut: int, whole: bool) -> None:
    """Garbage, frames that are huge or cut, and an engine that hangs up."""
    engine.answer = framed(pieces) + b"0\r\n\r\n" if whole else framed(pieces)[:cut]
    with suppress(ImageError):
        for progress in pulled(engine):
            sensible(progress)
