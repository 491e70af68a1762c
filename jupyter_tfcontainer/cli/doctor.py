"""``doctor``: whether kernels can run here, and what to do where they cannot."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_core.paths import jupyter_config_path, jupyter_path
from jupyter_server.extension.config import ExtensionConfigManager

from .. import environments, machine, preflight
from ..engine import Engine
from ..environments import PROVISIONER, Environment
from ..errors import EngineError, EnvironmentInvalid, GPUError, GPURouteMissing, TFContainerError
from ..manager import ContainerManager
from .output import coloured, dump, say, size, wrapped

Level = Literal["ok", "warning", "problem"]
COLOURS: dict[Level, str] = {"ok": "green", "warning": "yellow", "problem": "red"}
SERVER_EXTENSION = "jupyter_tfcontainer"
LAB_EXTENSION = "jupyter-tfcontainer"
# Bytes: the largest of TensorFlow's images takes about 7 GB unpacked, and a full disk stops more than a pull.
ENOUGH, LITTLE = 10e9, 1e9


@dataclass(frozen=True)
class Finding:
    """What came of one check.

    Parameters
    ----------
    what
        was looked at
    level
        how it is
    text
        how it is, in words, with what to do where it is not well
    """

    what: str
    level: Level
    text: str


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="see whether kernels can run here, and what to do if not",
        description="Look at everything that a kernel in a container needs, in order: each line is ok, a warning or a "
        "problem, with what to do. A container is started for a moment if an image is there. The exit status is 1 if "
        "there is a problem.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, and say of each how it is as soon as that is known."""
    found = []
    for finding in examine():
        found.append(finding)
        if not arguments.json:
            level = coloured(finding.level.ljust(9), COLOURS[finding.level])
            say(f"{level}{finding.what.ljust(13)}{wrapped(finding.text, 22)}")
    if arguments.json:
        dump([asdict(finding) for finding in found])
    return 1 if any(finding.level == "problem" for finding in found) else 0


def examine() -> Iterator[Finding]:
    """All checks, in the order in which one needs the other."""
    manager = ContainerManager.instance()
    specs = KernelSpecManager()
    readable, broken = _environments(specs)
    try:
        engine: Engine | None = manager.engine
    except EngineError as error:
        engine = None
        yield Finding("engine", "problem", str(error))
    if engine:
        facts = engine.facts
        how = "rootless" if facts.rootless else "with root"
        yield Finding("engine", "ok", f"{facts.name} ({how}), at {facts.url}.")
        yield _disk(engine)
        yield _mounts(manager, engine, readable)
    yield _cards()
    if engine:
        yield _gpu_route(engine)
    yield from broken
    for environment in readable:
        yield _environment(environment, engine)
    yield _provisioner()
    yield _server_extension()
    yield _lab_extension()


def _disk(engine: Engine) -> Finding:
    root = engine.facts.data_root
    try:
        free = shutil.disk_usage(root).free
    except OSError as error:
        return Finding("disk", "warning", f"How much is free where the images are ({root}) is not known: {error}.")
    text = f"{size(free)} are free in {root}, where the images are."
    if free >= ENOUGH:
        return Finding("disk", "ok", text)
    advice = "The larger images of TensorFlow take about 7 GB. `docker system df` shows what takes space."
    return Finding("disk", "problem" if free < LITTLE else "warning", f"{text} {advice}")


def _mounts(manager: ContainerManager, engine: Engine, readable: list[Environment]) -> Finding:
    """A container proves that the engine sees this machine's folders, and that the person may enter them."""
    try:
        there = next((one for one in readable if engine.image(one.image)), None)
        if there is None:
            return Finding(
                "container", "warning", "Not tried, as no environment's image is here yet: a first start pulls."
            )
        trial = replace(there, gpus="none", compatibility="ignore", container_name=None)
        container = manager.start(trial, Path.cwd(), standby=False)
    except TFContainerError as error:
        return Finding("container", "problem", str(error))
    manager.release(container)
    return Finding(
        "container", "ok", f"One of {there.image} started, with Python {container.python}; it saw this folder and home."
    )


def _cards() -> Finding:
    here = machine.read()
    if here.problem:
        return Finding("cards", "problem", here.problem)
    if not here.cards:
        told = f"NVIDIA's driver {here.driver} shows no card" if here.driver else "No NVIDIA driver is loaded"
        return Finding("cards", "warning", f"{told} on {platform.node()}: only environments for the processor run.")
    cards = ", ".join(
        f"{card.index}: {card.name} (compute capability {'.'.join(map(str, card.compute_capability))}, "
        f"{size(card.memory)})"
        for card in here.cards
    )
    return Finding("cards", "ok", f"Driver {here.driver}; {cards}.")


def _gpu_route(engine: Engine) -> Finding:
    try:
        engine.try_gpu_route("all")
    except GPURouteMissing as error:
        # Where there is no card nothing is lost.
        return Finding("GPU route", "problem" if machine.read().cards else "warning", str(error))
    except TFContainerError as error:
        return Finding("GPU route", "problem", str(error))
    return Finding("GPU route", "ok", "The engine can hand over GPUs.")


def _environments(specs: KernelSpecManager) -> tuple[list[Environment], list[Finding]]:
    """Those that can be read, and what is to be said of the others."""
    readable, broken = [], []
    for name in sorted(specs.find_kernel_specs()):
        try:
            spec = environments.find_spec(name, specs)
            readable.append(Environment.from_kernelspec(name, spec))
        except EnvironmentInvalid as error:
            broken.append(Finding("environment", "problem", str(error)))
        except TFContainerError:
            continue  # it is none of ours
    return readable, broken


def _environment(environment: Environment, engine: Engine | None) -> Finding:
    try:
        verdict = preflight.verdict(environment, machine.read(), platform.node())
        there = engine is not None and engine.image(environment.image) is not None
    except GPUError as error:
        return Finding("environment", "warning", str(error))
    except TFContainerError as error:
        return Finding("environment", "problem", str(error))
    image = "its image is here" if there else "its image is yet to be pulled"
    text = f"{environment.name}: {image}."
    if verdict is None:
        return Finding("environment", "ok", text)
    why = " ".join(reason.sentence for reason in verdict.reasons)
    level: Level = "ok" if verdict.word == "works" else "warning"
    return Finding("environment", level, f"{text} {verdict.word.capitalize()}: {why}")


def _provisioner() -> Finding:
    if PROVISIONER in KernelProvisionerFactory.instance().provisioners:
        return Finding("provisioner", "ok", "Jupyter finds the kernel provisioner.")
    return Finding(
        "provisioner",
        "problem",
        "Jupyter does not find the kernel provisioner, so no launcher shows the environments. Install "
        "jupyter_tfcontainer into the environment that Jupyter runs in.",
    )


def _server_extension() -> Finding:
    enabled: dict[str, Any] = {}
    for folder in reversed(jupyter_config_path()):
        enabled |= ExtensionConfigManager(read_config_path=[folder]).get_jpserver_extensions()  # type: ignore[no-untyped-call]
    if enabled.get(SERVER_EXTENSION):
        return Finding("server", "ok", "The server extension is enabled.")
    return Finding(
        "server",
        "problem",
        f"The server extension is not enabled. Enable it: `jupyter server extension enable {SERVER_EXTENSION}`.",
    )


def _lab_extension() -> Finding:
    folders = [Path(one) / LAB_EXTENSION for one in jupyter_path("labextensions")]
    if not any((folder / "package.json").exists() for folder in folders):
        return Finding(
            "front end",
            "problem",
            "The JupyterLab extension is not installed. Install the wheel of jupyter_tfcontainer.",
        )
    for folder in jupyter_config_path():
        try:
            disabled = json.loads((Path(folder) / "labconfig" / "page_config.json").read_text()).get(
                "disabledExtensions"
            )
        except (OSError, ValueError, AttributeError):
            continue
        # JupyterLab writes an object, and reads a list as well.
        names = [name for name, off in disabled.items() if off] if isinstance(disabled, dict) else disabled or []
        if any(name.partition(":")[0] == LAB_EXTENSION for name in names):
            return Finding(
                "front end",
                "problem",
                f"The JupyterLab extension is disabled (in {folder}). Enable it: `jupyter labextension enable "
                f"{LAB_EXTENSION}`.",
            )
    return Finding("front end", "ok", "The JupyterLab extension is installed and enabled.")
