"""The images of an engine: what takes long goes over a connection of its own, which can be cut."""

from __future__ import annotations

import builtins
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import requests
from docker import APIClient, auth
from docker.errors import APIError, DockerException, NotFound, StreamParseError
from urllib3.exceptions import HTTPError

from ..errors import ImageBuildFailed, ImageError, ImageInUse, ImageNotFound
from . import labels, podman, pulls
from .cancellable import Cuttable, LongClient
from .info import EngineFacts
from .reference import split

Model = dict[str, Any]
Models = list[Model]
# How the names of containers begin in which images are made.
HELD = "tfcontainer-workshop-"
# Seconds that something is tried in a container, at most, or that one may take from its creation to its start.
TRIAL_SECONDS = 600
# What comes of a stream of events that is cut, or is none.
UNREADABLE = (StreamParseError, RecursionError, HTTPError)

# Seconds that an engine may take to end what it was told to end, and between two looks.
SOON = 10.0
INTERVAL = 0.05
# Where a build names an image: Docker's words for one on the way, Podman's, and both for the last.
STEP_ENDS = re.compile(r"( ---> |--> |Successfully built |)([0-9a-f]{11,64})")
# ISO/IEC 6429, "Select graphic rendition": errors are red.
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class EngineImages:
    """The images of one engine.

    Parameters
    ----------
    url, version
        where it is, and which API it speaks
    api, door
        the way to it for what is answered at once
    facts
        what it says of itself
    """

    def __init__(
        self,
        url: str,
        version: str,
        api: APIClient,
        door: Callable[[], AbstractContextManager[None]],
        facts: EngineFacts,
    ) -> None:
        self._url, self._version = url, version
        self._api = api
        self._door = door
        self._host = facts.host
        self._podman = facts.kind == "podman"

    @contextmanager
    def _long(self, cuttable: Cuttable) -> Iterator[LongClient]:
        # Made for each: it reads the person's Docker configuration, so that a `docker login` counts at once.
        with closing(LongClient(self._url, self._version)) as api, cuttable(api.cut):
            yield api

    def list(self) -> Models:
        """The images that have a name, and those that no other is built on."""
        with self._door():
            return cast("Models", self._api.images())

    def unique_sizes(self) -> dict[str, int]:
        """By id, how many bytes of an image no other image shares. The engine counts them, which takes a while."""
        with self._door():
            images = cast("Models", self._api.df().get("Images") or [])
        # Podman has the unique size under the name of its own API.
        return {
            one["Id"]: one["UniqueSize"] if "UniqueSize" in one else max(0, one["Size"] - max(0, one["SharedSize"]))
            for one in images
        }

    def containers(self) -> dict[str, Models]:
        """All containers of the engine, whoever made them, by the id of their image."""
        with self._door():
            found: dict[str, Models] = {}
            for one in cast("Models", self._api.containers(all=True)):
                # Those in which we make or try something are gone soon.
                if labels.TRIAL not in (one.get("Labels") or {}) and not one["Names"][0].startswith(f"/{HELD}"):
                    found.setdefault(one["ImageID"], []).append(one)
            return found

    def remove(self, reference: str, *, force: bool = False) -> None:
        """Take a name from an image, and with the last of them the image itself.

        Raises
        ------
        ImageNotFound
            when there is none of that name
        ImageInUse
            when the engine cannot do without
        """
        with self._door():
            try:
                self._api.remove_image(reference, force=force)
            except NotFound:
                raise ImageNotFound(f"There is no image {reference} on {self._host}.") from None
            except APIError as error:
                # Docker answers 409, Podman 409 or 500.
                if "in use" in str(error.explanation) or "using" in str(error.explanation) or _conflicts(error):
                    raise ImageInUse(
                        f"The image {reference} cannot be removed from {self._host}: {error.explanation}"
                    ) from error
                raise

    def old_trials(self, owner: int) -> builtins.list[str]:
        """The ids of the images without anything in them that trials of a user's have left."""
        with self._door():
            found = cast("Models", self._api.images(filters={"label": f"{labels.TRIAL}={owner}"}))
            used = {one["ImageID"] for one in cast("Models", self._api.containers(all=True))}
        before = time.time() - TRIAL_SECONDS
        return [one["Id"] for one in found if one["Id"] not in used and one["Created"] < before]

    def drop(self, image: str) -> bool:
        """Remove an image that nobody has a name for, unless something stands on it.

        Returns
        -------
        bool
            whether a container is in the way
        """
        try:
            there = self._api.inspect_image(image)
            names = [*(there["RepoTags"] or []), *(there["RepoDigests"] or [])]
            if not [one for one in names if not one.startswith("<none>")]:
                self._api.remove_image(image)
        except (DockerException, requests.RequestException) as error:
            return "container" in str(error)
        return False

    def abandon(self, image: str) -> None:
        """Have Podman give up what it still builds on an image that nobody has a name for.

        Left alone it would go on when nobody listens, until the command of that step has ended, and keep the image. It
        has no way to end the command itself.
        """
        if self._podman:
            url = f"{self._api.base_url}{podman.API}/containers"
            with suppress(DockerException, requests.RequestException):
                # Those of builds are none of its own: Docker's API does not know them.
                every = self._api.get(f"{url}/json", params={"all": "true", "external": "true"}, timeout=SOON).json()
                for one in every:
                    if one["State"] == "storage" and one["ImageID"].startswith(image):
                        self._api.delete(f"{url}/{one['Id']}", params={"force": "true"}, timeout=SOON)

    def proxies(self) -> dict[str, str]:
        """The variables that the person's Docker configuration has for containers."""
        with closing(LongClient(self._url, self._version)) as api:
            return dict(cast("Any", api)._proxy_configs.get_environment())  # noqa: SLF001 - read, and not given

    def commit(
        self,
        container: str,
        reference: str,
        settings: Mapping[str, str],
        marks: Mapping[str, str],
        check: Callable[[], None],
    ) -> str:
        """Make an image of a container; its id comes back.

        Parameters
        ----------
        container
            its id; it is not paused, so nothing may be writing in it
        reference
            the image's name; the image that had it before goes, unless something uses it
        settings
            instructions of a Dockerfile, and what follows each
        marks
            labels
        check
            called when it is done, before the image gets its name: what it raises undoes it
        """
        changes = [f"{name} {value}" for name, value in settings.items()]
        changes += [f"LABEL {name}={quoted(value)}" for name, value in marks.items()]
        with self._door(), closing(LongClient(self._url, self._version)) as api:
            # Nothing goes on in it, and a Podman without root cannot pause it on cgroup v1.
            image = str(api.commit(container, pause=False, changes=changes)["Id"])
        try:
            check()
            self.name(image, reference)
        except BaseException:
            self.drop(image)
            raise
        return image

    def name(self, image: str, reference: str) -> None:
        """Give an image a name; the one that had it before goes, unless it has others or something uses it."""
        repository, tag = split(reference)
        with self._door():
            try:
                before = self._api.inspect_image(reference)["Id"]
            except NotFound:
                before = image
            self._api.tag(image, repository, tag)
        if before != image:
            self.drop(before)

    def build(
        self,
        dockerfile: Path,
        arguments: Mapping[str, str],
        marks: Mapping[str, str],
        local: bool,
        cuttable: Cuttable,
    ) -> Build:
        """Build an image from a Dockerfile. It gets no name.

        Parameters
        ----------
        dockerfile
            its path; its folder is the context
        arguments
            build arguments
        marks
            labels
        local
            whether steps need this machine's own network
        cuttable
            as operations have it
        """
        return Build(self, dockerfile, arguments, marks, local, cuttable)

    def save(self, reference: str, cuttable: Cuttable) -> Iterator[bytes]:
        """An image as an archive, piece by piece."""
        with self._door(), self._long(cuttable) as api:
            yield from cast("Iterator[bytes]", api.get_image(reference))

    def load(self, archive: Iterator[bytes], cuttable: Cuttable) -> Iterator[Model]:
        """Read images from an archive; what the engine says of it comes back, errors too."""
        with self._door(), self._long(cuttable) as api:
            # It would tell how it gets on, and nobody can read that before all is sent: it would wait for us.
            yield from cast("Any", api).load_image(archive, quiet=True)

    def changes(self, container: str, cuttable: Cuttable) -> Models:
        """What has changed in a container since it was created, each path with its kind."""
        with self._door(), self._long(cuttable) as api:
            return cast("Models", api.diff(container) or [])

    def fill(self, container: str, archive: Iterator[bytes], cuttable: Cuttable) -> None:
        """Unpack an archive in a container."""
        with self._door(), self._long(cuttable) as api:
            api.put_archive(container, "/", cast("bytes", archive))

    def every(self) -> set[str]:
        """The ids of all images, those without a name included."""
        with self._door():
            return set(cast("list[str]", self._api.images(all=True, quiet=True)))

    def pull(self, reference: str, platform: str | None, cuttable: Cuttable) -> Iterator[pulls.Progress]:
        """Pull an image. The iterator ends when it is there; closing it cancels.

        Raises
        ------
        ImagePullFailed, ImageMissing
            also from within the stream, where the engine reports errors that come after its HTTP status
        """
        repository, tag = split(reference)
        problem = ""
        try:
            with self._long(cuttable) as api:
                who, problem = _credentials(api, repository)
                events = api.pull(repository, tag=tag, stream=True, decode=True, platform=platform, auth_config=who)
                yield from pulls.follow(reference, self._host, events)
        except ImageError as error:
            if problem:
                raise type(error)(f"{error} {problem}") from error
            raise
        except (*UNREADABLE, DockerException, requests.RequestException, OSError) as error:
            text = str(getattr(error, "explanation", None) or error)
            failure = pulls.failure(reference, self._host, text)
            raise type(failure)(f"{failure} {problem}".rstrip()) from error


class Build:
    """A build under way: an iterator over what it prints.

    Images that it leaves where it fails, or is closed, are removed: each step that has succeeded is one.
    """

    def __init__(
        self,
        images: EngineImages,
        dockerfile: Path,
        arguments: Mapping[str, str],
        marks: Mapping[str, str],
        local: bool,
        cuttable: Cuttable,
    ) -> None:
        #: Id of the image, once it is there.
        self.image = ""
        self._images = images
        self._cuttable = cuttable
        self._options: dict[str, Any] = {
            "path": str(dockerfile.parent),
            "dockerfile": dockerfile.name,
            "buildargs": dict(arguments),
            "labels": dict(marks),
            "network_mode": "host" if local else None,
            "rm": True,
            "forcerm": True,
            "decode": True,
        }

    def __iter__(self) -> Iterator[str]:
        before = self._images.every()
        steps: list[str] = []
        try:
            with self._images._long(self._cuttable) as api:  # noqa: SLF001 - it is a part of them
                for event in api.build(**self._options):
                    if "error" in event:
                        raise ImageBuildFailed(event["error"].strip())
                    self.image = event.get("aux", {}).get("ID", self.image)
                    for line in COLOURS.sub("", event.get("stream", "")).splitlines():
                        if found := re.fullmatch(STEP_ENDS, line):
                            steps.append(found[2])
                            if "-" not in found[1]:
                                self.image = self.image or found[2]
                        yield line
                    if event.get("status") and not event.get("progressDetail"):
                        yield f"{event.get('id', '')} {event['status']}".strip()
            if not self.image:
                raise ImageBuildFailed("The engine ended it.")  # or we did
        except (DockerException, requests.RequestException, OSError, TypeError) as error:
            self._drop(steps, before)
            raise ImageBuildFailed(str(getattr(error, "explanation", None) or error)) from error
        except BaseException:
            self._drop(steps, before)
            raise

    def _drop(self, steps: list[str], before: set[str]) -> None:
        """Remove what a build has left, the last step first: with it go those that it stands on."""
        new = [one for one in steps if not any(old.removeprefix("sha256:").startswith(one) for old in before)]
        end = time.monotonic() + SOON
        for step in reversed(new):
            # The engine answers before it has removed the container of the step that it was at.
            while self._images.drop(step) and time.monotonic() < end:
                self._images.abandon(step)
                time.sleep(INTERVAL)


def quoted(text: str) -> str:
    """A value as Dockerfiles have it."""
    for character in '\\"$':
        text = text.replace(character, f"\\{character}")
    return f'"{text}"'


def _credentials(api: LongClient, repository: str) -> tuple[dict[str, Any], str]:
    """What the person's Docker configuration has for a registry; and what is wrong with it, if something is.

    As Docker's own command does, one whose helper does not work pulls as nobody: most images are for everyone.
    """
    registry, _ = auth.resolve_repository_name(repository)
    configs = cast("Any", api)._auth_configs  # noqa: SLF001 - docker-py itself would fail where a helper does
    helper = configs.get_credential_store(registry)
    problem = (
        f"(Your Docker configuration names docker-credential-{helper} as the program that keeps your credentials, and "
        f"it does not work here.)"
    )
    if helper and not shutil.which(f"docker-credential-{helper}"):
        return {}, problem
    try:
        return configs.resolve_authconfig(registry) or {}, ""
    except DockerException:
        return {}, problem


def _conflicts(error: APIError) -> bool:
    return error.response is not None and error.response.status_code == requests.codes.conflict
