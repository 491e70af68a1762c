"""What the page is told without asking: how a start gets on, and how a kernel ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from ..engine.pulls import Progress
from ..environments.environment import Environment

# Seconds between two words on the progress of a pull: as often as one can read.
PROGRESS_INTERVAL = 0.5

State = Literal["starting", "running", "dead", "failed"]
Step = Literal["engine", "preflight", "pull", "prepare", "create", "boot", "launch"]
Listener = Callable[[dict[str, Any]], None]

STEPS: dict[Step, str] = {
    "engine": "Looking for the container engine",
    "preflight": "Seeing what the engine can do",
    "pull": "Pulling the image",
    "prepare": "Preparing the image for Jupyter",
    "create": "Creating the container",
    "boot": "Starting the container",
    "launch": "Starting the kernel",
}
# What is told of it: the rest is for those who watch the operation itself.
PROGRESS = ("current", "total", "layers_done", "layers", "sized")


class KernelEvents:
    """The events of one kernel.

    Parameters
    ----------
    tell
        gets each event, in whichever thread it happens
    kernel_id
        which kernel
    environment
        what it runs in
    """

    def __init__(self, tell: Listener, kernel_id: str, environment: Environment) -> None:
        self._tell = tell
        self._who = {"kernel_id": kernel_id, "environment": environment.name, "display_name": environment.display_name}
        self._told = 0.0
        self._begun = time.monotonic()
        self._steps: list[tuple[str, float]] = []

    def emit(self, state: State, message: str, **fields: Any) -> None:
        """Tell one event. Fields that are None are left out."""
        self._tell(
            {
                **self._who,
                "state": state,
                "message": message,
                **{name: value for name, value in fields.items() if value is not None},
            }
        )

    def step(self, step: Step, container: str | None = None) -> None:
        """The start has come to a step, in a container if there is one."""
        self._steps.append((step, time.monotonic()))
        self.emit("starting", f"{STEPS[step]}.", step=step, container=container)

    def took(self) -> str:
        """What each step of a start that is over took, in milliseconds, and the whole."""
        end = time.monotonic()
        ends = [*(begun for _, begun in self._steps[1:]), end]
        steps = [f"{step} {(over - begun) * 1000:.0f}" for (step, begun), over in zip(self._steps, ends, strict=True)]
        return f"{', '.join(steps)}; {(end - self._begun) * 1000:.0f} ms"

    def pulling(self, progress: Progress) -> None:
        """The pull gets on; told now and then."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_INTERVAL or progress.layers_done == progress.layers:
            self._told = now
            told = {name: getattr(progress, name) for name in PROGRESS}
            self.emit("starting", f"{STEPS['pull']}.", step="pull", progress=told)
