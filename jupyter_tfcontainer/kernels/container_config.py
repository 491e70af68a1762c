"""From an environment, a workspace and what the engine is to the container's create arguments.

Pure: nothing is asked, nothing is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from .. import workspace
from ..engine import EngineFacts, gpu, labels
from ..environments.environment import Environment
from ..images.inspection import INTERPRETERS
from ..workspace import Mount, Workspace, bind, masks
from .types import Folders, Person

# Seconds without an owner after which a container ends that has no kernel, which somebody could take over.
EMPTY_TIMEOUT = 60.0
# A CUDA compute cache that holds every kernel of TensorFlow for a card that its wheel has no machine code for;
# NVIDIA's own limit is 4 GiB.
CUDA_CACHE_SIZE = 4 * 1024**3 - 1
# Bytes of a log that Podman keeps in a file: it begins a new one then, and has no old ones.
PODMAN_LOG_SIZE = 20_000_000

# What the engines say of a value that they refuse (measured on Docker 20.10), and which field that came from.
REFUSALS = (
    ("platform", r"platform|exec format error"),
    ("cpus", r"Range of CPUs"),
    ("ulimits", r"[ru]limit|too many open files"),
    ("memory", r"memory limit|OOM-killed|memory\.limit_in_bytes|memory\.max"),
    ("user", r"unable to find user|uids and gids must be"),
    ("devices", r"custom device|device type|device nodes|mknod"),
    ("mounts", r"mount"),
    ("shm_size", r"shm"),
)
# Fields that keep no container from running, or have errors of their own.
BLAMELESS = ("image", "gpus", "pull_policy", "compatibility", "ports", "secrets", "standby")

# passwd(5), group(5)
PASSWD_FIELDS = 7
GROUP_FIELDS = 4


def create_arguments(
    environment: Environment,
    *,
    workspace_: Workspace,
    facts: EngineFacts,
    image: Mapping[str, Any],
    person: Person,
    folders: Folders,
    orphan_timeout: float,
    gpu_route: gpu.Route,
    device_groups: tuple[int, ...] = (),
    python: str | None = None,
    pids_limit: int | None = None,
) -> dict[str, Any]:
    """The create arguments in the engine's own words (Docker's API reference, "Create a container").

    Parameters
    ----------
    environment
        what to run
    workspace_
        the folder to mount
    facts
        which engine
    image
        the engine's description of the image
    person
        whom the kernel acts for
    folders
        where sockets and home are
    orphan_timeout
        seconds without an owner after which the container ends itself
    gpu_route
        how the engine hands over GPUs
    device_groups
        groups that may use the devices
    python
        the interpreter that had ipykernel in a container of the same image, if there was one
    pids_limit
        how many processes and threads it may have; None for the engine's own limit
    """
    user = kernel_user(environment, person, facts)
    options = _supervisor_options(environment, workspace_, facts, person, folders, orphan_timeout)
    return {
        "Image": image["Id"],
        "Cmd": _command(options, _interpreters(environment.python, python)),
        "User": f"{user.uid}:{user.gid}",
        "WorkingDir": str(workspace.NOTEBOOKS),
        "Env": [f"{name}={value}" for name, value in _variables(environment, image, user).items()],
        "ExposedPorts": {f"{port}/tcp": {} for port in environment.ports},
        "Labels": _labels(environment, workspace_, person, folders),
        "HostConfig": {
            "Mounts": _mounts(environment, workspace_, folders),
            "GroupAdd": [str(group) for group in _groups(user, () if facts.rootless else device_groups)],
            **_limits(environment, pids_limit),
            **_access(environment, gpu_route),
            **_log_config(facts),
        },
    }


def _command(options: dict[str, Any], interpreters: list[str]) -> list[str]:
    """Return the program that looks for an interpreter and starts the supervisor in it.

    The image's ENTRYPOINT stays: NVIDIA's and conda's set up libraries there.
    """
    return ["sh", str(workspace.PROGRAMS / "start.sh"), json.dumps(options), *interpreters]


def _supervisor_options(
    environment: Environment,
    workspace_: Workspace,
    facts: EngineFacts,
    person: Person,
    folders: Folders,
    orphan_timeout: float,
) -> dict[str, Any]:
    """Return what the supervisor is told."""
    return {
        "control": str(folders.run_inside / "control.sock"),
        "orphan_timeout": orphan_timeout,
        "empty_timeout": min(orphan_timeout, EMPTY_TIMEOUT),
        "checks": [
            *map(str, (*workspace_.places, workspace.HOME)),
            *(mount.target for mount in environment.mounts),
        ],
        "preload": list(environment.preload),
        # Another user than the person is to let the person in: who else comes so far is the folder's business.
        "shared": is_another(environment, person, facts),
        "keep_nofile": "nofile" in environment.ulimits,
    }


def _labels(environment: Environment, workspace_: Workspace, person: Person, folders: Folders) -> dict[str, str]:
    """Return the labels by which later processes recognize the container."""
    # Imported here, because it is looked up at first use.
    from .. import __version__

    return {
        labels.VERSION: __version__,
        labels.ENVIRONMENT: environment.name,
        labels.WORKSPACE: str(workspace_.root),
        labels.OWNER: str(person.uid),
        labels.FOLDER: str(folders.state),
        labels.HOME: str(folders.home),
    }


def _access(environment: Environment, gpu_route: gpu.Route) -> dict[str, Any]:
    """Return the part of ``HostConfig`` that says what the container may reach: network, devices, GPUs, privileges."""
    return {
        "NetworkMode": "none" if environment.network == "none" else "default",
        # SELinux would deny the mounts; the alternative is to relabel the person's files.
        "SecurityOpt": ["no-new-privileges", "label=disable"],
        "Devices": [_device(one) for one in environment.devices],
        **gpu.host_config(environment.gpus, gpu_route),
    }


def _limits(environment: Environment, pids_limit: int | None) -> dict[str, Any]:
    """Return the part of ``HostConfig`` that bounds what the container uses."""
    return {
        "ShmSize": environment.shm_size,
        "Memory": environment.memory or 0,
        # No swap on top: the limit is the limit.
        "MemorySwap": environment.memory or 0,
        "NanoCpus": nano_cpus(environment),
        "PidsLimit": pids_limit or 0,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in environment.ulimits.items()],
    }


def _log_config(facts: EngineFacts) -> dict[str, Any]:
    """Return the part of ``HostConfig`` that bounds the log, where the engine's driver can."""
    if facts.log_driver == "json-file":
        return {"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}}
    if facts.kind == "podman":
        # It does not say here which driver it has; the journal, which it may be, has bounds of its own.
        return {"LogConfig": {"Config": {"max-size": str(PODMAN_LOG_SIZE)}}}
    return {}


def kernel_user(environment: Environment, person: Person, facts: EngineFacts) -> Person:
    """Who the kernel is inside.

    On a rootless engine root inside *is* the person outside, and groups of outside mean nothing.
    """
    if environment.user == "root" or (environment.user == "me" and facts.rootless):
        user = replace(person, uid=0, gid=0, groups=(), name="root")
    elif environment.user == "me":
        user = person
    else:
        uid, gid = map(int, environment.user.split(":"))
        same = (uid, gid) == (person.uid, person.gid) and not facts.rootless
        user = person if same else replace(person, uid=uid, gid=gid, groups=(), name=f"user{uid}" if uid else "root")
    return replace(user, groups=_groups(user, environment.groups))


def is_another(environment: Environment, person: Person, facts: EngineFacts) -> bool:
    """Whether the kernel is another user than the person, as seen from outside."""
    return kernel_user(environment, person, facts).uid != (0 if facts.rootless else person.uid)


def _groups(user: Person, more: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*user.groups, *more)))


def nano_cpus(environment: Environment) -> int:
    """The limit of processors as the engine counts it."""
    return int((environment.cpus or 0) * 1e9)


def dropped(environment: Environment, host: Mapping[str, Any]) -> str | None:
    """The field that the engine left out of a container without a word, or None.

    Parameters
    ----------
    environment
        what was asked for
    host
        the container's ``HostConfig``, as the engine has it
    """
    asked = {"memory": ("Memory", environment.memory or 0), "cpus": ("NanoCpus", nano_cpus(environment))}
    return next((name for name, (key, value) in asked.items() if value and host.get(key) != value), None)


def refused_field(environment: Environment, explanation: str) -> str | None:
    """The field that an engine means when it refuses a container, or None where that is not clear."""
    asked = environment.asked
    return next((name for name, words in REFUSALS if name in asked and re.search(words, explanation)), None)


def blame(environment: Environment) -> str:
    """What of an environment may be to blame, for an error that says nothing of it."""
    words = [f"{name}: {value!r}" for name, value in environment.asked.items() if name not in BLAMELESS]
    return f"The environment {environment.name} says {', '.join(words)}. " if words else ""


def _mounts(environment: Environment, workspace_: Workspace, folders: Folders) -> list[Mount]:
    """Return all mounts: the workspace, the environment's own, and the folders of the extension."""
    return [
        *workspace_.mounts,
        *_own_mounts(environment, workspace_),
        bind(folders.home, workspace.HOME),
        bind(folders.run, folders.run_inside),
        bind(folders.programs, workspace.PROGRAMS, read_only=True),
    ]


def _own_mounts(environment: Environment, workspace_: Workspace) -> list[Mount]:
    mounts: list[Mount] = []
    for mount in environment.mounts:
        source, target = Path(mount.source), PurePosixPath(mount.target)
        hidden = masks(source, target, workspace_.masked, workspace_.sockets)
        mounts += [bind(source, target, read_only=mount.read_only), *hidden]
    return mounts


def _device(device: str) -> dict[str, str]:
    """A device in the engine's words, from ``HOST[:CONTAINER[:rwm]]``."""
    outside, _, rest = device.partition(":")
    inside, _, rights = rest.partition(":")
    return {"PathOnHost": outside, "PathInContainer": inside or outside, "CgroupPermissions": rights or "rwm"}


def _interpreters(wanted: str | None, known: str | None) -> list[str]:
    """What start.sh is to try: first these, as they are, and then with the person's own packages."""
    if wanted:
        return [wanted, "search", wanted]
    return [known, "search", *INTERPRETERS] if known else []


def _variables(environment: Environment, image: Mapping[str, Any], user: Person) -> dict[str, str]:
    theirs = dict(item.split("=", 1) for item in image["Config"].get("Env") or [] if "=" in item)
    variables = {
        "HOME": str(workspace.HOME),
        "USER": user.name,
        "LOGNAME": user.name,
        # One for each image and, by its own subfolders, each Python version: packages built for one do not load in
        # another.
        "PYTHONUSERBASE": str(workspace.HOME / ".local" / f"image-{image['Id'].removeprefix('sha256:')[:12]}"),
        "PIP_USER": "1",
        # Debian's newer images forbid even --user installs; in a container there is no system to break.
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PYTHONIOENCODING": "utf-8",
        "CUDA_CACHE_PATH": str(workspace.HOME / ".nv" / "ComputeCache"),
        "CUDA_CACHE_MAXSIZE": str(CUDA_CACHE_SIZE),
        "NVIDIA_VISIBLE_DEVICES": gpu.visible_devices(environment.gpus),
    }
    if not {"LANG", "LC_ALL", "LC_CTYPE"} & theirs.keys():
        variables["LANG"] = "C.UTF-8"
    if user.timezone:
        variables["TZ"] = user.timezone
    return {**variables, **environment.env}


def account_files(passwd: str, group: str, person: Person) -> dict[str, bytes]:
    """The image's ``/etc/passwd`` and ``/etc/group`` with the person in them, so that ``getpwuid`` and ``id`` answer.

    Parameters
    ----------
    passwd, group
        content of the image's files
    person
        whom to add, unless the image has that id already
    """
    files = {}
    users = {line.split(":")[2] for line in passwd.splitlines() if line.count(":") == PASSWD_FIELDS - 1}
    if str(person.uid) not in users:
        entry = f"{person.name}:x:{person.uid}:{person.gid}:{person.name}:{workspace.HOME}:/bin/sh\n"
        files["/etc/passwd"] = (_ended(passwd) + entry).encode()
    known = {line.split(":")[2] for line in group.splitlines() if line.count(":") == GROUP_FIELDS - 1}
    missing = [gid for gid in dict.fromkeys((person.gid, *person.groups)) if str(gid) not in known]
    if missing:
        entries = "".join(f"{person.name if gid == person.gid else f'group{gid}'}:x:{gid}:\n" for gid in missing)
        files["/etc/group"] = (_ended(group) + entries).encode()
    return files


def _ended(content: str) -> str:
    return content if not content or content.endswith("\n") else content + "\n"
