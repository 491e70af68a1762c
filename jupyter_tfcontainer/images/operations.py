"""What takes long on an image: each in a thread of its own, with progress, a log and a cancel.

One operation of a kind on an image at a time in a process: whoever asks for the same gets the one that goes on.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from logging import Logger, LoggerAdapter
from typing import Any, Literal

from ..engine.pulls import Progress
from ..errors import OperationCancelled, OperationNotFound, TFContainerError

Kind = Literal["pull", "prepare", "build", "snapshot", "load", "save"]
State = Literal["running", "done", "failed", "cancelled"]
OnProgress = Callable[[Progress], None]

# Seconds between two events of one operation: as often as one can read.
INTERVAL = 0.5
# Seconds over which a speed is measured, and from which on it means something.
WINDOW = 5.0
SOON = 1.0
# Lines that are kept of a log, and operations that are remembered when they have ended.
LOG_LINES = 200
# Lines of it that say why something failed.
LAST_LINES = 12
REMEMBERED = 20

# What goes on, and what is said of it as a noun.
RUNNING: dict[Kind, str] = {
    "pull": "Pulling {}.",
    "prepare": "Preparing {} for Jupyter.",
    "build": "Building {}.",
    "snapshot": "Making {} from a container.",
    "load": "Loading {}.",
    "save": "Saving {}.",
}
NOUNS: dict[Kind, str] = {
    "pull": "The pull of {}",
    "prepare": "Preparing {} for Jupyter",
    "build": "The build of {}",
    "snapshot": "The snapshot {}",
    "load": "Loading {}",
    "save": "Saving {}",
}
PROGRAM_ENDS = "the end of this program"


@dataclass(frozen=True)
class Result:
    """What came of an operation.

    Parameters
    ----------
    message
        the sentence that says so
    image, reference
        id and name of the image
    environment
        name of the environment that was made for it
    """

    message: str
    image: str | None = None
    reference: str | None = None
    environment: str | None = None


class Operation:
    """One operation. Whoever does it tells it how it gets on; everyone else asks, waits or cancels.

    Parameters
    ----------
    kind, reference
        what is done, and to which image
    tell
        gets the model whenever there is something new to say
    """

    def __init__(self, kind: Kind, reference: str, tell: Callable[[dict[str, Any]], None]) -> None:
        self.id = secrets.token_hex(8)
        self.kind: Kind = kind
        self.reference = reference
        self.state: State = "running"
        self.message = RUNNING[kind].format(reference)
        self.reason: str | None = None
        self.result: Result | None = None
        self.started = datetime.now(timezone.utc)
        self.ended: datetime | None = None
        #: Done when it has ended.
        self.done: Future[Result] = Future()
        self._tell = tell
        self._told = 0.0
        self._telling = threading.Lock()
        self._over = False
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._said = 0
        self._listeners: list[Callable[[], None]] = []
        self._cut: Callable[[], None] | None = None
        self._cancelled_by: str | None = None

    @property
    def noun(self) -> str:
        """What it is, to begin a sentence with."""
        return NOUNS[self.kind].format(self.reference)

    # For whoever does it.

    def announce(self) -> None:
        """It begins."""
        self._news(always=True)

    def advance(self, progress: Progress) -> None:
        """It has got on.

        Raises
        ------
        OperationCancelled
            when somebody wants no more of it
        """
        self.check()
        self.show(progress)

    def show(self, progress: Progress) -> None:
        """It has got on, be it wanted or not."""
        now = time.monotonic()
        with self._lock:
            before, self._progress = self._progress, progress
            if before and progress.current < before.current:
                self._samples.clear()
            self._samples.append((now, progress.current))
            while now - self._samples[0][0] > WINDOW:
                self._samples.popleft()
        # A moment that may be short, and that one waits for.
        turn = before is not None and before.phase != progress.phase
        self._news(always=turn or _whole(progress) not in (None, _whole(before)))

    def step(self, message: str) -> None:
        """It has come to another step."""
        self.check()
        with self._lock:
            self.message = message
        self._news(always=True)

    def say(self, text: str) -> None:
        """It has something for its log."""
        with self._lock:
            lines = text.splitlines()
            self._said += len(lines)
            self._log.extend(lines)
        self._news()

    def check(self) -> None:
        """See whether somebody wants no more of it.

        Raises
        ------
        OperationCancelled
            naming who
        """
        if self._cancelled_by:
            raise OperationCancelled(f"{self.noun} was cancelled by {self._cancelled_by}.")

    @contextmanager
    def cuttable(self, cut: Callable[[], None]) -> Iterator[None]:
        """While this lasts, a cancel calls ``cut``, from another thread: what blocks is to end then."""
        with self._lock:
            self._cut = cut
            late = self._cancelled_by is not None
        if late:
            cut()
        try:
            yield
        finally:
            with self._lock:
                self._cut = None

    def finish(self, state: State, message: str, reason: str | None = None, result: Result | None = None) -> None:
        """It has ended, one way or another."""
        with self._lock:
            self.state, self.message, self.reason, self.result = state, message, reason, result
            self.ended = datetime.now(timezone.utc)
        self._news(always=True)

    # For everyone else.

    def cancel(self, by: str) -> None:
        """End it. What it has begun is undone in its own thread; that it has ended is told as always.

        Parameters
        ----------
        by
            who wants that, for the sentence that those who wait get
        """
        with self._lock:
            if self.state != "running" or self._cancelled_by:
                return
            self._cancelled_by = by
            cut = self._cut
        if cut:
            cut()

    def watch(self, listener: Callable[[], None]) -> None:
        """Have a listener called at each news, in the operation's thread."""
        self._listeners.append(listener)

    @property
    def progress(self) -> Progress | None:
        """How far it is, where that can be said."""
        return self._progress

    def said(self, since: int) -> list[str]:
        """The lines of its log after so many; of those the oldest may be lost."""
        with self._lock:
            new = self._said - since
            return list(self._log)[-new:] if new else []

    def wait(self, on_progress: OnProgress | None = None) -> Result:
        """Wait for its end.

        Parameters
        ----------
        on_progress
            called as it gets on, in its thread

        Raises
        ------
        TFContainerError
            what it ended with
        """

        def listen() -> None:
            if on_progress and self._progress:
                on_progress(self._progress)

        self._listeners.append(listen)
        return self.done.result()

    def model(self, *, log: bool = True) -> dict[str, Any]:
        """The JSON model; without its log for an event."""
        with self._lock:
            result = self.result
            return {
                "id": self.id,
                "kind": self.kind,
                "reference": self.reference,
                "state": self.state,
                "message": self.message,
                "reason": self.reason,
                "progress": self._progress_model(),
                **({"log": list(self._log), "lines": self._said} if log else {}),
                "started": self.started.isoformat(),
                "ended": self.ended.isoformat() if self.ended else None,
                "result": {"image": result.image, "reference": result.reference, "environment": result.environment}
                if result
                else None,
            }

    def _progress_model(self) -> dict[str, Any] | None:
        progress = self._progress
        if progress is None:
            return None
        speed, left = None, None
        if self.state == "running" and progress.phase in MOVING and len(self._samples) > 1:
            (first, begin), (last, end) = self._samples[0], self._samples[-1]
            if last - first >= SOON:
                speed = (end - begin) / (last - first)
                if progress.sized and speed > 0:
                    left = (progress.total - progress.current) / speed
        return {
            "bytes": progress.current,
            "total": progress.total or None,
            "final": progress.sized,
            "layers_done": progress.layers_done,
            "layers": progress.layers,
            "phase": progress.phase,
            "extracted": progress.extracted,
            "bytes_per_second": speed,
            "seconds_left": left,
        }

    def _news(self, *, always: bool = False) -> None:
        for listener in tuple(self._listeners):
            listener()
        now = time.monotonic()
        with self._lock:
            due = self._told + INTERVAL
            tell = always or now >= due
            if tell:
                self._told = now
            if self._timer and tell:
                self._timer.cancel()
                self._timer = None
            if not tell and not self._timer and self.state == "running":
                # What is news now is told even if nothing follows for long.
                self._timer = threading.Timer(due - now, self._news)
                self._timer.daemon = True
                self._timer.start()
        if tell:
            # The timer's thread tells as well: what is told last is the newest, and of an end it is told once.
            with self._telling:
                model = self.model(log=False)
                if not self._over:
                    self._over = model["state"] != "running"
                    self._tell(model)


def _whole(progress: Progress | None) -> int | None:
    """How many bytes there are, once that is all of them."""
    return progress.total if progress and progress.sized and 0 < progress.current == progress.total else None


# The phases whose bytes have a speed.
MOVING = ("downloading", "reading", "writing")
Work = Callable[[Operation], Result]
Listener = Callable[[dict[str, Any]], None]


class Operations:
    """The operations of this process: those that go on, and the last that have ended.

    Parameters
    ----------
    log
        gets what went wrong that no sentence of ours was made for
    """

    def __init__(self, log: Logger | LoggerAdapter[Any]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._running: dict[Hashable, Operation] = {}
        self._ended: deque[Operation] = deque(maxlen=REMEMBERED)
        self._threads: set[threading.Thread] = set()
        self._listeners: list[Listener] = []
        self._closed = False

    def listen(self, listener: Listener) -> None:
        """Have models, without their logs, told to a listener, in whichever thread they come up."""
        self._listeners.append(listener)

    def begin(self, kind: Kind, reference: str, key: Hashable, work: Work) -> Operation:
        """Begin an operation, or join the same.

        Parameters
        ----------
        kind, reference
            what is to be done, and to which image
        key
            what tells the same from another
        work
            does it, in a thread of its own; what it raises is what the operation ends with
        """
        with self._lock:
            if self._closed:
                raise OperationCancelled(f"{NOUNS[kind].format(reference)} was cancelled by {PROGRAM_ENDS}.")
            if there := self._running.get(key):
                return there
            operation = self._running[key] = Operation(kind, reference, self._tell)
            thread = threading.Thread(
                target=self._run, args=(operation, key, work), name="tfcontainer-operation", daemon=True
            )
            self._threads.add(thread)
        thread.start()
        return operation

    def running(self, key: Hashable) -> Operation | None:
        """The operation of that key that goes on, if there is one."""
        with self._lock:
            return self._running.get(key)

    def list(self) -> list[Operation]:
        """Those that go on, and those that have ended lately, the last begun first."""
        with self._lock:
            return sorted([*self._running.values(), *self._ended], key=lambda one: one.started, reverse=True)

    def get(self, number: str) -> Operation:
        """The operation of that id.

        Raises
        ------
        OperationNotFound
            when there is none, or it has ended long ago
        """
        for one in self.list():
            if one.id == number:
                return one
        raise OperationNotFound(f"There is no operation {number}: it has ended some time ago, or never was.")

    def close(self) -> None:
        """Cancel what goes on, and wait until it has cleaned up."""
        with self._lock:
            self._closed = True
            running, threads = list(self._running.values()), list(self._threads)
        for one in running:
            one.cancel(PROGRAM_ENDS)
        for thread in threads:
            thread.join()

    def _run(self, operation: Operation, key: Hashable, work: Work) -> None:
        operation.announce()
        error: BaseException | None = None
        try:
            result = work(operation)
        except BaseException as caught:  # noqa: BLE001 - whoever waits gets it, whatever it is
            error = self._explained(operation, caught)
        with self._lock:
            # Who asks from here on begins anew: one that has failed is not joined.
            del self._running[key]
            self._ended.append(operation)
        if error is None:
            operation.finish("done", result.message, result=result)
            operation.done.set_result(result)
        else:
            state: State = "cancelled" if isinstance(error, OperationCancelled) else "failed"
            operation.finish(state, str(error), getattr(error, "reason", type(error).__name__))
            operation.done.set_exception(error)
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _explained(self, operation: Operation, error: BaseException) -> BaseException:
        """What ended an operation: a connection that was cut fails in whichever way."""
        try:
            operation.check()
        except OperationCancelled as cancelled:
            return cancelled
        if not isinstance(error, TFContainerError):
            self._log.error("%s failed", operation.noun, exc_info=error)
        return error

    def _tell(self, model: dict[str, Any]) -> None:
        for listener in self._listeners:
            # An event loop that has ended takes no more events.
            with suppress(RuntimeError):
                listener(model)
