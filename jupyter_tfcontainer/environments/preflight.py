"""Whether an environment can run on a machine, looked at before anything is pulled or started. Pure: no I/O."""

from __future__ import annotations

from dataclasses import replace

from ..compatibility import catalog, judge
from ..compatibility.judge import Card, Machine, Reason, Verdict
from ..errors import GPUNotFound, Incompatible
from .environment import Environment

# What keeps an image from running for want of a card alone. The driver's library may be out of our sight, and the card
# not out of the engine's, so that this refuses no start.
NO_CARD = {"libcuda-missing"}


def verdict(environment: Environment, here: Machine, host: str) -> Verdict | None:
    """What is known of an environment on a machine.

    Parameters
    ----------
    environment
        what is to run
    here
        the machine
    host
        its name, for messages

    Returns
    -------
    Verdict or None
        None for an image that is not in the catalog

    Raises
    ------
    GPUNotFound
        when it asks for a card that the machine has not
    """
    cards = chosen(environment, here, host)
    image = catalog.load().of_image(environment.image)
    if image is None:
        return None
    judged = judge.judge(image, replace(here, cards=cards), catalog.load())
    if environment.gpus != "none" and not here.cards and judged.word != "cannot":
        # That it would run on the processor is of no use to who asks for a card: a start would be refused one.
        return _left_to_the_engine(here, host)
    return judged


def check(environment: Environment, here: Machine, host: str) -> Verdict | None:
    """Refuse what cannot run, unless the environment says to ignore that.

    Raises
    ------
    Incompatible
        when it cannot run, with what would
    GPUNotFound
        when it asks for a card that the machine has not
    """
    found = verdict(environment, here, host)
    if found and environment.gpus != "none" and {one.code for one in found.reasons if one.word == "cannot"} == NO_CARD:
        return _left_to_the_engine(here, host)
    if found and found.word == "cannot" and environment.compatibility == "check":
        sentences = " ".join(reason.sentence for reason in found.reasons)
        raise Incompatible(
            f"{environment.display_name} cannot run on {host}. {sentences} To try all the same, set the field "
            f'compatibility of the environment {environment.name} to "ignore".'
        )
    return found


def _left_to_the_engine(here: Machine, host: str) -> Verdict:
    """Of a machine that shows no card: whether the engine has one to hand over it tells itself, before any pull."""
    why = here.problem or f"NVIDIA's driver tells of no card on {host}."
    return Verdict((Reason("gpu-unknown", why, {"problem": here.problem}),))


def chosen(environment: Environment, here: Machine, host: str) -> tuple[Card, ...]:
    """The cards that an environment is to get; all that it asks for must be there if the machine shows any."""
    gpus = environment.gpus
    if gpus == "none":
        return ()
    if gpus == "all" or not here.cards:
        return here.cards
    if isinstance(gpus, int):
        if gpus > len(here.cards):
            raise GPUNotFound(f"{_asks(environment, f'{gpus} GPUs')}, and {host} has {len(here.cards)}: {_list(here)}.")
        return here.cards[:gpus]
    by_name = {name: card for card in here.cards for name in (str(card.index), card.uuid)}
    if missing := [name for name in gpus if name not in by_name]:
        raise GPUNotFound(f"{_asks(environment, f'GPU {missing[0]}')}, which {host} has not. It has {_list(here)}.")
    return tuple(by_name[name] for name in gpus)


def _asks(environment: Environment, what: str) -> str:
    return f"The environment {environment.name} asks for {what} (gpus)"


def _list(here: Machine) -> str:
    return ", ".join(f"{card.index} ({card.name}, {card.uuid})" for card in here.cards)
