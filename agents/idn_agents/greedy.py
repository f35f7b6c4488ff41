"""Greedy heuristics by marginal net gain per MB: in hindsight over a whole trace, and online on the last batch.

What does not pay for holding it is not placed, whatever room there is.

Source: docs/model.md#greedy-baselines.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from idn_agents.agent import observed, refuse_other
from idn_agents.routes import fill_by_routes
from idn_gym import kernels
from idn_gym.common.parameters import real
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace


class StaticGreedy:
    """In hindsight: add the placement of largest marginal net gain per MB over the trace, until none pays or fits.

    Where requests need several models, whole routes are added too, and nothing is promised of what they come to.
    """

    hindsight = True

    def accepts(self, network: Network) -> None:
        """A gain that is submodular, so that a marginal gain only falls as the allocation grows, or one of chains."""
        if not network.service.submodular and not isinstance(network.service, RoutedService):
            raise IdnError(
                f"static-greedy: needs a gain that is submodular; that of scenario {network.scenario.name} is not"
            )

    def reset(self, network: Network, seed: int) -> None:
        self._network = network

    def fit(self, trace: Trace) -> None:
        self._allocation = static_greedy(self._network, trace)

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        return self._allocation

    def info(self) -> dict[str, Any]:
        return {}


def static_greedy(network: Network, trace: Trace) -> IntArray:
    """(P,) int8: the greedy static allocation for a trace.

    The gain is submodular and what holding costs is a sum, so a marginal net gain only falls as the allocation grows:
    a candidate is evaluated again only when it comes to the top. With chains it is not: see `fill_by_routes`.
    """
    refuse_other(network, trace)
    load = kernels.loads(network, trace.requests)
    allocation = np.zeros(network.P)
    if not network.service.submodular:
        slots, costs = (trace.requests, trace.capacities, load), network.holding * trace.slots
        fill_by_routes(network, *slots, costs, np.ones(network.P), allocation)
        return allocation.astype(np.int8)
    left = room(network.budgets)
    holding = network.holding * trace.slots

    def gains(placements: Any) -> FloatArray:
        added = kernels.marginal_gains(network, trace.requests, trace.capacities, allocation, load, placements)
        return added - holding[placements]

    candidates = np.flatnonzero(network.fits)
    heap = [
        (-gain / network.sizes[p], int(p), 0) for p, gain in zip(candidates, gains(candidates), strict=True) if gain > 0
    ]
    heapq.heapify(heap)
    placed = 0
    while heap:
        _, p, evaluated = heapq.heappop(heap)
        v = network.placement_node[p]
        if network.sizes[p] > left[v]:
            continue
        if evaluated < placed:
            gain = gains([p])[0]
            if gain > 0:
                heapq.heappush(heap, (-gain / network.sizes[p], p, placed))
            continue
        allocation[p] = 1.0
        left[v] -= network.sizes[p]
        placed += 1
    return allocation.astype(np.int8)


class LastBatchGreedy:
    """From the cloud down, node by node, fill by marginal net gain per MB on the last batch.

    Where requests need several models, whole routes are added too, at all nodes at once.

    Parameters
    ----------
    keep : bonus on the net gain of what a node already holds: 0.5 asks a newcomer to be half as good again.
    average : weight of the past in a moving average of the requests, in [0, 1); 0 looks at the last batch alone.
    """

    def __init__(self, *, keep: float = 0.5, average: float = 0.0) -> None:
        self._keep = real("keep", keep, highest=1e6)
        self._average = real("average", average, highest=1.0, below=True)

    def reset(self, network: Network, seed: int) -> None:
        self._network = network
        self._order = np.argsort(network.tiers, kind="stable")
        self._requests: FloatArray | None = None

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8, filled anew for the average of the batches so far."""
        requests, capacities, held = observed(self._network, observation, "requests", "capacities", "allocation")
        if self._requests is not None:
            requests = self._average * self._requests + (1.0 - self._average) * requests
        if requests.any():
            self._requests = requests
        bonus = 1.0 + self._keep * held
        allocation = np.zeros(self._network.P)
        load = kernels.loads(self._network, requests)
        if not self._network.service.submodular:
            batch = requests[None], capacities[None], load
            fill_by_routes(self._network, *batch, self._network.holding, bonus, allocation)
            return allocation.astype(np.int8)
        kernels.fill_by_gain(self._network, requests, capacities, load, self._order, bonus, allocation)
        return allocation.astype(np.int8)

    def info(self) -> dict[str, Any]:
        return {}
