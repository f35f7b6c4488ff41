"""Fast probabilities of fillings under Plackett and Luce's model over (B, P), on the CPU; see `order_probability`.

`idn_agents.learning.portable_orders` is the plain twin, for any device.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.mirror import exponential
from idn_gym.kernels.rows import FLOATS, placement_rows
from idn_gym.kernels.shared import room_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

_jit = compiled(error_model="numpy", fastmath={"reassoc", "nsz", "nnan", "contract"})
_LANES = 4  # sums side by side: one does not wait for the other
_LOWEST = -600.0  # score, relative to the largest: its exponential, and what is divided by it squared, are numbers


class OrderProbability(NamedTuple):
    """What `order_probability` gives."""

    log_probability: FloatArray  # (B,)
    entropy: FloatArray  # (B,) of the draws, summed
    slope: FloatArray  # (B, P) derivatives of the first by the scores
    entropy_slope: FloatArray  # (B, P) and of the second


def turns(network: Network, priority: FloatArray, allocation: IntArray) -> IntArray:
    """(B, P) int16: in how many draws at its node a placement was among what still fitted.

    Parameters
    ----------
    priority : (B, P) float.
    allocation : (B, P) int8, what `pack` makes of it.

    Raises
    ------
    IdnError
        If a shape differs.
    """
    priority = placement_rows(network, "priority", priority, kept=FLOATS)
    allocation = placement_rows(network, "allocation", allocation, len(priority), "the priority", dtype=np.int8)
    found = np.empty(priority.shape, dtype=np.int16)
    tables = network.tables

    def work(first: int, stop: int) -> None:
        _turns(tables, priority, allocation, network.budgets, first, stop, found)

    over_rows(len(priority), network.P, work)
    return found


def order_probability(network: Network, scores: FloatArray, allocation: IntArray, turns: IntArray) -> OrderProbability:
    """How probable it is that nodes are filled just so, if each draw is from what still fits, as exp(score).

    With Z_k the sum of exp(s_p) over what still fits in draw k: log-probability sum_k (s_k - log Z_k), of slope
    x_p - exp(s_p) sum_k 1 / Z_k over the draws that p was in; entropy sum_k (log Z_k - E_k s).
    Scores more than 600 below the largest of their node count as 600 below it, and have slope 0.

    Parameters
    ----------
    scores : (B, P) float.
    allocation : (B, P) int8.
    turns : (B, P) int16, see `turns`.

    Raises
    ------
    IdnError
        If a shape differs, an allocation is not of 0 and 1, or a turn is not a number of draws at its node.

    Source: Plackett, The Analysis of Permutations, 1975.
    """
    scores = placement_rows(network, "scores", scores, kept=FLOATS)
    rows = len(scores)
    allocation = placement_rows(network, "allocation", allocation, rows, "the scores", dtype=np.int8)
    turns = placement_rows(network, "turns", turns, rows, "the scores", dtype=np.int16)
    found = OrderProbability(np.empty(rows), np.empty(rows), np.empty_like(scores), np.empty_like(scores))
    tables = network.tables

    def work(first: int, stop: int) -> None:
        b = _not_drawn(tables, allocation, turns, first, stop)
        if b < stop:
            _refuse(b, allocation[b], turns[b])
        _order_probability(tables, scores, allocation, turns, first, stop, *found)

    over_rows(rows, network.P, work)
    return found


def _refuse(b: int, allocation: IntArray, turns: IntArray) -> None:
    other = (allocation != 0) & (allocation != 1)
    if other.any():
        p = int(other.argmax())
        raise IdnError(f"allocation[{b}, {p}]: {allocation[p]}; must be 0 or 1")
    raise IdnError(
        f"turns[{b}]: {turns.min()} to {turns.max()}; must be 0 to the number of placements held at the node"
    )


@_jit
def _turns(tables, priority, allocation, budgets, first, stop, turns):
    sizes, starts = tables.sizes, tables.node_start
    order = np.empty(priority.shape[1], dtype=np.int64)
    for b in range(first, stop):
        urgent, placed, waited = priority[b], allocation[b], turns[b]
        for v in range(len(budgets)):
            start, end = np.int64(starts[v]), np.int64(starts[v + 1])
            room = room_of(budgets[v])
            n = 0  # placed ones, in descending order of priority, by insertion: there are few
            for p in range(start, end):
                waited[p] = 0
                if placed[p]:
                    k = n
                    while k > 0 and urgent[order[k - 1]] < urgent[p]:
                        order[k] = order[k - 1]
                        k -= 1
                    order[k] = p
                    n += 1
            for k in range(n):
                for p in range(start, end):
                    waited[p] += sizes[p] <= room
                room -= sizes[order[k]]
            for k in range(n):
                waited[order[k]] = k + 1


@_jit
def _not_drawn(tables, allocation, turns, first, stop):
    """The first row of which a turn is no number of draws at its node, where each draw placed one; `stop` if none."""
    starts = tables.node_start
    for b in range(first, stop):
        for v in range(len(starts) - 1):
            draws, least, most, other = 0, 0, 0, 0
            for p in range(starts[v], starts[v + 1]):
                draws += allocation[b, p]
                least = min(least, turns[b, p])
                most = max(most, turns[b, p])
                other |= allocation[b, p] >> 1
            if least < 0 or most > draws or other != 0:
                return b
    return stop


@_jit
def _order_probability(tables, scores, allocation, turns, first, stop, logs, entropies, slopes, entropy_slopes):
    starts, P = tables.node_start, scores.shape[1]
    score, weight, factor = np.empty(P), np.empty(P), np.empty(P)
    bits = factor.view(np.int64)
    total, moment = np.empty((P + 1, _LANES)), np.empty((P + 1, _LANES))
    for b in range(first, stop):
        logs[b], entropies[b] = 0.0, 0.0
        for v in range(len(starts) - 1):
            start, end = np.int64(starts[v]), np.int64(starts[v + 1])
            placed, turn = allocation[b, start:end], turns[b, start:end]
            s, e, draws = score[start:end], weight[start:end], placed.sum()
            logs[b] += _relative_to_the_top(scores[b, start:end], placed, turn, s)
            exponential(s, factor[start:end], bits[start:end], e)
            _sums_of_draws(s, e, turn, draws, total, moment)
            inverse, mean = 0.0, 0.0  # sums over draws so far of 1 / Z and of E[s] / Z, kept where Z and Z E[s] were
            total[0, 0], moment[0, 0] = inverse, mean
            for k in range(1, draws + 1):
                there = total[k, 0]
                expected = moment[k, 0] / there
                logs[b] -= np.log(there)
                entropies[b] += np.log(there) - expected
                inverse += 1.0 / there
                mean += expected / there
                total[k, 0], moment[k, 0] = inverse, mean
            slope, entropy_slope = slopes[b, start:end], entropy_slopes[b, start:end]
            for i in range(len(e)):
                free = s[i] > _LOWEST
                slope[i] = placed[i] - e[i] * total[turn[i], 0] if free else 0.0
                entropy_slope[i] = e[i] * (moment[turn[i], 0] - s[i] * total[turn[i], 0]) if free else 0.0


@_jit
def _relative_to_the_top(scores, placed, turn, out):
    """Scores less the largest of those that fit, and the sum of those that are placed."""
    top = -np.inf
    for i in range(len(scores)):
        top = max(top, np.float64(scores[i]) if turn[i] > 0 else -np.inf)
    chosen = 0.0
    for i in range(len(scores)):
        out[i] = max(min(scores[i] - top, 0.0), _LOWEST) if turn[i] > 0 else 0.0
        chosen += out[i] if placed[i] else 0.0
    return chosen


@_jit
def _sums_of_draws(scores, weights, turn, draws, total, moment):
    """Sums of weights, and of weights times scores, over what there was in each draw, in column 0 from row 1 on."""
    total[: draws + 1] = 0.0
    moment[: draws + 1] = 0.0
    for i in range(len(weights)):
        k, lane = turn[i], i % _LANES
        total[k, lane] += weights[i]
        moment[k, lane] += weights[i] * scores[i]
    there, sum_of_scores = 0.0, 0.0
    for k in range(draws, 0, -1):  # what left last was there in all draws before
        there += total[k].sum()
        sum_of_scores += moment[k].sum()
        total[k, 0], moment[k, 0] = there, sum_of_scores
