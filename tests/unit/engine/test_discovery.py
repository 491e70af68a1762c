"""Where an engine is looked for, and what is said where none answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest
from people import as_person

from jupyter_tfcontainer.engine import Address, candidates, connect, connection, sockets
from jupyter_tfcontainer.engine.discovery import PODMAN
from jupyter_tfcontainer.errors import EngineError, EngineFailed, EngineNotFound, EnginePermissionDenied

USUAL = [
    "unix:///var/run/docker.sock",
    "unix:///run/user/7/docker.sock",
    "unix:///run/user/7/podman/podman.sock",
    "unix:///run/podman/podman.sock",
]
STRANGER = 4321


@pytest.fixture(autouse=True)
def no_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The person's own configuration of Docker says nothing here."""
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, which everyone may enter."""
    path = Path(tempfile.mkdtemp(prefix="tfc-d-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


# The order.


def test_usual_places() -> None:
    found = candidates("", {"XDG_RUNTIME_DIR": "/run/user/7"})
    assert [one.url for one in found] == USUAL
    assert {one.source for one in found} == {"the usual place"}


def test_sockets_that_are_there(folder: Path) -> None:
    """Of the engine that is used, and of others; one at which nobody may look is none."""
    (folder / "link").symlink_to(folder / "docker.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "docker.sock"))
        for url in (f"unix://{folder}/link", f"unix://{folder}/{'x' * 300}", "tcp://localhost:1"):
            found = sockets(url, {"XDG_RUNTIME_DIR": str(folder)})
            assert [one for one in found if one.is_relative_to(folder)] == [folder / "docker.sock"]


@pytest.mark.parametrize("environ", [{}, {"XDG_RUNTIME_DIR": ""}, {"DOCKER_HOST": ""}])
def test_runtime_folder_where_nobody_names_it(environ: dict[str, str]) -> None:
    assert f"unix:///run/user/{os.getuid()}/docker.sock" in [one.url for one in candidates("", environ)]


def program(folder: Path) -> str:
    """A PATH with a program named podman, which does nothing but leave word that it ran."""
    (folder / "podman").write_text(f"#!/bin/sh\necho 'it ran' | tee {folder}/ran >&2\nexit 1\n")
    (folder / "podman").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_podmans_program_is_the_last(folder: Path) -> None:
    path = program(folder)
    assert [one.url for one in candidates("", {"XDG_RUNTIME_DIR": "/run/user/7", "PATH": path})] == [*USUAL, "podman"]
    assert [one.url for one in candidates("", {"DOCKER_HOST": "unix:///x", "PATH": path})] == ["unix:///x"]
    (folder / "podman").chmod(0o644)
    assert PODMAN not in candidates("", {"PATH": str(folder)})


def test_podmans_program_is_for_who_has_no_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that the person may not use, or that is ill, is one that they have: another would be a surprise."""
    monkeypatch.setenv("PATH", program(folder))
    with serving(folder / "web.sock", saying(404, "not found")) as ill:
        assert type(answer(at(folder / "a.sock"), ill, PODMAN)) is EngineFailed
    assert not (folder / "ran").exists()
    assert "it ran" in str(answer(at(folder / "a.sock"), at(stale(folder / "b.sock")), PODMAN))


def test_docker_host_is_the_only_one() -> None:
    """Another in its place would be a surprise."""
    assert candidates("", {"DOCKER_HOST": "tcp://other:2376"}) == [
        Address("tcp://other:2376", "the variable DOCKER_HOST")
    ]


def test_the_setting_comes_before_docker_host() -> None:
    assert candidates("unix:///mine.sock", {"DOCKER_HOST": "tcp://other:2376"}) == [
        Address("unix:///mine.sock", "the setting engine_url")
    ]


def docker(*arguments: str) -> None:
    """Run Docker's command line, which asks no engine for this."""
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_current_context() -> None:
    docker("context", "create", "lab", "--docker", "host=unix:///run/lab.sock")
    assert [one.url for one in candidates("", {"XDG_RUNTIME_DIR": "/run/user/7"})] == USUAL  # made, and not chosen
    docker("context", "use", "lab")
    assert candidates("", {}) == [Address("unix:///run/lab.sock", "Docker's context lab")]
    assert [one.url for one in candidates("", {"DOCKER_HOST": "tcp://x:1"})] == ["tcp://x:1"]
    docker("context", "use", "default")
    assert len(candidates("", {})) == len(USUAL)


def test_a_context_that_is_gone_or_cannot_be_read(tmp_path: Path) -> None:
    """That is for Docker's own commands to complain of."""
    docker("context", "create", "lab", "--docker", "host=unix:///run/lab.sock")
    docker("context", "use", "lab")
    (meta,) = (tmp_path / "docker" / "contexts" / "meta").glob("*/meta.json")
    meta.write_text("{")
    assert len(candidates("", {})) == len(USUAL)
    shutil.rmtree(meta.parent)
    assert len(candidates("", {})) == len(USUAL)
    (tmp_path / "docker" / "config.json").write_text("no JSON")
    assert len(candidates("", {})) == len(USUAL)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("unix:///var/run/docker.sock", Path("/var/run/docker.sock")),
        ("tcp://127.0.0.1:2375", None),
        ("ssh://me@there", None),
    ],
)
def test_socket(url: str, path: Path | None) -> None:
    assert Address(url, "").socket == path


# Who answers.


def at(path: Path) -> Address:
    """The address of a socket."""
    return Address(f"unix://{path}", "a test")


def answer(*addresses: Address) -> EngineError:
    """What is said where no engine answers."""
    with pytest.raises(EngineError) as caught:
        connect(list(addresses))
    return caught.value


def stale(path: Path) -> Path:
    """The socket of a program that has ended: the file stays."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    return path


class Server(ThreadingMixIn, UnixStreamServer):
    """An HTTP server on a Unix socket."""

    daemon_threads = True


def saying(status: int, body: str, versioned: str | None = None) -> type[BaseHTTPRequestHandler]:
    """A handler that answers everything alike, but for what is asked in a version of the API."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = versioned if versioned and self.path.startswith("/v") else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving(path: Path, handler: type[BaseRequestHandler]) -> Iterator[Address]:
    """A server in a thread."""
    with Server(str(path), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield at(path)
        finally:
            server.shutdown()
            thread.join()


def test_nothing_there(folder: Path) -> None:
    error = answer(at(folder / "docker.sock"))
    assert type(error) is EngineNotFound
    for words in (f"no container engine at {folder}/docker.sock", "named by a test", "systemctl start docker"):
        assert words in str(error)


def test_not_listening(folder: Path) -> None:
    error = answer(at(stale(folder / "docker.sock")))
    assert type(error) is EngineNotFound
    for words in (f"Nothing listens at {folder}/docker.sock", "is not running", "systemctl start docker"):
        assert words in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>Welcome</html>"), (404, "not found"), (500, '{"message": "broken"}'), (200, "[]"), (200, '"ok"')],
)
def test_not_an_engine(folder: Path, status: int, body: str) -> None:
    with serving(folder / "web.sock", saying(status, body)) as address:
        error = answer(address)
    assert type(error) is EngineFailed
    for words in (f"{folder}/web.sock", "named by a test", "does not answer as one"):
        assert words in str(error)


def test_hangs_up(folder: Path) -> None:
    with serving(folder / "rude.sock", BaseRequestHandler) as address:
        error = answer(address)
    assert type(error) is EngineFailed
    assert "does not answer as one" in str(error)


def test_never_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "mute.sock"))
        listener.listen()
        error = answer(at(folder / "mute.sock"))
    assert type(error) is EngineFailed
    assert "does not answer as one" in str(error)


def test_no_address() -> None:
    error = answer(Address("docker.sock", "the setting engine_url"))
    assert "docker.sock, named by the setting engine_url" in str(error)


# As somebody else, since root may use every socket.
ASK = """
import sys
from jupyter_tfcontainer.engine import Address, connect
from jupyter_tfcontainer.errors import EngineError
try:
    connect([Address(url, "a test") for url in sys.argv[1:]])
except EngineError as error:
    print(error.reason, error, sep="\\n")
"""


def ask_as_stranger(*paths: Path) -> tuple[str, str]:
    """What somebody is told who belongs to no group of this machine."""
    urls = [f"unix://{path}" for path in paths]
    command = as_person([sys.executable, "-c", ASK, *urls], uid=STRANGER)
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd="/").stdout
    reason, _, sentence = said.partition("\n")
    return reason, sentence


def test_no_permission(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "docker.sock"))
        listener.listen()
        (folder / "docker.sock").chmod(0o660)
        reason, sentence = ask_as_stranger(folder / "docker.sock")
    assert reason == EnginePermissionDenied.__name__
    for words in (f"{folder}/docker.sock", "is there, but you may not use it", "usermod -aG docker", "rootless"):
        assert words in sentence


@pytest.mark.parametrize(
    ("place", "start"),
    [
        ("podman/podman.sock", "`sudo systemctl start podman.socket`"),
        ("user/7/podman/podman.sock", "`systemctl --user start podman.socket`"),
        ("user/7/docker.sock", "`systemctl --user start docker`"),
        ("docker.sock", "`sudo systemctl start docker`"),
    ],
)
def test_advice_is_for_the_engine_that_is_meant(folder: Path, place: str, start: str) -> None:
    path = folder / place
    package = "podman" if "podman" in place else "docker.io"
    sentence = str(answer(at(path)))
    assert start in sentence
    assert f"(package {package} on" in sentence or f"(package {package})" in sentence
    path.parent.mkdir(parents=True, exist_ok=True)
    assert start in str(answer(at(stale(path))))


def test_podman_of_root(folder: Path) -> None:
    """Nobody is added to a group for it: each person may have their own."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "podman.sock"))
        listener.listen()
        (folder / "podman.sock").chmod(0o600)
        reason, sentence = ask_as_stranger(folder / "podman.sock")
    assert reason == EnginePermissionDenied.__name__
    assert "`systemctl --user start podman.socket`" in sentence
    assert "usermod" not in sentence


def test_of_several_the_most_telling(folder: Path) -> None:
    """A socket that may not be used says more than ones that are not there, wherever it is in the order."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "closed.sock"))
        listener.listen()
        (folder / "closed.sock").chmod(0o600)
        missing, old = folder / "missing.sock", stale(folder / "old.sock")
        old.chmod(0o666)
        reason, sentence = ask_as_stranger(missing, old, folder / "closed.sock", missing)
    assert reason == EnginePermissionDenied.__name__
    assert "closed.sock" in sentence


def test_of_several_that_are_not_there_all_are_named(folder: Path) -> None:
    error = answer(at(folder / "a.sock"), at(stale(folder / "b.sock")))
    assert type(error) is EngineNotFound
    for words in (f"looked at {folder}/a.sock, {folder}/b.sock", "Install Docker", "DOCKER_HOST"):
        assert words in str(error)


def test_a_web_server_says_more_than_what_is_not_there(folder: Path) -> None:
    with serving(folder / "web.sock", saying(404, "not found")) as address:
        assert type(answer(at(folder / "a.sock"), address, at(folder / "b.sock"))) is EngineFailed


INFO = '{"Name": "tower", "Version": "1", "Components": [{"Name": "Podman Engine"}]}'


# Docker 28.5 tells of its devices only if asked in a version of the API that has them, or in none.
DOCKER = '{"Version": "28.5.2", "ApiVersion": "1.51", "CDISpecDirs": ["/etc/cdi"]}'
DEVICES = ', "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}'


def test_devices_that_a_newer_api_tells_of(folder: Path) -> None:
    with serving(folder / "docker.sock", saying(200, DOCKER[:-1] + DEVICES, versioned=DOCKER)) as address:
        engine = connect([address])
        assert engine.facts.version == "28.5.2"
        assert engine.gpu_route() == "cdi"
        engine.close()


def test_the_first_that_answers(folder: Path) -> None:
    """Those before it do not matter, and those after it are not asked."""
    with serving(folder / "one.sock", saying(200, INFO)) as one, serving(folder / "two.sock", saying(200, INFO)) as two:
        engine = connect([at(folder / "missing.sock"), at(stale(folder / "old.sock")), one, two])
        assert engine.facts.url == one.url
        assert engine.facts.name == "Podman 1 on tower"
        engine.close()
