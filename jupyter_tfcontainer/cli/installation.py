"""What the doctor looks at on Jupyter's side: whether what we install there is there, whole and not switched off."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_core.paths import jupyter_config_path, jupyter_path
from jupyter_server.extension.config import ExtensionConfigManager

from ..environments.environment import PROVISIONER
from .findings import Finding

SERVER_EXTENSION = "jupyter_tfcontainer"
LAB_EXTENSION = "jupyter-tfcontainer"


def examine() -> Iterator[Finding]:
    """All checks."""
    yield _provisioner()
    yield _server_extension()
    yield _lab_extension()


def _provisioner() -> Finding:
    if PROVISIONER in KernelProvisionerFactory.instance().provisioners:
        return Finding("provisioner", "ok", "Jupyter finds the kernel provisioner.")
    return Finding(
        "provisioner",
        "problem",
        "Jupyter does not find the kernel provisioner, so no launcher shows the environments. Install "
        "jupyter_tfcontainer into the environment that Jupyter runs in.",
    )


def _server_extension() -> Finding:
    enabled: dict[str, Any] = {}
    for folder in reversed(jupyter_config_path()):
        enabled |= ExtensionConfigManager(read_config_path=[folder]).get_jpserver_extensions()  # type: ignore[no-untyped-call]
    if enabled.get(SERVER_EXTENSION):
        return Finding("server", "ok", "The server extension is enabled.")
    return Finding(
        "server",
        "problem",
        f"The server extension is not enabled. Enable it: `jupyter server extension enable {SERVER_EXTENSION}`.",
    )


def _lab_extension() -> Finding:
    try:
        # Here, because it may be missing.
        from jupyterlab_server.config import get_page_config
    except ImportError:
        return Finding(
            "front end",
            "warning",
            f"JupyterLab is not installed beside this program ({sys.prefix}). Kernels run in other clients too, such "
            "as `jupyter execute`; install it for the launcher and the messages: `pip install jupyterlab`.",
        )
    missing = _missing()
    if missing:
        return Finding("front end", "problem", missing)
    settings = Path(os.environ.get("JUPYTERLAB_DIR") or Path(sys.prefix) / "share" / "jupyter" / "lab") / "settings"
    try:
        config = get_page_config(jupyter_path("labextensions"), str(settings))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return Finding("front end", "problem", f"JupyterLab's page_config.json cannot be read: {error}. Correct it.")
    disabled = _of_ours(config.get("disabledExtensions"))
    if not disabled:
        return Finding("front end", "ok", "The JupyterLab extension is installed and enabled.")
    where = _file_that_says("disabledExtensions", settings)
    locked = _of_ours(config.get("lockedExtensions"))
    unlock = f"`jupyter labextension unlock {locked[0]}`, then " if locked else ""
    return Finding(
        "front end",
        "problem",
        f"The JupyterLab extension is disabled{' and locked' if locked else ''}{f' ({where})' if where else ''}. "
        f"Enable it: {unlock}`jupyter labextension enable {disabled[0]}`.",
    )


def _missing() -> str | None:
    """What is missing of the JupyterLab extension, in words."""
    folder = next(
        (one for path in jupyter_path("labextensions") if (one := Path(path) / LAB_EXTENSION).is_dir()),
        None,
    )
    if folder is None:
        return "The JupyterLab extension is not installed. Install the wheel of jupyter_tfcontainer again."
    try:
        build = json.loads((folder / "package.json").read_text(encoding="utf-8"))["jupyterlab"]["_build"]
        built = (folder / build["load"]).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        built = False
    if built:
        return None
    return (
        f"The JupyterLab extension is not built: {folder} lacks what JupyterLab loads. Install the wheel of "
        "jupyter_tfcontainer again; in a clone of the sources, `make lab` builds it."
    )


def _of_ours(names: Any) -> list[str]:
    """Of a list of extensions and plugins those that are ours."""
    return [name for name in names or [] if name.partition(":")[0] == LAB_EXTENSION]


def _file_that_says(key: str, settings: Path) -> Path | None:
    """The file in which something is said of our extension, where it is one; another extension may do so as well."""
    folders = [*(Path(folder) / "labconfig" for folder in jupyter_config_path()), settings]
    for path in (folder / "page_config.json" for folder in folders):
        try:
            said = json.loads(path.read_text(encoding="utf-8")).get(key)
        except (OSError, ValueError, AttributeError):
            continue
        if _of_ours([name for name in said if not isinstance(said, dict) or said[name]] if said else []):
            return path
    return None
