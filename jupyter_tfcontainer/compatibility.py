"""Whether a release can run on a machine. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass


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
