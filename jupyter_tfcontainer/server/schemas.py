"""The schemas of the events that pages get."""

from __future__ import annotations

from pathlib import Path

SCHEMAS = Path(__file__).parent / "event_schemas"
KERNEL_STATE = "https://events.jupyter.org/jupyter_tfcontainer/kernel_state/v1"
OPERATION = "https://events.jupyter.org/jupyter_tfcontainer/operation/v1"
ENVIRONMENTS = "https://events.jupyter.org/jupyter_tfcontainer/environments/v1"
