"""The rules: each looks at one thing, and says what is amiss with it, or nothing. Pure: no I/O.

Every sentence names the figures that it rests on. What is not known is a reason too, and what other people saw counts
more than what a table lets one expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .catalog import Catalog
from .records import CUDA, Capability, Image, capability, numbers, written
from .verdict import Card, Machine, Reason

# From this CUDA on, a driver of the same major version is enough for machine code (NVIDIA, "Minor Version
# Compatibility").
MINOR_COMPATIBILITY = (11,)
# Cards that are not for data centres, by their names.
OTHER_CARDS = re.compile(r"GeForce|GTX|RTX|Quadro|TITAN", re.IGNORECASE)


def called(image: Image) -> str:
    """What people call an image."""
    if image.from_nvidia or not image.tensorflow:
        return image.reference()
    return f"TensorFlow {image.tensorflow}"


def processor(image: Image, machine: Machine, catalog: Catalog) -> Iterator[Reason]:
    """Whether the processor can run it."""
    if image.architecture and machine.architecture != image.architecture:
        yield Reason(
            "architecture",
            f"{image.repository} has images for {image.architecture} only; this machine's processor is "
            f"{machine.architecture}.",
            {"needs": image.architecture, "has": machine.architecture},
        )
    elif image.avx and not machine.avx:
        since = f"TensorFlow from {catalog.avx_since} on needs a processor with AVX"
        figures = {"since": catalog.avx_since}
        if machine.avx is None:
            yield Reason("avx-unknown", f"{since}; it is not known whether this one has it.", figures)
        else:
            yield Reason("avx-missing", f"{since}; this one has none, and `import tensorflow` would crash.", figures)


def gaps(image: Image, machine: Machine) -> Iterator[Reason]:
    """What the catalog does not know, as far as it matters here."""
    gpu = image.device == "gpu" and bool(machine.cards)
    facts = {
        "published": (image.published is None, "whether its images were published"),
        "tensorflow": (image.tensorflow is None, "which release of TensorFlow it has"),
        "architecture": (image.architecture is None and machine.architecture != "x86_64", "for which processor it is"),
        "avx": (image.avx is None and machine.avx is False, "whether it needs AVX"),
        "cuda": (gpu and image.cuda is None, "which CUDA it has"),
        "driver": (gpu and not _minimum_driver(image), "which driver it needs"),
        "code": (gpu and image.code is None and image.oldest is None, "for which cards it has machine code"),
        "libcuda": (
            image.device == "gpu" and not machine.cards and image.needs_libcuda is None,
            "whether it can be imported without a driver's libcuda.so.1",
        ),
    }
    unknown = {fact: words for fact, (is_unknown, words) in facts.items() if is_unknown}
    if unknown:
        sentence = f"It is not known of {called(image)} {listed(unknown.values(), 'and')}."
        yield Reason("unknown", sentence, {"image": image.reference(), "unknown": list(unknown)})


def no_card(image: Image, catalog: Catalog) -> Reason:
    """What becomes of a GPU image without a card."""
    cpu = catalog.find(image.tensorflow or "", "cpu", str(image.python_major or ""))
    figures = {"image": image.reference(), "cpu": cpu.reference() if cpu else None}
    if image.needs_libcuda:
        sentence = (
            f"This machine shows no NVIDIA card, and {image.reference()} cannot even be imported without libcuda.so.1, "
            "a library of NVIDIA's driver."
        )
        return Reason("libcuda-missing", sentence, figures)
    better = f"; {cpu.reference()} does the same, and is smaller" if cpu else ""
    sentence = f"This machine shows no NVIDIA card: {called(image)} would run on the processor{better}."
    return Reason("no-gpu", sentence, figures)


def shortcomings(image: Image, catalog: Catalog) -> Iterator[Reason]:
    """What of the image itself is amiss as soon as it is to use a card."""
    if image.defect:
        has = f"cuDNN {image.cudnn}" if image.defect.needs.startswith("cuDNN") else _cuda(image)
        figures = {"image": image.reference(), "needs": image.defect.needs, "has": has}
        what = f"TensorFlow {image.tensorflow} needs {image.defect.needs}, and its GPU image has {has}"
        if image.defect.certain:
            cure = f" `{image.defect.cure}` in it is a cure that people report." if image.defect.cure else ""
            yield Reason("image-broken", f"{what}: it finds no GPU as it is.{cure}", figures)
        else:
            yield Reason(
                "image-broken-likely", f"{what}: it will hardly find a GPU, but that was not measured.", figures
            )
    if image.growth is False:
        yield Reason(
            "no-growth-switch",
            f"TensorFlow before {catalog.growth_since}, such as {image.tensorflow}, takes all memory of a card when it "
            "starts, whatever else runs there; only `allow_growth` in the session's configuration changes that.",
            {"since": catalog.growth_since, "tensorflow": image.tensorflow},
        )


def _minimum_driver(image: Image) -> str | None:
    return image.minimum_driver or (image.cuda.minimum_driver if image.cuda else None)


def _cuda(image: Image) -> str:
    return f"CUDA {image.cuda.version}" if image.cuda else "its CUDA"


def drivers(image: Image, machine: Machine, card: Card, catalog: Catalog) -> Iterator[Reason]:
    """Whether the driver is for the card, and new enough for the image."""
    driver = machine.driver
    if driver is None:
        yield Reason("gpu-unknown", "It is not known which NVIDIA driver this machine has.", {"problem": None})
        return
    yield from _driver_of_card(driver, card, catalog)
    minimum = _minimum_driver(image)
    who = image.reference() if image.from_nvidia else _cuda(image)
    figures = {"driver": driver, "minimum": minimum, "who": who}
    if minimum and numbers(driver) < numbers(minimum):
        needs = f"{who} needs NVIDIA driver {minimum} or later"
        allowed = image.data_centre_drivers
        if allowed and numbers(driver) >= numbers(allowed[0]) and not OTHER_CARDS.search(card.name):
            others = f"or on data centre cards, as {card.name} seems to be, {listed(allowed, 'or')}"
            sentence = f"{needs}, {others}; this one is {driver}."
            yield Reason("driver-data-centre", sentence, {**figures, "allowed": list(allowed)})
        else:
            advice = "Install a newer one."
            architecture = catalog.architecture(card.compute_capability)
            if architecture and (last := architecture.last_driver) and last < numbers(minimum)[0]:
                advice = f"There is none for {card.name}: {architecture.name} ends with R{last}."
            yield Reason("driver-too-old", f"{needs}; this one is {driver}. {advice}", figures)
        return
    toolkit = image.cuda.toolkit_driver if image.cuda and not image.from_nvidia else None
    if toolkit and numbers(driver) < numbers(toolkit):
        yield _behind_toolkit(image, driver, card, {**figures, "toolkit": toolkit})


def _driver_of_card(driver: str, card: Card, catalog: Catalog) -> Iterator[Reason]:
    """A card has a first driver and a last one."""
    architecture = catalog.architecture(card.compute_capability)
    if not architecture:
        return
    branch = numbers(driver)[0]
    if architecture.last_driver and branch > architecture.last_driver:
        yield Reason(
            "driver-too-new",
            f"NVIDIA's drivers for {architecture.name} ({card.name}) end with R{architecture.last_driver}; this one is "
            f"{driver}. Install one of that branch.",
            {"driver": driver, "last": architecture.last_driver, "card": card.name, "architecture": architecture.name},
        )
    first = architecture.first_cuda
    # CUDA came with a driver: one that is older than this does not know the card.
    known = [
        (cuda.version, came)
        for cuda in catalog.cuda.values()
        if numbers(cuda.version) <= numbers(first) and (came := _came_with(cuda))
    ]
    if known and branch < numbers(known[-1][1])[0]:
        version, came = known[-1]
        beside = f"came with driver {came}"
        if version != first:
            beside = f"came after driver {came} (CUDA {version})"
        yield Reason(
            "driver-older-than-card",
            f"Driver {driver} is older than compute capability {written(card.compute_capability)} ({card.name}): "
            f"CUDA {first}, the first that knows it, {beside}.",
            {"driver": driver, "first_cuda": first, "toolkit": came, "card": card.name},
        )


def _came_with(cuda: CUDA) -> str | None:
    """The driver that a CUDA first came with: before minor version compatibility, the oldest that it accepts."""
    return cuda.toolkit_driver if numbers(cuda.version) >= MINOR_COMPATIBILITY else cuda.minimum_driver


def _behind_toolkit(image: Image, driver: str, card: Card, figures: Mapping[str, Any]) -> Reason:
    """The driver is new enough for CUDA, yet older than the one that CUDA came with."""
    minimum, toolkit = figures["minimum"], figures["toolkit"]
    if image.cuda and numbers(image.cuda.version) < MINOR_COMPATIBILITY:
        sentence = (
            f"{_cuda(image)} needs driver {minimum} or later, and its last update {toolkit}; this one is {driver}, and "
            "it is not known which of the two the image has."
        )
        return Reason("driver-behind-toolkit", sentence, figures)
    if image.code and not _machine_code(image.code.machine, card.compute_capability) and not _too_old(image, card):
        needed = written(card.compute_capability)
        sentence = (
            f"For compute capability {needed} ({card.name}) the driver would have to compile PTX of {_cuda(image)}, "
            f"and a driver before {toolkit} cannot; this one is {driver}. Install a newer one."
        )
        return Reason("driver-cannot-compile", sentence, {**figures, "capability": needed, "card": card.name})
    sentence = (
        f"Driver {driver} is enough for {_cuda(image)} ({minimum} or later), but older than the one that came with it "
        f"({toolkit}): NVIDIA's container toolkit may refuse to start the container unless NVIDIA_DISABLE_REQUIRE=1 is "
        "set."
    )
    return Reason("driver-behind-toolkit", sentence, figures)


def libraries(image: Image, card: Card, catalog: Catalog) -> Iterator[Reason]:
    """What CUDA's own libraries have for a card: without it, what TensorFlow has is of no use."""
    cuda, has = image.cuda, card.compute_capability
    if not cuda:
        return
    figures = {"cuda": cuda.version, "capability": written(has), "card": card.name}
    what = f"compute capability {written(has)} ({card.name})"
    if cuda.oldest and has < cuda.oldest and not _too_old(image, card):
        sentence = f"CUDA {cuda.version} is for compute capability {written(cuda.oldest)} and later, not for {what}."
        yield Reason("card-too-old", sentence, {**figures, "oldest": written(cuda.oldest)})
    if not cuda.newest or has <= _newest(cuda.newest):
        return
    figures["newest"] = cuda.newest
    report = next((report for report in catalog.reports if report.tells(cuda.version, has)), None)
    if report and report.error == "CUDA_ERROR_INVALID_PTX":
        sentence = (
            f"Nothing in CUDA {cuda.version} is made for {what}, its newest is {cuda.newest}: TensorFlow's first "
            f"operation fails there ({report.error})."
        )
        yield Reason("card-too-new", sentence, {**figures, "error": report.error})
    elif report and report.fails and has[0] == _newest(cuda.newest)[0]:
        sentence = (
            f"CUDA {cuda.version}'s cuBLAS knows compute capabilities up to {cuda.newest}; on {written(has)} "
            f"({card.name}) matrix products fail, as people report."
        )
        yield Reason("card-too-new", sentence, {**figures, "error": report.error})
    elif report and report.fails:
        sentence = (
            f"CUDA {cuda.version}'s cuBLAS has no code for {what}, its newest is {cuda.newest}: the first matrix "
            "product fails."
        )
        yield Reason("card-too-new", sentence, {**figures, "error": report.error})
    elif report:
        sentence = (
            f"CUDA {cuda.version}'s libraries have no machine code for {what}, their newest is {cuda.newest}. It runs, "
            "but slowly, and compiles for minutes at the first start; what was compiled is kept."
        )
        yield Reason("libraries-slow", sentence, figures)
    elif has[0] > _newest(cuda.newest)[0]:
        sentence = (
            f"CUDA {cuda.version}'s libraries have machine code up to compute capability {cuda.newest}; it is not "
            f"known whether they run on {written(has)} ({card.name})."
        )
        yield Reason("libraries-unknown", sentence, figures)


def _newest(text: str) -> Capability:
    """The newest compute capability; all of a major version where the text says ``6.x``."""
    return capability(text.replace("x", "99"))


def _machine_code(machine: tuple[Capability, ...], has: Capability) -> Capability | None:
    """The machine code that a card runs: of its own major version, and not of a higher minor one."""
    return max((each for each in machine if each[0] == has[0] and each <= has), default=None)


def _oldest(image: Image) -> Capability | None:
    """The oldest compute capability that the image has anything for."""
    return min((*image.code.machine, *image.code.ptx), default=None) if image.code else image.oldest


def _too_old(image: Image, card: Card) -> bool:
    """Whether the image has nothing at all for a card."""
    has = card.compute_capability
    if image.code:
        return not _machine_code(image.code.machine, has) and not any(each <= has for each in image.code.ptx)
    return image.oldest is not None and has < image.oldest


def wheel(image: Image, card: Card) -> Iterator[Reason]:
    """What TensorFlow itself has for a card."""
    has = card.compute_capability
    figures = {"capability": written(has), "card": card.name}
    if _too_old(image, card) and (oldest := _oldest(image)):
        needs = f"{called(image)} has code for compute capability {written(oldest)} and later"
        sentence = f"{needs}; {card.name} has {written(has)}."
        yield Reason("card-too-old", sentence, {**figures, "oldest": written(oldest)})
    elif image.code and not _machine_code(image.code.machine, has):
        machine = [written(each) for each in image.code.machine]
        sentence = (
            f"{called(image)} has machine code for compute capabilities {listed(machine, 'and')}, not for "
            f"{written(has)} ({card.name}): the first start compiles for minutes, up to half an hour; what was "
            "compiled is kept."
        )
        yield Reason("ptx-only", sentence, {**figures, "machine": machine})


def works(image: Image, machine: Machine, card: Card) -> Reason:
    """Why it works, if nothing is amiss."""
    has = card.compute_capability
    runs = (_machine_code(image.code.machine, has) if image.code else image.oldest) or has
    figures = {
        "cuda": image.cuda.version if image.cuda else None,
        "minimum": _minimum_driver(image),
        "driver": machine.driver,
        "code": written(runs),
        "capability": written(has),
        "card": card.name,
    }
    needs = f"{_cuda(image)} needs driver {figures['minimum']} or later, this one is {machine.driver}"
    if runs == has:
        own = f"there is machine code for compute capability {written(has)} ({card.name})"
    elif image.code:
        own = f"machine code for compute capability {written(runs)} runs on {written(has)} ({card.name})"
    else:
        own = f"NVIDIA made {image.reference()} for compute capability {written(runs)} and later, {card.name} has "
        own += f"{written(has)}"
    return Reason("works", f"{needs}; {own}.", figures)


def listed(words: Iterable[str], last: str) -> str:
    """``a, b and c``."""
    *start, end = words
    return f"{', '.join(start)} {last} {end}" if start else str(end)
