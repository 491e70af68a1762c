"""JupyterLab servers of a test's own, and what a person does in their pages."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from homes import Home
from kernels import until
from people import as_person

ROOT = Path(__file__).parent.parent.parent
# How a server tells where it is.
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+/\S*?)(?:lab|tree)\?token=")
START_SECONDS = 60
STOP_SECONDS = 60
# What a server writes for later, apart from the workspace: environments and their homes, settings, and how its pages
# look.
KEPT = ("data/kernels", "data/tfcontainer/homes", "config/lab")
# No word of news or of updates: nothing is asked of the network, and no toast covers the page.
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
# All of the usual places are below /run (/var/run is a link to it), and Podman's program alone would be enough.
HIDE_ENGINE = """
set -e
mount -t tmpfs tmpfs /run
for program in $(command -v podman); do mount --bind /dev/null "$program"; done
exec "$@"
"""


class Lab:
    """A JupyterLab server.

    Parameters
    ----------
    home
        its folders
    process
        it
    """

    def __init__(self, home: Home, process: subprocess.Popen[str], token: str) -> None:
        self.home = home
        self.token = token
        self.address = ""
        self._process = process
        self._log: list[str] = []
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def log(self) -> str:
        """What it printed."""
        return "".join(self._log)

    @property
    def page(self) -> str:
        """The address of a page that remembers nothing of the one before."""
        return f"{self.address}lab?token={self.token}&reset"

    def get(self, path: str) -> Any:
        """Ask its REST interface."""
        answer = requests.get(self.address + path, headers={"Authorization": f"token {self.token}"}, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, model: object) -> Any:
        """Have it make something."""
        headers = {"Authorization": f"token {self.token}"}
        answer = requests.post(self.address + path, json=model, headers=headers, timeout=START_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def delete(self, path: str) -> None:
        """Have it end or remove something; that is no fault that is gone already."""
        answer = requests.delete(
            self.address + path, headers={"Authorization": f"token {self.token}"}, timeout=STOP_SECONDS
        )
        if answer.status_code != HTTPStatus.NOT_FOUND:
            answer.raise_for_status()

    def clear(self) -> None:
        """Shut down what runs in it, as it is shut down at its end, and empty its folders; nothing may be left."""
        for one in self.get("api/terminals"):
            self.delete(f"api/terminals/{one['name']}")
        for one in self.get("api/kernels"):
            self.delete(f"api/kernels/{one['id']}")
        ended = until(lambda: not self.home.leftovers(), STOP_SECONDS)
        left = self.home.leftovers()
        if not ended:
            # Another file is not to fail as well.
            for one in self.get("api/tfcontainer/containers"):
                self.delete(f"api/tfcontainer/containers/{one['id']}")
        for folder in (self.home.workspace, *(self.home.root / path for path in KEPT)):
            if folder.exists():
                subprocess.run(["find", folder, "-mindepth", "1", "-delete"], check=True)
        assert ended, left

    def wait(self) -> None:
        """Wait until it listens."""
        assert self._told.wait(START_SECONDS), self.log
        assert self.address, self.log
        # It tells its address before it listens there.
        assert until(self._listens, START_SECONDS), self.log

    def kill(self) -> None:
        """End it by a crash."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)
        self._reader.join()

    def stop(self) -> None:
        """Stop it as a service manager does; it must end by itself, and well."""
        if self._process.returncode is not None:
            assert self._process.returncode == -signal.SIGKILL, self.log[-3000:]
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        status = self._process.poll()
        self._process.kill()
        self._reader.join()
        assert status == 0, self.log[-3000:]

    def _listens(self) -> bool:
        port = urlsplit(self.address).port
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._log.append(line)
                if not self.address and (match := ADDRESS.search(line)):
                    self.address = match[1]
                    self._told.set()
        self._told.set()


@contextmanager
def lab(
    home: Home,
    *options: str,
    program: Path | None = None,
    uid: int | None = None,
    engine_url: str | None = None,
    without_engine: bool = False,
    after: Lab | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Lab]:
    """A server on a home's workspace, stopped afterwards.

    Parameters
    ----------
    home
        its folders
    options
        of its command line
    program
        what starts it, if another than this environment's JupyterLab
    uid
        who runs it, if another than this process's
    engine_url
        its ``DOCKER_HOST``
    without_engine
        whether no engine is to be seen in any of the usual places
    after
        a server that has ended, in whose place this one comes: pages of the old find it
    variables
        what else is in its environment
    """
    folder = home.root / "config" / "labconfig"
    folder.mkdir(exist_ok=True)
    (folder / "default_setting_overrides.json").write_text(json.dumps(QUIET))
    token, port = (after.token, urlsplit(after.address).port) if after else (secrets.token_hex(), 0)
    command = [
        str(program or Path(sys.executable).with_name("jupyter-lab")),
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={home.workspace}",
        f"--IdentityProvider.token={token}",
        # Tests look at what runs: nothing is started that they do not ask for.
        "--ContainerManager.standby=0",
        *options,
    ]
    if uid is None:
        command += [] if os.geteuid() else ["--allow-root"]
    else:
        command = as_person(command, uid=uid)
        for path in (home.root, *home.root.rglob("*")):
            os.chown(path, uid, uid)
    if without_engine:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HIDE_ENGINE, "sh", *command]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "DOCKER"))}
    env.update({**home.variables(), **(variables or {})})
    if engine_url:
        env["DOCKER_HOST"] = engine_url
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    server = Lab(home, process, token)
    try:
        server.wait()
        yield server
    finally:
        server.stop()
