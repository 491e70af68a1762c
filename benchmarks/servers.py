"""Jupyter servers in processes of their own, on folders of their own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
from homes import Home, temporary_home

from .client import LOOK_INTERVAL, PATIENCE, Client

ROOT = Path(__file__).parent.parent
LOG_END = 3000
# Nothing but what is measured: the extensions that some of the environments have, and others have not.
WITHOUT = ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook_shim")
# No output is held back, however fast it comes.
UNLIMITED = ("iopub_data_rate_limit", "iopub_msg_rate_limit")


class Server:
    """A Jupyter server.

    Parameters
    ----------
    home
        its folders
    client
        of it
    process
        it
    ours
        whether our extension is loaded
    """

    def __init__(self, home: Home, client: Client, process: psutil.Popen, *, ours: bool) -> None:
        self.home, self.client, self.process, self.ours = home, client, process, ours

    @property
    def cpu(self) -> float:
        """Seconds that the server itself has computed for."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> int:
        """Bytes that the server itself has in memory."""
        return int(self.process.memory_info().rss)


@asynccontextmanager
async def server(
    *,
    python: str = sys.executable,
    ours: bool = False,
    transport: str = "tcp",
    variables: Mapping[str, str] | None = None,
    home: Home | None = None,
    more: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """A server that listens, stopped afterwards.

    Parameters
    ----------
    python
        the interpreter, and with it the virtual environment
    ours
        whether our extension is loaded
    transport
        of kernels' messages
    variables
        more of them, or others
    home
        its folders, where they are there already
    more
        extensions that are loaded, too
    """
    async with AsyncExitStack() as stack:
        home = home or stack.enter_context(temporary_home())
        token = secrets.token_hex()
        extensions = {**dict.fromkeys(WITHOUT, False), **dict.fromkeys(("benchmarks.extension", *more), True)}
        if python == sys.executable:
            extensions["jupyter_tfcontainer"] = ours
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": 0,
            "ServerApp.root_dir": home.workspace,
            "ServerApp.open_browser": False,
            "ServerApp.allow_root": True,
            "ServerApp.jpserver_extensions": extensions,
            "IdentityProvider.token": token,
            "KernelManager.transport": transport,
            **{f"ZMQChannelsWebsocketConnection.{name}": 0 for name in UNLIMITED},
        }
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        log = home.root / "log"
        # `-m` looks into the working folder first: the extension above is found there, and our own code.
        with log.open("ab") as output:
            process = psutil.Popen(
                [python, "-m", "jupyter_server", *(f"--{name}={value}" for name, value in options.items())],
                cwd=ROOT,
                env={**environ, **home.variables(), **(variables or {})},
                stdout=output,
                stderr=output,
            )
        try:
            yield Server(home, await _listening(home, process), process, ours=ours)
        except BaseException:
            print(f"The end of the server's log:\n{log.read_text(errors='replace')[-LOG_END:]}", file=sys.stderr)
            raise
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


async def _listening(home: Home, process: psutil.Popen) -> Client:
    """A client of a server, once it answers."""
    file = home.root / "run" / f"jpserver-{process.pid}.json"
    while not file.exists() or not file.read_text():
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with status {process.returncode}.")
        await asyncio.sleep(LOOK_INTERVAL)
    model = json.loads(file.read_text())
    client = Client(model["url"], model["token"])
    await client.answers()
    return client
