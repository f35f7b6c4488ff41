"""Coordinated filling: nodes in turn, each given what the others hold or are likely to; a plain reference.

`idn_agents.rounding.coordination_kernel` is the fast twin.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from idn_gym.common.arrays import shaped
from idn_gym.errors import IdnError
from idn_gym.model.gain import allocation_gain
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import FloatArray, IntArray


def coordinate(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    nodes: Iterable[int],
    point: FloatArray,
    held: IntArray,
    charge: float = 0.0,
) -> FloatArray:
    """Empty and fill nodes one after the other, each by marginal net gain per MB over past batches, given all others.

    Parameters
    ----------
    requests, capacities : (T, R) and (T, P) of past batches, which count alike.
    nodes : nodes to fill, in this order.
    point : (P,) in [0, 1]: what each node holds; of a node whose turn is yet to come it may be fractional.
    held : (P,) 1 for what needs no loading.
    charge : ms per MB and slot that a load has to earn.

    Returns
    -------
    (P,) the point, integral at the nodes filled. A placement is added while it fits and earns more than holding it
    costs and its charge, the one of largest net gain per MB first (ties: by the order in the file). What is held, and
    costs nothing to hold, stays if it fits.

    Raises
    ------
    IdnError
        If a shape differs, or there is no such node.

    Source: docs/model.md#greedy-baselines, last-batch greedy, at a point that is fractional where nothing is decided
    yet.
    """
    requests = shaped("requests", requests, (len(requests), network.R))
    capacities = shaped("capacities", capacities, (len(requests), network.P))
    y = shaped("point", point, (network.P,)).copy()
    held = shaped("held", held, (network.P,)) > 0

    def gain(allocation: FloatArray) -> float:
        slots = zip(requests, capacities, strict=True)
        return float(np.mean([allocation_gain(network, r, capacity, allocation) for r, capacity in slots]))

    for v in nodes:
        if not 0 <= v < network.V:
            raise IdnError(f"nodes: {v}; must be numbers of nodes, from 0 to {network.V - 1}")
        own = np.arange(network.node_start[v], network.node_start[v + 1])
        y[own] = 0.0
        left = room(network.budgets[v])
        while True:
            here = gain(y)
            net = np.full(len(own), -np.inf)
            for i, p in enumerate(own):
                if y[p] == 0.0 and network.sizes[p] <= left:
                    added = gain(np.where(np.arange(network.P) == p, 1.0, y)) - here
                    value = (added - network.holding[p]) / network.sizes[p] - (0.0 if held[p] else charge)
                    net[i] = value if value > 0.0 or (held[p] and network.holding[p] == 0.0) else -np.inf
            if not (net > -np.inf).any():
                break
            y[own[net.argmax()]] = 1.0
            left -= network.sizes[own[net.argmax()]]
    return y
