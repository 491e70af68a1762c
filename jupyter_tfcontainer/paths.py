"""Where the folders of ours are on this machine."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

# From there links lead into the folders of any process of the person, whatever is mounted (proc(5)).
PROCESSES = Path("/proc")
# Where homes are that are being removed.
REMOVED = "removed"


def data_folder() -> Path:
    """Where the homes of the environments are."""
    return Path(jupyter_data_dir()).resolve() / "tfcontainer"


def home_folder(environment: str) -> Path:
    """The home of an environment."""
    return data_folder() / "homes" / environment


def server_folder(root: Path) -> Path:
    """A name for the folder of a server on a root folder, in which its sessions are."""
    return data_folder() / "servers" / f"{digest(root)}-{secrets.token_hex(4)}"


def servers(root: Path) -> list[Path]:
    """The folders of the servers on a root folder, alive or not."""
    return sorted((data_folder() / "servers").glob(f"{digest(root)}-*"))


def digest(root: Path) -> str:
    """A name for a folder, from its path."""
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]


def private_folders() -> tuple[Path, ...]:
    """The folders of Jupyter that no notebook may see or change, and ours in them."""
    return tuple(Path(folder).resolve() for folder in (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir()))


def state_roots(state_dir: str) -> list[Path]:
    """Where containers' folders may be, the preferred one first."""
    # The second is made readable by this user only, and must be its own.
    short = Path(f"/tmp/tfcontainer-{os.getuid()}")  # noqa: S108
    return [Path(state_dir).absolute()] if state_dir else [data_folder() / "c", short]


def homes() -> list[Path]:
    """The homes of all environments that have run, of those that are no more as well."""
    return folders_in(data_folder() / "homes")


def set_aside(home: Path) -> Path:
    """Have an environment's home gone at once, for it to be removed in peace; where it is now comes back."""
    removed = data_folder() / REMOVED
    removed.mkdir(mode=0o700, exist_ok=True)
    return home.rename(removed / f"{home.name}-{secrets.token_hex(4)}")


def kept_folders(state_dir: str) -> list[Path]:
    """The folders of containers and of servers, and the homes that were set aside."""
    places = [*state_roots(state_dir), data_folder() / "servers", data_folder() / REMOVED]
    return [one for place in places for one in folders_in(place)]


def folders_in(place: Path) -> list[Path]:
    """The folders in another; what a link leads to is not in there."""
    with suppress(FileNotFoundError):
        return sorted(Path(one.path) for one in os.scandir(place) if one.is_dir(follow_symlinks=False))
    return []
