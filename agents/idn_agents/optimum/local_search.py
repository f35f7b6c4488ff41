"""Local search for a trace, in time: `idn_agents.search.local_search` on all of its slots at once."""

from __future__ import annotations

import time

import numpy as np

from idn_agents.agent import refuse_other
from idn_agents.search.local_search import LocalSearch
from idn_gym import kernels
from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

_STEP = 2_000_000  # options looked at between two looks at the clock
_WORK = 200  # options looked at beyond the first local optimum, per slot and type
_PATIENCE = 32  # trials that fail in a row


class TraceSearch:
    """Improves allocations for a trace until no node can be improved alone, and by a few perturbations of that.

    Parameters
    ----------
    load : `kernels.loads` of the trace.
    price : (P,) ms that each placement takes off the net gain.
    """

    def __init__(self, network: Network, trace: Trace, load: FloatArray, price: FloatArray) -> None:
        refuse_other(network, trace)
        self._network, self._search = network, LocalSearch(network)
        self._search.look_at(trace.requests, trace.capacities, load, price)
        self._work = _WORK * trace.slots * network.R

    def rounded(self, fractions: FloatArray, generator: np.random.Generator) -> IntArray:
        """(P,) int8: dependent rounding of a feasible allocation (P,)."""
        return kernels.round_dependent(self._network, fractions[None], generator.random((1, self._network.P)))[0]

    def improve(self, allocation: IntArray, deadline: float) -> IntArray:
        """A feasible allocation (P,) int8 that gains no less, net, than a feasible one; in time, or what there is."""
        search = self._search
        search.start(shaped("allocation", allocation, (self._network.P,)))
        while not search.settled and time.monotonic() < deadline:
            search.improve(_STEP)
        generator, before = np.random.default_rng(0), search.work
        while search.work - before < self._work and not search.tired(_PATIENCE) and time.monotonic() < deadline:
            search.iterate(generator, min(_STEP, self._work), _PATIENCE)
        return search.allocation
