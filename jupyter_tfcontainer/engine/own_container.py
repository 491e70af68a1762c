"""When this process itself runs in a container of the engine: what the engine calls our folders.

The engine sees the machine's folders, we see those of our container. What is mounted into it has a name on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MountMissing

# The engine mounts files of its own into each container, from a folder that bears the container's id (Docker:
# ``…/containers/ID/hostname``, Podman: ``…/ID/userdata/hostname``).
OWN_FILE = re.compile(r"/([0-9a-f]{64})/(?:userdata/)?(?:hostname|hosts|resolv\.conf)(?://deleted)? /etc/")


def container_id(mountinfo: str) -> str | None:
    """The id of the container that a process is in, by its ``/proc/self/mountinfo`` (proc(5)); None for none."""
    found = OWN_FILE.search(mountinfo)
    return found[1] if found else None


@dataclass(frozen=True)
class OwnContainer:
    """The container that this process runs in.

    Parameters
    ----------
    name
        by which a person knows it
    mounts
        its folders that come from elsewhere, each with the machine's name for it; None where the machine has none
    """

    name: str
    mounts: Mapping[Path, Path | None]

    @classmethod
    def from_engine(cls, container: Mapping[str, Any]) -> OwnContainer:
        """Read what the engine knows of it."""
        mounts = {
            Path(one["Destination"]): Path(one["Source"]) if one.get("Source") else None for one in container["Mounts"]
        }
        return cls(str(container["Name"]).lstrip("/"), mounts)

    def outside(self, path: Path) -> Path:
        """What the engine calls a folder of ours.

        Raises
        ------
        MountMissing
            when it is only in our container
        """
        nearest = next((place for place in (path, *path.parents) if place in self.mounts), None)
        if nearest and (source := self.mounts[nearest]):
            return source / path.relative_to(nearest)
        raise MountMissing(
            f"Jupyter runs in the container {self.name}, and its folder {path} is in there only: the containers of "
            f"kernels cannot get it. Run {self.name} with that folder, or one above it, mounted from the machine "
            f"(`--volume FOLDER:{path}`)."
        )

    def translated(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Create arguments with the folders as the engine calls them."""
        host = config.get("HostConfig", {})
        mounts = [
            {**one, "Source": str(self.outside(Path(one["Source"])))}
            if one["Type"] == "bind" and not one["Source"].startswith("/dev/")  # every machine has those
            else one
            for one in host.get("Mounts", [])
        ]
        return {**config, "HostConfig": {**host, "Mounts": mounts}}
