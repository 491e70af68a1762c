"""``doctor``: whether kernels can run here, and what to do where they cannot."""

from __future__ import annotations

import argparse
import grp
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager

from ..compatibility import catalog, hardware
from ..engine import Engine
from ..engine.gpu import Route, routes
from ..environments import lookup, preflight, store
from ..environments.environment import Environment
from ..errors import (
    EngineError,
    EnginePermissionDenied,
    EnvironmentInvalid,
    GPUError,
    GPURouteMissing,
    PolicyRefused,
    TFContainerError,
)
from ..manager import ContainerManager
from . import installation
from .commands import HELP
from .findings import Finding, Level
from .output import coloured, dump, say, size, wrapped

COLOURS: dict[Level, str] = {"ok": "green", "warning": "yellow", "problem": "red"}
# Bytes: the largest of TensorFlow's images takes about 7 GB unpacked, and a full disk stops more than a pull.
ENOUGH, LITTLE = 10e9, 1e9
ROUTES: dict[Route, str] = {
    "cdi": "CDI, since the engine knows devices of NVIDIA by it",
    "runtime": "the runtime nvidia, since the engine has it",
    "request": "a device request, since the engine lists neither CDI devices of NVIDIA nor a runtime nvidia",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help=HELP["doctor"],
        description="Look at everything that a kernel in a container needs, in order: each line is ok, a warning or a "
        "problem, with what to do. A container is started for a moment if an image is there.",
        epilog="Exit status: 0 if there is no problem, be there warnings or not; 1 if there is one.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--clean", action="store_true", help="remove what programs that have died left of containers")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, and say of each how it is as soon as that is known."""
    found = []
    for finding in examine(clean=arguments.clean):
        found.append(finding)
        if not arguments.json:
            level = coloured(finding.level.ljust(9), COLOURS[finding.level])
            say(f"{level}{finding.what.ljust(13)}{wrapped(finding.text, 22)}")
    if arguments.json:
        dump([asdict(finding) for finding in found])
    return 1 if any(finding.level == "problem" for finding in found) else 0


def examine(*, clean: bool) -> Iterator[Finding]:
    """All checks, in the order in which one needs the other.

    Parameters
    ----------
    clean
        whether to remove what programs that have died left
    """
    manager = ContainerManager.instance()
    specs = KernelSpecManager()
    readable, broken = _environments(specs, manager.registry_prefix)
    try:
        engine: Engine | None = manager.engine
    except EnginePermissionDenied as error:
        engine = None
        yield Finding("permission", "problem", str(error))
    except EngineError as error:
        engine = None
        yield Finding("engine", "problem", str(error))
    without = ""
    if engine:
        yield _engine(engine)
        yield _permission(engine)
        yield _disk(engine)
        yield _leftovers(manager, clean=clean)
        yield _mounts(manager, engine, readable)
    yield from _driver()
    if engine:
        route = _gpu_route(engine)
        without = "" if route.level == "ok" else f"the engine on {engine.facts.host} hands over none"
        yield route
        yield from _images(engine, readable)
    yield from broken
    for environment in readable:
        yield _environment(environment, store.standing(environment.name, specs), manager if engine else None, without)
    yield from installation.examine()


def _engine(engine: Engine) -> Finding:
    how = "rootless" if engine.facts.rootless else "with root"
    return Finding("engine", "ok", f"{engine.facts.name} ({how}), at {engine.facts.url}.")


def _permission(engine: Engine) -> Finding:
    socket = Path(engine.facts.url.removeprefix("unix://"))
    text = f"You may use {socket}."
    if not engine.facts.rootless:
        with suppress(OSError, KeyError):
            group = grp.getgrgid(socket.stat().st_gid).gr_name
            text = f"You may use {socket} (group {group}); who may is as mighty as root on {engine.facts.host}."
    return Finding("permission", "ok", text)


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


def _leftovers(manager: ContainerManager, *, clean: bool) -> Finding:
    """What is left of programs that have died; looked for before the trial start, which would remove it."""
    names = []
    try:
        for one in manager.leftovers():
            if clean:
                one.remove()
            names.append(one.name)
    except TFContainerError as error:
        return Finding("leftovers", "problem", str(error))
    if not names:
        return Finding("leftovers", "ok", "No program that has died has left a container or a folder.")
    text = f"Left by programs that have died, on {platform.node()}, and of use to nobody: {', '.join(names)}."
    if clean:
        return Finding("leftovers", "ok", f"{text} Removed.")
    advice = "The next start removes it, or `jupyter tfcontainer doctor --clean` now."
    return Finding("leftovers", "warning", f"{text} {advice}")


def _mounts(manager: ContainerManager, engine: Engine, readable: list[Environment]) -> Finding:
    """A container proves that the engine sees this machine's folders, and that the person may enter them."""
    refused: PolicyRefused | None = None
    try:
        for there in (one for one in readable if engine.image(one.image)):
            trial = replace(there, gpus="none", compatibility="ignore", container_name=None)
            try:
                container = manager.start(trial, Path.cwd(), standby=False)
            except PolicyRefused as error:
                refused = error
                continue
            manager.release(container)
            return Finding(
                "container",
                "ok",
                f"One of {there.image} started, with Python {container.python}; it saw this folder and home.",
            )
    except TFContainerError as error:
        return Finding("container", "problem", str(error))
    if refused:
        return Finding("container", "problem", str(refused))
    return Finding("container", "warning", "Not tried, as no environment's image is here yet: a first start pulls.")


def _driver() -> Iterator[Finding]:
    here = hardware.read()
    if here.problem and not here.cards:
        yield Finding("driver", "problem", here.problem)
        return
    if not here.driver:
        text = f"No NVIDIA driver is loaded on {platform.node()}: only environments for the processor run."
        yield Finding("driver", "warning", text)
        return
    yield Finding("driver", "ok", f"NVIDIA's driver {here.driver}.")
    if not here.cards:
        text = f"It shows no card on {platform.node()}: only environments for the processor run."
        yield Finding("cards", "warning", text)
        return
    cards = ", ".join(
        f"{card.index}: {card.name} (compute capability {'.'.join(map(str, card.compute_capability))}, "
        f"{size(card.memory)})"
        for card in here.cards
    )
    yield Finding("cards", "problem" if here.problem else "ok", f"{cards}.{f' {here.problem}' if here.problem else ''}")


def _gpu_route(engine: Engine) -> Finding:
    # Before they are tried: where that fails, the engine is asked again.
    tried = " and ".join(ROUTES[route] for route in routes(engine.facts))
    try:
        engine.try_gpu_route("all")
    except TFContainerError as error:
        # Where there is no card nothing is lost.
        lost = hardware.read().cards or not isinstance(error, GPURouteMissing)
        return Finding("GPU route", "problem" if lost else "warning", f"{error} Tried was {tried}.")
    way = ROUTES[engine.gpu_route()]
    return Finding("GPU route", "ok", f"By {way}: the engine handed all GPUs to a container that was made to try it.")


def _images(engine: Engine, readable: list[Environment]) -> Iterator[Finding]:
    """Each image once, whichever environments have it."""
    for image in dict.fromkeys(one.image for one in readable):
        never = [one.name for one in readable if one.image == image and one.pull_policy == "never"]
        try:
            there = engine.image(image)
        except TFContainerError as error:
            yield Finding("image", "problem", str(error))
            continue
        if there:
            yield Finding("image", "ok", f"{image} is here ({size(there['Size'])}).")
        elif never:
            text = f"{image} is not here, and {', '.join(never)} may not pull it (pull_policy: never). Fetch it: "
            yield Finding("image", "problem", f"{text}`docker pull {image}`, or `docker load` from a file.")
        else:
            yield Finding("image", "ok", f"{image} is not here yet: a first start pulls it.")


def _environments(specs: KernelSpecManager, prefix: str) -> tuple[list[Environment], list[Finding]]:
    """Those that can be read, with the images that a start would take, and what is to be said of the others."""
    readable, broken = [], []
    for name in sorted(specs.find_kernel_specs()):
        try:
            one = Environment.from_kernelspec(name, lookup.find_spec(name, specs))
            readable.append(replace(one, image=catalog.load().mirrored(one.image, prefix)))
        except EnvironmentInvalid as error:
            broken.append(Finding("environment", "problem", str(error)))
        except TFContainerError:
            continue  # it is none of ours
    return readable, broken


def _environment(
    environment: Environment, standing: store.Model, manager: ContainerManager | None, without: str
) -> Finding:
    """Whether an environment can run. Of one that the person made that is expected, of what comes with us it is not.

    Parameters
    ----------
    environment, standing
        which, and whose it is
    manager
        None where no engine answers
    without
        why no GPU is to be had, in words, if so
    """
    name = environment.name
    if standing["hidden"]:
        return Finding("environment", "ok", f"{name} is hidden from launchers.")
    bad: Level = "problem" if standing["own"] else "warning"
    try:
        if manager:
            manager.admission.review(environment)
        verdict = preflight.verdict(environment, hardware.read(), platform.node())
    except (GPUError, PolicyRefused) as error:
        return Finding("environment", bad, f"{name}: {error}")
    except TFContainerError as error:
        return Finding("environment", "problem", str(error))
    why = " ".join(reason.sentence for reason in verdict.reasons) if verdict else ""
    if verdict and verdict.word == "cannot":
        if environment.compatibility == "ignore":
            return Finding("environment", "warning", f"{name} cannot run here, and is to try all the same. {why}")
        return Finding("environment", bad, f"{name} cannot run here. {why}")
    if without and environment.gpus != "none":
        return Finding("environment", bad, f"{name} cannot run here: it asks for GPUs (gpus), and {without}.")
    if verdict is None:
        return Finding("environment", "ok", f"{name} can be tried: its image is not in the catalog.")
    if verdict.word == "warns":
        return Finding("environment", "warning", f"{name} can run, with a caveat. {why}")
    return Finding("environment", "ok", f"{name} can run. {why}")
