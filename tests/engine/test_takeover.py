"""Kernels outlive their Jupyter server: the next one on the same folder has them, with all that is in them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from homes import LEGACY, MODERN, Home, engine_client, temporary_home
from jupyter_client.blocking.client import BlockingKernelClient
from kernels import TIMEOUT, until, value

from jupyter_tfcontainer.engine import labels

# Seconds that a server may take to start, with twenty kernels to take over, or to answer, on a machine that has much
# else to do.
SERVER_TIMEOUT = 60
TOKEN = secrets.token_hex()
# The supervisor's socket, as a kernel sees it.
CONTROL = "glob.glob('/tfcontainer/run/*/control.sock')[0]"


class Process:
    """A Jupyter server in a process of its own.

    Parameters
    ----------
    home
        its folders
    root
        its root folder
    settings
        of its command line
    """

    def __init__(self, home: Home, root: Path, *settings: str) -> None:
        self.home = home
        self.log: list[str] = []
        #: Its address.
        self.url = ""
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.ip=127.0.0.1"),
                *("--ServerApp.port=0", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}"),
                "--ServerApp.jpserver_extensions={'jupyter_tfcontainer': True}",
                # What is started here is what is asked for.
                "--ContainerManager.standby=0",
                *([] if os.geteuid() else ["--allow-root"]),
                *settings,
            ],
            env={**os.environ, **home.variables()},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._ready.wait(SERVER_TIMEOUT), "".join(self.log)
        port = urlsplit(self.url).port
        # It tells its address before it listens there.
        with socket() as one:
            assert until(lambda: one.connect_ex(("127.0.0.1", port)) == 0, TIMEOUT), "".join(self.log)

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                self.log.append(line)
                if match := re.search(r"(http://127\.0\.0\.1:\d+/)\S*token=", line):
                    self.url = match[1]
                    self._ready.set()
        self._ready.set()

    def ask(self, method: str, path: str, model: Any = None) -> Any:
        """Ask its REST interface."""
        headers = {"Authorization": f"token {TOKEN}"}
        answer = requests.request(method, self.url + path, json=model, headers=headers, timeout=SERVER_TIMEOUT)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        """Get something."""
        return self.ask("GET", path)

    def session(self, path: str, environment: str) -> Any:
        """Start a kernel for a notebook."""
        model = {"path": path, "name": Path(path).name, "type": "notebook", "kernel": {"name": environment}}
        return self.ask("POST", "api/sessions", model)

    def waits(self) -> bool:
        """Whether it has nothing to do at the moment."""
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    def end(self, number: int) -> None:
        """End it by a signal."""
        self._process.send_signal(number)
        self._process.wait(TIMEOUT)
        self._reader.join()


@contextmanager
def server(home: Home, *settings: str, root: Path | None = None) -> Iterator[Process]:
    """A server, which is gone afterwards, with all that it has."""
    process = Process(home, root or home.workspace, *settings)
    try:
        yield process
    finally:
        process.end(signal.SIGTERM)


@pytest.fixture
def folders() -> Iterator[Home]:
    with temporary_home() as home:
        home.add("old", LEGACY)
        home.add("new", MODERN)
        (home.workspace / "sub").mkdir()
        yield home


@contextmanager
def client(home: Home, kernel_id: str) -> Iterator[BlockingKernelClient]:
    """A client of a kernel, by its server's own connection file."""
    one = BlockingKernelClient(connection_file=str(home.root / "run" / f"kernel-{kernel_id}.json"))
    one.load_connection_file()
    one.start_channels()
    try:
        yield one
    finally:
        one.stop_channels()
        one.context.destroy()


def log_of(container: str) -> str:
    """What a container has printed."""
    with closing(engine_client()) as engine:
        return str(engine.logs(container).decode())


def states(process: Process) -> dict[str, str]:
    """What the kernels of notebooks do, by the notebooks' names."""
    return {Path(one["path"]).stem: one["kernel"]["execution_state"] for one in process.get("api/sessions")}


def test_all_is_as_it_was(folders: Home) -> None:
    """Ids, sessions, variables; what computes goes on, and what waits is found idle."""
    first = Process(folders, folders.workspace)
    sessions = {name: first.session(f"sub/{name}.ipynb", name[:3]) for name in ("old1", "old2", "new1", "new2")}
    alone = first.ask("POST", "api/kernels", {"name": "new", "path": "sub"})
    for name, session in sessions.items():
        with client(folders, session["kernel"]["id"]) as one:
            one.wait_for_ready(timeout=TIMEOUT)
            value(one, f"import os, time; kept = {name!r}; cwd = os.getcwd()")
            if name.endswith("2"):
                one.execute("while not os.path.exists('stop'): time.sleep(0.05)\nopen(kept, 'w').write('computed')")
    containers = sorted(one["Id"] for one in folders.containers())
    first.end(signal.SIGKILL)

    begun = time.monotonic()
    with server(folders) as second:
        print(f"back after {time.monotonic() - begun:.1f} s")
        found = {one["id"]: one for one in second.get("api/sessions")}
        assert {one["id"] for one in sessions.values()} == set(found)
        for name, session in sessions.items():
            again = found[session["id"]]
            assert [again[key] for key in ("path", "name", "type")] == [
                f"sub/{name}.ipynb",
                f"{name}.ipynb",
                "notebook",
            ]
            assert again["kernel"]["id"] == session["kernel"]["id"]
            assert again["kernel"]["name"] == name[:3]
        assert alone["id"] in {one["id"] for one in second.get("api/kernels")}
        # One that waits says so by itself, and one that computes is busy.
        wanted = {"old1": "idle", "old2": "busy", "new1": "idle", "new2": "busy"}
        assert until(lambda: states(second) == wanted, TIMEOUT), states(second)
        (folders.workspace / "sub" / "stop").touch()
        assert until(lambda: set(states(second).values()) == {"idle"}, TIMEOUT), states(second)
        for name, session in sessions.items():
            with client(folders, session["kernel"]["id"]) as one:
                one.wait_for_ready(timeout=TIMEOUT)
                assert value(one, "print(kept, os.getcwd() == cwd)") in (f"{name} True", f"({name!r}, True)")
                if name.endswith("2"):
                    assert (folders.workspace / "sub" / name).read_text() == "computed"
        assert sorted(one["Id"] for one in folders.containers()) == containers
        # They are this server's in every way.
        kernel = sessions["old1"]["kernel"]["id"]
        second.ask("POST", f"api/kernels/{kernel}/interrupt")
        second.ask("POST", f"api/kernels/{kernel}/restart")
        assert sorted(one["Id"] for one in folders.containers()) == containers
        with client(folders, kernel) as one:
            one.wait_for_ready(timeout=TIMEOUT)
            assert value(one, "print('kept' in globals())") == "False"
        second.ask("DELETE", f"api/sessions/{sessions['new1']['id']}")
        assert len(folders.containers()) == len(containers) - 1
    assert folders.containers() == []
    assert list((folders.data / "tfcontainer" / "servers").glob("*")) == []


def test_a_server_that_lives_keeps_its_kernels(folders: Home) -> None:
    """Nor does a server on another folder get those of one that has died."""
    with server(folders) as first:
        kernel = first.session("one.ipynb", "new")["kernel"]["id"]
        with server(folders) as second:
            assert second.get("api/sessions") == second.get("api/kernels") == []
        assert [one["id"] for one in first.get("api/kernels")] == [kernel]
        assert len(folders.containers()) == 1
        dead = Process(folders, folders.workspace / "sub")
        other = dead.session("two.ipynb", "new")["kernel"]["id"]
        dead.end(signal.SIGKILL)
        with server(folders) as third:
            assert third.get("api/sessions") == third.get("api/kernels") == []
        with server(folders, root=folders.workspace / "sub") as fourth:
            assert [one["kernel"]["id"] for one in fourth.get("api/sessions")] == [other]
        with client(folders, kernel) as one:
            one.wait_for_ready(timeout=TIMEOUT)
    assert folders.containers() == []


# A server's configuration, with an engine that does not answer before a file is there.
LATE = """
import time
from jupyter_tfcontainer.server import sessions
from jupyter_tfcontainer.manager import ContainerManager

sessions.PATIENCE, take_over = 0.2, ContainerManager.take_over

def late(manager, root):
    while not (root / "answer").exists():
        time.sleep(0.02)
    return take_over(manager, root)

ContainerManager.take_over = late
"""


def test_an_engine_that_answers_late(folders: Home) -> None:
    """The server starts without it, and has the kernels when it answers."""
    first = Process(folders, folders.workspace)
    kernel = first.session("one.ipynb", "new")["kernel"]["id"]
    first.end(signal.SIGKILL)
    Path(folders.variables()["JUPYTER_CONFIG_DIR"], "jupyter_server_config.py").write_text(LATE)
    with server(folders) as second:
        assert second.get("api/sessions") == second.get("api/kernels") == []
        assert "come back when it does" in "".join(second.log)
        (folders.workspace / "answer").touch()
        assert until(lambda: [one["kernel"]["id"] for one in second.get("api/sessions")] == [kernel], TIMEOUT)
        with client(folders, kernel) as one:
            one.wait_for_ready(timeout=TIMEOUT)
    assert folders.containers() == []


def test_two_at_a_time(folders: Home) -> None:
    """Each kernel has one server, and its session is there."""
    first = Process(folders, folders.workspace)
    kernels = {first.session(f"{number}.ipynb", "new")["kernel"]["id"] for number in range(3)}
    first.end(signal.SIGKILL)
    with ThreadPoolExecutor(2) as pool:
        second, third = pool.map(lambda _: Process(folders, folders.workspace), range(2))
    try:
        found = [one["kernel"]["id"] for process in (second, third) for one in process.get("api/sessions")]
        assert sorted(found) == sorted(kernels)
    finally:
        second.end(signal.SIGTERM)
        third.end(signal.SIGTERM)
    assert folders.containers() == []


def test_kernels_that_are_to_be_kept(folders: Home) -> None:
    """What the settings say holds for an orderly stop; what waits for a kernel goes all the same."""
    folders.configure(keep_kernels=True)
    first = Process(folders, folders.workspace)
    kernel = first.session("one.ipynb", "old")["kernel"]["id"]
    first.ask("POST", "api/tfcontainer/containers", {"environment": "new"})
    with client(folders, kernel) as one:
        one.wait_for_ready(timeout=TIMEOUT)
        value(one, "kept = 1")
    assert len(folders.containers()) == 2
    first.end(signal.SIGTERM)
    assert len(folders.containers()) == 1
    folders.configure()
    with server(folders) as second:
        assert [one["kernel"]["id"] for one in second.get("api/sessions")] == [kernel]
        with client(folders, kernel) as one:
            one.wait_for_ready(timeout=TIMEOUT)
            assert value(one, "print(kept)") == "1"
    assert folders.containers() == []


def test_what_cannot_be_taken_over(folders: Home) -> None:
    """A kernel that has ended, one that hides its supervisor, and one of another version of ours."""
    first = Process(folders, folders.workspace)
    ended, hidden, other = (first.session(f"{number}.ipynb", "new")["kernel"]["id"] for number in range(3))
    first.ask("POST", "api/tfcontainer/containers", {"environment": "old"})
    states = {one["kernel"]["id"]: one["id"] for one in first.get("api/tfcontainer/containers") if one["kernel"]}
    places = {one["Id"]: Path(one["Labels"][labels.FOLDER]) for one in folders.containers()}
    with socket(AF_UNIX) as listener:
        engine = folders.root / "engine.sock"
        listener.bind(str(engine))
        listener.listen()
        first.end(signal.SIGKILL)
        with client(folders, ended) as one:
            one.wait_for_ready(timeout=TIMEOUT)
            one.execute("import os; os._exit(3)")
            assert until(lambda: "ended" in log_of(states[ended]), TIMEOUT)
        with client(folders, hidden) as one:
            one.wait_for_ready(timeout=TIMEOUT)
            run = places[states[hidden]] / "run"
            value(one, f"import glob, os; it = {CONTROL}; os.remove(it); os.symlink({str(engine)!r}, it)")
            assert (run / "control.sock").is_symlink()
        record = places[states[other]] / "state.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "definition": None}))
        with server(folders) as second:
            assert second.get("api/sessions") == second.get("api/kernels") == []
            log = "".join(second.log)
            assert "The kernel of NEW ended while no server was there to be told" in log
            for number in (hidden, other):
                assert f"The kernel in container {states[number][:12]} could not be taken over" in log
            # Those that may be of use yet stay, and end by themselves; what waited for a kernel does not.
            assert until(
                lambda: {one["Id"] for one in folders.containers()} == {states[hidden], states[other]}, TIMEOUT
            )
            # Nothing was sent to what the kernel would have had us take for its supervisor.
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
            for number in (hidden, other):
                second.ask("DELETE", f"api/tfcontainer/containers/{states[number]}")
    for place in places.values():
        shutil.rmtree(place, ignore_errors=True)
