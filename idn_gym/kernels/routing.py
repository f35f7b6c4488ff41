"""Optimal routing of chains: a unit of flow through a chain's states, at least cost; see `idn_gym.model.chains`.

Successive shortest paths. Costs are on a grid on which their sums are exact: no search is misled by rounding, and no
residual cycle is ever below 0. So distances only rise from one path to the next, and what is saved is summed without
cancellation, as shares times (cost of repositories alone - distance).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.typing import FloatArray, IntArray

_jit = compiled(error_model="numpy")


class Scratch(NamedTuple):
    """What one search after the other writes to; as long as the chain with the most needs it."""

    cap: FloatArray  # (members,) what each may carry
    flow: FloatArray  # (members,) what it carries
    carried: FloatArray  # (edges,)
    open: IntArray  # (edges,) the first member that may carry more, counted from the chain's first
    distance: FloatArray  # (states,) of the last search
    reached: IntArray  # (states,) by which edge, from 1; below 0: back along it
    potential: FloatArray  # (states,) what proves the value; see `route`
    price: FloatArray  # (members,) what a share more of each would save


@_jit
def scratch(chains):
    """Room for the largest of the chains."""
    states, edges, members = 1, 1, 1
    for c in range(len(chains.types)):
        first, stop = chains.edge_start[c], chains.edge_start[c + 1]
        states = max(states, chains.state_start[c + 1] - chains.state_start[c])
        edges = max(edges, stop - first)
        members = max(members, chains.member_start[stop] - chains.member_start[first])
    return Scratch(
        np.empty(members),
        np.empty(members),
        np.empty(edges),
        np.zeros(edges, dtype=np.int64),
        np.empty(states),
        np.zeros(states, dtype=np.int64),
        np.empty(states),
        np.empty(members),
    )


@_jit
def _advance(tables, e, first, s):
    """The first member of an edge that may carry more; one behind the last if there is none."""
    k = s.open[e]
    stop = tables.member_start[e + first[0] + 1] - first[1]
    while k < stop and s.flow[k] >= s.cap[k]:
        k += 1
    s.open[e] = k
    return k, stop


@_jit
def _last_used(tables, e, first, s):
    """The last member of an edge that carries anything; -1 if there is none."""
    start = tables.member_start[e + first[0]] - first[1]
    stop = tables.member_start[e + first[0] + 1] - first[1]
    k = min(s.open[e], stop - 1)
    while k >= start and s.flow[k] <= 0.0:
        k -= 1
    return k if k >= start else -1


@_jit
def _search(tables, edges, first, s, flowing):
    """Distances from the entry, over what may carry more, and back along what carries anything."""
    s.distance[:] = np.inf
    s.distance[0] = 0.0
    again = True
    while again:
        again = False
        for e in range(edges):
            here = s.distance[tables.edge_tail[e + first[0]]]
            if here == np.inf:
                continue
            if tables.member_start[e + first[0]] == tables.member_start[e + first[0] + 1]:
                there = here + tables.edge_cost[e + first[0]]
            else:
                k, stop = _advance(tables, e, first, s)
                if k == stop:
                    continue
                there = here + tables.member_cost[k + first[1]]
            head = tables.edge_head[e + first[0]]
            if there < s.distance[head]:
                s.distance[head] = there
                s.reached[head] = e + 1
        if not flowing:
            return
        for e in range(edges - 1, -1, -1):
            here = s.distance[tables.edge_head[e + first[0]]]
            if here == np.inf or s.carried[e] <= 0.0:
                continue
            if tables.member_start[e + first[0]] == tables.member_start[e + first[0] + 1]:
                there = here - tables.edge_cost[e + first[0]]
            else:
                k = _last_used(tables, e, first, s)
                if k < 0:
                    continue
                there = here - tables.member_cost[k + first[1]]
            tail = tables.edge_tail[e + first[0]]
            if there < s.distance[tail]:
                s.distance[tail] = there
                s.reached[tail] = -(e + 1)
                again = True


@_jit
def _push(tables, first, s, end, left):
    """Send along the path found what it can carry, of what is left; returns how much."""
    share = left
    state = end
    while state > 0:
        e = abs(s.reached[state]) - 1
        serves = tables.member_start[e + first[0]] != tables.member_start[e + first[0] + 1]
        if s.reached[state] > 0:
            if serves:
                k = s.open[e]
                share = min(share, s.cap[k] - s.flow[k])
            state = tables.edge_tail[e + first[0]]
        else:
            share = min(share, s.flow[_last_used(tables, e, first, s)] if serves else s.carried[e])
            state = tables.edge_head[e + first[0]]
    state = end
    while state > 0:
        e = abs(s.reached[state]) - 1
        serves = tables.member_start[e + first[0]] != tables.member_start[e + first[0] + 1]
        if s.reached[state] > 0:
            s.carried[e] += share
            if serves:
                k = s.open[e]
                s.flow[k] = s.cap[k] if share >= s.cap[k] - s.flow[k] else s.flow[k] + share
            state = tables.edge_tail[e + first[0]]
        else:
            s.carried[e] = 0.0 if share >= s.carried[e] else s.carried[e] - share
            if serves:
                k = _last_used(tables, e, first, s)
                s.flow[k] = 0.0 if share >= s.flow[k] else s.flow[k] - share
                s.open[e] = k
            state = tables.edge_head[e + first[0]]
    return share


@_jit
def route(tables, chain, w, tolerance, whole, s):
    """Route a unit of a chain where placement p carries at most w[p] per stage.

    Parameters
    ----------
    w : (terms + 1,) shares of the chain's placements times what is placed; the last, of repository models, infinite.
    tolerance : share left at which the batch counts as covered, for the potentials.
    whole : whether what is left for repositories is sent too, for its flow.
    s : scratch; `flow`, `carried` and `potential` hold the result. The potentials are distances, capped at that of
        the end: any flow of the chain saves at most (repository - end) + sum of prices times w.

    Returns
    -------
    What a request saves, in ms, and the potential of the end.
    """
    first = (tables.edge_start[chain], tables.member_start[tables.edge_start[chain]])
    edges = tables.edge_start[chain + 1] - first[0]
    end = tables.state_start[chain + 1] - tables.state_start[chain] - 1
    repository = tables.repository_cost[chain]
    for k in range(tables.member_start[first[0] + edges] - first[1]):
        s.cap[k] = w[tables.member_term[k + first[1]]]
        s.flow[k] = 0.0
    for e in range(edges):
        s.carried[e] = 0.0
        s.open[e] = tables.member_start[e + first[0]] - first[1]
    left, saved, covered, reached = 1.0, 0.0, False, repository
    flowing = False
    while left > 0.0:
        _search(tables, edges, first, s, flowing)
        distance = s.distance[end]
        if not covered:
            reached = min(distance, repository)
            for state in range(end + 1):
                s.potential[state] = min(s.distance[state], reached)
        if distance >= repository and not whole:
            break
        share = _push(tables, first, s, end, left)
        flowing = True
        left -= share
        saved += share * max(repository - distance, 0.0)
        covered = covered or left <= tolerance
    return saved, reached


@_jit
def lift(tables, chain, s):
    """Lower the potentials of states without flow as far as no price turns positive.

    The prices of what leads there fall with them, those of what is placed stay: the same value is proven, and less
    is promised of what is not placed.
    """
    first = tables.edge_start[chain]
    edges = tables.edge_start[chain + 1] - first
    end = tables.state_start[chain + 1] - tables.state_start[chain] - 1
    e = edges - 1
    for state in range(end - 1, 0, -1):
        while e >= 0 and tables.edge_tail[e + first] > state:
            e -= 1
        needed = -np.inf
        used = False
        while e >= 0 and tables.edge_tail[e + first] == state:
            start = tables.member_start[e + first]
            serves = start != tables.member_start[e + first + 1]
            cost = tables.member_cost[start] if serves else tables.edge_cost[e + first]
            needed = max(needed, s.potential[tables.edge_head[e + first]] - cost)
            used = used or s.carried[e] > 0.0
            e -= 1
        if not used and needed < s.potential[state]:
            s.potential[state] = needed


@_jit
def prices(tables, chain, s):
    """Fill `price` of the members: what a share more of each would save at the potentials, in ms per request."""
    first = (tables.edge_start[chain], tables.member_start[tables.edge_start[chain]])
    for e in range(tables.edge_start[chain + 1] - first[0]):
        rise = s.potential[tables.edge_head[e + first[0]]] - s.potential[tables.edge_tail[e + first[0]]]
        for k in range(tables.member_start[e + first[0]], tables.member_start[e + first[0] + 1]):
            s.price[k - first[1]] = max(0.0, rise - tables.member_cost[k])
