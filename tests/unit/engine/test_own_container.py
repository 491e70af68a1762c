"""What the engine calls the folders of a container that we run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_tfcontainer.engine.own_container import OwnContainer, container_id
from jupyter_tfcontainer.errors import MountMissing

ID = "0123456789abcdef" * 4
# As on Docker 20.10, Podman 4.3 with and without root, and on a machine.
DOCKER = f"712 700 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw"
PODMAN = f"712 700 0:22 /containers/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw"
MACHINE = "24 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n25 24 0:22 / /run rw - tmpfs tmpfs rw"
OWN = OwnContainer.from_engine(
    {
        "Name": "/lab",
        "Mounts": [
            {"Type": "bind", "Source": "/srv/people/ann", "Destination": "/home/ann"},
            {"Type": "volume", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/home/ann/data"},
            {"Type": "tmpfs", "Source": "", "Destination": "/home/ann/scratch"},
        ],
    }
)


@pytest.mark.parametrize(("mountinfo", "number"), [(DOCKER, ID), (PODMAN, ID), (MACHINE, None), ("", None)])
def test_container_id(mountinfo: str, number: str | None) -> None:
    assert container_id(f"{MACHINE}\n{mountinfo}\n") == number


@pytest.mark.parametrize(
    ("path", "outside"),
    [
        ("/home/ann", "/srv/people/ann"),
        ("/home/ann/ws/deep", "/srv/people/ann/ws/deep"),
        ("/home/ann/data/x", "/var/lib/docker/volumes/data/_data/x"),
        ("/home/ann/database", "/srv/people/ann/database"),
    ],
)
def test_outside(path: str, outside: str) -> None:
    assert OWN.outside(Path(path)) == Path(outside)


@pytest.mark.parametrize("path", ["/home", "/home/anna", "/opt/x", "/home/ann/scratch/x"])
def test_folder_of_the_container_alone(path: str) -> None:
    with pytest.raises(MountMissing, match=rf"container lab, .*{path} .*`--volume FOLDER:{path}`"):
        OWN.outside(Path(path))


def test_create_arguments() -> None:
    mask = {"Type": "tmpfs", "Target": "/x"}
    bind = {"Type": "bind", "Source": "/home/ann/ws", "Target": "/notebooks", "ReadOnly": True}
    config = {"Image": "i", "HostConfig": {"ShmSize": 1, "Mounts": [bind, mask]}}
    assert OWN.translated(config) == {
        "Image": "i",
        "HostConfig": {"ShmSize": 1, "Mounts": [{**bind, "Source": "/srv/people/ann/ws"}, mask]},
    }
