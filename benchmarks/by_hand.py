"""What a person types without us: ``docker run`` of the notebook server in the image, and a notebook in that."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from homes import LEGACY

from .client import Client, clock

KERNEL = "python2"


async def first_start(workspace: Path) -> float:
    """Seconds from typing the command to the first reply of a kernel.

    Parameters
    ----------
    workspace
        the folder to work in
    """
    token = secrets.token_hex()
    begun = clock()
    container = await _docker(
        *("run", "--detach", "--rm", "--publish", "127.0.0.1::8888", "--volume", f"{workspace}:/notebooks", LEGACY),
        *("/run_jupyter.sh", "--allow-root", f"--NotebookApp.token={token}"),
    )
    try:
        port = (await _docker("port", container, "8888")).splitlines()[0].rpartition(":")[2]
        client = Client(f"http://127.0.0.1:{port}", token)
        await client.answers()
        session = await client.open(KERNEL)
        await session.channels.close()
        return session.times[-1] - begun
    finally:
        await _docker("rm", "--force", container)


async def _docker(*words: str) -> str:
    process = await asyncio.create_subprocess_exec("docker", *words, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"docker {words[0]} ended with status {process.returncode}.")
    return output.decode().strip()
