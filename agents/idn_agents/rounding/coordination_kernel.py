"""Fast coordinated filling of nodes over a window of batches; see `coordinate`.

`idn_agents.rounding.coordination` is the plain reference; the agent that uses it is
`idn_agents.infida.coordinated.CoordinatedInfida`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import FLOATS, filled, indices, shaped, window_rows
from idn_gym.kernels.shared import first_group, room_of, row_of, share_of
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

_jit = compiled(error_model="numpy")


def coordinate(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    load: FloatArray,
    nodes: Any,
    point: FloatArray,
    held: IntArray,
    charge: float = 0.0,
) -> None:
    """Empty and fill nodes one after the other, in place; see `coordination.coordinate`.

    Parameters
    ----------
    requests, capacities, load : (T, R), (T or 1, P), and `loads` of the requests.
    nodes : nodes to fill, in this order.
    point : (P,) float64: the nodes' allocations, integral or fractional; that of `nodes` is replaced.
    held : (P,) what needs no loading.
    charge : ms per MB and slot, on what is not held.
    """
    requests, capacities, load = window_rows(network, requests, capacities, load)
    order = indices("nodes", nodes, network.V, "nodes")
    point = filled("point", point, (network.P,), FLOATS[:1])
    held = shaped("held", held, network.P, dtype=np.int8)
    charges = charge * len(requests), network.holding * len(requests)
    shelf, service = network.tables, RankedService.of(network.service, "coordinate")
    _coordinate(shelf, service.tables, service.visitors, requests, capacities, load, order, point, held, *charges)


@_jit
def _coordinate(shelf, tables, visitors, requests, capacities, load, nodes, y, held, charge, holding):
    first, types = visitors
    of_class = tables.groups // tables.classes
    tasks = of_class // len(shelf.budgets)
    gain = np.zeros(len(y))
    width = tables.options.shape[1]
    present, candidates = np.empty(width, dtype=np.int64), np.empty(width, dtype=np.int64)
    before = np.empty(width, dtype=np.int64)  # of each candidate: how many of the present rank before it
    present_cost, candidate_cost = np.empty(width), np.empty(width)
    mass, left = np.empty(width), np.empty(width + 1)
    scratch = (present, candidates, before, present_cost, candidate_cost, mass, left)
    for v in nodes:
        start, stop = np.int64(shelf.node_start[v]), np.int64(shelf.node_start[v + 1])
        if start == stop:
            continue
        room = room_of(shelf.budgets[v])
        for p in range(start, stop):
            y[p] = 0.0
            gain[p] = 0.0
        for c in range(tables.classes):
            at = c * of_class + v * tasks
            for i in range(first[at], first[at + tasks]):
                _add_gains(tables, types[i], start, stop, requests, capacities, load, y, gain, scratch)
        while True:
            best = -1
            highest = 0.0
            for p in range(start, stop):
                if y[p] > 0.0 or shelf.sizes[p] > room:
                    continue
                net = (gain[p] - holding[p]) / shelf.sizes[p] - (0.0 if held[p] else charge)
                if (net > 0.0 or (held[p] and holding[p] == 0.0)) and (best < 0 or net > highest):
                    best = p
                    highest = net
            if best < 0:
                break
            y[best] = 1.0
            room -= shelf.sizes[best]
            group = np.int64(tables.placement_group[best])
            for p in range(start, stop):
                if tables.placement_group[p] == group:
                    gain[p] = 0.0
            for at in range(group, tables.groups, of_class):  # of every class
                for i in range(first[at], first[at + 1]):
                    _add_gains(tables, types[i], start, stop, requests, capacities, load, y, gain, scratch)


@_jit
def _add_gains(tables, rho, start, stop, requests, capacities, load, y, gain, scratch):
    """Add what a type gains, over all slots, from each placement in start:stop that is not placed yet."""
    present, candidates, before, present_cost, candidate_cost, mass, left = scratch
    options, costs = tables.options[rho], tables.costs[rho]
    last = np.int64(tables.option_count[rho]) - 1
    n, m = 0, 0
    for k in range(last):
        p = np.int64(options[k])
        if y[p] > 0.0:
            present[n] = p
            present_cost[n] = costs[k]
            n += 1
        elif start <= p < stop:
            candidates[m] = p
            candidate_cost[m] = costs[k]
            before[m] = n
            m += 1
    if m == 0:
        return
    at_repository, groups = costs[last], first_group(tables, rho)
    for t in range(len(requests)):
        r = requests[t, rho]
        if r == 0.0:
            continue
        capacity = row_of(capacities, t)
        reciprocal = load[t]
        rest = 1.0  # of the batch
        used = 0
        while used < n and rest > 0.0:
            left[used] = rest
            mass[used] = min(rest, share_of(tables, capacity, reciprocal, present[used], groups) * y[present[used]])
            rest -= mass[used]
            used += 1
        left[used] = rest
        for c in range(m):
            if before[c] > used or left[before[c]] <= 0.0:
                break
            take = min(left[before[c]], share_of(tables, capacity, reciprocal, candidates[c], groups))
            here = candidate_cost[c]
            # what it takes over it takes from the worst options in use
            moved = min(take, rest)
            saved = moved * (at_repository - here)
            take -= moved
            j = used - 1
            while take > 0.0 and j >= before[c]:
                moved = min(take, mass[j])
                saved += moved * (present_cost[j] - here)
                take -= moved
                j -= 1
            gain[candidates[c]] += r * saved
