"""What an administrator lets people run, rule by rule; and whose word counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jupyter_core.paths
import pytest
from homes import Home
from traitlets import TraitError
from traitlets.config import Config

from jupyter_tfcontainer.engine.reference import references
from jupyter_tfcontainer.environments.environment import Environment
from jupyter_tfcontainer.environments.fields import MountPoint
from jupyter_tfcontainer.errors import PolicyRefused
from jupyter_tfcontainer.kernels.types import Person
from jupyter_tfcontainer.manager import ContainerManager
from jupyter_tfcontainer.manager.policy import Machine, Policy, Taken

PLAIN = Environment(name="tf", display_name="TF", image="tensorflow/tensorflow:1.2.1")
ADA = Machine(host="lab1", person=Person(1000, 1001, (27, 44), "ada"))
ROOT = replace(ADA, person=Person(0, 0, (), "root"))
ROOTLESS = replace(ADA, rootless=True)
WORK = Path("/home/ada/work")
GIB = 1024**3


def admitted(policy: Policy, machine: Machine = ADA, workspace: Path = WORK, **fields: Any) -> Environment:
    """What may run of an environment with these fields."""
    return policy.admit(replace(PLAIN, **fields), machine, workspace, frozenset({"/dev/video0"}))


def refusal(policy: Policy, machine: Machine = ADA, workspace: Path = WORK, **fields: Any) -> str:
    """What is said of an environment that may not run."""
    with pytest.raises(PolicyRefused) as caught:
        admitted(policy, machine, workspace, **fields)
    return str(caught.value)


def test_without_rules_what_a_person_could_do_anyway_may_run() -> None:
    asked = replace(PLAIN, memory=2**50, cpus=1000.0, groups=(27, 1001), user="1000:1001", gpus="all")
    asked = replace(asked, mounts=(MountPoint("/", "/host"),), devices=("/dev/video0:/dev/video0:rwm",))
    assert Policy().admit(asked, ADA, WORK, frozenset({"/dev/video0"})) == asked


def test_the_refusal_says_all_there_is_to_know() -> None:
    policy = Policy(allowed_images=("a/*", "b"), files={"allowed_images": "/etc/jupyter/x.py"})
    assert refusal(policy) == (
        "TF asks for the image docker.io/tensorflow/tensorflow:1.2.1; the policy of lab1 does not allow that. The rule "
        "is ContainerManager.allowed_images = ['a/*', 'b'] (set in /etc/jupyter/x.py). Ask the administrator of lab1 "
        "to change it, or pick another environment."
    )
    assert "allow_root = False (set in no file, so it is the default)" in refusal(Policy(), user="root")


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("tf", ("tf:latest", "docker.io/library/tf:latest")),
        ("library/tf:1", ("tf:1", "docker.io/library/tf:1")),
        ("docker.io/tf", ("tf:latest", "docker.io/library/tf:latest")),
        ("index.docker.io/a/b", ("a/b:latest", "docker.io/a/b:latest")),
        ("a/b:1", ("a/b:1", "docker.io/a/b:1")),
        ("a/b@sha256:1", ("a/b@sha256:1", "docker.io/a/b@sha256:1")),
        ("a/b:1@sha256:1", ("a/b:1@sha256:1", "docker.io/a/b:1@sha256:1")),
        ("host:5000/b", ("host:5000/b:latest",) * 2),
        ("docker.io/a.b/c:1", ("docker.io/a.b/c:1",) * 2),
        ("localhost/b:1", ("localhost/b:1",) * 2),
        ("nvcr.io/nvidia/tf:1", ("nvcr.io/nvidia/tf:1",) * 2),
    ],
)
def test_names_of_an_image(image: str, names: tuple[str, str]) -> None:
    """As Docker reads them: two names of one image are one to the rules."""
    assert references(image) == names


@pytest.mark.parametrize(
    ("pattern", "image", "allowed"),
    [
        ("tensorflow/*", "tensorflow/tensorflow:1.2.1", True),
        ("tensorflow/*", "docker.io/tensorflow/tensorflow", True),
        ("docker.io/tensorflow/*", "tensorflow/tensorflow", True),
        ("tensorflow/*", "evil.example/tensorflow/tensorflow", False),
        ("tensorflow/*", "tensorflow", False),
        ("tensorflow/tensorflow:1.*", "tensorflow/tensorflow:2.0", False),
        ("tensorflow/tensorflow:1.*", "tensorflow/tensorflow", False),
        ("tf:latest", "tf", True),
        ("host:5000/*", "host:5000/tf:1", True),
        ("corp.example/*", "docker.io/corp.example/tf:1", False),
        ("Tf*", "tf", False),
    ],
)
def test_allowed_images(pattern: str, image: str, allowed: bool) -> None:
    policy = Policy(allowed_images=("other", pattern))
    if allowed:
        assert admitted(policy, image=image).image == image
    else:
        said = refusal(policy, image=image)
        assert references(image)[1] in said
        assert "ContainerManager.allowed_images" in said


def test_no_image_at_all() -> None:
    assert "allowed_images = []" in refusal(Policy(allowed_images=()))


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("/home/ada", True),
        ("/home/ada/x", True),
        ("/home", False),
        ("/home/adam", False),
        ("/data", True),
        ("/", False),
    ],
)
def test_allowed_mount_roots(folder: str, allowed: bool) -> None:
    """The workspace is mounted as well."""
    policy = Policy(allowed_mount_roots=(Path("/home/ada"), Path("/data")))
    mounts = (MountPoint("/data", "/a"), MountPoint(folder, "/b"))
    if allowed:
        assert admitted(policy, mounts=mounts).mounts == mounts
        admitted(policy, workspace=Path(folder))
    else:
        for said in (refusal(policy, mounts=mounts), refusal(policy, workspace=Path(folder))):
            assert f"the folder {folder};" in said
            assert "ContainerManager.allowed_mount_roots = ['/home/ada', '/data']" in said


@pytest.mark.parametrize("user", ["root", "0:0", "1000:0", "1001:1001", "1000:27"])
def test_allow_root(user: str) -> None:
    said = refusal(Policy(), user=user)
    assert f"the user {user};" in said
    assert "ContainerManager.allow_root = False" in said
    for policy, machine in ((Policy(allow_root=True), ADA), (Policy(), ROOT), (Policy(), ROOTLESS)):
        assert admitted(policy, machine, user=user).user == user


@pytest.mark.parametrize("user", ["me", "1000:1001"])
def test_a_person_may_be_themselves(user: str) -> None:
    assert admitted(Policy(), user=user, groups=(1001, 27, 44)).user == user


def test_allow_root_is_about_groups_as_well() -> None:
    """The group of the engine's socket, or of the disks, is as good as root."""
    said = refusal(Policy(), groups=(27, 999, 6))
    assert "the group 6, which you are not in," in said
    assert "ContainerManager.allow_root = False" in said
    for policy, machine in ((Policy(allow_root=True), ADA), (Policy(), ROOT), (Policy(), ROOTLESS)):
        assert admitted(policy, machine, groups=(6,)).groups == (6,)


@pytest.mark.parametrize(
    ("patterns", "device", "allowed"),
    [
        (None, "/dev/video0", True),
        (None, "/dev/sda", False),
        ((), "/dev/video0", False),
        (("/dev/video*",), "/dev/video1", True),
        (("/dev/video*",), "/dev/sda", False),
        (("/dev/sda", "/dev/x"), "/dev/sda:/dev/video0:rwm", True),
        (("/dev/video*",), "/dev/sda:/dev/video0:r", False),
    ],
)
def test_allowed_devices(patterns: tuple[str, ...] | None, device: str, allowed: bool) -> None:
    policy = Policy(allowed_devices=patterns)
    if allowed:
        assert admitted(policy, devices=(device,)).devices == (device,)
    else:
        said = refusal(policy, devices=(device,))
        assert f"the device {device.partition(':')[0]};" in said
        assert "ContainerManager.allowed_devices" in said


def test_ceilings() -> None:
    policy = Policy(max_memory=GIB, max_cpus=2.0)
    assert admitted(policy, memory=GIB, cpus=2.0) == replace(PLAIN, memory=GIB, cpus=2.0)
    assert "bytes of memory; the policy of lab1 does not" in refusal(policy, memory=GIB + 1)
    assert f"ContainerManager.max_memory = {GIB}" in refusal(policy, memory=GIB + 1)
    assert "2.5 cpus" in refusal(policy, cpus=2.5)
    assert "ContainerManager.max_cpus = 2.0" in refusal(policy, cpus=2.5)


def test_who_sets_no_limit_gets_the_ceiling() -> None:
    assert admitted(Policy(max_memory=GIB, max_cpus=2.0)) == replace(PLAIN, memory=GIB, cpus=2.0)
    assert admitted(Policy(max_memory=GIB), cpus=1.0, memory=8 * 1024**2).memory == 8 * 1024**2
    # Where only all together have a ceiling, it is that one; of processors never more than the machine has.
    together = Policy(max_memory=2 * GIB, max_total_memory=GIB, max_total_cpus=16.0)
    assert admitted(together, replace(ADA, cpus=4)) == replace(PLAIN, memory=GIB, cpus=4.0)
    assert admitted(Policy(max_cpus=0.5), replace(ADA, cpus=4)).cpus == 0.5


@pytest.mark.parametrize(
    ("ceiling", "gpus", "cards", "allowed"),
    [
        (0, "none", None, True),
        (0, 1, None, False),
        (0, "all", None, False),
        (2, 2, 8, True),
        (2, 3, 8, False),
        (2, ("0", "5"), 8, True),
        (2, ("0", "1", "GPU-1"), 8, False),
        (2, "all", 2, True),
        (2, "all", 3, False),
        (2, "all", None, False),  # nobody knows how many that is
        (None, "all", None, True),
    ],
)
def test_max_gpus(ceiling: int | None, gpus: Any, cards: int | None, allowed: bool) -> None:
    policy, machine = Policy(max_gpus=ceiling), replace(ADA, cards=cards)
    if allowed:
        assert admitted(policy, machine, gpus=gpus).gpus == gpus
    else:
        said = refusal(policy, machine, gpus=gpus)
        assert "gpus; the policy" in said
        assert f"ContainerManager.max_gpus = {ceiling}" in said


def test_a_card_that_comes_as_a_device_counts() -> None:
    policy = Policy(max_gpus=1, allowed_devices=("*",))
    others = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/null")
    admitted(policy, ADA, devices=("/dev/nvidia0:/dev/nvidia0:rwm", *others))
    assert "asks for 2 gpus" in refusal(policy, ADA, devices=("/dev/nvidia0:/dev/x:r", "/dev/nvidia12"))
    assert "asks for 2 gpus" in refusal(policy, ADA, gpus=("0",), devices=("/dev/nvidia1",))


def test_where_the_folder_is_not_decided_yet_the_mounts_count() -> None:
    policy = Policy(allowed_mount_roots=(Path("/data"),))
    policy.admit(PLAIN, ADA, None)
    with pytest.raises(PolicyRefused, match="the folder /etc; the policy"):
        policy.admit(replace(PLAIN, mounts=(MountPoint("/etc", "/x"),)), ADA, None)


def test_max_containers() -> None:
    Policy().admit_another(PLAIN, ADA, Taken(containers=1000))
    policy = Policy(max_containers=2, files={"max_containers": "/etc/jupyter/x.py"})
    policy.admit_another(PLAIN, ADA, Taken(containers=1))
    with pytest.raises(PolicyRefused) as caught:
        policy.admit_another(PLAIN, ADA, Taken(containers=2))
    assert str(caught.value) == (
        "TF asks for one more container beside the 2 that you have; the policy of lab1 does not allow that. The rule "
        "is ContainerManager.max_containers = 2 (set in /etc/jupyter/x.py). Ask the administrator of lab1 to change "
        "it, or shut down a kernel that you need no more."
    )


def test_what_all_may_have_together() -> None:
    policy = Policy(max_total_memory=4 * GIB, max_total_cpus=0.3)
    policy.admit_another(replace(PLAIN, memory=GIB, cpus=0.2), ADA, Taken(memory=3 * GIB, cpus=0.1))
    with pytest.raises(PolicyRefused) as caught:
        policy.admit_another(replace(PLAIN, memory=GIB + 1, cpus=0.1), ADA, Taken(memory=3 * GIB))
    assert f"TF asks for {GIB + 1} bytes of memory beside the {3 * GIB} of your other containers; the" in str(
        caught.value
    )
    assert f"ContainerManager.max_total_memory = {4 * GIB} (set in" in str(caught.value)
    assert "shut down a kernel that you need no more, or give your environments lower limits." in str(caught.value)
    with pytest.raises(
        PolicyRefused, match=r"for 0\.2 cpus beside the 0\.15 of .*ContainerManager\.max_total_cpus = 0\.3"
    ):
        policy.admit_another(replace(PLAIN, memory=GIB, cpus=0.2), ADA, Taken(cpus=0.15))


def test_more_than_all_may_have_is_too_much_for_one() -> None:
    """Before anything else is asked: it could never run."""
    policy = Policy(max_total_memory=GIB, max_total_cpus=2.0)
    assert f"ContainerManager.max_total_memory = {GIB}" in refusal(policy, memory=GIB + 1)
    assert "ContainerManager.max_total_cpus = 2.0" in refusal(policy, cpus=2.5)
    admitted(policy, memory=GIB, cpus=2.0)


def test_what_has_no_limit_counts_as_what_it_would_get_now() -> None:
    """It was started before there was a rule, and nothing keeps it from taking that."""
    policy = Policy(max_memory=GIB, max_total_memory=4 * GIB, max_total_cpus=2.0)
    assert policy.taken([(None, 0.1), (0, 0.2), (GIB // 2, None)]) == Taken(
        containers=3, memory=2 * GIB + GIB // 2, cpus=2.3
    )
    assert Policy().taken([(None, None)]) == Taken(containers=1)


# Whose word counts.


@pytest.fixture
def system(home: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The administrator's configuration file."""
    folder = home.root / "etc"
    folder.mkdir()
    monkeypatch.setattr(jupyter_core.paths, "SYSTEM_CONFIG_PATH", [str(folder)])
    monkeypatch.setattr(jupyter_core.paths, "ENV_CONFIG_PATH", [])
    return folder / "jupyter_tfcontainer_config.py"


def test_defaults_are_those_of_the_settings(system: Path) -> None:
    assert ContainerManager().policy == Policy()


def test_rules_of_the_system_are_not_the_persons_to_change(home: Home, system: Path) -> None:
    system.write_text("c.ContainerManager.allow_root = False\nc.ContainerManager.max_memory = '1g'\n")
    home.configure(allow_root=True, max_memory="2g", max_cpus=2, standby_timeout=1)
    manager = ContainerManager(config=Config(ContainerManager={"max_memory": "3g", "max_containers": 5}))
    manager.update_config(Config(ContainerManager={"allow_root": True, "allowed_images": ["a"]}))
    policy = manager.policy
    assert (policy.allow_root, policy.max_memory) == (False, GIB)
    # What the system leaves open is the person's own to say.
    assert (policy.max_cpus, policy.max_containers, policy.allowed_images) == (2.0, 5, ("a",))
    assert manager.standby_timeout == 1
    theirs = str(home.root / "config" / "jupyter_tfcontainer_config.json")
    assert policy.files == {"allow_root": str(system), "max_memory": str(system), "max_cpus": theirs}


def test_a_rule_of_the_system_that_is_none_is_not_passed_over(home: Home, system: Path) -> None:
    system.write_text("c.ContainerManager.max_memory = 'a lot'")
    home.configure(max_memory="1g")
    with pytest.raises(TraitError, match="max_memory"):
        ContainerManager()


def test_what_the_system_says_that_is_no_rule_is_the_persons_to_change(home: Home, system: Path) -> None:
    system.write_text("c.ContainerManager.standby_timeout = 7\nc.ContainerManager.orphan_timeout = 8")
    home.configure(standby_timeout=1)
    manager = ContainerManager()
    assert (manager.standby_timeout, manager.orphan_timeout) == (1, 8)


@pytest.mark.parametrize("rule", ["max_memory", "max_total_memory"])
@pytest.mark.parametrize("value", ["a lot", "1m", -1, 0, True])
def test_a_ceiling_that_is_none(home: Home, system: Path, value: Any, rule: str) -> None:
    home.configure(**{rule: value})
    with pytest.raises(TraitError, match=rule):
        _ = ContainerManager().policy


def test_a_limit_of_processes_below_which_nothing_starts(home: Home, system: Path) -> None:
    home.configure(max_pids=5)
    with pytest.raises(TraitError, match="max_pids"):
        _ = ContainerManager().policy
    home.configure(max_pids=None, max_total_memory="2g")
    policy = ContainerManager().policy
    assert (policy.max_pids, policy.max_total_memory) == (None, 2 * GIB)


def test_roots_are_real_folders(home: Home, system: Path) -> None:
    (home.root / "home" / "data").mkdir()
    (home.root / "link").symlink_to(home.root / "home")
    home.configure(allowed_mount_roots=["~/data", str(home.root / "link")], allowed_devices=[])
    policy = ContainerManager().policy
    real = (home.root / "home").resolve()
    assert policy.allowed_mount_roots == (real / "data", real)
    assert policy.allowed_devices == ()
