"""Local search over integral allocations, for a trace: one node at a time, the best move of all its tasks at once.

Types of different tasks meet only in the budgets. So with the other nodes fixed, the gain of what a node holds is a sum
over tasks, and a knapsack over the tasks' moves finds the best combination of them exactly.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from idn_agents.agent import refuse_other
from idn_agents.optimum.knapsack import choose
from idn_gym import kernels
from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace


class _Moves(NamedTuple):
    """What a task may hold at a node, first of all what it does."""

    sets: list[tuple[int, ...]]  # placements
    sizes: FloatArray  # MB
    gains: FloatArray  # ms, over what it holds


class LocalSearch:
    """Improves allocations for a trace until no node can be improved alone.

    Parameters
    ----------
    load : `kernels.loads` of the trace.
    rank : (P,) among identical replicas, of which the first that is free stands for all.
    price : (P,) ms that each placement takes off the net gain.
    least : ms; a move that gains no more is taken for rounding.
    """

    def __init__(
        self, network: Network, trace: Trace, load: FloatArray, rank: IntArray, price: FloatArray, least: float
    ) -> None:
        refuse_other(network, trace)
        shaped("rank", rank, (network.P,))
        price = shaped("price", price, (network.P,))
        self._price = price if price.any() else None
        self._network, self._trace, self._load, self._rank, self._least = network, trace, load, rank, least
        self._room = network.budgets * (1.0 + 0.5 * BUDGET_SLACK)
        fitting = np.flatnonzero(network.fits)
        fitting = fitting[np.argsort(network.placement_group[fitting], kind="stable")]
        groups, start = np.unique(network.placement_group[fitting], return_index=True)
        self._here: dict[int, dict[int, IntArray]] = {}  # placements of each task at each node
        for group, placements in zip(groups.tolist(), np.split(fitting, start)[1:], strict=True):
            v, task = divmod(group, network.N)
            self._here.setdefault(v, {})[task] = placements
        self._near = np.eye(network.V, dtype=np.bool_)  # nodes on a common path
        for path in np.unique(network.paths, axis=0):
            nodes = path[path >= 0]
            self._near[np.ix_(nodes, nodes)] = True

    def rounded(self, fractions: FloatArray, generator: np.random.Generator) -> IntArray:
        """(P,) int8: dependent rounding of a feasible allocation (P,)."""
        return kernels.round_dependent(self._network, fractions[None], generator.random((1, self._network.P)))[0]

    def improve(self, allocation: IntArray, deadline: float) -> IntArray:
        """A feasible allocation (P,) int8 that gains no less, net, than a feasible one; in time, or what there is."""
        state = shaped("allocation", allocation, (self._network.P,)).copy()
        moves: dict[tuple[int, int], _Moves] = {}
        stale = np.ones((self._network.V, self._network.N), dtype=np.bool_)  # moves to be looked for again
        waiting = list(self._here)
        while waiting:
            for v in waiting:
                for task, here in self._here[v].items():
                    if stale[v, task]:
                        if time.monotonic() >= deadline:
                            return state.astype(np.int8)
                        moves[v, task] = self._moves(state, here)
                        stale[v, task] = False
                changed = self._improve_node(state, v, [moves[v, task] for task in self._here[v]])
                stale[np.ix_(self._near[v], [list(self._here[v])[n] for n in changed])] = True
            waiting = [v for v, here in self._here.items() if stale[v, list(here)].any()]
        return state.astype(np.int8)

    def _improve_node(self, state: FloatArray, v: int, moves: list[_Moves]) -> list[int]:
        """Make the best combination of moves at a node, if that gains anything; which of its tasks moved."""
        best, picks = choose([each.sizes for each in moves], [each.gains for each in moves], self._room[v])
        if best <= self._least:
            return []
        changed = np.flatnonzero(picks).tolist()
        for n in changed:
            state[list(moves[n].sets[0])] = 0.0
            state[list(moves[n].sets[picks[n]])] = 1.0
        return changed

    def _moves(self, state: FloatArray, here: IntArray) -> _Moves:
        """Moves of a task whose placements at a node are given: add, drop or replace one, drop all, keep one alone."""
        sizes = self._network.sizes
        held, free = here[state[here] > 0.0], here[state[here] == 0.0]
        free = free[(self._rank[free] == 0) | (state[free - 1] > 0.0)]
        sets = [tuple(held), *((*held, p) for p in free)]
        size = [sizes[held].sum() + np.append(0.0, sizes[free])]
        gain = [np.append(0.0, self._gains(state, free))]
        for q in held:
            state[q] = 0.0
            rest = held[held != q]
            gains = self._gains(state, np.append(q, free))
            sets += [tuple(rest), *((*rest, p) for p in free)]
            size.append(sizes[rest].sum() + np.append(0.0, sizes[free]))
            gain.append(np.append(0.0, gains[1:]) - gains[0])
            state[q] = 1.0
        if len(held) > 1:
            state[held] = 0.0
            here = here[self._rank[here] == 0]
            alone = self._gains(state, here)
            lost = 0.0
            for q in held:
                lost += self._gains(state, q[None])[0]
                state[q] = 1.0
            sets += [(), *((p,) for p in here)]
            size.append(np.append(0.0, sizes[here]))
            gain.append(np.append(0.0, alone) - lost)
        gains = np.concatenate(gain)
        if self._price is not None:
            prices = np.array([self._price[list(chosen)].sum() for chosen in sets])
            gains -= prices - prices[0]
        return _Moves(sets, np.concatenate(size), gains)

    def _gains(self, state: FloatArray, candidates: IntArray) -> FloatArray:
        trace = self._trace
        return kernels.marginal_gains(self._network, trace.requests, trace.capacities, state, self._load, candidates)
