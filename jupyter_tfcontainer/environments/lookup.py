"""Finds the environments among this machine's kernelspecs."""

from __future__ import annotations

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from traitlets import TraitError

from ..errors import EnvironmentInvalid, EnvironmentNotFound
from .environment import Environment, is_environment

# What comes of a kernel.json that cannot be opened, is no JSON, or is not what Jupyter takes for a kernelspec.
UNREADABLE = (OSError, ValueError, TypeError, TraitError)


def find(name: str, specs: KernelSpecManager) -> Environment:
    """The environment of that name.

    Raises
    ------
    EnvironmentNotFound
        when there is no such kernelspec, or it is not one of ours
    EnvironmentInvalid
        when it cannot be read
    """
    return Environment.from_kernelspec(name, find_spec(name, specs))


def find_spec(name: str, specs: KernelSpecManager) -> KernelSpec:
    """The kernelspec of the environment of that name, whether what it says can be read or not.

    Raises
    ------
    EnvironmentNotFound
        when there is no such kernelspec, or it is not one of ours
    EnvironmentInvalid
        when it is no kernelspec at all
    """
    try:
        spec = specs.get_kernel_spec(name)
    except UNREADABLE as error:
        folder = specs.find_kernel_specs().get(name)
        raise EnvironmentInvalid(
            f"The kernelspec {name} cannot be read: {error}. Correct kernel.json in {folder}, or remove that folder."
        ) from error
    except NoSuchKernel:
        raise EnvironmentNotFound(
            f"There is no environment named {name}. `jupyter tfcontainer list` shows what there is."
        ) from None
    if not is_environment(spec):
        raise EnvironmentNotFound(f"The kernelspec {name} does not run in a container.")
    return spec
