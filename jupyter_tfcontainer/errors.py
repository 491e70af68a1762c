"""What can go wrong, each with a sentence that says what happened, on which machine, and what to do.

::

    TFContainerError
    ├── EnvironmentInvalid          a kernelspec asks for something that is not there or ill-typed
    ├── EnvironmentNotFound
    ├── EnvironmentExists           there is another of that name, which would be overwritten
    ├── EnvironmentReadOnly         it is not the person's own
    ├── PolicyRefused               the administrator does not allow it
    ├── EngineError
    │   ├── EngineNotFound          nothing answers where an engine should
    │   ├── EnginePermissionDenied  it is there, and this person may not talk to it
    │   ├── EngineNotSupported      it works in a way that we cannot serve yet
    │   └── EngineFailed            it answered with an error that we have no better word for
    │       └── EngineSilent        it has not answered in time
    ├── GPUError
    │   ├── GPURouteMissing         the engine cannot hand over a GPU
    │   └── GPUNotFound             the machine has no such card
    ├── Incompatible                what the image has cannot run on this machine
    ├── WorkspaceRefused            it is a folder that no notebook may see
    ├── ImageError
    │   ├── ImageMissing            not there, and it may not or cannot be pulled
    │   ├── ImagePullFailed
    │   ├── ImageBuildFailed        it could not be built, prepared or made from a container
    │   ├── ImageArchiveFailed      it could not be written to a file, or read from one
    │   ├── ImageInvalid            what is asked for is no image that could be made
    │   ├── ImageNotFound           there is none to be removed or saved
    │   ├── ImageInUse              something would miss it
    │   ├── ImageBusy               another operation makes an image of that name
    │   ├── IPykernelMissing        nothing in the image can be a kernel
    │   └── OperationCancelled      somebody wanted no more of it
    ├── OperationNotFound
    ├── HomeError
    │   ├── HomeNotFound            nothing has been kept yet
    │   ├── HomeInUse               a container runs on it
    │   └── HomeNotRemoved          files of other users are in it
    └── ContainerError
        ├── ContainerNotFound
        ├── ContainerNameTaken      another container has the name that this one is to have
        ├── ContainerEnded          it ended before its kernel was there
        ├── ContainerElsewhere      another process started it, and only that one can reach into it
        ├── MountMissing            the folder inside is not the folder outside
        ├── OutputNotKept           what its kernel has said is in no recorder
        ├── PortClosed              nobody answers at a port of it
        ├── TensorBoardFailed       it is not there, or it ended before it listened
        └── KernelFailed            the kernel ended before it was ready

``str()`` of an error is what a person reads in JupyterLab's dialog; ``reason`` is what a program compares.
"""

from __future__ import annotations

from http import HTTPStatus


class TFContainerError(Exception):
    """The base of all errors of this package."""

    @property
    def reason(self) -> str:
        """A stable name for programs: that of the class."""
        return type(self).__name__

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that a handler answers with."""
        return next(status for kind, status in HTTP_STATUS.items() if isinstance(self, kind))


class EnvironmentInvalid(TFContainerError):
    """A kernelspec asks for something that is not there or ill-typed."""


class EnvironmentNotFound(TFContainerError):
    """No kernelspec of that name runs in a container."""


class EnvironmentExists(TFContainerError):
    """There is another environment of that name, which would be overwritten."""


class EnvironmentReadOnly(TFContainerError):
    """The environment is not the person's own to change."""


class PolicyRefused(TFContainerError):
    """The administrator does not allow it."""


class EngineError(TFContainerError):
    """Something is wrong with the container engine."""


class EngineNotFound(EngineError):
    """Nothing answers where an engine should."""


class EnginePermissionDenied(EngineError):
    """The engine is there, and this person may not talk to it."""


class EngineNotSupported(EngineError):
    """The engine works in a way that we cannot serve yet."""


class EngineFailed(EngineError):
    """The engine answered with an error that we have no better word for."""


class EngineSilent(EngineFailed):
    """The engine has not answered in time."""


class GPUError(TFContainerError):
    """Something is wrong with the GPU that an environment asks for."""


class GPURouteMissing(GPUError):
    """The engine cannot hand over a GPU."""


class GPUNotFound(GPUError):
    """The machine has no such card."""


class Incompatible(TFContainerError):
    """What the image has cannot run on this machine."""


class WorkspaceRefused(TFContainerError):
    """The workspace is a folder that no notebook may see."""


class ImageError(TFContainerError):
    """Something is wrong with an image."""


class ImageMissing(ImageError):
    """The image is not there, and it may not or cannot be pulled."""


class ImagePullFailed(ImageError):
    """The image could not be pulled."""


class ImageBuildFailed(ImageError):
    """The image could not be built, prepared or made from a container."""


class ImageArchiveFailed(ImageError):
    """The image could not be written to a file, or read from one."""


class ImageInvalid(ImageError):
    """What is asked for is no image that could be made."""


class ImageNotFound(ImageError):
    """There is no such image to be removed or saved."""


class ImageInUse(ImageError):
    """Something would miss the image."""


class ImageBusy(ImageError):
    """Another operation makes an image of that name."""


class IPykernelMissing(ImageError):
    """Nothing in the image can be a kernel."""


class OperationCancelled(ImageError):
    """Somebody wanted no more of an operation."""


class OperationNotFound(TFContainerError):
    """No operation of this process has that id."""


class HomeError(TFContainerError):
    """Something is wrong with the home of an environment."""


class HomeNotFound(HomeError):
    """There is no home of an environment of that name."""


class HomeInUse(HomeError):
    """A container runs on the home."""


class HomeNotRemoved(HomeError):
    """Files of other users keep a folder of ours from being removed."""


class ContainerError(TFContainerError):
    """Something is wrong with a container."""


class ContainerNotFound(ContainerError):
    """No container of ours has that id."""


class ContainerNameTaken(ContainerError):
    """Another container has the name that this one is to have."""


class ContainerEnded(ContainerError):
    """The container ended before its kernel was there."""


class ContainerElsewhere(ContainerError):
    """Another process started the container, and only that one can reach into it."""


class OutputNotKept(ContainerError):
    """What the container's kernel has said is in no recorder."""


class PortClosed(ContainerError):
    """Nobody answers at a port of the container."""


class TensorBoardFailed(ContainerError):
    """TensorBoard is not there, or it ended before it listened."""


class MountMissing(ContainerError):
    """The folder inside the container is not the folder outside."""


class KernelFailed(ContainerError):
    """The kernel ended before it was ready."""


# The most special first: the first that fits is taken.
HTTP_STATUS: dict[type[TFContainerError], HTTPStatus] = {
    EnvironmentInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    EnvironmentNotFound: HTTPStatus.NOT_FOUND,
    EnvironmentExists: HTTPStatus.CONFLICT,
    EnvironmentReadOnly: HTTPStatus.CONFLICT,
    PolicyRefused: HTTPStatus.FORBIDDEN,
    ContainerNotFound: HTTPStatus.NOT_FOUND,
    ContainerNameTaken: HTTPStatus.CONFLICT,
    ContainerElsewhere: HTTPStatus.CONFLICT,
    OutputNotKept: HTTPStatus.CONFLICT,
    PortClosed: HTTPStatus.SERVICE_UNAVAILABLE,
    TensorBoardFailed: HTTPStatus.CONFLICT,
    EngineFailed: HTTPStatus.BAD_GATEWAY,
    EngineError: HTTPStatus.SERVICE_UNAVAILABLE,
    GPUError: HTTPStatus.CONFLICT,
    Incompatible: HTTPStatus.CONFLICT,
    WorkspaceRefused: HTTPStatus.CONFLICT,
    ImageInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    ImageNotFound: HTTPStatus.NOT_FOUND,
    OperationNotFound: HTTPStatus.NOT_FOUND,
    HomeNotFound: HTTPStatus.NOT_FOUND,
    HomeError: HTTPStatus.CONFLICT,
    ImageError: HTTPStatus.CONFLICT,
    ContainerError: HTTPStatus.CONFLICT,
    TFContainerError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
