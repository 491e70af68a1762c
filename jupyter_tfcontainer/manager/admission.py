"""What may run here: the policy is asked at each door, and what a person's containers have together is counted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import paths
from ..compatibility import catalog, hardware
from ..engine import labels, sockets
from ..engine.provider import EngineProvider
from ..engine.reference import check_reference
from ..environments.environment import Environment
from ..errors import ContainerNotFound, PolicyRefused, WorkspaceRefused
from ..kernels import host_resources
from ..kernels.state_file import recorded
from ..kernels.types import Folders
from ..workspace import Workspace
from .policy import Machine, Taken
from .registry import Registry
from .settings import Settings

# In which of the engine's states a container uses nothing any more.
ENDED_STATES = ("exited", "dead", "removing")


class Admission:
    """Says what may run, and keeps places for what is being started.

    Parameters
    ----------
    settings
        have the policy
    provider
        has the engine
    registry
        knows what runs
    """

    def __init__(self, settings: Settings, provider: EngineProvider, registry: Registry) -> None:
        self._settings = settings
        self._provider = provider
        self._registry = registry
        # Held while it is counted whether one more container may be started.
        self._lock = threading.Lock()
        #: What is being started, by the folder of its container.
        self._starting: dict[str, Environment] = {}

    def workspace(self, root: Path) -> Workspace:
        """The workspace on a host folder.

        Raises
        ------
        WorkspaceRefused
            when that folder is one of Jupyter's own, or in one: what lies there decides what runs outside the container
        """
        folder, private = root.expanduser().resolve(), paths.private_folders()
        for one in private:
            if one in (folder, *folder.parents):
                raise WorkspaceRefused(
                    f"The folder {folder} belongs to Jupyter itself (it keeps its configuration or kernels in {one}), "
                    f"and no notebook in a container may see that. Start JupyterLab on another folder."
                )
        return Workspace(folder, (*private, paths.PROCESSES), sockets(self._provider.engine.facts.url))

    def _machine(self, environment: Environment) -> Machine:
        facts = self._provider.engine.facts
        cards = len(hardware.read().cards) or None if environment.gpus == "all" else None
        return Machine(
            host=facts.host, person=host_resources.person(), rootless=facts.rootless, cpus=facts.cpus, cards=cards
        )

    def admit(self, environment: Environment, workspace: Workspace) -> Environment:
        """See whether something may run. By whatever door, it comes through here before anything is done for it.

        Raises
        ------
        PolicyRefused, EnvironmentInvalid
            with what to do
        """
        image = catalog.load().mirrored(environment.image, self._settings.registry_prefix)
        environment = host_resources.locate(replace(environment, image=image), workspace)
        usable = host_resources.usable_devices(environment)
        return self._settings.policy.admit(environment, self._machine(environment), workspace.root, usable)

    def admit_image(self, reference: str, asker: str) -> str:
        """See whether an image may be had, and answer its name: from the mirror where there is one.

        Parameters
        ----------
        reference
            its name
        asker
            what is to be done with it, as the refusal shall call it

        Raises
        ------
        ImageInvalid, PolicyRefused
            with what to do
        """
        image = catalog.load().mirrored(check_reference(reference), self._settings.registry_prefix)
        asked = Environment(name="", display_name=asker, image=image)
        self._settings.policy.admit_image(asked, self._machine(asked))
        return image

    def admit_ports(self, environment: Environment) -> None:
        """See whether programs in a container of an environment may be reached at their ports.

        Raises
        ------
        PolicyRefused
            with what to do
        """
        self._settings.policy.admit_ports(environment, self._machine(environment))

    def review(self, environment: Environment) -> None:
        """See whether an environment may run at all, before there is a folder for it to work in.

        Raises
        ------
        PolicyRefused
            with what to do
        EngineError
            when no engine answers: what may run is its machine's to say
        """
        image = catalog.load().mirrored(environment.image, self._settings.registry_prefix)
        environment = host_resources.real_paths(replace(environment, image=image))
        self._settings.policy.admit(
            environment, self._machine(environment), None, host_resources.usable_devices(environment)
        )

    @contextmanager
    def place(self, environment: Environment, folders: Folders, make_room: Callable[[], bool]) -> Iterator[None]:
        """Keep a place among the containers that a person may have, while one is being started.

        Parameters
        ----------
        environment, folders
            what is being started, and the container's folders
        make_room
            removes a container that nobody has asked for, and answers whether it found one

        Raises
        ------
        PolicyRefused
            when there is no place, and no room can be made
        """
        rules = self._settings.policy
        with self._lock:
            while rules.counts:
                try:
                    rules.admit_another(environment, self._machine(environment), self._taken())
                    break
                except PolicyRefused:
                    if not make_room():
                        raise
            self._starting[str(folders.state)] = environment
        try:
            yield
        finally:
            with self._lock:
                del self._starting[str(folders.state)]

    @contextmanager
    def home_unused(self, name: str, home: Path) -> Iterator[list[str]]:
        """Who uses the home of an environment; nothing that this process starts begins to while this lasts.

        Parameters
        ----------
        name
            of the environment
        home
            the folder
        """
        with self._lock:
            starting = ["a start that is under way" for one in self._starting.values() if one.name == name]
            yield [*map(_user, self.home_users().get(home, [])), *starting]

    def home_users(self) -> dict[Path, list[dict[str, Any]]]:
        """The containers of this user that have not ended, as the engine lists them, by their homes."""
        users: dict[Path, list[dict[str, Any]]] = {}
        for one in self._provider.engine.list(os.getuid()):
            names = one["Labels"]
            home = names.get(labels.HOME)
            if not home and Path(names.get(labels.FOLDER, "")).parent in paths.state_roots(self._settings.state_dir):
                # One that an earlier version has started does not say it.
                home = str(paths.home_folder(names.get(labels.ENVIRONMENT, "")))
            if home and one["State"] not in ENDED_STATES:
                users.setdefault(Path(home), []).append(one)
        return users

    def used_folders(self) -> set[Path]:
        """The folders that containers of this user have: their own, and those that they work on."""
        names = (labels.FOLDER, labels.WORKSPACE)
        found = self._provider.engine.list(os.getuid())
        return {Path(one["Labels"][name]) for one in found for name in names if name in one["Labels"]}

    def _taken(self) -> Taken:
        """What the containers of this user have together, those included that are just being started."""
        limits = {folder: (one.memory, one.cpus) for folder, one in self._starting.items()}
        mine = {one.id: one.environment for one in self._registry.running()}
        for one in self._provider.engine.list(os.getuid()):
            folder = one["Labels"].get(labels.FOLDER, "")
            if folder in limits:
                continue
            if known := mine.get(one["Id"]):
                limits[folder] = known.memory, known.cpus
            else:
                with suppress(ContainerNotFound):  # it has just gone
                    host_config = self._provider.engine.inspect(one["Id"])["HostConfig"]
                    limits[folder] = host_config["Memory"], host_config["NanoCpus"] / 1e9
        return self._settings.policy.taken(limits.values())

    def admit_root(self, model: dict[str, Any]) -> None:
        """See whether somebody may be root in a container, as if its environment asked for it.

        Parameters
        ----------
        model
            of the container

        Raises
        ------
        PolicyRefused
            with what to do
        """
        asked = Environment(
            name=model["environment"], display_name=model["display_name"], image=model["image"], user="root"
        )
        self._settings.policy.admit(asked, self._machine(asked), Path(model["workspace"]))


def _user(container: dict[str, Any]) -> str:
    """Who uses a container, in a person's words."""
    # An image may bear one label of ours and not the other.
    folder = container["Labels"].get(labels.FOLDER)
    notebook = recorded(Path(folder)).get("session") if folder else None
    return notebook or f"container {container['Id'][:12]}"
