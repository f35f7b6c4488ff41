"""Trending models first at the stations that serve most of what others ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_agents.agent import observed
from idn_agents.service_graph import served_between
from idn_agents.systems.centrality import Problem
from idn_gym import kernels
from idn_gym.common.parameters import real, whole
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray


class CentralStations:
    """Fills as `LastBatchGreedy` does, with a bonus on models of trending services at the k most central nodes.

    Central are nodes of high influence in the service graph, A_uv the requests of v that u serves, by the fixed point
    of arXiv 2208.13161. A service trends where its share of the requests has risen most above its own average. This
    agent is the library's own.

    Parameters
    ----------
    stations : k.
    trending : services that count as trending, at most; those whose share has not risen do not.
    bonus : factor on the net gain of their models there; 1 is `LastBatchGreedy`.
    average : weight of the past in the averages of shares and of the service graph, in [0, 1).
    a : weight of a node's own difference in its influence, against that of whom it serves; above 0, up to 1.
    keep : bonus on the net gain of what a node already holds.
    """

    def __init__(
        self,
        *,
        stations: int = 3,
        trending: int = 1,
        bonus: float = 4.0,
        average: float = 0.95,
        a: float = 0.5,
        keep: float = 0.5,
    ) -> None:
        self._stations, self._trending = whole("stations", stations), whole("trending", trending)
        self._bonus = real("bonus", bonus, lowest=1.0, highest=1e6)
        self._average = real("average", average, highest=1.0, below=True)
        self._a = real("a", a, lowest=1e-3, highest=1.0)
        self._keep = real("keep", keep, highest=1e6)

    def accepts(self, network: Network) -> None:
        """Services of one stage, each request of which one node serves."""
        RankedService.of(network.service, "central-stations")

    def reset(self, network: Network, seed: int) -> None:
        """Begin on a network, with no requests seen; nothing is drawn."""
        self._network = network
        self._order = np.argsort(network.tiers, kind="stable")
        self._graph = np.zeros((network.V, network.V))
        self._usual: FloatArray | None = None  # (S,) average share of each service
        self._held_slots = np.zeros(network.V, dtype=np.int64)

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8, filled anew for the last batch."""
        network = self._network
        requests, capacities, held = observed(network, observation, "requests", "capacities", "allocation")
        bonus = 1.0 + self._keep * held
        if requests.any():
            served = served_between(network, requests, capacities, held)
            self._graph = self._average * self._graph + (1.0 - self._average) * served
            stations = self._central()
            bonus[self._of_trend(requests) & np.isin(network.placement_node, stations)] *= self._bonus
            self._held_slots[stations] += 1
        allocation = np.zeros(network.P)
        load = kernels.loads(network, requests)
        kernels.fill_by_gain(network, requests, capacities, load, self._order, bonus, allocation)
        return allocation.astype(np.int8)

    def info(self) -> dict[str, Any]:
        """Slots in which each node was central, where it was in any."""
        names = self._network.node_names
        return {"central_slots": {names[v]: int(n) for v, n in enumerate(self._held_slots) if n}}

    def _central(self) -> IntArray:
        """(k,) the most influential nodes that have room for a model."""
        top = Problem(self._graph, self._a).top(self._network.V)
        return top[np.isin(top, self._network.placement_node[self._network.fits])][: self._stations]

    def _of_trend(self, requests: FloatArray) -> Any:
        """(P,) whether a placement is of a service that trends; the average then takes the batch in."""
        network = self._network
        now = np.bincount(network.type_service, requests, minlength=len(network.service_names)) / requests.sum()
        if self._usual is None:
            self._usual = now
        risen = now - self._usual
        trending = np.argsort(-risen, kind="stable")[: self._trending]
        self._usual = self._average * self._usual + (1.0 - self._average) * now
        tasks = network.type_task[np.isin(network.type_service, trending[risen[trending] > 0.0])]
        return np.isin(network.placement_group % network.N, tasks)
