"""Where an engine may be: an ordered list of addresses, each with the reason why it is tried."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Address:
    """One place to look for an engine.

    Parameters
    ----------
    url
        as in ``DOCKER_HOST``: ``unix://…``, ``tcp://…``, ``ssh://…``
    source
        who named it, for messages
    """

    url: str
    source: str

    @property
    def podman(self) -> bool:
        """Whether it looks like Podman's."""
        return "podman" in self.url

    @property
    def own(self) -> bool:
        """Whether it looks like an engine of one person, without root."""
        return "/user/" in self.url

    @property
    def socket(self) -> Path | None:
        """The Unix socket, or None for another kind of address."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None


# Not a place yet: its API service is to be started.
PODMAN = Address("podman", "its program")


def candidates(engine_url: str, environ: Mapping[str, str] = os.environ) -> list[Address]:
    """Where to look, in order.

    Parameters
    ----------
    engine_url
        the configured address; empty when none is
    environ
        the process's variables

    Returns
    -------
    list of Address
        One where somebody said which engine is meant: another in its place would be a surprise. Else the usual
        sockets, and at last Podman's program, where there is one.
    """
    if engine_url:
        return [Address(engine_url, "the setting engine_url")]
    if environ.get("DOCKER_HOST"):
        return [Address(environ["DOCKER_HOST"], "the variable DOCKER_HOST")]
    if context := _current_context():
        return [context]
    program = [PODMAN] if shutil.which("podman", path=environ.get("PATH", "")) else []
    return [*_usual(environ), *program]


def sockets(url: str, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The sockets of the engines of this machine, as far as one can know: that of an address, and the usual ones."""
    places = (one.socket for one in (Address(url, "the engine"), *_usual(environ)))
    return tuple(dict.fromkeys(one.resolve() for one in places if one and _is_socket(one)))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False  # where we may not look, no kernel of ours may either


def _usual(environ: Mapping[str, str]) -> list[Address]:
    # Set to nothing is not set (XDG Base Directory Specification).
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    paths = [
        "/var/run/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    ]
    return [Address(f"unix://{path}", "the usual place") for path in paths]


def _current_context() -> Address | None:
    """The endpoint of ``docker context``, unless it is the default one."""
    # Imported here: most that is asked of addresses takes no client of Docker.
    from docker.context import ContextAPI

    try:
        context = ContextAPI.get_current_context()
        name, host = context.Name, context.Host
    except Exception:  # noqa: BLE001 - docker-py raises that very class, and gives None for one that is gone
        return None  # an unreadable context is Docker's own to complain of: its other commands do
    return Address(host, f"Docker's context {name}") if host and name != "default" else None
