"""What systems of devices and servers have in common: a first half on the device, and the second farther along."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from idn_agents.systems.network.agent import SystemAgent
from idn_agents.systems.network.walk import Shelf, Step, Steps
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray, IntArray

Route = tuple[Step, Step]


@dataclass(frozen=True)
class Form:
    """The ways to have both halves of a request served, per class of devices."""

    chains: IntArray  # (C,) request type of each
    weight: FloatArray  # (C,)
    routes: tuple[tuple[Route, ...], ...]  # the fastest first


class HalvesAgent(SystemAgent[Form]):
    """Each slot every class of devices gets the fastest of the ways that are open to it, by enumeration.

    A class is what has one service and one entry node. Classes with the most requests, weighted, choose first; what has
    no room then is not open to the others, which may go on with what is there or farther along.
    """

    lacks: ClassVar[str] = "first stages that can run where requests come in"

    def form(self, network: Network) -> Form:
        """Services of two stages, of which the first can run where requests come in."""
        service = network.service
        if not isinstance(service, RoutedService) or len(service.chains.types) < network.R:
            raise self.refused(network, "services of two stages")
        chains, steps = service.chains, Steps(service.chains)
        if (chains.stages != 2).any():
            raise self.refused(network, "services of two stages")
        weights = np.array([offered.weight for offered in network.scenario.offered])[network.type_service]
        routes = []
        for c, rho in enumerate(chains.types.tolist()):
            entry = int(network.type_entry[rho])
            ways = [(d, v) for d in steps.of(c, 0) if d.node == entry for v in steps.of(c, d.state)]
            if not (open_ := self.open(ways)):
                raise self.refused(network, self.lacks)
            routes.append(tuple(sorted(open_, key=latency_ms)))
        return Form(chains.types, weights[chains.types], tuple(routes))

    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        """Type by type, most weighted requests first: of the routes that the system would go, the first that fits."""
        form, shelf = self._form, Shelf(self._network)
        asked = form.weight * requests[form.chains]
        for c in np.argsort(-asked, kind="stable").tolist():
            if asked[c] > 0.0:
                open_ = (tuple(step.placement for step in route) for route in form.routes[c])
                chosen = next((each for each in open_ if shelf.takes(each)), None)
                self._short += chosen is None
                shelf.place(chosen or ())
        return np.array(sorted(shelf.placed), dtype=np.int64)

    @abstractmethod
    def open(self, routes: list[Route]) -> list[Route]:
        """Those that the system chooses from."""


def latency_ms(route: Route) -> float:
    """Of a request that goes it."""
    return sum(step.way_ms + step.serve_ms for step in route)
