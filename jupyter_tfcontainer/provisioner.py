"""The kernel provisioner: jupyter_client's lifecycle verbs, each one call into the manager.

It works where no server runs (``jupyter execute``, nbconvert, papermill, ``jupyter console``), and on any event loop.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import zmq
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from .environments.environment import Environment
from .errors import ContainerNotFound, EngineError
from .kernels.container import Kernel, RunningContainer
from .manager import ContainerManager

# Seconds for which the end of a kernel that was asked to end is waited for: jupyter_client looks every 0.1 s only. One
# that has nothing to do ends much sooner; one that computes may not end at all.
END_LIMIT = 0.5
# Milliseconds between the attempts of a client's socket to reach a kernel that restarts.
RECONNECT_INTERVAL = 20
# Variables of the host process that mean nothing, or harm, in a container: its paths, and a parent process that is not
# there.
HOST_ONLY = frozenset(
    (
        "HOME",
        "JPY_PARENT_PID",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "PWD",
        "PYTHONHOME",
        "PYTHONPATH",
        "SHELL",
        "TMPDIR",
        "USER",
        "VIRTUAL_ENV",
    )
)


class TFContainerProvisioner(KernelProvisionerBase):
    """Runs a kernel in a container of its own.

    Parameters
    ----------
    **kwargs
        What jupyter_client gives: ``kernel_id``, ``kernel_spec``, ``parent``. It adds the kernelspec's ``config``,
        which is left to :class:`.Environment` to read: no kernelspec sets a trait of
        ours.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{name: kwargs[name] for name in ("kernel_id", "kernel_spec", "parent")})
        self.connection_info = {}
        #: The container that the kernel runs in, or last ran in.
        self.container: RunningContainer | None = None
        self._kernel: Kernel | None = None
        self._manager = ContainerManager.instance()
        self._fresh = False

    @property
    def _km(self) -> KernelManager:
        """The kernel manager that drives this provisioner."""
        assert isinstance(self.parent, KernelManager), "jupyter_client makes provisioners for a kernel manager"
        return self.parent

    @property
    def has_process(self) -> bool:
        """Whether there is a kernel, or one whose end has not been waited for."""
        return self._kernel is not None

    async def poll(self) -> int | None:
        """Whether the kernel still runs: None, or how it ended. Asks nobody: the supervisor pushes each end."""
        if self._kernel is None:
            return 0
        return self._kernel.exited.result().returncode if self._kernel.exited.done() else None

    async def wait(self) -> int | None:
        """Wait for the kernel's end."""
        if self._kernel is None:
            return 0
        # Shielded, since whoever gives up waiting shall not cancel the kernel's own future.
        how = await asyncio.shield(asyncio.wrap_future(self._kernel.exited))
        self._kernel = None
        return how.returncode

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group."""
        if self._kernel and self.container and not self._kernel.exited.done():
            await self._manager.threads.signal(self._manager.signal, self.container, self._kernel, signum)

    async def kill(self, restart: bool = False) -> None:
        """End the kernel's process group by SIGKILL."""
        await self.send_signal(9)

    async def terminate(self, restart: bool = False) -> None:
        """End the kernel's process group by SIGTERM."""
        await self.send_signal(15)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """The kernel has been asked to end: that it does is no news. Wait a moment for it."""
        if self._kernel and self.container:
            self._manager.expect_end(self.container, self._kernel)
            # Does not cancel it when the time is over.
            await asyncio.wait([asyncio.wrap_future(self._kernel.exited)], timeout=END_LIMIT)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Read the environment before anything is started, and leave the host's variables out of the launch."""
        self._environment()
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Launch the kernel, in its container if that still lives, else in a new one.

        Parameters
        ----------
        cmd
            not used: what runs inside is the supervisor's business
        **kwargs
            ``cwd``, the host folder to start in, and ``env``, the host process's variables with those of this launch

        Returns
        -------
        dict
            the connection information, which is the truth for jupyter_client

        Raises
        ------
        TFContainerError
            with what to do
        """
        manager, session = self._manager, self._km.session
        if taken := manager.taken_over(self.kernel_id):
            return self._resume(taken)
        # Clients of the old kernel find the new one this much sooner. Sockets made before keep libzmq's own 100 ms.
        self._km.context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_INTERVAL)
        cwd = Path(kwargs.get("cwd") or Path.cwd())
        environment = self._environment()
        start = manager.threads.start(
            manager.launch,
            environment,
            self._root(cwd),
            kernel_id=self.kernel_id,
            key=session.key.decode(),
            signature_scheme=session.signature_scheme,
            cwd=cwd,
            env=self._own_variables(kwargs["env"]),
            previous=self.container,
            fresh=self._fresh,
        )
        self._fresh = False
        try:
            container, kernel = await asyncio.shield(asyncio.wrap_future(start))
        except asyncio.CancelledError:
            # Whoever wanted the kernel has gone; the start goes on in its thread and must not leave it behind.
            start.add_done_callback(lambda done: None if done.exception() else manager.release(done.result()[0]))
            raise
        self.container, self._kernel = container, kernel
        info = manager.connection(container, session.key.decode(), session.signature_scheme)
        # The base class keeps this in a mutable class attribute: rebound, so that no two kernels share it.
        self.connection_info = cast(
            "KernelConnectionInfo", {**info, "kernel_name": self._km.kernel_name, "key": session.key}
        )
        return self.connection_info

    def _resume(self, container: RunningContainer) -> KernelConnectionInfo:
        """Have a kernel that runs already, since its server has died."""
        km, key = self._km, container.connection["key"].encode()
        km.session.key = key
        # Of the server before: jupyter_client would take it for its own, and not load what comes back here.
        Path(km.connection_file).unlink(missing_ok=True)
        self.container, self._kernel = container, container.kernel
        info = {**container.connection, "kernel_name": km.kernel_name, "key": key}
        self.connection_info = cast("KernelConnectionInfo", info)
        return self.connection_info

    @property
    def running(self) -> RunningContainer:
        """The container that the kernel runs in."""
        if self.container is None:
            raise ContainerNotFound("The kernel has no container: it is not running.")
        return self.container

    def restart_fresh(self) -> None:
        """Have the next launch of this kernel, which a restart makes, run in a new container."""
        self._fresh = True

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the container, unless a restart may want it: then the manager removes it when none comes."""
        if self.container and not restart:
            if not self.container.removed:
                try:
                    await self._manager.threads.call(self._manager.release, self.container)
                except EngineError as error:
                    # Its kernel has been ended all the same, and the container goes once the engine answers.
                    self.log.warning("A container could not be removed: %s", error)
            self.container = None

    async def get_provisioner_info(self) -> dict[str, Any]:
        """What identifies the kernel's container, beside what the base class tells."""
        info = await super().get_provisioner_info()
        info["container_id"] = self.container.id if self.container else None
        return info

    def _environment(self) -> Environment:
        """What to run in, as the kernelspec says."""
        return Environment.from_kernelspec(self._km.kernel_name, self.kernel_spec)

    def _root(self, cwd: Path) -> Path:
        """The workspace: the server's root folder; outside a server the kernel's start folder."""
        root = getattr(self._km.parent, "root_dir", None)
        return Path(root) if root else cwd

    def _own_variables(self, env: dict[str, str]) -> dict[str, str]:
        """Of a host process's variables, those that somebody set for this very launch.

        The environment's own are in the container already, and what the host process has is the host's.
        """
        return {
            name: value
            for name, value in env.items()
            if name not in HOST_ONLY
            and name not in self.kernel_spec.env
            and (os.environ.get(name) != value or name.startswith("KERNEL_"))
        }
