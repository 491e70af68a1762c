"""Docker's create arguments in Podman's words; that Podman understands them is for `engine/test_engine_podman.py`."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_tfcontainer.engine import podman
from jupyter_tfcontainer.errors import EngineNotSupported

BIND = {"Type": "bind", "Source": "/here", "Target": "/there"}
TMPFS = {"Type": "tmpfs", "Target": "/hidden", "ReadOnly": True, "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o555}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"Image": "sha256:1"}, {"image": "sha256:1"}),
        ({"Cmd": ["sh", "-c", "x"]}, {"command": ["sh", "-c", "x"]}),
        ({"User": "0:0", "WorkingDir": "/notebooks"}, {"user": "0:0", "work_dir": "/notebooks"}),
        ({"Env": ["A=b=c", "D="]}, {"env": {"A": "b=c", "D": ""}}),
        ({"Labels": {"a": "b"}}, {"labels": {"a": "b"}}),
        ({"ExposedPorts": {"1/tcp": {}}}, {}),
    ],
)
def test_container(asked: dict[str, Any], words: dict[str, Any]) -> None:
    assert podman.specification(asked) == words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"Mounts": [BIND, {**BIND, "ReadOnly": True}]},
            {
                "mounts": [
                    {"Type": "bind", "Source": "/here", "Destination": "/there", "Options": ["rbind"]},
                    {"Type": "bind", "Source": "/here", "Destination": "/there", "Options": ["rbind", "ro"]},
                ]
            },
        ),
        (
            {"Mounts": [TMPFS]},
            {
                "mounts": [
                    {
                        "Type": "tmpfs",
                        "Source": "tmpfs",
                        "Destination": "/hidden",
                        "Options": ["size=4096", "mode=555", "notmpcopyup", "ro"],
                    }
                ]
            },
        ),
        ({"NetworkMode": "none"}, {"netns": {"nsmode": "none"}}),
        ({"NetworkMode": "default"}, {}),
        ({"ShmSize": 1}, {"shm_size": 1}),
        (
            {"SecurityOpt": ["no-new-privileges", "label=disable"]},
            {"no_new_privileges": True, "selinux_opts": ["disable"]},
        ),
        ({"GroupAdd": ["7"]}, {"groups": ["7"]}),
        ({"LogConfig": {"Config": {"max-size": "7"}}}, {"log_configuration": {"size": 7}}),
        ({"PidsLimit": 99}, {"resource_limits": {"pids": {"limit": 99}}}),
        (
            {"Memory": 1024, "MemorySwap": 1024, "NanoCpus": 1_500_000_000},
            {
                "resource_limits": {
                    "memory": {"limit": 1024, "swap": 1024},
                    "cpu": {"quota": 150_000, "period": 100_000},
                }
            },
        ),
        ({"Memory": 0, "MemorySwap": 0, "NanoCpus": 0, "Devices": [], "GroupAdd": []}, {}),
        (
            {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]},
            {"r_limits": [{"type": "nofile", "soft": 1, "hard": 2}]},
        ),
        (
            {
                "Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}],
                "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]}],
            },
            {"devices": [{"path": "/dev/a:/dev/b:r"}, {"path": "nvidia.com/gpu=0"}, {"path": "nvidia.com/gpu=1"}]},
        ),
    ],
)
def test_what_the_machine_gives(asked: dict[str, Any], words: dict[str, Any]) -> None:
    assert podman.specification({"HostConfig": asked}) == words


def test_name() -> None:
    assert podman.specification({}, "mine") == {"name": "mine"}


@pytest.mark.parametrize(
    "asked",
    [{"Healthcheck": {"Test": ["x"]}}, {"HostConfig": {"Privileged": True}}, {"HostConfig": {"SecurityOpt": ["x"]}}],
)
def test_nothing_is_left_out(asked: dict[str, Any]) -> None:
    with pytest.raises(EngineNotSupported, match="Podman cannot be asked for"):
        podman.specification(asked)
