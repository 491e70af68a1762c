"""A machine, and what a verdict on it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Word = Literal["works", "warns", "cannot"]
WORDS: tuple[Word, ...] = ("works", "warns", "cannot")

# Every code of a reason, and the word that it makes of a verdict. Stable: pages translate by them.
SEVERITY: dict[str, Word] = {
    "architecture": "cannot",
    "avx-missing": "cannot",
    "card-too-new": "cannot",
    "card-too-old": "cannot",
    "driver-cannot-compile": "cannot",
    "driver-older-than-card": "cannot",
    "driver-too-new": "cannot",
    "driver-too-old": "cannot",
    "image-broken": "cannot",
    "libcuda-missing": "cannot",
    "no-image": "cannot",
    "avx-unknown": "warns",
    "driver-behind-toolkit": "warns",
    "driver-data-centre": "warns",
    "gpu-unknown": "warns",
    "image-broken-likely": "warns",
    "libraries-slow": "warns",
    "libraries-unknown": "warns",
    "no-gpu": "warns",
    "no-growth-switch": "warns",
    "other-cards": "warns",
    "ptx-only": "warns",
    "unknown": "warns",
    "instead": "works",
    "works": "works",
    "works-processor": "works",
}


@dataclass(frozen=True)
class Card:
    """An NVIDIA card, as its driver tells of it.

    Parameters
    ----------
    index
        its number, as ``nvidia-smi`` counts
    uuid
        its own name, such as ``GPU-8f2…``, which stays when others come and go
    name
        of the model
    compute_capability
        major and minor
    memory
        in bytes
    """

    index: int
    uuid: str
    name: str
    compute_capability: tuple[int, int]
    memory: int


@dataclass(frozen=True)
class Machine:
    """What of a machine decides whether a release runs on it.

    Parameters
    ----------
    architecture
        of the processor, as the kernel names it: ``x86_64``, ``aarch64``
    avx
        whether the processor has AVX, or None if that is not known
    driver
        version of NVIDIA's driver, such as ``535.104.05``, or None if there is none
    cards
        in the order of their indices
    problem
        why the cards could not be read, a sentence, or None
    """

    architecture: str
    avx: bool | None
    driver: str | None
    cards: tuple[Card, ...]
    problem: str | None


@dataclass(frozen=True)
class Reason:
    """Why a verdict is as it is.

    Parameters
    ----------
    code
        one of ``SEVERITY``
    sentence
        for people, in English
    figures
        what the sentence names, for other languages
    """

    code: str
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def word(self) -> Word:
        """What it makes of a verdict."""
        return SEVERITY[self.code]

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        return {"code": self.code, "sentence": self.sentence, "figures": dict(self.figures)}


@dataclass(frozen=True)
class CardVerdict:
    """What is to be said of one card.

    Parameters
    ----------
    card
        of the machine
    reasons
        the gravest first
    """

    card: Card
    reasons: tuple[Reason, ...]

    @property
    def word(self) -> Word:
        """The gravest reason's."""
        return gravest_word(self.reasons)

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        return {
            "index": self.card.index,
            "uuid": self.card.uuid,
            "name": self.card.name,
            "word": self.word,
            "reasons": [reason.model() for reason in self.reasons],
        }


@dataclass(frozen=True)
class Verdict:
    """Whether an image runs on a machine.

    Parameters
    ----------
    reasons
        why, the gravest first; with several cards, those of the card that it runs best on
    cards
        the same for each card
    instead
        references of images that run, where this one cannot
    """

    reasons: tuple[Reason, ...]
    cards: tuple[CardVerdict, ...] = ()
    instead: tuple[str, ...] = ()

    @property
    def word(self) -> Word:
        """The gravest reason's."""
        return gravest_word(self.reasons)

    def model(self) -> dict[str, Any]:
        """The JSON model."""
        return {
            "word": self.word,
            "reasons": [reason.model() for reason in self.reasons],
            "cards": [card.model() for card in self.cards],
            "instead": list(self.instead),
        }


def gravest_word(reasons: tuple[Reason, ...]) -> Word:
    """The word of the gravest reason."""
    return max((reason.word for reason in reasons), key=WORDS.index)


def gravest(reasons: list[Reason]) -> tuple[Reason, ...]:
    """The gravest first; caveats of what cannot be go without saying."""
    ordered = sorted(reasons, key=lambda reason: -WORDS.index(reason.word))
    return tuple(reason for reason in ordered if reason.word == "cannot" or ordered[0].word != "cannot")
