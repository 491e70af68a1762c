"""What goes wrong around kernels, done on purpose, and what is left, lost and told then (``make faults``)."""

from __future__ import annotations

import signal
from collections.abc import Callable

# As shells have it.
INTERRUPTED = 130


def interruptible(main: Callable[[], int]) -> int:
    """Run a program; whatever ends it, its servers and its engine go with it. Its exit status comes back."""
    # A job in the background has SIGINT ignored, else.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        return INTERRUPTED
