"""Routes of a chain that something is missing for, and that would be worth opening: labels through its states.

Source: docs/chains.md#whole-routes.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.routing import lift, prices, route, scratch
from idn_gym.kernels.shared import first_group, share_of

_jit = compiled(error_model="numpy")
LABELS = 32  # kept per state


@_jit
def missing_sets(tables, sizes, chains, c, capacities, load, y, room, placements, values):
    """What is missing for routes of chain c that are cheaper than what some of its requests are served by.

    A route that gains has a reduced cost, what is placed at its price, below the potential of the end. Of those that
    need something, the ones are kept that no other undercuts in reduced cost, MB missing and share they can carry.

    Parameters
    ----------
    sizes : (P,) MB.
    load : of one slot, as of `kernels.loads`.
    room : (P,) MB that there is for each placement; a larger one is left alone.
    placements, values : (LABELS, stages), (LABELS,) to be filled: what is missing, padded with -1, and how many ms a
        request is saved at most.

    Returns
    -------
    How many there are.
    """
    rho = chains.types[c]
    groups = first_group(tables, rho)
    terms = chains.term_placement[chains.term_start[c] : chains.term_start[c + 1]]
    share, w = np.empty(len(terms) + 1), np.empty(len(terms) + 1)
    for n in range(len(terms)):
        share[n] = share_of(tables, capacities, load, terms[n], groups)
        w[n] = share[n] * y[terms[n]]
    w[len(terms)] = np.inf
    s = scratch(chains)
    _, end_cost = route(chains, c, w, 0.0, False, s)
    lift(chains, c, s)
    prices(chains, c, s)
    first, base = chains.edge_start[c], chains.member_start[chains.edge_start[c]]
    states = chains.state_start[c + 1] - chains.state_start[c]
    count = np.zeros(states, dtype=np.int64)
    cost, mb, part = np.empty((3, states, LABELS))
    before = np.empty((states, LABELS, 3), dtype=np.int64)  # state, label and missing placement, -1 for none
    count[0] = 1
    cost[0, 0], mb[0, 0], part[0, 0] = 0.0, 0.0, 1.0
    before[0, 0, :] = -1
    for e in range(first, chains.edge_start[c + 1]):
        tail, head = chains.edge_tail[e], chains.edge_head[e]
        start, stop = chains.member_start[e], chains.member_start[e + 1]
        for label in range(count[tail]):
            for k in range(start, max(stop, start + 1)):
                here, more, carried, missing = cost[tail, label] + chains.edge_cost[e], 0.0, 1.0, np.int64(-1)
                if stop > start:
                    here = cost[tail, label] + chains.member_cost[k]
                    n, p = chains.member_term[k], chains.member_placement[k]
                    if n < len(terms) and y[p] >= 1.0:
                        here += s.price[k - base]
                    elif n < len(terms):
                        more, carried, missing = sizes[p], share[n], p
                        if carried <= 0.0 or more > room[p]:
                            continue
                if here < end_cost:
                    carried = min(part[tail, label], carried)
                    at = _place(here, mb[tail, label] + more, carried, head, count, cost, mb, part)
                    if at >= 0:
                        before[head, at, 0], before[head, at, 1], before[head, at, 2] = tail, label, missing
    end, found = states - 1, 0
    for label in range(count[end]):
        if mb[end, label] == 0.0:
            continue
        placements[found, :] = -1
        n, state, at = 0, end, label
        while state > 0:
            if before[state, at, 2] >= 0:
                placements[found, n] = before[state, at, 2]
                n += 1
            state, at = before[state, at, 0], before[state, at, 1]
        values[found] = part[end, label] * (end_cost - cost[end, label])
        found += 1
    return found


@_jit
def _place(here, more, carried, state, count, cost, mb, part):
    """Where among the labels of a state a new one goes, unless another is as good in all; -1 then."""
    worst = 0
    for i in range(count[state]):
        if cost[state, i] <= here and mb[state, i] <= more and part[state, i] >= carried:
            return -1
        if cost[state, i] > cost[state, worst]:
            worst = i
    at = count[state]
    if at == LABELS:
        if cost[state, worst] <= here:
            return -1
        at = worst
    else:
        count[state] += 1
    cost[state, at], mb[state, at], part[state, at] = here, more, carried
    return at
