"""How a kernel ended, in words: what became of it, on which machine, and the last that it printed."""

from __future__ import annotations

from ..engine import Engine
from ..errors import KernelFailed, TFContainerError
from .container import Exit, Kernel, RunningContainer
from .container_config import blame
from .events import KernelEvents
from .starter import LOG_LINES, last_lines
from .supervisor_client import ENDED, SPARE_ENDED

_HOW = {
    "exited": "ended with exit code {0.code}",
    "signal": "was ended by {0.signal}",
    "out_of_memory": "was ended because it reached the memory limit of its container or machine",
    "container": "ended with its container, which was stopped or killed",
}


def failed(
    engine: Engine, container: RunningContainer, kernel: Kernel, how: Exit | None, seconds: float
) -> KernelFailed:
    """The error of a start whose kernel did not become ready.

    Parameters
    ----------
    engine
        which has, or had, the container
    container, kernel
        where, and which
    how
        it ended; None where it only took too long
    seconds
        that it had
    """
    what = _HOW[how.reason].format(how) if how else f"was not ready within {seconds:.0f} s"
    log = _last_log(engine, container, kernel, how)
    return KernelFailed(
        f"The kernel of {container.environment.display_name} {what} on {engine.facts.host}, before it was ready. "
        f"{blame(container.environment)}"
        f"The log of its container ends:\n{log or '(nothing)'}"
    )


def tell(engine: Engine, container: RunningContainer, kernel: Kernel, how: Exit, events: KernelEvents) -> str:
    """Tell that a kernel has ended by itself, and say it for the log as well.

    Parameters
    ----------
    engine
        which has, or had, the container
    container, kernel
        where, and which
    how
        it ended, as its supervisor has it
    events
        the kernel's
    """
    log = _last_log(engine, container, kernel, how)
    if how.reason == "container" and _out_of_memory(engine, container):
        how = Exit("out_of_memory")
    environment, host = container.environment, engine.facts.host
    message = f"The kernel of {environment.display_name} {_HOW[how.reason].format(how)} on {host}."
    events.emit(
        "dead",
        message,
        reason=how.reason,
        exit_code=how.code,
        signal=how.signal,
        memory_limit=environment.memory,
        host=host,
        log=log,
    )
    return f"{message} The log of its container ends:\n{log}"


def _out_of_memory(engine: Engine, container: RunningContainer) -> bool:
    try:
        return bool(engine.inspect(container.id)["State"]["OOMKilled"])
    except TFContainerError:
        return False


def _last_log(engine: Engine, container: RunningContainer, kernel: Kernel, how: Exit | None) -> str:
    """The end of what a kernel printed, which may get into the log behind the word that it has ended."""
    try:
        if how is None or how.reason == "container":
            return last_lines(engine.logs(container.id, LOG_LINES))
        last = ENDED.format(kernel.launch)
        log = engine.logs_until(container.id, LOG_LINES + 2, last).partition(last)[0]
        return last_lines("\n".join(line for line in log.splitlines() if not line.startswith(SPARE_ENDED)))
    except TFContainerError as error:
        return str(error)
