"""Whether an image can run on a machine, and why. Pure: no I/O.

A verdict is drawn from reasons, each a sentence that names the figure it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from . import rules
from .catalog import Catalog
from .records import Device, Image, Release, numbers
from .verdict import SEVERITY, WORDS, Card, CardVerdict, Machine, Reason, Verdict, gravest

__all__ = [
    "SEVERITY",
    "Card",
    "CardVerdict",
    "Machine",
    "Reason",
    "Verdict",
    "choose",
    "judge",
    "judge_release",
]

# How much worse than without it an image is that one could take instead; what is not here does not count.
DRAWBACKS = {
    "driver-behind-toolkit": 1,
    "driver-data-centre": 1,
    "libraries-slow": 1,
    "unknown": 2,
    "image-broken-likely": 3,
    "libraries-unknown": 3,
}
NOTHING = "Of no image is it known that it would run here."


def judge(image: Image, machine: Machine, catalog: Catalog) -> Verdict:
    """Whether an image runs on a machine, and what would if it cannot.

    Parameters
    ----------
    image
        of the catalog
    machine
        with the cards that it is to get
    catalog
        what there is
    """
    verdict = _judge(image, machine, catalog)
    if verdict.word != "cannot":
        return verdict
    if image.device == "gpu" and not machine.cards and machine.architecture == image.architecture:
        # What the machine lacks is the card, not the release.
        cpu = catalog.find(image.tensorflow or "", "cpu", str(image.python_major or ""))
        return _with_instead(verdict, [cpu] if cpu and _judge(cpu, machine, catalog).word == "works" else [])
    return _with_instead(verdict, _instead(image.tensorflow, image.device, machine, catalog))


def judge_release(release: Release, device: Device, machine: Machine, catalog: Catalog) -> Verdict:
    """Whether a release runs on a machine, in the image to prefer."""
    if image := release.find(device):
        return judge(image, machine, catalog)
    sentence = f"TensorFlow {release.tensorflow} was published without an image."
    verdict = Verdict((Reason("no-image", sentence, {"tensorflow": release.tensorflow}),))
    return _with_instead(verdict, _instead(release.tensorflow, device, machine, catalog))


def choose(
    machine: Machine, catalog: Catalog, tensorflow: str | None = None, device: Device | None = None
) -> tuple[Image, Verdict] | None:
    """The image to prefer on a machine, and its verdict; None if there is no such image at all.

    Parameters
    ----------
    machine
        where
    catalog
        what there is
    tensorflow
        release; by default the newest that runs best
    device
        what for; by default the card if there is one
    """
    device = device or ("gpu" if machine.cards else "cpu")
    releases = [release for release in catalog.releases.values() if tensorflow in (None, release.tensorflow)]
    releases.reverse()
    judged = [(image, judge(image, machine, catalog)) for release in releases if (image := release.find(device))]
    # Of equals the first: the newest.
    return min(judged, key=lambda each: (WORDS.index(each[1].word), _drawback(each[1])), default=None)


def _judge(image: Image, machine: Machine, catalog: Catalog) -> Verdict:
    reasons = [*rules.processor(image, machine, catalog), *rules.gaps(image, machine)]
    if image.device == "cpu":
        sentence = f"{rules.called(image)} runs on the processor, and uses no card."
        return Verdict(gravest(reasons or [Reason("works-processor", sentence, {"image": image.reference()})]))
    if machine.problem:
        so = "" if machine.cards else f" So it is not known whether {rules.called(image)} can use a card."
        sentence = f"{machine.problem}{so}"
        reasons.append(Reason("gpu-unknown", sentence, {"problem": machine.problem}))
    elif not machine.cards:
        reasons.append(rules.no_card(image, catalog))
    if not machine.cards:
        return Verdict(gravest(reasons))
    reasons += rules.shortcomings(image, catalog)
    cards = tuple(CardVerdict(card, _on_card(image, machine, card, catalog, reasons)) for card in machine.cards)
    best = min(cards, key=lambda each: WORDS.index(each.word))
    return Verdict(gravest([*best.reasons, *_other_cards(best, cards)]), cards)


def _on_card(image: Image, machine: Machine, card: Card, catalog: Catalog, reasons: list[Reason]) -> tuple[Reason, ...]:
    """All that is to be said of one card; `reasons` is what does not depend on it."""
    found = [
        *rules.drivers(image, machine, card, catalog),
        *rules.libraries(image, card, catalog),
        *rules.wheel(image, card),
        *reasons,
    ]
    if image.code and any(reason.code == "libraries-slow" for reason in found):
        # It says the same, and more.
        found = [reason for reason in found if reason.code != "ptx-only"]
    return gravest(found or [rules.works(image, machine, card)])


def _other_cards(best: CardVerdict, cards: tuple[CardVerdict, ...]) -> Iterator[Reason]:
    """The cards on which it does not run as well as on the best."""
    worse = [each for each in cards if WORDS.index(each.word) > WORDS.index(best.word)]
    if worse:
        listed = " ".join(f"{each.card.index} ({each.card.name}): {each.reasons[0].sentence}" for each in worse)
        good = [each.card.index for each in cards if each.word == best.word]
        only = rules.listed([str(index) for index in good], "and")
        yield Reason(
            "other-cards",
            f"Choose card {only} only. Card {listed}",
            {"good": good, "worse": [each.card.index for each in worse]},
        )


# What to take instead.


def _drawback(verdict: Verdict) -> int:
    return max(DRAWBACKS.get(reason.code, 0) for reason in verdict.reasons)


@lru_cache(maxsize=64)
def _running(
    device: Device, machine: Machine, catalog: Catalog
) -> tuple[tuple[tuple[int, int, Image], ...], tuple[tuple[int, int, Image], ...]]:
    """What runs on a machine, of the releases and of NVIDIA's own: drawback, place, image."""
    releases = [(place, release.find(device)) for place, release in enumerate(catalog.releases.values())]
    # One of which nobody knows what it needs is no advice.
    nvidia: list[tuple[int, Image | None]] = [
        (place, image)
        for place, image in enumerate(catalog.nvidia)
        if device == "gpu" and image.cuda and image.minimum_driver
    ]

    def running(images: list[tuple[int, Image | None]]) -> tuple[tuple[int, int, Image], ...]:
        return tuple(
            (_drawback(verdict), place, image)
            for place, image in images
            if image and (verdict := _judge(image, machine, catalog)).word != "cannot"
        )

    return running(releases), running(nvidia)


def _instead(tensorflow: str | None, device: Device, machine: Machine, catalog: Catalog) -> list[Image]:
    """The nearest release that runs, and for TensorFlow 1 the newest of NVIDIA's own of which most is known."""
    releases, nvidia = _running(device, machine, catalog)
    found: list[Image] = []
    order = list(catalog.releases)
    if tensorflow in order and (known := [each for each in releases if each[0] < DRAWBACKS["unknown"]]):
        asked = order.index(tensorflow)
        found.append(min(known, key=lambda each: (each[0], abs(each[1] - asked), each[1]))[2])
    if tensorflow is None or numbers(tensorflow)[0] <= 1:
        # Of most of these something is not known, and the old cards' images are all that there is.
        likely = [each for each in nvidia if each[0] <= DRAWBACKS["unknown"]]
        found += [each[2] for each in sorted(likely, key=lambda each: (each[0], _unknowns(each[2]), -each[1]))[:1]]
    return found


def _unknowns(image: Image) -> int:
    """How much is not known of one of NVIDIA's own images."""
    return [image.tensorflow, image.oldest].count(None)


def _with_instead(verdict: Verdict, images: list[Image]) -> Verdict:
    named = []
    for image in images:
        gaps = ", of which not all is known" if image.from_nvidia and _unknowns(image) else ""
        named.append(
            f"{image.reference()}{gaps}" if image.from_nvidia else f"{rules.called(image)} ({image.reference()})"
        )
    sentence = f"What would run here: {', or '.join(named)}." if named else NOTHING
    instead = tuple(image.reference() for image in images)
    return replace(
        verdict, reasons=(*verdict.reasons, Reason("instead", sentence, {"images": list(instead)})), instead=instead
    )
