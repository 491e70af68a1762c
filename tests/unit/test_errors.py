"""The tree of errors."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus

import pytest

from jupyter_tfcontainer import errors
from jupyter_tfcontainer.errors import TFContainerError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TFContainerError)]
STATUS = {
    "TFContainerError": 500,
    "EnvironmentInvalid": 422,
    "EnvironmentNotFound": 404,
    "EnvironmentExists": 409,
    "EnvironmentReadOnly": 409,
    "PolicyRefused": 403,
    "EngineError": 503,
    "EngineNotFound": 503,
    "EnginePermissionDenied": 503,
    "EngineNotSupported": 503,
    "EngineFailed": 502,
    "EngineSilent": 502,
    "GPUError": 409,
    "GPURouteMissing": 409,
    "GPUNotFound": 409,
    "Incompatible": 409,
    "WorkspaceRefused": 409,
    "ImageError": 409,
    "ImageMissing": 409,
    "ImagePullFailed": 409,
    "ImageBuildFailed": 409,
    "ImageArchiveFailed": 409,
    "ImageInvalid": 422,
    "ImageNotFound": 404,
    "ImageInUse": 409,
    "ImageBusy": 409,
    "IPykernelMissing": 409,
    "OperationCancelled": 409,
    "OperationNotFound": 404,
    "HomeError": 409,
    "HomeNotFound": 404,
    "HomeInUse": 409,
    "HomeNotRemoved": 409,
    "ContainerError": 409,
    "ContainerNotFound": 404,
    "ContainerNameTaken": 409,
    "ContainerEnded": 409,
    "ContainerElsewhere": 409,
    "MountMissing": 409,
    "OutputNotKept": 409,
    "PortClosed": 503,
    "TensorBoardFailed": 409,
    "KernelFailed": 409,
}


def drawn() -> dict[str, str]:
    """The tree in the docstring: each class and its parent."""
    parents: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", line):
            depth = len(found[1]) // 4
            del branch[depth:]
            parents[found[2]] = branch[-1] if branch else "Exception"
            branch.append(found[2])
    return parents


def test_the_tree_is_as_it_is_drawn() -> None:
    assert drawn() == {kind.__name__: kind.__base__.__name__ for kind in KINDS if kind.__base__}


@pytest.mark.parametrize("kind", KINDS)
def test_status_and_reason(kind: type[TFContainerError]) -> None:
    error = kind("What happened.")
    assert isinstance(error.status, HTTPStatus)
    assert error.status == STATUS[kind.__name__]
    assert error.reason == kind.__name__
    assert str(error) == "What happened."


def test_a_new_kind_has_the_status_of_its_family() -> None:
    class Newer(errors.EngineNotFound):
        pass

    assert Newer("").status == HTTPStatus.SERVICE_UNAVAILABLE
