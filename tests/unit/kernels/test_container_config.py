"""From an environment to the engine's create arguments."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_tfcontainer import __version__
from jupyter_tfcontainer.engine import EngineFacts, labels
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.environments.fields import MountPoint
from jupyter_tfcontainer.kernels.container_config import account_files, create_arguments, dropped, refused_field
from jupyter_tfcontainer.kernels.types import Folders, Person
from jupyter_tfcontainer.workspace import Workspace

ROOTFUL = EngineFacts.from_engine("unix:///var/run/docker.sock", {"LoggingDriver": "json-file"}, {})
ROOTLESS = replace(ROOTFUL, rootless=True)
PERSON = Person(1000, 1001, (27, 998), "ada", "Europe/Berlin")
FOLDERS = Folders(Path("/s/1a2b"), Path("/s/1a2b/run"), Path("/d/homes/tf"))
WORKSPACE = Workspace(Path("/home/ada/work"))
PLAIN = Environment(name="tf", display_name="TF", image="tf:1")


def image(number: str = "1", env: list[str] | None = None) -> dict[str, Any]:
    """The engine's description of an image."""
    return {"Id": "sha256:" + number * 64, "Config": {"Env": env}}


def arguments(
    environment: Environment = PLAIN,
    facts: EngineFacts = ROOTFUL,
    person: Person = PERSON,
    described: dict[str, Any] | None = None,
    python: str | None = None,
) -> dict[str, Any]:
    """Create arguments, of which each test varies one thing."""
    return create_arguments(
        environment,
        workspace_=WORKSPACE,
        facts=facts,
        image=described or image(),
        person=person,
        folders=FOLDERS,
        orphan_timeout=60.0,
        gpu_route="request",
        python=python,
    )


def variables(*args: Any, **kwargs: Any) -> dict[str, str]:
    """The container's variables; none is given twice."""
    items: list[str] = arguments(*args, **kwargs)["Env"]
    named = dict(item.split("=", 1) for item in items)
    assert len(named) == len(items)
    return named


def test_rootful_the_kernel_is_the_person() -> None:
    created = arguments()
    assert created["User"] == "1000:1001"
    assert created["HostConfig"]["GroupAdd"] == ["27", "998"]
    named = variables()
    assert (named["USER"], named["LOGNAME"]) == ("ada", "ada")


def test_rootless_root_inside_is_the_person() -> None:
    created = arguments(facts=ROOTLESS)
    assert created["User"] == "0:0"
    assert created["HostConfig"]["GroupAdd"] == []
    named = variables(facts=ROOTLESS)
    assert (named["USER"], named["LOGNAME"], named["HOME"]) == ("root", "root", "/tfcontainer/home")


@pytest.mark.parametrize(
    ("asked", "facts", "user", "groups", "name"),
    [
        ("me", ROOTFUL, "1000:1001", ["27", "998", "5"], "ada"),
        ("1000:1001", ROOTFUL, "1000:1001", ["27", "998", "5"], "ada"),
        ("root", ROOTFUL, "0:0", ["5"], "root"),
        ("0:7", ROOTFUL, "0:7", ["5"], "root"),
        ("1000:5", ROOTFUL, "1000:5", ["5"], "user1000"),
        ("me", ROOTLESS, "0:0", ["5"], "root"),
        ("1000:1001", ROOTLESS, "1000:1001", ["5"], "user1000"),
    ],
)
def test_another_user_has_no_groups_of_the_persons(
    asked: str, facts: EngineFacts, user: str, groups: list[str], name: str
) -> None:
    environment = replace(PLAIN, user=asked, groups=(5,))
    created = arguments(environment, facts=facts)
    assert (created["User"], created["HostConfig"]["GroupAdd"]) == (user, groups)
    assert variables(environment, facts=facts)["USER"] == name
    # Whose sockets are another's lets the person in.
    another = user.partition(":")[0] != ("0" if facts.rootless else "1000")
    assert json.loads(created["Cmd"][2])["shared"] is another


def test_each_further_field_in_the_engines_words() -> None:
    environment = replace(
        PLAIN,
        mounts=(MountPoint("/a", "/b"), MountPoint("/c", "/d", read_only=True)),
        ulimits={"nofile": (1, 2)},
        devices=("/dev/x:/dev/y:r", "/dev/z"),
        ports=(80,),
        preload=("numpy",),
        python="py",
    )
    created = arguments(environment)
    host = created["HostConfig"]
    mounts = {mount["Target"]: (mount["Source"], mount.get("ReadOnly", False)) for mount in host["Mounts"]}
    assert (mounts["/b"], mounts["/d"]) == (("/a", False), ("/c", True))
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
    assert host["Devices"] == [
        {"PathOnHost": "/dev/x", "PathInContainer": "/dev/y", "CgroupPermissions": "r"},
        {"PathOnHost": "/dev/z", "PathInContainer": "/dev/z", "CgroupPermissions": "rwm"},
    ]
    assert created["ExposedPorts"] == {"80/tcp": {}}
    assert created["Cmd"][3:] == ["py", "search", "py"]
    supervisor = json.loads(created["Cmd"][2])
    assert (supervisor["preload"], supervisor["keep_nofile"]) == (["numpy"], True)
    assert supervisor["checks"][-2:] == ["/b", "/d"]


def test_limits_that_the_engine_dropped() -> None:
    limited = replace(PLAIN, memory=1024, cpus=0.5)
    assert dropped(limited, {"Memory": 1024, "NanoCpus": 500_000_000}) is None
    assert dropped(limited, {"Memory": 0, "NanoCpus": 500_000_000}) == "memory"
    assert dropped(limited, {"Memory": 1024}) == "cpus"
    assert dropped(PLAIN, {}) is None


def test_only_a_field_that_was_asked_for_is_to_blame() -> None:
    refusal = "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
    assert refused_field(replace(PLAIN, cpus=3.0), refusal) == "cpus"
    assert refused_field(replace(PLAIN, memory=1), refusal) is None


def test_no_privileges_no_ports() -> None:
    host = arguments()["HostConfig"]
    assert "no-new-privileges" in host["SecurityOpt"]
    assert not {"Privileged", "PortBindings", "CapAdd", "PidMode"} & host.keys()
    assert host["Devices"] == []


def test_limits() -> None:
    host = arguments(replace(PLAIN, memory=512 * 1024**2, cpus=1.5, shm_size=64))["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 512 * 1024**2
    assert host["NanoCpus"] == 1_500_000_000
    assert host["ShmSize"] == 64


def test_without_limits() -> None:
    host = arguments()["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (0, 0, 0)
    assert host["ShmSize"] == 1024**3


@pytest.mark.parametrize(("network", "mode"), [("bridge", "default"), ("none", "none")])
def test_network(network: Any, mode: str) -> None:
    assert arguments(replace(PLAIN, network=network))["HostConfig"]["NetworkMode"] == mode


def test_the_image_by_its_id_with_its_entrypoint() -> None:
    """A tag may move between our look at it and the create."""
    created = arguments()
    assert created["Image"] == "sha256:" + "1" * 64
    assert "Entrypoint" not in created


def test_the_supervisor_is_the_command() -> None:
    shell, script, argument = arguments()["Cmd"]
    assert (shell, script) == ("sh", "/tfcontainer/bin/start.sh")
    assert json.loads(argument) == {
        "control": "/tfcontainer/run/1a2b/control.sock",
        "orphan_timeout": 60.0,
        "empty_timeout": 60.0,
        "checks": ["/notebooks", "/home/ada/work", "/tfcontainer/home"],
        "preload": [],
        "shared": False,
        "keep_nofile": False,
    }


def test_mounts_are_workspace_home_sockets_and_programs() -> None:
    mounts = arguments()["HostConfig"]["Mounts"]
    assert {mount["Target"]: mount["Source"] for mount in mounts} == {
        "/notebooks": "/home/ada/work",
        "/home/ada/work": "/home/ada/work",
        "/tfcontainer/home": "/d/homes/tf",
        "/tfcontainer/run/1a2b": "/s/1a2b/run",
        "/tfcontainer/bin": "/s/1a2b/bin",
    }
    assert [mount["Target"] for mount in mounts if mount.get("ReadOnly")] == ["/tfcontainer/bin"]
    assert {mount["Type"] for mount in mounts} == {"bind"}
    assert "Binds" not in arguments()["HostConfig"]  # with which the engine makes a missing folder, as root


def test_the_environments_variables_win() -> None:
    """Over ours, and by the engine's own order over the image's."""
    named = variables(replace(PLAIN, env={"HOME": "/other", "PIP_USER": "0", "TZ": "UTC", "NEW": "a=b"}))
    assert (named["HOME"], named["PIP_USER"], named["TZ"], named["NEW"]) == ("/other", "0", "UTC", "a=b")
    assert named["USER"] == "ada"


@pytest.mark.parametrize("theirs", [["LANG=de_DE.UTF-8"], ["LC_ALL=C"], ["LC_CTYPE=C.UTF-8", "PATH=/bin"]])
def test_the_images_own_locale_stays(theirs: list[str]) -> None:
    assert "LANG" not in variables(described=image(env=theirs))


@pytest.mark.parametrize("theirs", [None, [], ["PATH=/bin", "LANGUAGE=de", "NOVALUE"]])
def test_an_image_without_a_locale_gets_one(theirs: list[str] | None) -> None:
    assert variables(described=image(env=theirs))["LANG"] == "C.UTF-8"


def test_what_breaks_kernels_is_not_set() -> None:
    assert not {"MPLBACKEND", "JPY_PARENT_PID", "PYTHONPATH", "PATH"} & variables().keys()


def test_timezone() -> None:
    assert variables()["TZ"] == "Europe/Berlin"
    assert "TZ" not in variables(person=replace(PERSON, timezone=""))


def test_packages_lie_in_the_home_apart_for_each_image() -> None:
    one, other = (variables(described=image(number))["PYTHONUSERBASE"] for number in "12")
    assert one != other
    assert one.startswith("/tfcontainer/home/")
    assert one == variables(replace(PLAIN, image="tf:renamed"))["PYTHONUSERBASE"]


def test_gpus_are_asked_for() -> None:
    host = arguments(replace(PLAIN, gpus=2))["HostConfig"]
    assert host["DeviceRequests"] == [{"Driver": "", "Capabilities": [["gpu"]], "Count": 2}]
    assert variables(replace(PLAIN, gpus=2))["NVIDIA_VISIBLE_DEVICES"] == "0,1"


def test_without_gpus_none_comes_by_itself() -> None:
    """A legacy CUDA image gets them all where the variable is not set."""
    assert "DeviceRequests" not in arguments()["HostConfig"]
    assert variables()["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_labels_tell_whose_it_is_and_no_secret() -> None:
    created = arguments(replace(PLAIN, env={"TOKEN": "s3cret-value"}))
    assert created["Labels"] == {
        labels.VERSION: __version__,
        labels.ENVIRONMENT: "tf",
        labels.WORKSPACE: "/home/ada/work",
        labels.OWNER: "1000",
        labels.FOLDER: "/s/1a2b",
        labels.HOME: "/d/homes/tf",
    }
    # Whoever lists processes reads the command, and it is in the engine's list of containers as well.
    assert "s3cret-value" not in json.dumps([created["Labels"], created["Cmd"]])
    assert "TOKEN=s3cret-value" in created["Env"]


def test_owner_is_the_person_outside_on_a_rootless_engine_too() -> None:
    """Whom the label names is who finds the container again."""
    assert arguments(facts=ROOTLESS)["Labels"][labels.OWNER] == "1000"


def test_log_is_bounded_where_the_driver_can() -> None:
    config = arguments()["HostConfig"]["LogConfig"]
    assert config == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}
    assert "LogConfig" not in arguments(facts=replace(ROOTFUL, log_driver="journald"))["HostConfig"]
    podman = replace(ROOTFUL, kind="podman", log_driver="")
    assert arguments(facts=podman)["HostConfig"]["LogConfig"] == {"Config": {"max-size": "20000000"}}


ACCOUNTS = "root:x:0:0:root:/root:/bin/bash\nold:x:1005:1005::/home/old:/bin/sh\n"
GROUPS = "root:x:0:\nsudo:x:27:old\n"


def test_account_files_add_the_person_and_missing_groups() -> None:
    files = account_files(ACCOUNTS, GROUPS, PERSON)
    assert files["/etc/passwd"].decode() == ACCOUNTS + "ada:x:1000:1001:ada:/tfcontainer/home:/bin/sh\n"
    # The image's own name for group 27 stays.
    assert files["/etc/group"].decode() == GROUPS + "ada:x:1001:\ngroup998:x:998:\n"


def test_account_files_leave_a_known_user_alone() -> None:
    files = account_files(ACCOUNTS, GROUPS, replace(PERSON, uid=1005))
    assert "/etc/passwd" not in files
    assert "/etc/group" in files


def test_account_files_leave_known_groups_alone() -> None:
    files = account_files(ACCOUNTS, GROUPS, replace(PERSON, gid=27, groups=(0,)))
    assert "/etc/group" not in files
    assert "/etc/passwd" in files


def test_account_files_end_a_last_line_that_has_no_end() -> None:
    files = account_files(ACCOUNTS.rstrip("\n"), GROUPS.rstrip("\n"), PERSON)
    assert files["/etc/passwd"].decode().splitlines()[:2] == ACCOUNTS.splitlines()
    assert files["/etc/group"].decode().splitlines()[:2] == GROUPS.splitlines()


def test_account_files_of_an_image_that_has_none() -> None:
    files = account_files("", "", replace(PERSON, groups=()))
    assert files == {
        "/etc/passwd": b"ada:x:1000:1001:ada:/tfcontainer/home:/bin/sh\n",
        "/etc/group": b"ada:x:1001:\n",
    }


def test_account_files_do_not_take_a_broken_line_for_a_user() -> None:
    assert "/etc/passwd" in account_files("# x:x:1000\nx:1000:1000\n", GROUPS, PERSON)


def test_account_files_name_a_group_once() -> None:
    files = account_files(ACCOUNTS, GROUPS, replace(PERSON, groups=(998, 998, 1001)))
    assert files["/etc/group"].decode().count(":998:") == 1
    assert files["/etc/group"].decode().count(":1001:") == 1


def test_the_interpreter_that_is_known_is_tried_first() -> None:
    known = arguments(python="/usr/bin/python2.7")["Cmd"][3:]
    assert known == ["/usr/bin/python2.7", "search", "python3", "python", "python2"]
    # What the environment says counts more.
    assert arguments(replace(PLAIN, python="python3.8"), python="/usr/bin/python2.7")["Cmd"][3:] == [
        "python3.8",
        "search",
        "python3.8",
    ]
