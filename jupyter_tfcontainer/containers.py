"""From an environment, a workspace and what the engine is to the container's create arguments.

Pure: nothing is asked, nothing is done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from . import __version__, workspace
from .engine import EngineFacts, gpu, labels
from .environments import Environment
from .workspace import Workspace, bind

# A CUDA compute cache that holds every kernel of TensorFlow for a card that its wheel has no machine code for;
# NVIDIA's own limit is 4 GiB.
CUDA_CACHE_SIZE = 4 * 1024**3 - 1


# passwd(5), group(5)
PASSWD_FIELDS = 7
GROUP_FIELDS = 4


@dataclass(frozen=True)
class Person:
    """Whoever runs the Jupyter server: the kernel is the same user.

    Parameters
    ----------
    uid, gid
        user and group id
    groups
        supplementary group ids
    name
        login name
    timezone
        name of the zone, such as ``Europe/Berlin``; empty when it is not known
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    timezone: str = ""


@dataclass(frozen=True)
class Folders:
    """Host folders of one container.

    Parameters
    ----------
    state
        record and lock; the container does not see it
    run
        sockets, within ``state``; mounted
    home
        ``$HOME`` inside: one for each environment, it outlives the container
    """

    state: Path
    run: Path
    home: Path

    @property
    def programs(self) -> Path:
        """What runs inside; mounted, and not to be written to from there."""
        return self.state / "bin"

    @property
    def run_inside(self) -> PurePosixPath:
        """Where ``run`` is in the container.

        Unlike another's, so that the machine's table of sockets tells whose each is.
        """
        return workspace.RUN / self.state.name


def create_arguments(
    environment: Environment,
    *,
    workspace_: Workspace,
    facts: EngineFacts,
    image: Mapping[str, Any],
    person: Person,
    folders: Folders,
    orphan_timeout: float,
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
    """
    supervisor = {
        "control": str(folders.run_inside / "control.sock"),
        "orphan_timeout": orphan_timeout,
        "checks": [str(place) for place in (*workspace_.places, workspace.HOME)],
        "preload": [],
    }
    host = {
        "Mounts": [
            *workspace_.mounts,
            bind(folders.home, workspace.HOME),
            bind(folders.run, folders.run_inside),
            {**bind(folders.programs, workspace.PROGRAMS), "ReadOnly": True},
        ],
        "NetworkMode": "none" if environment.network == "none" else "default",
        "ShmSize": environment.shm_size,
        # SELinux would deny the mounts; the alternative is to relabel the person's files.
        "SecurityOpt": ["no-new-privileges", "label=disable"],
        "GroupAdd": [] if facts.rootless else [str(group) for group in person.groups],
        "Memory": environment.memory or 0,
        # No swap on top: the limit is the limit.
        "MemorySwap": environment.memory or 0,
        "NanoCpus": int((environment.cpus or 0) * 1e9),
        **gpu.host_config(environment.gpus, gpu.choose_route(facts)),
    }
    if facts.log_driver == "json-file":
        host["LogConfig"] = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}
    return {
        "Image": image["Id"],
        # The image's ENTRYPOINT stays: NVIDIA's and conda's set up libraries there.
        "Cmd": ["sh", str(workspace.PROGRAMS / "start.sh"), json.dumps(supervisor)],
        "User": "0:0" if facts.rootless else f"{person.uid}:{person.gid}",
        "WorkingDir": str(workspace.NOTEBOOKS),
        "Env": [f"{name}={value}" for name, value in _variables(environment, image, person, facts).items()],
        "Labels": {
            labels.VERSION: __version__,
            labels.ENVIRONMENT: environment.name,
            labels.WORKSPACE: str(workspace_.root),
            labels.OWNER: str(person.uid),
            labels.FOLDER: str(folders.state),
        },
        "HostConfig": host,
    }


def _variables(
    environment: Environment, image: Mapping[str, Any], person: Person, facts: EngineFacts
) -> dict[str, str]:
    theirs = dict(item.split("=", 1) for item in image["Config"].get("Env") or [] if "=" in item)
    name = "root" if facts.rootless else person.name
    variables = {
        "HOME": str(workspace.HOME),
        "USER": name,
        "LOGNAME": name,
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
    if person.timezone:
        variables["TZ"] = person.timezone
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
