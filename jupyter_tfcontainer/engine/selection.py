"""Which engine it is to be: the first of the known addresses at which one answers."""

from __future__ import annotations

import platform

from ..errors import EngineError, EngineNotFound, EnginePermissionDenied
from .client import Engine
from .discovery import PODMAN, Address
from .podman_service import PodmanService


def connect(addresses: list[Address]) -> Engine:
    """The first engine that answers.

    Parameters
    ----------
    addresses
        where to look, in order

    Raises
    ------
    EngineError
        The most telling of what the addresses answered: a socket that may not be used says more than one that is not
        there.
    """
    failures: list[EngineError] = []
    for address in addresses:
        if address == PODMAN and not all(map(_is_absent, addresses, failures)):
            break
        try:
            return _served_podman() if address == PODMAN else Engine(address)
        except EngineError as error:
            failures.append(error)
    raise next((one for one in failures if not isinstance(one, EngineNotFound)), _nothing_found(addresses, failures))


def _is_absent(address: Address, failure: EngineError) -> bool:
    """Whether there is nothing at an address that the person could have meant: root's Podman is for root."""
    return isinstance(failure, EngineNotFound) or (isinstance(failure, EnginePermissionDenied) and address.podman)


def _served_podman() -> Engine:
    """Podman, by its program alone."""
    service = PodmanService()
    try:
        return Engine(Address(f"unix://{service.socket}", "its program"), service)
    except EngineError as error:
        raise service.failure() from error


def _nothing_found(addresses: list[Address], failures: list[EngineError]) -> EngineError:
    if len(failures) == 1:
        return failures[0]
    places = ", ".join(address.url.removeprefix("unix://") for address in addresses)
    return EngineNotFound(
        f"No container engine answers on {platform.node()} (looked at {places}). Install Docker (package docker.io on "
        f"Debian and Ubuntu), or start it: `sudo systemctl start docker`; one at another place is named by DOCKER_HOST."
    )
