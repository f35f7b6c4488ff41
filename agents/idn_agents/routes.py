"""Whole routes as candidates: placements that open a cheaper way for a chain together, though none may do so alone.

Everything that adds placements to serve chains finds them here: the greedies, coordination and the search for the
optimum. Source: docs/chains.md#whole-routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np

from idn_agents.routes_kernel import LABELS, missing_sets
from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.model.routed import RoutedService
from idn_gym.typing import BoolArray, FloatArray

Placed = tuple[int, ...]  # placements of a set, ascending
MOST = 64  # sets that are evaluated at once, those of the largest estimates per MB


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
        self._node, self._sizes = network.placement_node.tolist(), network.sizes.tolist()

    def asked_of(self, types: BoolArray) -> list[int]:
        """Chains that have requests, among types (R,)."""
        own = self._chains.types
        return np.flatnonzero(types[own] & (self._total[own] > 0.0)).tolist()

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
            if self.fit(placed, left):
                found[placed] = max(found.get(placed, 0.0), requests * value)
        return found

    def candidates(self, allocation: FloatArray, left: FloatArray, most: int = MOST) -> Candidates:
        """Sets that open routes of any chain, the best estimates per MB first, with their joint gains."""
        chains = self.asked_of(np.ones(self._network.R, dtype=np.bool_))
        sets = self.best([self.missing(c, allocation, left) for c in chains], left, most)
        sizes = np.array([self._network.sizes[list(placed)].sum() for placed in sets])
        return Candidates(sets, sizes, self.gains(allocation, sets))

    def best(self, found: Iterable[dict[Placed, float]], left: FloatArray, most: int = MOST) -> list[Placed]:
        """The best sets by their estimates for all chains together, per MB, of those that fit."""
        per_mb: dict[Placed, float] = {}
        sizes = self._sizes
        for of_chain in found:
            for placed, value in of_chain.items():
                mb = sizes[placed[0]] if len(placed) == 1 else sum([sizes[p] for p in placed])
                per_mb[placed] = per_mb.get(placed, 0.0) + value / mb
        order = sorted([(-value, placed) for placed, value in per_mb.items()])
        return list(islice((placed for _, placed in order if self.fit(placed, left)), most))

    def gains(self, allocation: FloatArray, sets: list[Placed]) -> FloatArray:
        """(n,) ms over the slots that each set gains, added as a whole."""
        requests, capacities, load = self._slots
        return kernels.joint_gains(self._network, requests, capacities, allocation, load, sets)

    def fit(self, placed: Placed, left: FloatArray) -> bool:
        """Whether all of a set has room."""
        needed: dict[int, float] = {}
        for p in placed:
            needed[self._node[p]] = needed.get(self._node[p], 0.0) + self._sizes[p]
        return all(mb <= left[v] for v, mb in needed.items())


def fill_by_routes(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    load: FloatArray,
    costs: FloatArray,
    bonus: FloatArray,
    allocation: FloatArray,
    changed: BoolArray | None = None,
    power: float = 1.0,
) -> None:
    """Add single placements and whole routes by joint net gain per MB missing, until none pays or fits, in place.

    Parameters
    ----------
    requests, capacities, load : (T, R), (T or 1, P), and `kernels.loads` of the requests.
    costs : (P,) ms over the slots that placing each takes off the gain.
    bonus : (P,) factor on what each placement earns per MB; what gains nothing and costs nothing is placed last, if
        its bonus exceeds 1.
    allocation : (P,) float64, integral, added to in place; within budgets.
    changed : (P,) what has changed since nothing was left to add; by default everything. Only types that may use
        some of it are looked at.
    power : of the MB missing, by which a net gain is divided: at 0 what gains most comes first, whatever its size.
    """
    routes = Routes(network, requests, capacities, load)
    terms, node = network.service.terms, network.placement_node
    left = room(network.budgets) - np.bincount(node, network.sizes * allocation, minlength=network.V)
    weight = network.sizes / bonus
    asked = requests.any(axis=0)
    changed = np.ones(network.P, dtype=np.bool_) if changed is None else changed.copy()
    estimates: dict[int, dict[Placed, float]] = {}  # by chain
    density: dict[Placed, float] = {}  # ms per MB, of what was evaluated and has not changed since
    while True:
        stale = np.zeros(network.R, dtype=np.bool_)
        stale[terms.type[changed[terms.placement]]] = True
        stale &= asked
        touched = np.zeros(network.P, dtype=np.bool_)
        touched[terms.placement[stale[terms.type]]] = True
        unknown = set(np.flatnonzero(touched).tolist())
        density = {each: value for each, value in density.items() if unknown.isdisjoint(each)}
        for c in routes.asked_of(stale):
            estimates[c] = routes.missing(c, allocation, left)
        opened = [placed for placed in routes.best(estimates.values(), left) if placed not in density]
        alone = np.flatnonzero(touched & network.fits & (allocation == 0.0) & (network.sizes <= left[node]))
        gains = kernels.marginal_gains(network, requests, capacities, allocation, load, alone)
        joint = np.concatenate([gains, routes.gains(allocation, opened)])
        evaluated: list[Placed] = [(p,) for p in alone.tolist()]
        for placed, gain in zip(evaluated + opened, joint.tolist(), strict=True):
            own = list(placed)
            density[placed] = (gain - float(costs[own].sum())) / float(weight[own].sum()) ** power
        paying = [placed for placed, value in density.items() if value > 0.0 and routes.fit(placed, left)]
        if not paying:
            break
        best = min(paying, key=lambda placed: (-density[placed], placed))
        chosen = list(best)
        allocation[chosen] = 1.0
        np.subtract.at(left, node[chosen], network.sizes[chosen])
        changed[:] = False
        changed[chosen] = True
    for p in np.flatnonzero((bonus > 1.0) & (costs <= 0.0) & (allocation == 0.0) & network.fits).tolist():
        if network.sizes[p] <= left[node[p]]:  # it gains nothing, and stays
            allocation[p] = 1.0
            left[node[p]] -= network.sizes[p]
