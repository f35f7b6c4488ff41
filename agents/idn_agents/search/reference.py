"""Local search over integral allocations, in plain NumPy: what `idn_agents.search.kernel` is tested equal to.

Types of different tasks meet only in the budgets. So with the other nodes fixed, the gain of what a node holds is a sum
over tasks, and a multiple-choice knapsack over the tasks' moves finds the best combination of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from idn_gym.common.arrays import shaped
from idn_gym.model.gain import allocation_gain
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import FloatArray, IntArray


class Move(NamedTuple):
    """What a task may hold at a node."""

    held: tuple[int, ...]  # placements
    size: float  # MB
    gain: float  # ms, over what it holds, all slots together and the price off


class Search(NamedTuple):
    """What an allocation is improved for; see `local_search`."""

    network: Network
    requests: FloatArray
    capacities: FloatArray
    price: FloatArray
    buckets: int


def local_search(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    price: FloatArray,
    start: IntArray,
    buckets: int = 256,
    least: float = 1e-9,
) -> IntArray:
    """(P,) int8: an allocation improved, node by node and round by round, until no node can be improved alone.

    Parameters
    ----------
    requests, capacities : (T, R) and (T, P) of slots, which count alike.
    price : (P,) ms that holding each placement takes off the gain of all slots together.
    start : (P,) integral and feasible.
    buckets : of sizes, by which combinations are told apart; the sizes themselves stay exact.
    least : ms; a combination that gains no more is taken for rounding.

    Raises
    ------
    IdnError
        If a shape differs.
    """
    requests = shaped("requests", requests, (len(requests), network.R))
    capacities = shaped("capacities", capacities, (len(requests), network.P))
    search = Search(network, requests, capacities, shaped("price", price, (network.P,)), buckets)
    state = np.array(shaped("start", start, (network.P,)), dtype=np.int8)
    on_a_path = [set(path[path >= 0].tolist()) for path in network.paths]
    waiting = set(range(network.V))
    while waiting:
        for v in range(network.V):
            if v not in waiting:
                continue
            waiting.discard(v)
            lists = [task_moves(search, state, v, task) for task in range(network.N)]
            best, picks = combination(lists, float(room(network.budgets[v])), buckets)
            if best <= least:
                continue
            for moves, pick in zip(lists, picks, strict=True):
                if pick > 0:
                    state[list(moves[0].held)] = 0
                    state[list(moves[pick].held)] = 1
            waiting.update(u for path in on_a_path if v in path for u in path)
            waiting.add(v)
    return state


def task_moves(search: Search, state: IntArray, v: int, task: int) -> list[Move]:
    """Keep what a task holds at a node; or as far as no other is as small and gains as much, ascending: add one, drop
    one, replace one, drop all, hold one alone. What a move does no better than keeping, in size and gain, is left out.
    """
    network, price = search.network, search.price
    here = np.flatnonzero(network.fits & (network.placement_group == v * network.N + task))
    held = tuple(here[state[here] == 1].tolist())
    free = [p for p in here.tolist() if p not in held]
    without = [tuple(q for q in held if q != dropped) for dropped in held]
    sets = [(*held, p) for p in free] + without + [(*rest, p) for rest in without for p in free]
    if len(held) > 1:
        sets += [(), *((p,) for p in here.tolist())]

    def net(chosen: tuple[int, ...]) -> float:
        allocation = state.copy()
        allocation[here] = 0
        allocation[list(chosen)] = 1
        slots = zip(search.requests, search.capacities, strict=True)
        gained = sum(allocation_gain(network, r, capacity, allocation) for r, capacity in slots)
        return gained - float(price[list(chosen)].sum())

    def size(chosen: tuple[int, ...]) -> float:
        return float(network.sizes[list(chosen)].sum())

    keep = Move(held, size(held), 0.0)
    at_held, most = net(held), float(room(network.budgets[v]))
    others = [Move(chosen, size(chosen), net(chosen) - at_held) for chosen in sets]
    kept, highest = [keep], -np.inf
    for move in sorted(others, key=lambda each: (each.size, -each.gain)):
        if move.size <= most and move.gain > highest and (move.size < keep.size or move.gain > 0.0):
            kept.append(move)
            highest = move.gain
    return kept


def combination(lists: list[list[Move]], most: float, buckets: int) -> tuple[float, list[int]]:
    """The largest sum of gains of one move per list that fit together, and the number of each.

    Of combinations whose sizes are in one bucket the one that gains most goes on, so the largest may be missed by what
    a bucket is worth; what is found fits.
    """
    states: dict[int, tuple[float, float, list[int]]] = {0: (0.0, 0.0, [])}
    for moves in lists:
        reached: dict[int, tuple[float, float, list[int]]] = {}
        for _, (gain, size, picks) in sorted(states.items()):
            for pick, move in enumerate(moves):
                total, value = size + move.size, gain + move.gain
                if total > most:
                    continue
                bucket = int(total / most * buckets) if most > 0.0 else 0
                known = reached.get(bucket)
                if known is None or value > known[0] or (value == known[0] and total < known[1]):
                    reached[bucket] = (value, total, [*picks, pick])
        states, best = {}, -np.inf
        for bucket, found in sorted(reached.items()):
            if found[0] > best:
                best = found[0]
                states[bucket] = found
    value, _, picks = max(states.values(), key=lambda each: each[0])
    return value, picks
