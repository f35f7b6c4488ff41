"""Exact knapsacks of the nodes: the most that a linear function can reach.

A node's integral allocations are the 0-1 solutions of one knapsack; placements of the same size are interchangeable in
it, so that all work is over classes of sizes. The fractional knapsack is a weak stand-in where a node holds one to five
models: on Topology I it is 1.6% looser than the hull of the integral allocations, which is what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK
from idn_gym.typing import FloatArray, IntArray

_STATES = 4096  # partial sums kept; more are merged, optimistically or not


@dataclass(frozen=True, eq=False)
class Knapsack:
    """What a node may hold: at most `counts` placements of each of C sizes, within the budget."""

    node: int
    placements: IntArray  # (n,) that fit
    size_class: IntArray  # (n,)
    sizes: FloatArray  # (C,) MB, ascending
    counts: IntArray  # (C,)
    budget: float  # MB

    @property
    def binding(self) -> bool:
        """Whether the budget keeps anything out."""
        return float(self.sizes @ self.counts) > self.budget

    @property
    def kind(self) -> tuple[float, bytes, bytes]:
        """Equal for nodes whose feasible counts are the same."""
        return self.budget, self.sizes.tobytes(), self.counts.tobytes()

    @cached_property
    def room(self) -> float:
        """MB, a rounding error above what feasibility allows, so that no feasible allocation is missed."""
        return self.budget * (1.0 + 2.0 * BUDGET_SLACK)

    def maximum(self, values: FloatArray, fixed: IntArray) -> tuple[float, float]:
        """Upper bound on the sum of `values` (n,) over any feasible choice; exact unless very many sums differ.

        Parameters
        ----------
        fixed : (n,) 1 where a placement is in every choice, 0 where it is in none.

        Returns
        -------
        What the values chosen add, and what those add up to that are below 0, as a number >= 0: only what is fixed is
        chosen at a loss. The sum is their difference; it is -inf if there is no such choice.
        """
        held = fixed == 1
        room = self.room - float(self.sizes[self.size_class[held]].sum())
        if room < 0.0:
            return -np.inf, 0.0
        lost = float(np.maximum(-values[held], 0.0).sum())
        of_held, free = float(np.maximum(values[held], 0.0).sum()), (fixed < 0) & ~(values <= 0.0)
        if not self.binding:
            return of_held + float(values[free].sum()), lost
        sizes, sums = [], []
        for c, size in enumerate(self.sizes):
            best = np.sort(values[(self.size_class == c) & free])[::-1][: int(min(self.counts[c], room / size))]
            if len(best):
                sizes.append(size * np.arange(len(best) + 1))
                sums.append(np.concatenate(([0.0], np.cumsum(best))))
        return of_held + choose(sizes, sums, room, optimistic=True)[0], lost

    def most(self, weights: FloatArray) -> tuple[float, IntArray]:
        """The largest `weights` (C,) times feasible counts, and those counts (C,)."""
        limits = np.minimum(self.counts, self.room / self.sizes).astype(np.int64)
        used = np.flatnonzero((weights > 0.0) & (limits > 0))
        steps = [np.arange(limits[c] + 1) for c in used]
        value, picks = choose(
            [self.sizes[c] * step for c, step in zip(used, steps, strict=True)],
            [weights[c] * step for c, step in zip(used, steps, strict=True)],
            self.room,
            optimistic=True,
        )
        counts = np.zeros(len(self.sizes), dtype=np.int64)
        counts[used] = picks
        return value, counts


def knapsacks(network: Network) -> list[Knapsack]:
    """One per node where something fits."""
    found = []
    for v in range(network.V):
        start, stop = network.node_start[v], network.node_start[v + 1]
        placements = start + np.flatnonzero(network.fits[start:stop])
        if len(placements):
            sizes, size_class, counts = np.unique(network.sizes[placements], return_inverse=True, return_counts=True)
            found.append(Knapsack(v, placements, size_class, sizes, counts, float(network.budgets[v])))
    return found


def choose(
    sizes: Sequence[FloatArray], values: Sequence[FloatArray], room: float, optimistic: bool = False
) -> tuple[float, IntArray]:
    """Choose one option of each group for the largest sum of values within room: a multiple-choice knapsack.

    Parameters
    ----------
    sizes, values : per group, of its options; every group has an option such that all of these fit together.
    optimistic : once more than a few thousand partial sums are worth keeping, neighbours are merged: into the smaller
        size with the larger value, so that the sum stays an upper bound; otherwise the smaller of them is dropped,
        so that the choice stays feasible.

    Returns
    -------
    The sum, and the number of the option chosen in each group.

    Source: Nemhauser and Ullmann, Management Science 15(9), 1969: keep the partial sums that no other one dominates.
    """
    total_size, total_value = np.zeros(1), np.zeros(1)
    kept = []
    for size, value in zip(sizes, values, strict=True):
        summed_size = (total_size[:, None] + size).ravel()
        summed_value = (total_value[:, None] + value).ravel()
        fitting = np.flatnonzero(summed_size <= room)
        order = fitting[np.lexsort((-summed_value[fitting], summed_size[fitting]))]
        highest = np.maximum.accumulate(summed_value[order])
        order = order[np.concatenate(([True], highest[1:] > highest[:-1]))]
        total_size, total_value = summed_size[order], summed_value[order]
        if len(order) > _STATES:
            edges = np.linspace(0, len(order), _STATES + 1).astype(np.int64)
            last = edges[1:] - 1
            total_size, total_value = total_size[edges[:-1] if optimistic else last], total_value[last]
            order = order[last]
        kept.append(order)
    state = len(total_value) - 1  # values ascend with sizes
    picks = np.zeros(len(kept), dtype=np.int64)
    for group in range(len(kept) - 1, -1, -1):
        state, picks[group] = divmod(int(kept[group][state]), len(sizes[group]))
    return float(total_value[-1]), picks
