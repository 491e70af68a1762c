"""What a person or an administrator sets: the configuration of the manager, and the policy in it."""

from __future__ import annotations

from dataclasses import fields
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any

from jupyter_core import paths
from traitlets import Bool, Float, Int, List, TraitError, Unicode, Union, validate
from traitlets.config import Config, SingletonConfigurable
from traitlets.config.application import Application

from ..environments.fields import READERS
from .policy import MAX_PIDS, Policy

CONFIG_NAME = "jupyter_tfcontainer_config"
# With fewer no kernel starts: it, its successor and the supervisor have some thirty.
FEWEST_PIDS = 64
# The rules that are sizes of memory.
SIZES = ("max_memory", "max_total_memory")
RULES = [one.name for one in fields(Policy) if one.name != "files"]


class Settings(SingletonConfigurable):
    """The settings of ``ContainerManager``.

    They are read from ``jupyter_tfcontainer_config.py`` or ``.json`` on Jupyter's configuration path, so that what an
    administrator says there holds under ``jupyter execute`` too, where no server's configuration is read.
    """

    engine_url = Unicode(
        help="Address of the container engine, as in DOCKER_HOST. Empty: DOCKER_HOST, Docker's current context, then "
        "the usual sockets."
    ).tag(config=True)
    state_dir = Unicode(
        help="Folder for the sockets of running containers. Empty: below Jupyter's data folder. It must be on a local "
        "disk that the engine sees."
    ).tag(config=True)
    orphan_timeout = Float(
        60.0,
        help="Seconds after which a container ends itself when the program that started it has died, where that is "
        "no server.",
    ).tag(config=True)
    server_orphan_timeout = Float(
        86400.0, help="Seconds after which a container ends itself when the Jupyter server that started it has died."
    ).tag(config=True)
    keep_kernels = Bool(
        help="Whether kernels go on when the Jupyter server is stopped in an orderly way, as they do when it crashes: "
        "the next server on the same folder takes them over. Without one they end after server_orphan_timeout."
    ).tag(config=True)
    record_memory = Int(
        8 * 2**20,
        min=0,
        help="Bytes of memory, beside some 10 MB, in which the last messages of each kernel of a server are kept: what "
        "it prints while no server runs gets from there into a page that was left open. 0: none are kept.",
    ).tag(config=True)
    standby_timeout = Float(
        1800.0, help="Seconds after which a container that was started ahead, and not used, is removed."
    ).tag(config=True)

    standby = Int(
        1,
        min=0,
        help="How many containers stand by for an environment that does not say it (standby), once it has been used in "
        "this server.",
    ).tag(config=True)
    standby_load = Float(
        1.0,
        help="Load of the machine, for each of its processors, above which no container is started to stand by.",
    ).tag(config=True)

    registry_prefix = Unicode(
        help="Registry, and folder in it, that has copies of the catalog's images, such as 'mirror.example:5000/hub'. "
        "Images of the catalog that are named without a registry, or with NVIDIA's own, come from there."
    ).tag(config=True)

    # What an administrator lets people run (policy.py).

    allowed_images = List(
        Unicode(),
        ["*"],
        help="Patterns, such as 'tensorflow/*', of which an image's name with registry and tag must match one.",
    ).tag(config=True)
    allowed_mount_roots = List(
        Unicode(), ["/"], help="Folders, in one of which the workspace and each of an environment's mounts must lie."
    ).tag(config=True)
    allow_root = Bool(
        help="Whether a kernel may be root, or any other user than the person, or in groups that the person is not in. "
        "Where the person is root, or the engine is rootless, it may in any case."
    ).tag(config=True)
    allowed_devices = List(
        Unicode(),
        None,
        allow_none=True,
        help="Patterns, such as '/dev/video*', of which a device must match one. None: those that the person may use "
        "without a container.",
    ).tag(config=True)
    max_memory = Union(
        [Int(), Unicode()],
        default_value=None,
        allow_none=True,
        help="The most memory that a container may use, in bytes or such as '8g'; one without a limit gets this one.",
    ).tag(config=True)
    max_cpus = Float(
        None,
        allow_none=True,
        help="The most processors that a container may use; one that sets no limit gets this one.",
    ).tag(config=True)
    max_total_memory = Union(
        [Int(), Unicode()],
        default_value=None,
        allow_none=True,
        help="The most memory that a person's containers may use together, by the limits of each; one without a limit "
        "gets max_memory, or all of this.",
    ).tag(config=True)
    max_total_cpus = Float(
        None,
        allow_none=True,
        help="The most processors that a person's containers may use together, by the limits of each; one without a "
        "limit gets max_cpus, or all of this.",
    ).tag(config=True)
    max_pids = Int(
        MAX_PIDS,
        min=FEWEST_PIDS,
        allow_none=True,
        help="How many processes and threads a container may have. None: the engine's own limit.",
    ).tag(config=True)
    max_gpus = Int(None, allow_none=True, help="The most GPUs that a container may get.").tag(config=True)
    max_containers = Int(None, allow_none=True, help="How many containers a person may have at a time.").tag(
        config=True
    )

    allow_ports = Bool(
        True,
        help="Whether programs in containers (TensorBoard, and others) can be reached at ports through the server. "
        "Their pages are pages of the server: the scripts in them may do there what the person may.",
    ).tag(config=True)

    @validate(*SIZES)
    def _size(self, proposal: Any) -> int | None:
        if proposal["value"] is None:
            return None
        try:
            return int(READERS["memory"](proposal["value"]))
        except ValueError as error:
            raise TraitError(
                f"ContainerManager.{proposal['trait'].name} must be {error}, not {proposal['value']!r}."
            ) from None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        config, self._enforced, self._files = _own_configuration(self.log)
        config.merge(self.config)
        config.merge(Config(ContainerManager=self._enforced))
        self.config = config

    @property
    def policy(self) -> Policy:
        """What an administrator lets people run.

        What the system's own configuration says cannot be changed by the person's, nor on a command line.
        """
        rules = {name: self._enforced.get(name, getattr(self, name)) for name in RULES}
        for name in ("allowed_images", "allowed_devices"):
            rules[name] = None if rules[name] is None else tuple(rules[name])
        rules["allowed_mount_roots"] = tuple(Path(root).expanduser().resolve() for root in rules["allowed_mount_roots"])
        for name in SIZES:
            if rules[name] is not None:
                rules[name] = READERS["memory"](rules[name])
        return Policy(**rules, files=self._files)


def _own_configuration(log: Logger | LoggerAdapter[Any]) -> tuple[Config, dict[str, Any], dict[str, str]]:
    """The configuration files of our own name, the person's over the system's (Jupyter's own order).

    Returns
    -------
    tuple
        what they say; of that, the rules of policy in the system's, which are not the person's to change; and which
        file each rule is from
    """
    config, enforced, files = Config(), {}, {}
    for loaded, path in Application._load_config_files(  # noqa: SLF001 - the one reader of .py and .json files there is
        CONFIG_NAME, path=paths.jupyter_config_path(), log=log
    ):
        config.merge(loaded)
        rules = {name: value for name, value in loaded.get("ContainerManager", {}).items() if name in RULES}
        if str(Path(path).parent) in paths.SYSTEM_CONFIG_PATH:
            enforced.update(rules)
        files.update({name: path for name in rules if name not in enforced or enforced[name] is rules[name]})
    return config, enforced, files
