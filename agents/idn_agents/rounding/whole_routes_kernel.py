"""Drawing whole routes by the flow of a state, compiled; see `idn_agents.rounding.whole_routes`."""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.routing import route, scratch
from idn_gym.kernels.shared import first_group, room_of, share_of

_IDLE = 512  # draws in a row that place nothing, after which there are no more
_jit = compiled(error_model="numpy")


@_jit
def draw_by_flow(shelf, tables, chains, requests, capacities, load, y, uniforms, drawn):
    """Fill `drawn` (P,) with what routes need that are drawn one after the other, as long as all of it has room.

    Parameters
    ----------
    requests, capacities, load, y : of one slot, and the state (P,).
    uniforms : (n, 2) in [0, 1), of which each draw takes two: for the type, and for its route.
    """
    types = len(requests)
    s = scratch(chains)
    flow, carried = np.zeros(len(chains.member_cost)), np.zeros(len(chains.edge_cost))
    chain_of = np.full(types, -1)
    up_to = np.zeros(types)  # gain at the state of the types up to each
    for c in range(len(chains.types)):
        rho = chains.types[c]
        chain_of[rho] = c
        if requests[rho] == 0.0:
            continue
        terms = chains.term_placement[chains.term_start[c] : chains.term_start[c + 1]]
        groups = first_group(tables, rho)
        w = np.full(len(terms) + 1, np.inf)
        for n in range(len(terms)):
            w[n] = share_of(tables, capacities, load, terms[n], groups) * y[terms[n]]
        saved, _ = route(chains, c, w, 0.0, True, s)
        up_to[rho] = requests[rho] * saved
        first, stop = chains.edge_start[c], chains.edge_start[c + 1]
        carried[first:stop] = s.carried[: stop - first]
        own = chains.member_start[first], chains.member_start[stop]
        flow[own[0] : own[1]] = s.flow[: own[1] - own[0]]
    for rho in range(types):
        if chain_of[rho] < 0:
            up_to[rho] = requests[rho] * _saved(tables, rho, capacities, load, y)
        up_to[rho] += up_to[rho - 1] if rho else 0.0
    if up_to[-1] <= 0.0:
        return
    left = np.empty(len(shelf.budgets))
    for v in range(len(left)):
        left[v] = room_of(shelf.budgets[v])
    needed = np.empty(max(1, chains.stages.max()), dtype=np.int64)
    idle = 0  # draws in a row that placed nothing
    for d in range(len(uniforms)):
        idle += 1
        if idle > _IDLE:
            return
        rho = min(np.searchsorted(up_to, uniforms[d, 0] * up_to[-1], side="right"), types - 1)
        c = chain_of[rho]
        if c >= 0:
            count = _walk(chains, c, flow, carried, len(y), uniforms[d, 1], needed)
        else:
            count = _option(tables, rho, capacities, load, y, uniforms[d, 1], needed)
        placed = 0
        while placed < count:  # one by one, and back if one does not fit
            p = needed[placed]
            if not drawn[p]:
                if shelf.sizes[p] > left[shelf.placement_node[p]]:
                    break
                left[shelf.placement_node[p]] -= shelf.sizes[p]
                drawn[p] = 2
            placed += 1
        for i in range(count):
            p = needed[i]
            if drawn[p] == 2 and placed == count:
                drawn[p], idle = 1, 0
            elif drawn[p] == 2:
                drawn[p] = 0
                left[shelf.placement_node[p]] += shelf.sizes[p]


@_jit
def _walk(chains, c, flow, carried, repository, uniform, needed):
    """Fill in the placements of a route, drawn by the flow of a chain; returns how many."""
    first = chains.edge_start[c]
    end = chains.state_start[c + 1] - chains.state_start[c] - 1
    state, count, e = 0, 0, first
    while state != end:
        while chains.edge_tail[e] < state:
            e += 1
        stop = e
        total = 0.0
        while stop < chains.edge_start[c + 1] and chains.edge_tail[stop] == state:
            total += carried[stop]
            stop += 1
        if total <= 0.0:
            return 0
        at = uniform * total
        while e + 1 < stop and (at >= carried[e] or carried[e] <= 0.0):
            at -= carried[e]
            e += 1
        start, last = chains.member_start[e], chains.member_start[e + 1] - 1
        uniform = min(max(at / carried[e], 0.0), 1.0) if carried[e] > 0.0 else 0.0
        if last >= start:
            at = uniform * carried[e]
            k = start
            while k < last and (at >= flow[k] or flow[k] <= 0.0):
                at -= flow[k]
                k += 1
            uniform = min(max(at / flow[k], 0.0), 1.0) if flow[k] > 0.0 else 0.0
            if chains.member_placement[k] != repository:
                needed[count] = chains.member_placement[k]
                count += 1
        state = chains.edge_head[e]
    return count


@_jit
def _saved(tables, rho, capacities, load, y):
    """Ms that a request of a type that ranks its options saves at the state."""
    last, groups = tables.option_count[rho] - 1, first_group(tables, rho)
    left, saved = 1.0, 0.0
    for k in range(last):
        p = tables.options[rho, k]
        w = min(left, share_of(tables, capacities, load, p, groups) * y[p])
        left -= w
        saved += w * (tables.costs[rho, last] - tables.costs[rho, k])
    return saved


@_jit
def _option(tables, rho, capacities, load, y, uniform, needed):
    """Fill in the option of a type, drawn by what each serves of it at the state; returns how many that are."""
    groups = first_group(tables, rho)
    for k in range(tables.option_count[rho] - 1):
        p = tables.options[rho, k]
        uniform -= share_of(tables, capacities, load, p, groups) * y[p]
        if uniform < 0.0:
            needed[0] = p
            return 1
    return 0
