"""A server does not grow by kernels that come and go. `make soak` has a thousand of them; here are a few."""

from __future__ import annotations

import asyncio

from faults.soak import Cycle, Figures, growth, soak

# The extension's connections to the engine are as many as there will be after five kernels.
WARM_UP, CYCLES = 6, 3


def test_nothing_grows() -> None:
    # What a server counts grows with the first kernel that leaves something. Its memory would need hundreds of them.
    found = asyncio.run(soak(CYCLES, warm_up=WARM_UP, memory=False))
    assert len(found) == CYCLES
    assert found[0].ours.objects["jupyter_tfcontainer.manager.manager.ContainerManager"] == 1
    assert growth(found) == {}, found


def test_growth_is_seen() -> None:
    one = Figures(memory=100 * 2**20, descriptors=50, threads=9, containers=0, folders=0, objects={"Kernel": 1})
    more = Figures(
        memory=120 * 2**20, descriptors=51, threads=10, containers=1, folders=1, objects={"Kernel": 2, "Handler": 1}
    )
    assert growth([Cycle(one, one.memory)] * 4) == {}
    rest = {"descriptors": 1, "threads": 1, "containers": 1, "folders": 1, "Kernel": 1, "Handler": 1}
    assert growth([Cycle(one, one.memory)] * 6 + [Cycle(more, one.memory)] * 2) == {"memory": 20 * 2**20, **rest}
    # What a server with local kernels grows by as well is Jupyter's.
    assert growth([Cycle(one, one.memory)] * 6 + [Cycle(more, more.memory)] * 2) == rest
    # That one which gives memory back takes none of ours.
    assert growth([Cycle(one, more.memory)] * 6 + [Cycle(more, one.memory)] * 2) == {"memory": 20 * 2**20, **rest}
    # Where no server with local kernels ran beside it, memory says nothing.
    assert growth([Cycle(one)] * 6 + [Cycle(more)] * 2) == rest
