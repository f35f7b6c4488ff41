"""Local search over integral allocations where requests need several models: whole routes as moves.

A lone stage of a chain gains nothing, and what two tasks gain at a node is no longer a sum. So a move puts in all that
a route misses, whatever has to go for it, or takes something out; then the room that is left is filled by whole routes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from idn_agents.routes import Routes, fill_by_routes
from idn_gym import kernels
from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import BoolArray, FloatArray, IntArray
from idn_gym.workload.trace import Trace

_FLOOR = 0.05  # of what a fraction of 0 counts when it is rounded


class RouteSearch:
    """Improves allocations for a trace until no move does.

    Parameters
    ----------
    load : `kernels.loads` of the trace.
    price : (P,) ms that each placement takes off the net gain.
    least : ms; a move that gains no more is taken for rounding.
    """

    def __init__(self, network: Network, trace: Trace, load: FloatArray, price: FloatArray, least: float) -> None:
        self._network, self._trace, self._load, self._least = network, trace, load, least
        self._price = shaped("price", price, (network.P,))
        self._routes = Routes(network, trace.requests, trace.capacities, load)
        self._room = room(network.budgets)

    def rounded(self, fractions: FloatArray, generator: np.random.Generator) -> IntArray:
        """(P,) int8: whole routes one after the other, sooner where an allocation (P,) in [0, 1] holds more of them.

        At random: each placement counts for up to a third less than its fraction says.
        """
        held = np.zeros(self._network.P)
        weight = (_FLOOR + np.clip(fractions, 0.0, 1.0)) / (1.0 + _FLOOR)
        self._fill(held, weight * generator.uniform(2.0 / 3.0, 1.0, self._network.P))
        return held.astype(np.int8)

    def improve(self, allocation: IntArray, deadline: float) -> IntArray:
        """A feasible allocation (P,) int8 that gains no less, net, than a feasible one; in time, or what there is."""
        state = shaped("allocation", allocation, (self._network.P,)).astype(np.float64)
        self._fill(state)
        best = self._net(state)
        moved = True
        while moved:
            moved = False
            for found in self._moves(state):
                if time.monotonic() >= deadline:
                    return state.astype(np.int8)
                changed = found != state
                self._fill(found, changed=changed)
                if (net := self._net(found)) > best + self._least:
                    state, best, moved = found, net, True
                    break
        return state.astype(np.int8)

    def _moves(self, state: FloatArray) -> Iterator[FloatArray]:
        """Allocations one move away, to be filled: a placement out, a route in, a node emptied."""
        for p in np.flatnonzero(state).tolist():
            found = state.copy()
            found[p] = 0.0
            yield found
        seen = set()
        for c in self._routes.asked_of(np.ones(self._network.R, dtype=np.bool_)):
            for placed in self._routes.missing(c, state, self._room):
                if placed not in seen:
                    seen.add(placed)
                    yield self._with(state, list(placed))
        for v in range(self._network.V):
            here = (self._network.placement_node == v) & (state > 0.0)
            if here.any():
                yield np.where(here, 0.0, state)

    def _with(self, state: FloatArray, placed: list[int]) -> FloatArray:
        """With a set placed; where room is short, what is missed least per MB goes."""
        network = self._network
        found = state.copy()
        found[placed] = 1.0
        for v in np.unique(network.placement_node[placed]).tolist():
            while (found * network.sizes)[network.placement_node == v].sum() > self._room[v]:
                others = np.setdiff1d(np.flatnonzero((network.placement_node == v) & (found > 0.0)), placed)
                lost = np.array([self._lost(found, p) for p in others.tolist()])
                found[others[(lost / network.sizes[others]).argmin()]] = 0.0
        return found

    def _lost(self, state: FloatArray, p: int) -> float:
        """Ms of net gain that a placement held adds."""
        state[p] = 0.0
        own = np.array([p])
        slots = self._trace.requests, self._trace.capacities
        lost = float(kernels.marginal_gains(self._network, *slots, state, self._load, own)[0] - self._price[p])
        state[p] = 1.0
        return lost

    def _fill(self, state: FloatArray, bonus: FloatArray | None = None, changed: BoolArray | None = None) -> None:
        bonus = np.ones(self._network.P) if bonus is None else bonus
        slots = self._trace.requests, self._trace.capacities, self._load
        fill_by_routes(self._network, *slots, self._price, bonus, state, changed)

    def _net(self, state: FloatArray) -> float:
        slots = self._trace.requests, self._trace.capacities
        return float(kernels.gain(self._network, *slots, state[None]).sum() - self._price @ state)
