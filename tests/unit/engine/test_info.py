"""What an engine says of itself; the answers are those of the engines named, shortened."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_tfcontainer.engine import EngineFacts

URL = "unix:///var/run/docker.sock"
DOCKER = {
    "Name": "tower",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Architecture": "x86_64",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
    "NCPU": 2,
    "MemTotal": 8_000_000_000,
    "LoggingDriver": "json-file",
    "DockerRootDir": "/var/lib/docker",
    "Runtimes": {"runc": {"path": "runc"}, "io.containerd.runc.v2": {"path": "runc"}},
}
DOCKER_VERSION = {"Version": "20.10.24+dfsg1", "Components": [{"Name": "Engine", "Version": "20.10.24+dfsg1"}]}
PODMAN_VERSION = {"Version": "4.3.1", "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}


def facts(version: dict[str, Any] = DOCKER_VERSION, **info: Any) -> EngineFacts:
    """The facts of Docker 20.10 with some things said differently."""
    return EngineFacts.from_engine(URL, {**DOCKER, **info}, version)


def test_docker() -> None:
    assert facts() == EngineFacts(
        kind="docker",
        version="20.10.24+dfsg1",
        host="tower",
        url=URL,
        operating_system="Debian GNU/Linux 12 (bookworm)",
        architecture="x86_64",
        rootless=False,
        user_namespaces=False,
        virtual_machine=False,
        cpus=2,
        memory=8_000_000_000,
        log_driver="json-file",
        data_root="/var/lib/docker",
        runtimes=("io.containerd.runc.v2", "runc"),
        cdi_devices=(),
        cdi_unlisted=False,
    )
    assert facts().name == "Docker 20.10.24+dfsg1 on tower"


def test_podman() -> None:
    told = facts(PODMAN_VERSION, Rootless=True, LoggingDriver="")
    assert (told.kind, told.rootless, told.log_driver) == ("podman", True, "")
    assert told.name == "Podman 4.3.1 on tower"


def test_podman_with_root() -> None:
    assert not facts(PODMAN_VERSION, Rootless=False).rootless


@pytest.mark.parametrize(
    ("options", "rootless", "user_namespaces"),
    [
        (["name=seccomp,profile=default", "name=rootless", "name=cgroupns"], True, False),
        (["name=apparmor", "name=userns"], False, True),
        ([], False, False),
        (None, False, False),
    ],
)
def test_security_options(options: list[str] | None, rootless: bool, user_namespaces: bool) -> None:
    told = facts(SecurityOptions=options)
    assert (told.rootless, told.user_namespaces) == (rootless, user_namespaces)


def test_docker_desktop_is_a_virtual_machine() -> None:
    assert facts(OperatingSystem="Docker Desktop").virtual_machine


def test_runtimes_and_cdi_devices() -> None:
    told = facts(
        Runtimes={"runc": {}, "nvidia": {}},
        DiscoveredDevices=[
            {"Source": "cdi", "ID": "nvidia.com/gpu=0"},
            {"Source": "other", "ID": "x"},
            {"Source": "cdi", "ID": "nvidia.com/gpu=all"},
        ],
    )
    assert told.runtimes == ("nvidia", "runc")
    assert told.cdi_devices == ("nvidia.com/gpu=0", "nvidia.com/gpu=all")


@pytest.mark.parametrize(
    ("api", "folders", "unlisted"),
    [
        ("1.45", ["/etc/cdi"], True),
        ("1.49", ["/etc/cdi"], True),
        ("1.45", [], False),
        ("1.41", None, False),
        # Since then none listed is none known.
        ("1.50", ["/etc/cdi"], False),
        ("2.0", ["/etc/cdi"], False),
    ],
)
def test_cdi_without_a_list_of_devices(api: str, folders: list[str] | None, unlisted: bool) -> None:
    assert facts({**DOCKER_VERSION, "ApiVersion": api}, CDISpecDirs=folders).cdi_unlisted is unlisted


def test_an_engine_that_says_nothing() -> None:
    """What is missing stands for the least: an engine of the most common kind that can do no more than any."""
    told = EngineFacts.from_engine(URL, {"Runtimes": None, "DiscoveredDevices": None}, {"Components": None})
    assert told.kind == "docker"
    assert (told.rootless, told.user_namespaces, told.virtual_machine) == (False, False, False)
    assert told.runtimes == told.cdi_devices == ()
