"""What a kernelspec says, and what is said of one that is wrong."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

import jupyter_tfcontainer
from jupyter_tfcontainer.environments.environment import PROVISIONER, Environment, is_environment
from jupyter_tfcontainer.environments.fields import READERS, ULIMITS, MountPoint
from jupyter_tfcontainer.environments.lookup import find
from jupyter_tfcontainer.errors import EnvironmentInvalid, EnvironmentNotFound
from jupyter_tfcontainer.manager import ContainerManager

SHIPPED = Path(jupyter_tfcontainer.__file__).parent / "kernelspecs"
IMAGE = "tensorflow/tensorflow:1.2.1-gpu-py3"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="ascii"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


def spec(env: Any = None, name: Any = PROVISIONER, **config: Any) -> KernelSpec:
    """A kernelspec with fields of ours."""
    return KernelSpec(
        display_name="Theirs",
        env=env or {},
        metadata={"kernel_provisioner": {"provisioner_name": name, "config": config}},
    )


def read(**config: Any) -> Environment:
    """The environment that a kernelspec with these fields is."""
    return Environment.from_kernelspec("theirs", spec(**{"image": IMAGE, **config}))


def refusal(kernelspec: KernelSpec) -> str:
    """What is said of a kernelspec that is wrong."""
    with pytest.raises(EnvironmentInvalid) as caught:
        Environment.from_kernelspec("theirs", kernelspec)
    return str(caught.value)


def test_defaults() -> None:
    assert read() == Environment(
        name="theirs",
        display_name="Theirs",
        image=IMAGE,
        gpus="none",
        pull_policy="missing",
        memory=None,
        cpus=None,
        shm_size=1024**3,
        network="bridge",
        env={},
    )


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("image", "tf", "tf"),
        ("image", "host:5000/a/b_c.d:tag", "host:5000/a/b_c.d:tag"),
        ("image", "tf@sha256:" + "0" * 64, "tf@sha256:" + "0" * 64),
        ("gpus", "all", "all"),
        ("gpus", "none", "none"),
        ("gpus", 1, 1),
        ("gpus", 8, 8),
        ("gpus", [0, "1"], ("0", "1")),
        ("gpus", ["GPU-1f2e-33", "MIG-a", "0:1"], ("GPU-1f2e-33", "MIG-a", "0:1")),
        ("pull_policy", "missing", "missing"),
        ("pull_policy", "always", "always"),
        ("pull_policy", "never", "never"),
        ("memory", 6 * 1024**2, 6 * 1024**2),
        ("memory", "6m", 6 * 1024**2),
        ("memory", "6291456", 6291456),
        ("memory", "6291456b", 6291456),
        ("memory", "8192k", 8 * 1024**2),
        ("memory", "512M", 512 * 1024**2),
        ("memory", "4g", 4 * 1024**3),
        ("memory", " 4 GiB ", 4 * 1024**3),
        ("memory", "1.5gb", 3 * 512 * 1024**2),
        ("memory", "1t", 1024**4),
        ("shm_size", 1, 1),
        ("shm_size", "64m", 64 * 1024**2),
        ("cpus", 0.01, 0.01),
        ("cpus", 1, 1.0),
        ("cpus", 1.5, 1.5),
        ("platform", "linux/amd64", "linux/amd64"),
        ("platform", "linux/arm/v7", "linux/arm/v7"),
        ("mounts", [], ()),
        ("mounts", [{"source": "/a b", "target": "/data"}], (MountPoint("/a b", "/data", read_only=False),)),
        (
            "mounts",
            [
                {"source": "~/x", "target": "/notebooks/x", "read_only": True},
                {"source": "/a", "target": "/tfc"},
            ],
            (MountPoint("~/x", "/notebooks/x", read_only=True), MountPoint("/a", "/tfc")),
        ),
        ("user", "me", "me"),
        ("user", "root", "root"),
        ("user", "1000:100", "1000:100"),
        ("user", "1000", "1000:1000"),
        ("user", 0, "0:0"),
        ("user", "2147483647", "2147483647:2147483647"),
        ("groups", [0, 44, 44], (0, 44)),
        ("ulimits", {}, {}),
        (
            "ulimits",
            {"nofile": 1024, "core": [0, -1], "memlock": -1},
            {"nofile": (1024,) * 2, "core": (0, -1), "memlock": (-1, -1)},
        ),
        ("devices", ["/dev/video0"], ("/dev/video0",)),
        ("devices", ["/dev/a/b:/dev/c", "/dev/x:/dev/y:mw"], ("/dev/a/b:/dev/c", "/dev/x:/dev/y:mw")),
        ("ports", [6006, 1, 65535, 1], (6006, 1, 65535)),
        ("container_name", "followme", "followme"),
        ("container_name", "0.a-b_C", "0.a-b_C"),
        ("preload", ["numpy", "os.path", "_x1"], ("numpy", "os.path", "_x1")),
        ("standby", 0, 0),
        ("standby", 16, 16),
        ("python", "python3.5", "python3.5"),
        ("python", "/opt/c++/bin/python", "/opt/c++/bin/python"),
        ("secrets", ["API_KEY", "_1"], ("API_KEY", "_1")),
        ("network", "bridge", "bridge"),
        ("network", "none", "none"),
        ("compatibility", "check", "check"),
        ("compatibility", "ignore", "ignore"),
    ],
)
def test_valid(field: str, value: Any, meant: Any) -> None:
    environment = read(**{field: value})
    assert getattr(environment, field) == meant
    assert type(getattr(environment, field)) is type(meant)


MUST_BE = {
    "image": "the reference of an image, such as tensorflow/tensorflow:1.2.1-gpu-py3",
    "gpus": '"all", "none", a count, or a list of indices or UUIDs of GPUs',
    "pull_policy": "one of missing, never, always",
    "memory": 'a number of bytes, or a size such as "512m" or "4g", and at least 6291456 bytes',
    "cpus": "a number of processors, such as 1.5, and at least 0.01",
    "shm_size": 'a number of bytes, or a size such as "512m" or "4g", and at least 1 bytes',
    "network": "one of bridge, none",
    "platform": 'a platform in Docker\'s words, such as "linux/amd64"',
    "mounts": 'a list of {"source": PATH, "target": PATH, "read_only": true or false}, where source is absolute or '
    "begins with ~, and target is absolute, given once, and neither the container's root nor /notebooks, nor in /dev, "
    "/proc, /sys or /tfcontainer",
    "user": '"me", "root", or the numbers of a user and a group, such as "1000:1000", up to 2147483647',
    "groups": "a list of ids of groups: numbers from 0 to 2147483647",
    "ulimits": "an object of limits, each a number or [soft, hard], where -1 is no limit and soft is not above hard; "
    "known are cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, locks, sigpending, msgqueue, nice, rtprio, "
    "rttime",
    "devices": 'a list of devices, each as "/dev/HOST", "/dev/HOST:/dev/CONTAINER" or "/dev/HOST:/dev/CONTAINER:rwm"',
    "ports": "a list of ports: numbers from 1 to 65535",
    "container_name": "2 to 128 letters, digits, _, . and -, of which the first is a letter or digit",
    "preload": 'a list of names of modules, such as "numpy"',
    "standby": "how many containers are kept ready: a number from 0 to 16",
    "python": "name or path of an interpreter in the image, such as python3 or /opt/bin/python",
    "secrets": 'a list of names of variables, such as "API_KEY"',
    "compatibility": "one of check, ignore",
}


GPUS_INVALID: list[Any] = [
    *(0, -1, 1.0, True, "", "1", "All", None, {}, [], [True], [1.0], [None]),
    *([-1], ["0,1"], [""], ["a b"], ["0", None], ["0\n"]),
    # To NVIDIA's runtime these are no cards' names.
    *(["all"], ["0", "all"], ["none"], ["void"]),
]
MEMORY_INVALID: list[Any] = [
    *(0, -1, 6 * 1024**2 - 1, "5m", "", "4x", "g", "-4g", "4 4g", "1e9", None, True, 4e9, []),
    *(2**63, "9" * 400, "8388608t"),
]
TARGETS_INVALID = (
    *(
        "",
        "x",
        "/",
        "//x",
        "/x/",
        "/x/../y",
        "/./x",
        "/notebooks",
        "/dev",
        "/dev/x",
        "/proc/1",
        "/sys/x",
        "/tfcontainer",
    ),
    *("/tfcontainer/home", "/a\0b"),
)
MOUNTS_INVALID: list[Any] = [
    *(None, "/a:/b", {}, ["/a"], [{}], [{"source": "/a"}], [{"target": "/a"}], [None]),
    *([{"source": one, "target": "/b"}] for one in ("", "a", "./a", None, 1, "/a\0")),
    *([{"source": "/a", "target": one}] for one in TARGETS_INVALID),
    *([{"source": "/a", "target": "/b", name: value}] for name, value in (("read_only", "yes"), ("mode", "ro"))),
    [{"source": "/a", "target": "/c"}, {"source": "/b", "target": "/c"}],
]
USERS_INVALID: list[Any] = [
    *(
        "",
        "ada",
        "Me",
        "-1",
        "1:",
        ":1",
        "1:2:3",
        "2147483648",
        "0:2147483648",
        "1 ",
        "1\n",
        -1,
        1.0,
        True,
        None,
        ["me"],
    ),
]
ULIMITS_INVALID: list[Any] = [
    *(None, [], "nofile=1", {"NOFILE": 1}, {"files": 1}, {"nofile": "1"}, {"nofile": True}, {"nofile": 1.5}),
    *({"nofile": one} for one in ([], [1], [2, 1], [-1, 1], [1, 2, 3], [-2, 1], -2, 2**63, [1, True], None)),
]
DEVICES_INVALID: list[Any] = [
    *(None, "/dev/null", [None], [1]),
    *([one] for one in ("", "null", "/dev", "/dev/", "/etc/passwd", "/dev/../etc/passwd", "/dev/a/..", "/dev/x:rw")),
    *([one] for one in ("/dev/x:/y", "/dev/x:", "/dev/x:/dev/y:", "/dev/x:/dev/y:x", "/dev/x:/dev/y:rr", "/dev/x\n")),
]
GROUPS_INVALID: list[Any] = [None, 1, "video", ["video"], [-1], [2**31], [True], [1.0], {}]
CPUS_INVALID: list[Any] = [0, 0.009, -1, "2", None, True, float("nan"), float("inf"), 1e300, 10**400, [2]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("image", value) for value in ("", " tf", "tf:1 --privileged", "-v", "/tf", "tf\n", 1, None, ["tf"])),
        *(("gpus", value) for value in GPUS_INVALID),
        *(("pull_policy", value) for value in ("", "Always", "ifnotpresent", None, True, ["never"])),
        *(("memory", value) for value in MEMORY_INVALID),
        *(("shm_size", value) for value in (0, -1, "0", "0.5", None, False, "64mm")),
        *(("cpus", value) for value in CPUS_INVALID),
        *(("compatibility", value) for value in ("no", "", None, True)),
        *(("platform", value) for value in ("", "linux", "amd64", "Linux/amd64", "linux/", "linux/arm/v7/x", None, 1)),
        *(("mounts", value) for value in MOUNTS_INVALID),
        *(("user", value) for value in USERS_INVALID),
        *(("groups", value) for value in GROUPS_INVALID),
        *(("ulimits", value) for value in ULIMITS_INVALID),
        *(("devices", value) for value in DEVICES_INVALID),
        *(("ports", value) for value in (None, 80, "80", ["80"], [0], [65536], [True], [80.0], ["80:80"])),
        *(("container_name", value) for value in ("", "a", "-ab", "a b", "ab/", "ü1", "a" * 129, "ab\n", None, 12)),
        *(
            ("preload", value)
            for value in (None, "numpy", [""], ["1a"], ["a-b"], ["a."], [".a"], ["a b"], [1], ["a\n"])
        ),
        *(("standby", value) for value in (-1, 17, 1.0, True, "1", None)),
        *(("python", value) for value in ("", "-c", "python 3", "python;ls", "$(ls)", "python\n", None, 3, ["python"])),
        *(("secrets", value) for value in (None, "A", [""], ["A B"], ["1A"], ["A=b"], [1], {"A": "b"}, ["Ä"])),
        *(("network", value) for value in ("host", "", "None", None, "container:abc")),
    ],
)
def test_invalid_is_named_with_kernelspec_value_and_what_it_must_be(field: str, value: Any) -> None:
    said = refusal(spec(**{"image": IMAGE, field: value}))
    assert said == f"The kernelspec theirs says {field}: {value!r}. It must be {MUST_BE[field]}."


def test_the_limits_have_the_numbers_that_the_system_gives_them() -> None:
    assert {name: getattr(resource, f"RLIMIT_{name.upper()}", number) for name, number in ULIMITS.items()} == ULIMITS


def test_a_variable_is_either_secret_or_not() -> None:
    said = refusal(spec(env={"A": "x"}, image=IMAGE, secrets=["A"]))
    assert said == "The kernelspec theirs says A both in env and in secrets. It must be in one of them."


def test_what_is_asked_for_beside_the_defaults() -> None:
    assert read(gpus="none", ports=[]).asked == {"image": IMAGE}
    assert read(memory="1g", user="me", ulimits={"core": 0}).asked == {
        "image": IMAGE,
        "memory": 1024**3,
        "ulimits": {"core": (0, 0)},
    }


def test_every_field_is_tested() -> None:
    assert MUST_BE.keys() == READERS.keys()


@settings(database=None, deadline=None)
@given(config=st.dictionaries(st.sampled_from([*READERS, "other"]), JSON, max_size=3))
def test_whatever_it_says_it_is_read_or_refused(config: dict[str, Any]) -> None:
    try:
        environment = read(**config)
    except EnvironmentInvalid:
        return
    assert "other" not in config
    # JSON has no numbers that are none, and the engine has 64 bits.
    json.dumps(environment.model(), allow_nan=False)
    assert max(environment.memory or 0, environment.shm_size, (environment.cpus or 0) * 1e9) < 2**63


def test_unknown_field_is_named_beside_those_that_are_known() -> None:
    said = refusal(spec(image=IMAGE, gpu="all"))
    assert "theirs" in said
    assert "not known: gpu." in said
    for field in READERS:
        assert field in said


def test_image_is_needed() -> None:
    assert "theirs lacks the field image" in refusal(spec(gpus="all"))


def test_fields_that_are_no_object() -> None:
    kernelspec = spec()
    kernelspec.metadata["kernel_provisioner"]["config"] = ["image"]
    said = refusal(kernelspec)
    assert "says config: ['image']" in said
    assert "must be an object" in said


@pytest.mark.parametrize("value", [1, None, ["a"], {"b": "c"}])
def test_a_variable_is_a_string(value: Any) -> None:
    said = refusal(spec(env={"GOOD": "x", "BAD": value}, image=IMAGE))
    assert said == f"The kernelspec theirs says env: BAD: {value!r}. It must be a string."


def test_which_gpus_it_gets_is_not_for_a_variable_to_say() -> None:
    said = refusal(spec(env={"NVIDIA_VISIBLE_DEVICES": "all"}, image=IMAGE, gpus=1))
    assert said == (
        "The kernelspec theirs says env: NVIDIA_VISIBLE_DEVICES: 'all'. Which GPUs a kernel gets is for the field gpus "
        "to say: take the variable away."
    )
    # Others of NVIDIA's say how, and not which.
    Environment.from_kernelspec("theirs", spec(env={"NVIDIA_DRIVER_CAPABILITIES": "all"}, image=IMAGE))


def test_jupyters_own_look_at_variables_comes_later(tmp_path: Path) -> None:
    """It fails on what is no string, and names neither kernelspec nor variable."""
    specs = manager(tmp_path, bad={**ours(image="tf:1"), "env": {"COUNT": 1}})
    kernels = KernelManager(kernel_name="bad", kernel_spec_manager=specs)
    with pytest.raises(EnvironmentInvalid, match=r"The kernelspec bad says env: COUNT: 1\."):
        kernels.start_kernel()
    kernels.context.destroy()
    ContainerManager.clear_instance()


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernel_provisioner": {}},
        {"kernel_provisioner": {"provisioner_name": "local-provisioner"}},
        {"kernel_provisioner": "tfcontainer-provisioner"},
        {"kernel_provisioner": None},
    ],
)
def test_not_ours(metadata: dict[str, Any]) -> None:
    kernelspec = KernelSpec(display_name="Theirs", metadata=metadata)
    assert not is_environment(kernelspec)
    said = refusal(kernelspec)
    assert "theirs does not run in a container" in said
    assert PROVISIONER in said


def test_a_name_stands_for_a_display_name_that_is_not_there() -> None:
    kernelspec = spec(image=IMAGE)
    kernelspec.display_name = ""
    assert Environment.from_kernelspec("theirs", kernelspec).display_name == "theirs"


def test_model_names_variables_and_hides_their_values() -> None:
    model = Environment.from_kernelspec("theirs", spec(env={"TOKEN": "s3cret", "A": "b"}, image=IMAGE)).model()
    assert model["env"] == ["A", "TOKEN"]
    assert "s3cret" not in json.dumps(model)
    assert model.keys() == Environment.__dataclass_fields__.keys()


def manager(folder: Path, **kernelspecs: dict[str, Any]) -> KernelSpecManager:
    """Kernelspecs in a folder of their own."""
    for name, content in kernelspecs.items():
        (folder / name).mkdir()
        (folder / name / "kernel.json").write_text(json.dumps({"argv": ["x"], "display_name": name, **content}))
    return KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)


def ours(**config: Any) -> dict[str, Any]:
    """The metadata of a kernelspec of ours."""
    return {"metadata": {"kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config}}}


def test_find(tmp_path: Path) -> None:
    specs = manager(tmp_path, good=ours(image="tf:1"), bad=ours(image="tf:1", gpus="some"), theirs={})
    assert find("good", specs).image == "tf:1"
    with pytest.raises(EnvironmentInvalid, match="The kernelspec bad says gpus: 'some'"):
        find("bad", specs)
    with pytest.raises(EnvironmentNotFound, match="The kernelspec theirs does not run in a container"):
        find("theirs", specs)
    with pytest.raises(EnvironmentNotFound, match=r"no environment named missing\..*tfcontainer list"):
        find("missing", specs)


def test_the_shipped_kernelspec_is_one() -> None:
    specs = KernelSpecManager(kernel_dirs=[str(SHIPPED)], ensure_native_kernel=False)
    environment = find("tf-1.2.1-gpu", specs)
    assert environment.display_name == "TF 1.2.1 GPU"
    assert environment.image == IMAGE
    assert environment.gpus == "all"
    # Old ipykernels know no interrupt message, and a client that knows no provisioners runs a command that says so.
    assert specs.get_kernel_spec("tf-1.2.1-gpu").interrupt_mode == "signal"
    assert specs.get_kernel_spec("tf-1.2.1-gpu").argv[:2] == ["jupyter-tfcontainer", "kernel"]
