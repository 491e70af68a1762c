"""Which environments launchers leave out: the names are in one file, since not every kernelspec is the person's."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from ..paths import data_folder
from . import lookup, private_files


def hidden() -> set[str]:
    """The names of the kernelspecs that launchers leave out."""
    try:
        return set(json.loads(_hidden_file().read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):  # ValueError: somebody wrote into it, and no list may fail for that
        return set()


def hide(name: str, specs: KernelSpecManager) -> None:
    """Have launchers leave an environment out. It can still be run by its name."""
    lookup.find_spec(name, specs)
    set_hidden(name, hide=True)


def show(name: str, specs: KernelSpecManager) -> None:
    """Have launchers show an environment again."""
    lookup.find_spec(name, specs)
    set_hidden(name, hide=False)


def set_hidden(name: str, *, hide: bool) -> None:
    """Hide or show whatever has that name, be it there or not."""
    before = hidden()
    after = before | {name} if hide else before - {name}
    if after != before:
        private_files.write(_hidden_file(), json.dumps(sorted(after)))


def filter_hidden(specs: KernelSpecManager) -> None:
    """Have a server's kernelspec manager, of whatever class, leave out of its list what is hidden."""
    every = specs.get_all_specs
    if inspect.iscoroutinefunction(every):
        return  # it asks a gateway, which has no environments of ours

    def shown() -> dict[str, Any]:
        out = hidden()
        return {name: spec for name, spec in every().items() if name not in out}

    specs.get_all_specs = shown  # type: ignore[method-assign]


def _hidden_file() -> Path:
    return data_folder() / "hidden.json"
