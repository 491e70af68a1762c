"""Every field of an environment: a container with exactly what was asked, or an error that names the field."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from homes import LEGACY, MODERN, Home, temporary_home
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from kernels import TIMEOUT, kernel, value

from jupyter_tfcontainer.environments import store
from jupyter_tfcontainer.environments.fields import READERS, ULIMITS
from jupyter_tfcontainer.environments.store import Change
from jupyter_tfcontainer.errors import (
    ContainerNameTaken,
    EnvironmentInvalid,
    ImageError,
    IPykernelMissing,
    TFContainerError,
)
from jupyter_tfcontainer.manager import ContainerManager

# What the kernel sees of itself.
LOOK = """
import grp, json, os, pwd, resource, stat, sys
names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
limits = {name[7:].lower(): resource.getrlimit(getattr(resource, name)) for name in names}
print(json.dumps({
    "user": [os.getuid(), os.getgid()], "groups": os.getgroups(),
    "name": [one[0] for one in pwd.getpwall() if one[2] == os.getuid()],
    "limits": limits, "modules": list(sys.modules), "python": sys.executable, "env": dict(os.environ),
    "shm": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
    "home": os.access(os.environ["HOME"], os.W_OK), "nets": os.listdir("/sys/class/net"),
    "named": [grp.getgrgid(one)[0] for one in os.getgroups()],
}))
"""
# Less than the first is too little for a kernel, which dies of it when it runs: that is told elsewhere.
SIZES = st.sampled_from(["300m", "512m", "1g", 6 * 1024**2])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "image": st.sampled_from([MODERN, LEGACY]),
    "platform": st.sampled_from(["linux/amd64", "linux/arm64", "windows/amd64"]),
    "gpus": st.just("none"),
    "mounts": st.lists(
        st.fixed_dictionaries(
            {
                "source": st.sampled_from(["/etc/hostname", "/usr/share", "~", "/nothing"]),
                "target": st.sampled_from(["/data", "/opt/a b", "/etc/passwd", "/notebooks/none", "/usr/lib/x"]),
            },
            optional={"read_only": st.booleans()},
        ),
        max_size=2,
        unique_by=lambda mount: mount["target"],
    ),
    "user": st.sampled_from(["me", "root", "1000:100", "54321", "2147483647:0"]),
    "groups": st.lists(st.sampled_from([0, 4, 44, 54321, 2**31 - 1]), max_size=3),
    "pull_policy": st.sampled_from(["missing", "never"]),
    "memory": SIZES | st.just("900g"),
    "cpus": st.sampled_from([0.5, 1, 1.25, 2, 1000]),
    "shm_size": st.sampled_from(["1m", "64m", "3g"]),
    "ulimits": st.dictionaries(
        st.sampled_from(list(ULIMITS)),
        st.sampled_from([0, 1, 64, [1000, 4000], 2**30, -1]),
        max_size=2,
        # With a second of the processor a kernel may start, and then end whenever it is over.
    ).filter(lambda limits: limits.get("cpu") != 1),
    "network": st.sampled_from(["bridge", "none"]),
    "devices": st.lists(
        st.sampled_from(["/dev/fuse", "/dev/fuse:/dev/other", "/dev/zero:/dev/zero2:r", "/dev/nothing", "/dev/pts"]),
        max_size=2,
        unique=True,
    ),
    "ports": st.lists(st.integers(1, 65535), max_size=3),
    "container_name": st.uuids().map(lambda one: f"tfc-test-{one}"),
    "preload": st.lists(st.sampled_from(["json.tool", "wave", "not_there"]), max_size=2),
    "standby": st.integers(0, 16),
    "python": st.sampled_from(["python3", "python", "/usr/bin/python3", "python9", "/bin/sh"]),
    "compatibility": st.sampled_from(["check", "ignore"]),
    "secrets": st.lists(st.sampled_from(["KEY", "OTHER"]), max_size=2),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Home]:
    """One home for all the examples: each takes a second as it is."""
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        for name, folder in home.variables().items():
            patch.setenv(name, folder)
        patch.delenv("JUPYTER_PATH", raising=False)
        patch.chdir(home.workspace)
        ContainerManager.clear_instance()
        yield home
        if ContainerManager.initialized():
            ContainerManager.instance().close()


@dataclass
class Seen:
    """A container, as the engine describes it and as its kernel sees it."""

    engine: dict[str, Any]
    inside: dict[str, Any]


def inspected(home: Home) -> dict[str, Any]:
    """What the engine says of the container that there is."""
    client = docker.APIClient()
    try:
        (container,) = home.containers()
        found: dict[str, Any] = client.inspect_container(container["Id"])
    finally:
        client.close()
    return found


def started(home: Home, config: dict[str, Any]) -> Seen:
    """Start an environment, and look at it."""
    image = config.get("image", MODERN)
    name = home.add("tf", image, **{key: one for key, one in config.items() if key != "image"})
    with kernel(name) as (_, client):
        return Seen(inspected(home), json.loads(value(client, LOOK)))


def check(config: dict[str, Any], seen: Seen) -> None:
    """Compare each field that was asked for with what there is."""
    meant = {name: READERS[name](one) for name, one in config.items()}
    host, inside = seen.engine["HostConfig"], seen.inside
    if user := meant.get("user"):
        wanted = {"me": [os.getuid(), os.getgid()], "root": [0, 0]}.get(user) or [int(one) for one in user.split(":")]
        assert inside["user"] == wanted
        # What the person puts in the place of the accounts is their matter.
        assert inside["name"] or "/etc/passwd" in [one["target"] for one in config.get("mounts", [])]
        assert inside["home"]
    assert set(meant.get("groups", ())) <= set(inside["groups"])
    assert (host["Memory"], host["NanoCpus"]) == (meant.get("memory", 0), round(meant.get("cpus", 0) * 1e9))
    assert inside["shm"] == meant.get("shm_size", 1024**3)
    for name, (soft, hard) in meant.get("ulimits", {}).items():
        assert {"Name": name, "Soft": soft, "Hard": hard} in host["Ulimits"]
        if name in inside["limits"]:  # Python knows most of them
            assert inside["limits"][name] == [soft, hard]
    assert inside["nets"] == (["lo"] if meant.get("network") == "none" else inside["nets"])
    assert ("eth0" in inside["nets"]) == (meant.get("network") != "none")
    for mount in meant.get("mounts", ()):
        source = str(Path(mount.source).expanduser().resolve())
        (one,) = [there for there in seen.engine["Mounts"] if there["Destination"] == mount.target]
        assert (one["Source"], one["RW"]) == (source, not mount.read_only)
    for device in meant.get("devices", ()):
        outside, _, rest = device.partition(":")
        target, _, rights = rest.partition(":")
        there = {"PathOnHost": outside, "PathInContainer": target or outside, "CgroupPermissions": rights or "rwm"}
        assert there in host["Devices"]
        assert Path(outside).stat().st_gid in inside["groups"]
    assert set(seen.engine["Config"].get("ExposedPorts") or {}) >= {f"{port}/tcp" for port in meant.get("ports", ())}
    assert not any((seen.engine["NetworkSettings"]["Ports"] or {}).values())  # none is published
    if "container_name" in meant:
        assert seen.engine["Name"] == f"/{meant['container_name']}"
    assert set(meant.get("preload", ())) - {"not_there"} <= set(inside["modules"])
    if "python" in meant:
        assert Path(inside["python"]).name.startswith(Path(meant["python"]).name)
    for name in meant.get("secrets", ()):
        assert inside["env"][name] == "s3cret-value"
    assert "s3cret-value" not in json.dumps(seen.engine)


def test_every_field_is_asked_for() -> None:
    assert FIELDS.keys() == READERS.keys()


@st.composite
def some(draw: st.DrawFn) -> dict[str, Any]:
    """A few fields at a time: with many, most examples would end at the first that cannot be had."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=4, unique=True))
    return {name: draw(FIELDS[name]) for name in names}


@settings(derandomize=True, database=None, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(config=some())
def test_what_was_asked_or_an_error_that_names_it(place: Home, config: dict[str, Any]) -> None:
    one_of_them(place, config)


def one_of_them(place: Home, config: dict[str, Any]) -> None:
    """See that it is either."""
    kept = place.data / "tfcontainer" / "secrets"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "tf.json").write_text(json.dumps({"KEY": "s3cret-value", "OTHER": "s3cret-value"}))
    try:
        seen = started(place, config)
    except TFContainerError as refused:
        said = str(refused)
        # The field is named in the words of the kernelspec.
        assert any(f"says {name}" in said or f" {name}: " in said for name in config), (config, said)
    else:
        check(config, seen)
    assert not place.containers()


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("gpus", "compatibility")])
@settings(derandomize=True, database=None, deadline=None, max_examples=4, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_field_by_itself(place: Home, name: str, data: st.DataObject) -> None:
    one_of_them(place, {name: data.draw(FIELDS[name])})


# One by one, what examples do not show.


def said(home: Home, error: type[TFContainerError], image: str = MODERN, **config: Any) -> str:
    """What is said of an environment that does not start."""
    manager = KernelManager(kernel_name=home.add("tf", image, **config))
    with pytest.raises(error) as caught:
        manager.start_kernel()
    manager.context.destroy()
    return str(caught.value)


def test_a_name_that_is_taken(place: Home) -> None:
    name = f"tfc-{place.root.name}"
    with kernel(place.add("tf", MODERN, container_name=name)):
        sentence = said(place, ContainerNameTaken, container_name=name)
        assert f"says container_name: {name!r}, and another container on {os.uname().nodename} has" in sentence
        assert len(place.containers()) == 1
    with kernel("tf"):  # the name is free again
        pass


def test_the_limit_of_open_files_is_the_one_that_was_asked_for(place: Home) -> None:
    """Without one, there is ours: Python 2.7 closes every possible descriptor one by one."""
    one_of_them(place, {"ulimits": {"nofile": [1000, 4000]}})


def test_another_platform_than_the_image_is_for(place: Home) -> None:
    for policy in ("missing", "never"):
        sentence = said(place, ImageError, platform="linux/arm64", pull_policy=policy)
        assert f"says platform: 'linux/arm64', and the image {MODERN} is there for linux/amd64 only" in sentence


def test_an_interpreter_that_is_not_there(place: Home) -> None:
    sentence = said(place, IPykernelMissing, python="python9")
    assert "says python: 'python9'" in sentence


@pytest.fixture
def device() -> Iterator[Path]:
    """A device that only root and a group may use."""
    path = Path(f"/dev/tfc-{os.getpid()}")
    os.mknod(path, 0o660 | stat.S_IFCHR, os.makedev(1, 5))  # another /dev/zero
    path.chmod(0o660)
    os.chown(path, 0, 54321)
    yield path
    path.unlink()


def test_whoever_the_kernel_is_it_may_use_the_device(place: Home, device: Path) -> None:
    link = place.root / "link"
    link.symlink_to(device)
    with kernel(place.add("tf", MODERN, user="1234:1234", devices=[f"{device}:/dev/video7"])) as (_, client):
        assert value(client, "import os; print(os.getuid(), open('/dev/video7', 'rb').read(2))") == r"1234 b'\x00\x00'"
    # What the kernelspec names may be a link that udev made.
    alias = Path("/dev") / f"{device.name}-link"
    alias.symlink_to(device)
    try:
        with kernel(place.add("tf", MODERN, devices=[str(alias)])) as (_, client):
            assert value(client, f"print(len(open('{alias}', 'rb').read(2)))") == "2"
            assert inspected(place)["HostConfig"]["Devices"][0]["PathOnHost"] == str(device)
    finally:
        alias.unlink()


def test_jupyters_own_folders_are_hidden_in_mounts_too(place: Home) -> None:
    (place.data / "token").write_text("x")
    mounts = [{"source": str(place.root), "target": "/all"}]
    with kernel(place.add("tf", MODERN, mounts=mounts)) as (_, client):
        assert value(client, "import os; print(os.path.isdir('/all/ws'), os.listdir('/all/data'))") == "True []"
    sentence = said(place, EnvironmentInvalid, mounts=[{"source": str(place.data / "kernels"), "target": "/all"}])
    assert "Jupyter's own folders are for no kernel" in sentence


def test_a_source_is_never_made(place: Home) -> None:
    gone = place.root / "gone"
    sentence = said(place, EnvironmentInvalid, mounts=[{"source": str(gone), "target": "/data"}])
    assert f"says mounts: source {str(gone)!r}, which is not on {os.uname().nodename}" in sentence
    assert not gone.exists()
    sentence = said(place, EnvironmentInvalid, mounts=[{"source": "/usr", "target": "/notebooks/made"}])
    assert "says mounts: target '/notebooks/made', which is in the workspace" in sentence
    sentence = said(place, EnvironmentInvalid, mounts=[{"source": "/usr", "target": str(place.workspace)}])
    assert "where the workspace is" in sentence
    assert not list(place.workspace.iterdir())


def test_secrets_go_to_the_kernel_and_nowhere_else(place: Home) -> None:
    """Not even whoever may talk to the engine reads them there; a restart takes the new value."""
    kernelspecs = KernelSpecManager()
    store.create("kept", Change(config={"image": MODERN}, secrets={"KEY": "first-value"}), kernelspecs)
    with kernel("kept") as (manager, client):
        assert value(client, "import os; print(os.environ['KEY'])") == "first-value"
        store.change("kept", Change(secrets={"KEY": "second-value"}), kernelspecs)
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=TIMEOUT)
        assert value(client, "import os; print(os.environ['KEY'])") == "second-value"
        engine = docker.APIClient()
        (container,) = place.containers()
        log = engine.logs(container["Id"]).decode()
        engine.close()
        told = json.dumps([container, inspected(place), ContainerManager.instance().containers.list()]) + log
        state = [path.read_text() for path in (place.data / "tfcontainer" / "c").rglob("*.json")]
        assert state
        assert "-value" not in told + "".join(state)
    store.delete("kept", kernelspecs)
