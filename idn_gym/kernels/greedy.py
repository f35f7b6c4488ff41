"""Filling nodes by marginal gain, the one greedy step that every greedy heuristic here takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.marginal import marginal_gain
from idn_gym.kernels.rows import FLOATS, filled, indices, single, window_rows
from idn_gym.kernels.shared import borrowed, room_of
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray

_jit = compiled(error_model="numpy")
_inlined = compiled(error_model="numpy", inline="always")


def fill_by_gain(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    load: FloatArray,
    nodes: Any,
    bonus: FloatArray,
    allocation: FloatArray,
) -> None:
    """Fill nodes one after the other, each by marginal net gain per MB given all that is placed so far, in place.

    A placement that gains no more over the slots than holding it costs is left out, whatever room there is.

    Parameters
    ----------
    requests, capacities, load : (T, R), (T or 1, P), and `loads` of the requests.
    nodes : nodes to fill, in this order.
    bonus : (P,) factor on the net gain of each placement. One that gains nothing and costs nothing is placed only if
        its bonus exceeds 1, last.
    allocation : (P,) float64, added to in place; the nodes to fill should be empty in it.
    """
    requests, capacities, load = window_rows(network, requests, capacities, load)
    order = indices("nodes", nodes, network.V, "nodes")
    bonus = single("bonus", bonus, network.P)
    allocation = filled("allocation", allocation, (network.P,), FLOATS[:1])
    service, holding = RankedService.of(network.service, "fill_by_gain"), network.holding * len(requests)
    _fill_by_gain(
        network.tables, service.tables, service.listing, requests, capacities, load, order, bonus, holding, allocation
    )


@_jit
def _fill_by_gain(shelf, tables, listing, requests, capacities, load, nodes, bonus, holding, y):
    shelf, tables, listing = borrowed(shelf), borrowed(tables), borrowed(listing)
    requests, capacities, load = borrowed(requests), borrowed(capacities), borrowed(load)
    bonus, holding, y = borrowed(bonus), borrowed(holding), borrowed(y)
    value = np.empty(len(y))
    for v in nodes:
        start, stop = shelf.node_start[v], shelf.node_start[v + 1]
        room = room_of(shelf.budgets[v])
        for p in range(start, stop):
            value[p] = -1.0
            if shelf.sizes[p] <= room:
                value[p] = _value(shelf, tables, listing, requests, capacities, load, bonus, holding, y, p)
        while True:
            best = start
            for p in range(start, stop):
                if shelf.sizes[p] > room:
                    value[p] = -1.0
                if value[p] > value[best]:
                    best = p
            if start == stop or value[best] < 0.0:
                break
            if value[best] == 0.0:  # no gain left: what is there already stays, if keeping it costs nothing
                value[best] = -1.0
                if bonus[best] <= 1.0 or holding[best] > 0.0:
                    continue
            y[best] = 1.0
            room -= shelf.sizes[best]
            value[best] = -1.0
            for p in range(start, stop):
                if value[p] > 0.0 and tables.placement_group[p] == tables.placement_group[best]:
                    value[p] = _value(shelf, tables, listing, requests, capacities, load, bonus, holding, y, p)


@_inlined
def _value(shelf, tables, listing, requests, capacities, load, bonus, holding, y, p):
    gain = marginal_gain(tables, listing, requests, capacities, y, load, p)
    return max(0.0, gain - holding[p]) * bonus[p] / shelf.sizes[p]
