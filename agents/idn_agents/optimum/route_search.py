"""Local search over integral allocations where requests need several models: whole routes as moves.

A lone stage of a chain gains nothing, and what two tasks gain at a node is no longer a sum. So a move puts in all that
a route misses, whatever has to go for it, or takes something out; then the room that is left is filled by whole routes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np

from idn_agents.routes import Routes, fill_by_routes
from idn_gym import kernels
from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import BoolArray, FloatArray, IntArray
from idn_gym.workload.trace import Trace

_PARTS = 3  # of a trace, whose means stand for its slots
_FLOOR = 0.05  # of what a fraction of 0 counts when it is rounded


class _Slots(NamedTuple):
    """What moves are looked for in: the slots of a trace, or means of many."""

    requests: FloatArray  # (T, R)
    capacities: FloatArray  # (T or 1, P)
    load: FloatArray
    price: FloatArray  # (P,) ms, of holding over these slots
    routes: Routes

    @classmethod
    def of(cls, network: Network, requests: FloatArray, capacities: FloatArray, price: FloatArray) -> _Slots:
        load = kernels.loads(network, requests)
        return cls(requests, capacities, load, price, Routes(network, requests, capacities, load))


class RouteSearch:
    """Improves allocations for a trace until no move does: first for means of its slots, then slot by slot.

    What an allocation gains is always that of the trace.

    Parameters
    ----------
    price : (P,) ms that each placement takes off the net gain.
    least : ms; a move that gains no more is taken for rounding.
    """

    def __init__(self, network: Network, trace: Trace, price: FloatArray, least: float) -> None:
        self._network, self._trace, self._least = network, trace, least
        self._price = shaped("price", price, (network.P,))
        self._room = room(network.budgets)
        parts = np.array_split(np.arange(trace.slots), min(trace.slots, _PARTS))
        requests = np.array([trace.requests[part].mean(axis=0) for part in parts])
        capacities = trace.capacities
        if len(capacities) > 1:
            capacities = np.array([capacities[part].mean(axis=0) for part in parts])
        self._means = _Slots.of(network, requests, capacities, self._price * len(parts) / trace.slots)

    @cached_property
    def _each(self) -> _Slots:
        return _Slots.of(self._network, self._trace.requests, self._trace.capacities, self._price)

    def rounded(self, fractions: FloatArray, generator: np.random.Generator) -> IntArray:
        """(P,) int8: whole routes one after the other, sooner where an allocation (P,) in [0, 1] holds more of them.

        At random: each placement counts for up to a third less than its fraction says.
        """
        held = np.zeros(self._network.P)
        weight = (_FLOOR + np.clip(fractions, 0.0, 1.0)) / (1.0 + _FLOOR)
        self._fill(self._means, held, weight * generator.uniform(2.0 / 3.0, 1.0, self._network.P))
        return held.astype(np.int8)

    def improve(self, allocation: IntArray, deadline: float) -> IntArray:
        """A feasible allocation (P,) int8 that gains no less, net, than a feasible one; in time, or what there is."""
        state = shaped("allocation", allocation, (self._network.P,)).astype(np.float64)
        for slots in (self._means, self._each) if self._trace.slots > _PARTS else (self._means,):
            state = self._climb(slots, state, deadline)
        return state.astype(np.int8)

    def _climb(self, slots: _Slots, state: FloatArray, deadline: float) -> FloatArray:
        best = self._net(state)
        moves = chain([state.copy()], self._moves(slots, state))
        while time.monotonic() < deadline and (found := next(moves, None)) is not None:
            self._fill(slots, found, changed=None if (found == state).all() else found != state)
            if (net := self._net(found)) > best + self._least:
                state, best = found, net
                moves = self._moves(slots, state)
        return state

    def _moves(self, slots: _Slots, state: FloatArray) -> Iterator[FloatArray]:
        """Allocations one move away, to be filled: a placement out, a route in, a node emptied."""
        for p in np.flatnonzero(state).tolist():
            found = state.copy()
            found[p] = 0.0
            yield found
        seen = set()
        for c in slots.routes.asked_of(np.ones(self._network.R, dtype=np.bool_)):
            for placed in slots.routes.missing(c, state, self._room):
                if placed not in seen:
                    seen.add(placed)
                    yield self._with(slots, state, list(placed))
        for v in range(self._network.V):
            here = (self._network.placement_node == v) & (state > 0.0)
            if here.any():
                yield np.where(here, 0.0, state)

    def _with(self, slots: _Slots, state: FloatArray, placed: list[int]) -> FloatArray:
        """With a set placed; where room is short, what is missed least per MB goes."""
        network = self._network
        found = state.copy()
        found[placed] = 1.0
        for v in np.unique(network.placement_node[placed]).tolist():
            while (found * network.sizes)[network.placement_node == v].sum() > self._room[v]:
                others = np.setdiff1d(np.flatnonzero((network.placement_node == v) & (found > 0.0)), placed)
                lost = np.array([self._lost(slots, found, p) for p in others.tolist()])
                found[others[(lost / network.sizes[others]).argmin()]] = 0.0
        return found

    def _lost(self, slots: _Slots, state: FloatArray, p: int) -> float:
        """Ms of net gain that a placement held adds."""
        state[p] = 0.0
        added = kernels.marginal_gains(self._network, slots.requests, slots.capacities, state, slots.load, [p])
        state[p] = 1.0
        return float(added[0] - slots.price[p])

    def _fill(
        self, slots: _Slots, state: FloatArray, bonus: FloatArray | None = None, changed: BoolArray | None = None
    ) -> None:
        bonus = np.ones(self._network.P) if bonus is None else bonus
        of_slots = slots.requests, slots.capacities, slots.load, slots.price
        fill_by_routes(self._network, *of_slots, bonus, state, changed)

    def _net(self, state: FloatArray) -> float:
        slots = self._trace.requests, self._trace.capacities
        return float(kernels.gain(self._network, *slots, state[None]).sum() - self._price @ state)
