"""Coordinated search where requests need several models: nodes are emptied in turn and all is filled by whole routes.

What `idn_agents.search.local_search` is for types that rank their options; a lone stage of a chain gains nothing, so a
node that looks at its own placements alone would never begin. Source: docs/chains.md#whole-routes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from idn_agents.routes import fill_by_routes
from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.typing import BoolArray, FloatArray, IntArray

_ROUNDS = 4  # over all of them, at most
_POWERS = (1.0, 0.5, 0.0)  # of the MB that a net gain is divided by: the best per MB, the largest, and between


def search_by_routes(
    network: Network, requests: FloatArray, capacities: FloatArray, order: IntArray, start: IntArray, costs: FloatArray
) -> FloatArray:
    """Improve an allocation until no node, and no two neighbours, emptied and filled again by whole routes, gain.

    Parameters
    ----------
    requests, capacities : (T, R) and (T or 1, P) of past batches, which count alike.
    order : nodes, in this order.
    start : (P,) integral and feasible.
    costs : (P,) ms per slot that placing each takes off the gain.

    Returns
    -------
    (P,) a feasible allocation, whose gain less its costs is no less than that of `start`.
    """
    load, total = kernels.loads(network, requests), costs * len(requests)
    bonus = np.ones(network.P)

    def net(allocation: FloatArray) -> float:
        return float(kernels.gain(network, requests, capacities, allocation[None]).sum() - total @ allocation)

    def filled(allocation: FloatArray, changed: BoolArray | None = None) -> Iterator[tuple[float, FloatArray]]:
        for power in _POWERS:
            found = allocation.copy()
            fill_by_routes(network, requests, capacities, load, total, bonus, found, changed, power)
            yield net(found), found

    at_best, best = max(filled(start.astype(np.float64)), key=lambda each: each[0])
    emptied = [(v,) for v in order.tolist()] + neighbours(network)
    waiting = list(emptied)
    for _ in range(_ROUNDS * len(emptied)):
        if not waiting:
            break
        nodes = waiting.pop(0)
        changed = np.isin(network.placement_node, nodes)
        if not best[changed].any():
            continue
        value, found = max(filled(np.where(changed, 0.0, best), changed), key=lambda each: each[0])
        if value > at_best + 1e-9 * abs(at_best):
            best, at_best = found, value
            waiting = [each for each in emptied if each != nodes]
    return best


def neighbours(network: Network) -> list[tuple[int, int]]:
    """Pairs of nodes with a budget, one next on the path of some requests to the other."""
    steps = np.stack([network.paths[:, :-1].ravel(), network.paths[:, 1:].ravel()], axis=1)
    steps = steps[(steps >= 0).all(axis=1) & (network.budgets[steps] > 0.0).all(axis=1)]
    return [(int(u), int(v)) for u, v in np.unique(np.sort(steps, axis=1), axis=0)]
