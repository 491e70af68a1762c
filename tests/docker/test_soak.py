"""A server does not grow by kernels that come and go. `make soak` has a thousand of them; here are a few."""

from __future__ import annotations

import asyncio

from faults.soak import Cycle, Figures, growth, soak

CYCLES = 12


def test_nothing_grows() -> None:
    found = asyncio.run(soak(CYCLES))
    assert len(found) == CYCLES
    assert growth(found) == {}, (found[0], found[-1])


def test_growth_is_seen() -> None:
    one = Figures(memory=100 * 2**20, descriptors=50, threads=9, containers=0, folders=0)
    more = Figures(memory=120 * 2**20, descriptors=51, threads=10, containers=1, folders=1)
    assert growth([Cycle(one, one.memory)] * 4) == {}
    rest = {"descriptors": 1, "threads": 1, "containers": 1, "folders": 1}
    assert growth([Cycle(one, one.memory)] * 6 + [Cycle(more, one.memory)] * 2) == {"memory": 20 * 2**20, **rest}
    # What a server with local kernels grows by as well is Jupyter's.
    assert growth([Cycle(one, one.memory)] * 6 + [Cycle(more, more.memory)] * 2) == rest
    # That one which gives memory back takes none of ours.
    assert growth([Cycle(one, more.memory)] * 6 + [Cycle(more, one.memory)] * 2) == {"memory": 20 * 2**20, **rest}
