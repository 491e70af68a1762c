"""The command line's images: what it prints in a pipe and on a terminal, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing

import docker
import pexpect
import pytest
import registries
from command_line import PROGRAM, command
from homes import MODERN, Home
from kernels import TIMEOUT, until
from registries import Registry

MEGABYTE = 1_000_000
NAME = f"tfcontainer/test-images-cli-{registries.TOKEN}"


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with closing(docker.APIClient()) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client: docker.APIClient) -> Iterator[None]:
    with registries.nothing_left(client):
        yield


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A registry with a big image in it."""
    with registries.registry() as one, closing(docker.APIClient()) as client:
        registries.image(client, f"{one.name}/test/big:1", *(os.urandom(size * MEGABYTE) for size in (4, 1)))
        registries.push(client, f"{one.name}/test/big:1")
        yield one


def said(*arguments: str, status: int = 0) -> tuple[str, str]:
    """What a command prints in a pipe, on both streams."""
    done = command(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def terminal(*arguments: str) -> pexpect.spawn[str]:
    """Run a command on a terminal."""
    return pexpect.spawn(PROGRAM, [*arguments], encoding="utf-8", timeout=TIMEOUT, dimensions=(24, 120))


def test_pull_in_a_pipe(home: Home, registry: Registry) -> None:
    """One line for each step, and what came of it alone on standard output."""
    reference = f"{registry.name}/test/big:1"
    printed, errors = said("pull", reference)
    assert printed == f"The image {reference} was pulled on {os.uname().nodename}.\n"
    assert errors.splitlines()[0] == f"Pulling {reference}."
    assert set(errors.splitlines()[1:]) <= {"Downloading.", "Unpacking."}
    assert "\r" not in errors


def test_pull_on_a_terminal(home: Home, registry: Registry) -> None:
    """A bar, which is gone at the end; and none goes on after Ctrl-C."""
    with registries.slow(registry, 2 * MEGABYTE) as line:
        reference = f"{line.name}/test/big:1"
        process = terminal("pull", reference)
        process.expect(r"Downloading: +\d+%.*layers")
        process.expect("was pulled on")
        process.expect(pexpect.EOF)
        process.close()
        assert process.exitstatus == 0
        said("rmi", reference)
    # So slow that it goes on for as long as a busy machine may take to hear of Ctrl-C.
    with registries.slow(registry, MEGABYTE // 4) as line:
        reference = f"{line.name}/test/big:1"
        process = terminal("pull", reference)
        process.expect("Downloading")
        process.sendintr()
        process.expect(f"The pull of {reference} was cancelled by Ctrl-C.")
        process.expect(pexpect.EOF)
        process.close()
        assert process.exitstatus == 128 + signal.SIGINT
        assert until(lambda: line.connections == 0, TIMEOUT)


def test_ctrl_c_is_not_for_who_ignores_it(home: Home, registry: Registry) -> None:
    """A script lets it run in the background."""
    with registries.slow(registry, 2 * MEGABYTE) as line:
        reference = f"{line.name}/test/big:1"
        with subprocess.Popen(
            ["sh", "-c", 'trap "" INT; exec "$@"', "sh", PROGRAM, "pull", reference],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr
            assert process.stdout
            while process.stderr.readline() != "Downloading.\n":
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == f"The image {reference} was pulled on {os.uname().nodename}.\n"
        assert process.returncode == 0


def test_pull_that_fails(home: Home, registry: Registry) -> None:
    printed, errors = said("pull", f"{registry.name}/test/big:no", status=1)
    assert printed == ""
    assert "See that its name and tag are spelt right" in errors.splitlines()[-1]


def test_list_and_remove(home: Home, client: docker.APIClient) -> None:
    registries.image(client, f"{NAME}:1", b"1", parent=MODERN)
    home.add("tf", f"{NAME}:1")
    printed, _ = said("images", "--sizes")
    heads, *rows = printed.splitlines()
    assert heads.split() == ["IMAGE", "SIZE", "FOR", "ITSELF", "MADE", "ORIGIN", "PYTHON", "TENSORFLOW", "USED", "BY"]
    (row,) = [one for one in rows if one.startswith(f"{NAME}:1")]
    assert row.split()[-1] == "tf"
    models = json.loads(said("images", "--json")[0])
    assert f"{NAME}:1" in {name for one in models for name in one["references"]}
    _, errors = said("rmi", f"{NAME}:1", status=1)
    assert "is used by the environment tf" in errors
    assert said("rmi", "--force", f"{NAME}:1")[0] == f"Removed {NAME}:1.\n"


def test_build(home: Home, client: docker.APIClient) -> None:
    """Its log is printed as it comes; a failure ends with the line."""
    label = f"LABEL {registries.LABEL}={registries.TOKEN}"
    (home.workspace / "Dockerfile").write_text(f"FROM {MODERN}\n{label}\nRUN echo so far\n")
    printed, errors = said("build", "-t", f"{NAME}:built", "--environment", "mine")
    assert "the environment mine made for it" in printed
    assert "so far" in errors.splitlines()
    assert (home.data / "kernels" / "mine" / "kernel.json").exists()
    (home.workspace / "Dockerfile").write_text(f"FROM {MODERN}\n{label}\nRUN echo why; exit 4\n")
    _, errors = said("build", "-t", f"{NAME}:wrong", status=1)
    assert "at step 3 of 4, `RUN echo why; exit 4`" in errors
    _, errors = said("build", "--base", MODERN, status=1)
    assert "There is nothing to build" in errors


def test_save_and_load(home: Home, client: docker.APIClient) -> None:
    registries.image(client, f"{NAME}:saved", b"1")
    assert "was written to" in said("save", f"{NAME}:saved", "image.tar")[0]
    client.remove_image(f"{NAME}:saved")
    assert f"{NAME}:saved came from" in said("load", "image.tar")[0]


def test_prepare(home: Home) -> None:
    assert said("prepare", MODERN)[0] == f"The image {MODERN} has ipykernel already.\n"


def test_snapshot_of_nothing(home: Home) -> None:
    _, errors = said("snapshot", "nothing", status=1)
    assert errors.startswith("You have no container nothing")
