"""Kernels for tests, driven as any Jupyter client drives them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

TIMEOUT = 20


def rounds(usual: int, long: int) -> int:
    """Return how often something is done again: usually, or with ``LONG_ROUNDS`` set, which meets rarer races."""
    return long if os.environ.get("LONG_ROUNDS") else usual


@dataclass
class Result:
    """What came of an execution."""

    status: str = ""
    text: str = ""
    error: str = ""
    displays: list[dict[str, Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)


def run(client: BlockingKernelClient, code: str, **kwargs: Any) -> Result:
    """Execute code and wait for all that comes of it."""
    result = Result()

    def hear(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            result.text += content["text"]
        elif kind == "error":
            result.error = f"{content['ename']}: {content['evalue']}"
        elif kind in ("display_data", "execute_result"):
            result.displays.append(content["data"])
        elif kind == "status":
            result.states.append(content["execution_state"])

    # Else ipykernel aborts what it is asked next after an error, if that comes soon enough.
    reply = client.execute_interactive(code, output_hook=hear, timeout=TIMEOUT, stop_on_error=False, **kwargs)
    result.status = reply["content"]["status"]
    return result


def value(client: BlockingKernelClient, code: str) -> str:
    """What code prints; it must not fail."""
    result = run(client, code)
    assert result.status == "ok", result.error
    return result.text.strip()


@contextmanager
def connected(manager: KernelManager) -> Iterator[BlockingKernelClient]:
    """A client that stays connected."""
    # A session of its own, as each page has: with the manager's, two clients would share one address.
    client = manager.client(session=Session(key=manager.session.key))
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT)
        yield client
    finally:
        client.stop_channels()


@contextmanager
def kernel(name: str, **kwargs: Any) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A kernel and a client of it, both gone afterwards."""
    manager = KernelManager(kernel_name=name)
    try:
        manager.start_kernel(**kwargs)
        try:
            with connected(manager) as client:
                yield manager, client
        finally:
            manager.shutdown_kernel(now=True)
    finally:
        manager.context.destroy()


def until(condition: Any, seconds: float) -> bool:
    """Wait for what another process does, for which there is no event here."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
