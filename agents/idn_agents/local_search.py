"""Local search over integral allocations, for a trace: one node at a time, the best move of all its tasks at once.

Types of different tasks meet only in the budgets. So with the other nodes fixed, the gain of what a node holds is a sum
over tasks, and a knapsack over the tasks' moves finds the best combination of them exactly.
"""

from __future__ import annotations

import time

import numpy as np

from idn_agents.knapsack import choose
from idn_gym import kernels
from idn_gym.network import BUDGET_SLACK, Network
from idn_gym.trace import Trace
from idn_gym.typing import FloatArray, IntArray


class LocalSearch:
    """Improves allocations for a trace until no node can be improved alone.

    Parameters
    ----------
    load : `kernels.loads` of the trace.
    least : ms; a move that gains no more is taken for rounding.
    """

    def __init__(self, network: Network, trace: Trace, load: FloatArray, least: float) -> None:
        self._network, self._trace, self._load, self._least = network, trace, load, least
        self._task = network.model_task[network.placement_model]
        self._room = network.budgets * (1.0 + 0.5 * BUDGET_SLACK)
        fitting = np.bincount(network.placement_node, network.fits, minlength=network.V)
        self._nodes = np.flatnonzero(fitting).tolist()
        # nodes on a common path
        self._near = np.zeros((network.V, network.V), dtype=np.bool_)
        for path in np.unique(network.paths, axis=0):
            nodes = path[path >= 0]
            self._near[np.ix_(nodes, nodes)] = True

    def improve(self, allocation: IntArray, deadline: float) -> IntArray:
        """A feasible allocation (P,) int8 of no smaller gain than a feasible one given, when time runs out at the latest."""
        state = allocation.astype(np.float64)
        stale = np.zeros(self._network.V, dtype=np.bool_)
        stale[self._nodes] = True
        while stale.any():
            for v in self._nodes:
                if time.monotonic() >= deadline:
                    return state.astype(np.int8)
                if not stale[v]:
                    continue
                stale[v] = False
                if self._improve_node(state, v):
                    stale[self._nodes] |= self._near[v, self._nodes]
        return state.astype(np.int8)

    def _improve_node(self, state: FloatArray, v: int) -> bool:
        """Make the best combination of moves at a node, if that gains anything."""
        start, stop = self._network.node_start[v], self._network.node_start[v + 1]
        here = start + np.flatnonzero(self._network.fits[start:stop])
        moves = [self._moves(state, here[self._task[here] == task]) for task in np.unique(self._task[here])]
        best, picks = choose([size for _, size, _ in moves], [gain for *_, gain in moves], self._room[v])
        if best <= self._least:
            return False
        state[start:stop] = 0.0
        for (sets, *_), pick in zip(moves, picks, strict=True):
            state[sets[pick]] = 1.0
        return True

    def _moves(self, state: FloatArray, candidates: IntArray) -> tuple[list[IntArray], FloatArray, FloatArray]:
        """What a task may hold at a node instead: sets of placements, their MB, and the gain over what it holds.

        The sets: what it holds, with one added, without one, with one replaced, nothing, and each one alone.
        """
        held = candidates[state[candidates] > 0.0]
        free = candidates[state[candidates] == 0.0]
        sets = [held, *(np.append(held, p) for p in free)]
        gains = [np.zeros(1), self._gains(state, free)]
        for q in held:
            state[q] = 0.0
            rest = held[held != q]
            gain = self._gains(state, np.append(free, q))
            sets += [rest, *(np.append(rest, p) for p in free)]
            gains += [-gain[-1:], gain[:-1] - gain[-1]]
            state[q] = 1.0
        if len(held) > 1:
            state[held] = 0.0
            alone = self._gains(state, candidates)
            lost = 0.0
            for q in held:
                lost += self._gains(state, q[None])[0]
                state[q] = 1.0
            sets += [held[:0], *(candidates[[n]] for n in range(len(candidates)))]
            gains += [np.array([-lost]), alone - lost]
        sizes = np.array([self._network.sizes[placements].sum() for placements in sets])
        return sets, sizes, np.concatenate(gains)

    def _gains(self, state: FloatArray, candidates: IntArray) -> FloatArray:
        trace = self._trace
        return kernels.marginal_gains(
            self._network, trace.requests, trace.capacities, state, self._load, candidates
        )
