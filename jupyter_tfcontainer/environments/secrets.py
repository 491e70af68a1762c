"""Values of secret variables.

They are in a file for each environment, readable by this user only, and not in the kernelspec's folder: the server
hands out what lies there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..errors import EnvironmentInvalid
from ..paths import data_folder
from . import private_files
from .environment import Environment


def values_for(environment: Environment) -> dict[str, str]:
    """The values of an environment's secret variables.

    Raises
    ------
    EnvironmentInvalid
        naming the one that has none
    """
    if not environment.secrets:
        return {}
    values = read(environment.name)
    if missing := [name for name in environment.secrets if name not in values]:
        raise EnvironmentInvalid(
            f"The environment {environment.name} says secrets: {missing[0]}, and its value is not on this machine. Set "
            f"it: an export takes only the names along."
        )
    return {name: values[name] for name in environment.secrets}


def read(name: str) -> dict[str, str]:
    """Return all values that are kept for an environment."""
    try:
        return dict(json.loads(_file(name).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def write(name: str, values: Mapping[str, str]) -> None:
    """Keep these values for an environment, and no others."""
    if values:
        private_files.write(_file(name), json.dumps(values))
    else:
        _file(name).unlink(missing_ok=True)


def _file(name: str) -> Path:
    return data_folder() / "secrets" / f"{name}.json"
