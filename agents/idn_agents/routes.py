"""Whole routes as candidates: placements that open a cheaper way for a chain together, though none may do so alone.

Everything that adds placements to serve chains finds them here: the greedies, coordination and the search for the
optimum. Source: docs/chains.md#whole-routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from idn_agents.routes_kernel import LABELS, missing_sets
from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.model.routed import RoutedService
from idn_gym.typing import BoolArray, FloatArray

Placed = tuple[int, ...]  # placements of a set, ascending
_MOST = 64  # sets that are evaluated at once, those of the largest estimates per MB


class Candidates(NamedTuple):
    """Sets of placements that may be added as a whole."""

    sets: list[Placed]
    sizes: FloatArray  # (n,) MB
    gains: FloatArray  # (n,) ms over the slots, of all types, joint


class Routes:
    """What is missing for routes of the chains of a network.

    Parameters
    ----------
    network : one with chains.
    requests, capacities, load : (T, R), (T or 1, P), and `kernels.loads` of the requests: the slots that count.
    """

    def __init__(self, network: Network, requests: FloatArray, capacities: FloatArray, load: FloatArray) -> None:
        if not isinstance(network.service, RoutedService):
            raise TypeError("a network without chains has no routes to open")
        self._network, self._service, self._chains = network, network.service, network.service.chains
        self._slots = requests, capacities, load
        self._total = requests.sum(axis=0)
        mean = requests.mean(axis=0)
        self._mean_load = kernels.loads(network, mean)[0]
        self._mean_capacities = np.ascontiguousarray(capacities.mean(axis=0))
        self._found = np.empty((LABELS, int(self._chains.stages.max())), dtype=np.int64)
        self._values = np.empty(LABELS)

    @property
    def asked(self) -> list[int]:
        """Chains that have requests."""
        return np.flatnonzero(self._total[self._chains.types] > 0.0).tolist()

    def missing(self, c: int, allocation: FloatArray, left: FloatArray) -> dict[Placed, float]:
        """What is missing for routes of chain c that would gain, and about how many ms that would be, over the slots.

        Shares are those of the mean batch. Routes are left out that another one undercuts in cost, MB missing and
        the share that they can carry.

        Parameters
        ----------
        allocation : (P,) what is placed; below 1 it is missing.
        left : (V,) MB of room at each node.
        """
        network, service = self._network, self._service
        here = np.ascontiguousarray(np.where(network.fits, left[network.placement_node], 0.0))
        arrays = self._mean_capacities, self._mean_load, allocation, here, self._found, self._values
        count = missing_sets(service.tables, network.sizes, self._chains.tables, c, *arrays)
        requests = float(self._total[self._chains.types[c]])
        found: dict[Placed, float] = {}
        for row, value in zip(self._found[:count].tolist(), self._values[:count].tolist(), strict=True):
            placed = tuple(sorted({p for p in row if p >= 0}))
            if self._fit(placed, left):
                found[placed] = max(found.get(placed, 0.0), requests * value)
        return found

    def candidates(
        self, allocation: FloatArray, left: FloatArray, chains: Iterable[int] | None = None, most: int = _MOST
    ) -> Candidates:
        """Sets that open routes of chains, by default of all, the best estimates per MB; with their joint gains."""
        estimates: dict[Placed, float] = {}
        for c in self.asked if chains is None else chains:
            for placed, value in self.missing(c, allocation, left).items():
                estimates[placed] = estimates.get(placed, 0.0) + value
        sizes = self._network.sizes
        mb = {placed: float(sizes[list(placed)].sum()) for placed in estimates}
        sets = sorted(estimates, key=lambda placed: (-estimates[placed] / mb[placed], placed))[:most]
        return Candidates(sets, np.array([mb[placed] for placed in sets]), self.gains(allocation, sets))

    def gains(self, allocation: FloatArray, sets: list[Placed]) -> FloatArray:
        """(n,) ms over the slots that each set gains, added as a whole."""
        requests, capacities, load = self._slots
        return kernels.joint_gains(self._network, requests, capacities, allocation, load, sets)

    def _fit(self, placed: Placed, left: FloatArray) -> bool:
        own = list(placed)
        needed = np.bincount(self._network.placement_node[own], self._network.sizes[own], minlength=self._network.V)
        return bool((needed <= left).all())


def fill_by_routes(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    load: FloatArray,
    costs: FloatArray,
    bonus: FloatArray,
    allocation: FloatArray,
    nodes: BoolArray | None = None,
) -> None:
    """Add single placements and whole routes by joint net gain per MB missing, until none pays or fits, in place.

    Parameters
    ----------
    requests, capacities, load : (T, R), (T or 1, P), and `kernels.loads` of the requests.
    costs : (P,) ms over the slots that placing each takes off the gain.
    bonus : (P,) factor on what each placement earns per MB.
    allocation : (P,) float64, integral, added to in place; within budgets.
    nodes : (V,) where placements may be added; everywhere by default.
    """
    routes = Routes(network, requests, capacities, load)
    terms, node = network.service.terms, network.placement_node
    chain_of = np.full(network.R, -1)
    chain_of[routes._chains.types] = np.arange(len(routes._chains.types))
    left = room(network.budgets) - np.bincount(node, network.sizes * allocation, minlength=network.V)
    open_ = network.fits if nodes is None else network.fits & nodes[node]
    left = np.where(nodes, left, 0.0) if nodes is not None else left
    weight = network.sizes / bonus
    density: dict[Placed, float] = {}
    stale = np.ones(network.R, dtype=np.bool_) & (requests.sum(axis=0) > 0.0)
    while True:
        touched = np.zeros(network.P, dtype=np.bool_)
        touched[terms.placement[stale[terms.type]]] = True
        singles = np.flatnonzero(touched & open_ & (allocation == 0.0) & (network.sizes <= left[node]))
        gains = kernels.marginal_gains(network, requests, capacities, allocation, load, singles)
        kept = {each: value for each, value in density.items() if not touched[list(each)].any()}
        chains = chain_of[stale & (chain_of >= 0)].tolist()
        found = routes.candidates(allocation, left, chains)
        again = [each for each in density if each not in kept and len(each) > 1 and not allocation[list(each)].any()]
        again = [each for each in set(again) - set(found.sets)]
        density = kept
        sets = [(int(p),) for p in singles] + found.sets + again
        joint = np.concatenate([gains, found.gains, routes.gains(allocation, again)])
        for each, gain in zip(sets, joint.tolist(), strict=True):
            own = list(each)
            density[each] = (gain - float(costs[own].sum())) / float(weight[own].sum())
        density = {each: value for each, value in density.items() if value > 0.0 and routes._fit(each, left)}
        if not density:
            return
        best = list(min(density, key=lambda each: (-density[each], each)))
        allocation[best] = 1.0
        np.subtract.at(left, node[best], network.sizes[best])
        changed = np.zeros(network.P, dtype=np.bool_)
        changed[best] = True
        stale = np.zeros(network.R, dtype=np.bool_)
        stale[terms.type[changed[terms.placement]]] = True
        stale &= requests.sum(axis=0) > 0.0
