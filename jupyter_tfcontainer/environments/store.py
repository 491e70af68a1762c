"""Environments as data: made, changed, copied, removed, taken along.

An environment is a kernelspec's folder; what a person makes lies in the person's own Jupyter data folder. What others
shipped is not the person's to remove: it is hidden (``visibility.py``).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_data_dir

from ..errors import EnvironmentExists, EnvironmentInvalid, EnvironmentReadOnly
from . import lookup, private_files, secrets, visibility
from .environment import PROVISIONER, Environment, is_environment

FORMAT = "jupyter_tfcontainer environment"
VERSION = 1
LOGOS = Path(__file__).parent.parent / "kernelspecs" / "logos"
# What clients run that know no provisioners.
ARGV = ["jupyter-tfcontainer", "kernel", "-f", "{connection_file}"]
# As Jupyter takes them, less what is no name for a folder on every system. It looks for kernelspecs in small letters.
NAME = r"[a-z0-9_][a-z0-9._-]{0,99}"

Model = dict[str, Any]
Review = Callable[[Environment], None]


@dataclass(frozen=True)
class Change:
    """What is to become of an environment. What is None stays; a value of None in a mapping takes that away.

    Parameters
    ----------
    display_name
        as launchers show it
    config
        the fields
    env
        variables of the kernel
    secrets
        variables of the kernel whose values nobody is to read
    """

    display_name: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)
    secrets: Mapping[str, str | None] = field(default_factory=dict)


def _accept(_: Environment) -> None:
    """Whatever it is: a start will tell."""


def create(name: str, change: Change, specs: KernelSpecManager, review: Review = _accept) -> Environment:
    """Make an environment in the person's own data folder.

    Parameters
    ----------
    name
        of the kernelspec
    change
        what it is to be
    specs
        the kernelspecs that there are
    review
        is shown it before it is written: what it raises ends the matter

    Raises
    ------
    EnvironmentExists
        when there is a kernelspec of that name, be it ours or not
    EnvironmentInvalid
        naming the field
    """
    _check_name(name, specs)
    return _make(name, _plain(name), change, {}, None, review)


def _plain(name: str) -> Model:
    """The kernelspec of an environment of which nothing is known yet."""
    return {
        "argv": ARGV,
        "display_name": name,
        "language": "python",
        # Old ipykernels know no interrupt message.
        "interrupt_mode": "signal",
        "metadata": {"debugger": False, "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {}}},
    }


def check(name: str, change: Change, specs: KernelSpecManager, *, new: bool) -> Environment:
    """What :func:`create` or :func:`change` would make of it, by the same rules; nothing is written.

    Parameters
    ----------
    name
        of the kernelspec
    change
        what it is to be
    specs
        the kernelspecs that there are
    new
        whether it is to be made

    Raises
    ------
    EnvironmentExists, EnvironmentNotFound, EnvironmentReadOnly, EnvironmentInvalid
        as those do
    """
    if new:
        _check_name(name, specs)
        return _checked(name, _changed(_plain(name), change, _merged({}, change.secrets)))
    return _checked(name, _changed(_read(_own(name, specs)), change, _merged(secrets.read(name), change.secrets)))


def copy(
    name: str, new: str, display_name: str | None, specs: KernelSpecManager, review: Review = _accept
) -> Environment:
    """Copy any environment to one of the person's own, with the values of its secrets.

    Raises
    ------
    EnvironmentNotFound, EnvironmentExists, EnvironmentInvalid
        with what to do
    """
    original = lookup.find(name, specs)
    _check_name(new, specs)
    folder = _folder(name, specs)
    change = Change(display_name=display_name or f"{original.display_name} (copy)")
    return _make(new, _read(folder), change, secrets.read(name), folder, review)


def change(name: str, change: Change, specs: KernelSpecManager) -> Environment:
    """Change an environment of the person's own.

    Raises
    ------
    EnvironmentNotFound, EnvironmentReadOnly, EnvironmentInvalid
        with what to do; it stays what it was
    """
    folder = _own(name, specs)
    values = _merged(secrets.read(name), change.secrets)
    spec = _changed(_read(folder), change, values)
    environment = _checked(name, spec)
    before = secrets.read(name)
    secrets.write(name, values)
    try:
        private_files.write(folder / "kernel.json", json.dumps(spec, indent=2))
    except OSError:
        secrets.write(name, before)
        raise
    return environment


def delete(name: str, specs: KernelSpecManager) -> bool:
    """Delete an environment of the person's own; hide one that is not.

    What was installed in its home stays.

    Returns
    -------
    bool
        whether it was deleted

    Raises
    ------
    EnvironmentNotFound
        when there is none of that name
    """
    folder = _folder(name, specs)
    if not _is_own(folder):
        visibility.hide(name, specs)
        return False
    with private_files.scratch() as scratch:
        # Away at once, and whole: nobody sees half of it.
        folder.rename(scratch / name)
        secrets.write(name, {})
        visibility.set_hidden(name, hide=False)
    return True


def export(name: str, digest: str | None, specs: KernelSpecManager) -> Model:
    """All that makes up an environment, as one document; of secrets their names.

    Parameters
    ----------
    name
        of the environment
    digest
        of its image, as the engine knows it, in the form ``REPOSITORY@sha256:…``; None where it knows none
    specs
        the kernelspecs that there are

    Raises
    ------
    EnvironmentNotFound, EnvironmentInvalid
        when there is nothing to export
    """
    environment = lookup.find(name, specs)
    spec = _read(_folder(name, specs))
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "display_name": environment.display_name,
        "config": _config(spec),
        "env": spec.get("env", {}),
        "digest": digest,
    }


def import_(
    document: object,
    specs: KernelSpecManager,
    *,
    name: str | None = None,
    pin: bool = False,
    review: Review = _accept,
) -> Environment:
    """Make an environment from what :func:`export` gave.

    Parameters
    ----------
    document
        what it gave
    specs
        the kernelspecs that there are
    name
        another name than the document's
    pin
        whether to run the very image that was exported, by its digest
    review
        as of :func:`create`

    Raises
    ------
    EnvironmentInvalid, EnvironmentExists
        with what to do
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise EnvironmentInvalid(
            f'That is no exported environment: it must be an object with "format": "{FORMAT}" and "version": {VERSION}.'
        )
    kinds = {"name": str, "display_name": str, "config": dict, "env": dict}
    for key, kind in kinds.items():
        if not isinstance(document.get(key), kind):
            raise EnvironmentInvalid(
                f"The exported environment says {key}: {document.get(key)!r}. It must be a {kind.__name__}."
            )
    config = dict(document["config"])
    if pin:
        digest = document.get("digest")
        if not isinstance(digest, str) or not re.fullmatch(r"[^@]+@sha256:[0-9a-f]{64}", digest):
            raise EnvironmentInvalid(
                f"The exported environment says digest: {digest!r}, so its image cannot be pinned. Import it without, "
                f"or export it again where the image was pulled."
            )
        config["image"] = digest
    wanted = Change(document["display_name"], config, document["env"])
    return create(name or document["name"], wanted, specs, review)


def digest(reference: str, image: Model | None) -> str | None:
    """The digest of an image that came from a registry.

    Parameters
    ----------
    reference
        how the environment names it
    image
        what the engine knows of it
    """
    digests: list[str] = (image or {}).get("RepoDigests") or []
    repository = re.sub(r"(@.*|:[^/:]*)$", "", reference)
    # One image may be in several repositories.
    return next((one for one in digests if one.partition("@")[0] == repository), digests[0] if digests else None)


def model(environment: Environment, specs: KernelSpecManager) -> Model:
    """The JSON model of an environment, with what can be done with it."""
    return {**environment.model(), **standing(environment.name, specs)}


def models(specs: KernelSpecManager) -> list[Model]:
    """The JSON models of all environments; one that cannot be read has its error in place of its fields."""
    found: list[Model] = []
    for name in sorted(specs.find_kernel_specs()):
        try:
            spec = specs.get_kernel_spec(name)
        except (NoSuchKernel, *lookup.UNREADABLE):
            continue  # it has gone meanwhile, or nobody can read it: Jupyter leaves it out as well
        if is_environment(spec):
            try:
                found.append(model(Environment.from_kernelspec(name, spec), specs))
            except EnvironmentInvalid as error:
                found.append(
                    {"name": name, "display_name": spec.display_name, "error": str(error), **standing(name, specs)}
                )
    return found


def standing(name: str, specs: KernelSpecManager) -> Model:
    """Whether an environment is the person's own, and whether launchers leave it out."""
    return {"own": _is_own(_folder(name, specs)), "hidden": name in visibility.hidden()}


# Files.


def _own_folder() -> Path:
    return Path(jupyter_data_dir()) / "kernels"


def _folder(name: str, specs: KernelSpecManager) -> Path:
    """The folder of an environment, be it one that can be read or not."""
    return Path(lookup.find_spec(name, specs).resource_dir)


def _is_own(folder: Path) -> bool:
    return folder.parent.resolve() == _own_folder().resolve()


def _own(name: str, specs: KernelSpecManager) -> Path:
    folder = _folder(name, specs)
    if not _is_own(folder):
        raise EnvironmentReadOnly(
            f"The environment {name} is not your own: it is in {folder}. Copy it, and change the copy."
        )
    return folder


def _check_name(name: str, specs: KernelSpecManager) -> None:
    if not re.fullmatch(NAME, name):
        raise EnvironmentInvalid(
            f"The name {name!r} is not possible for an environment. It must have 1 to 100 small letters, digits, _, . "
            f"and -, and not begin with . or -."
        )
    if name in specs.find_kernel_specs() or os.path.lexists(_own_folder() / name):
        raise EnvironmentExists(f"There is a kernelspec named {name} already. Pick another name, or delete that one.")


def _read(folder: Path) -> Model:
    return dict(json.loads((folder / "kernel.json").read_text(encoding="utf-8")))


def _config(spec: Model) -> dict[str, Any]:
    return dict(spec["metadata"]["kernel_provisioner"].get("config", {}))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def _changed(spec: Model, change: Change, values: Mapping[str, str]) -> Model:
    """A kernelspec with changes; what is in it that is not ours stays."""
    config = _merged(_config(spec), change.config)
    declared = config.get("secrets", [])
    if isinstance(declared, list):  # else it is for the reader to refuse
        gone = {name for name, value in change.secrets.items() if value is None}
        names = [name for name in dict.fromkeys([*declared, *values]) if name not in gone]
        config = _merged(config, {"secrets": names or None})
    provisioner = {**spec["metadata"]["kernel_provisioner"], "config": config}
    return {
        **spec,
        "display_name": change.display_name or spec["display_name"],
        "env": _merged(spec.get("env", {}), change.env),
        "metadata": {**spec["metadata"], "kernel_provisioner": provisioner},
    }


def _checked(name: str, spec: Model) -> Environment:
    return Environment.from_kernelspec(name, KernelSpec(**spec))


def _make(
    name: str, spec: Model, change: Change, before: Mapping[str, str], source: Path | None, review: Review
) -> Environment:
    """Write a new kernelspec's folder, whole or not at all."""
    values = _merged(before, change.secrets)
    spec = _changed(spec, change, values)
    environment = _checked(name, spec)
    review(environment)
    logos = source or LOGOS / ("cpu" if environment.gpus == "none" else "gpu")
    with private_files.scratch() as scratch:
        folder = scratch / name
        shutil.copytree(logos, folder)
        private_files.write(folder / "kernel.json", json.dumps(spec, indent=2))
        _own_folder().mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(_own_folder() / name)
        except OSError as error:
            if os.path.lexists(_own_folder() / name):  # somebody was faster
                raise EnvironmentExists(f"There is a kernelspec named {name} already. Pick another name.") from error
            raise
    try:
        secrets.write(name, values)
        visibility.set_hidden(name, hide=False)
    except OSError:
        shutil.rmtree(_own_folder() / name)
        raise
    return environment
