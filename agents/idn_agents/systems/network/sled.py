"""SLED as an agent: devices draft, a server verifies, and each class of devices has a draft length of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.systems.network.agent import SystemAgent
from idn_agents.systems.network.walk import Shelf, Step, Steps
from idn_gym.common import parameters
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray, IntArray

Route = tuple[Step, Step]


@dataclass(frozen=True)
class Form:
    """SLED's problem: the ways to draft on the device and to verify farther along, per class of devices."""

    chains: IntArray  # (C,) request type of each
    weight: FloatArray  # (C,)
    routes: tuple[tuple[Route, ...], ...]  # the fastest first


class SledAgent(SystemAgent[Form]):
    """Each slot every class of devices gets the draft length and the verifier that give it most tokens per second.

    A request is a token, so the rate is 1 / latency, and the choice is by enumeration. Classes with the most requests,
    weighted, choose first; what has no room then is not open to the others, which may verify with what is there or
    farther along.

    Parameters
    ----------
    target : which model verifies, `accurate`: the most accurate one, as it would serve without drafts, or `any`.
    margin, window : of the forecast.
    """

    name = "sled"

    def __init__(self, *, target: str = "accurate", margin: float = 1.0, window: int = 1) -> None:
        super().__init__(margin=margin, window=window)
        self._target = parameters.one_of("target", target, ("accurate", "any"))

    def form(self, network: Network) -> Form:
        """Services of two stages, of which the first can run where requests come in."""
        service = network.service
        if not isinstance(service, RoutedService) or len(service.chains.types) < network.R:
            raise self.refused(network, "services of two stages, a draft and its verification")
        chains, steps = service.chains, Steps(service.chains)
        if (chains.stages != 2).any():
            raise self.refused(network, "services of two stages, a draft and its verification")
        weights = np.array([offered.weight for offered in network.scenario.offered])[network.type_service]
        routes = []
        for c, rho in enumerate(chains.types.tolist()):
            entry = int(network.type_entry[rho])
            ways = [(d, v) for d in steps.of(c, 0) if d.node == entry for v in steps.of(c, d.state)]
            if self._target == "accurate":
                best = min((v.inaccuracy for _, v in ways), default=0.0)
                ways = [(d, v) for d, v in ways if v.inaccuracy == best]
            if not ways:
                raise self.refused(network, "first stages that can run where requests come in")
            routes.append(tuple(sorted(ways, key=latency_ms)))
        return Form(chains.types, weights[chains.types], tuple(routes))

    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        form, shelf = self._form, Shelf(self._network)
        asked = form.weight * requests[form.chains]
        for c in np.argsort(-asked, kind="stable").tolist():
            if asked[c] > 0.0:
                open_ = (tuple(step.placement for step in route) for route in form.routes[c])
                chosen = next((each for each in open_ if shelf.takes(each)), None)
                self._short += chosen is None
                shelf.place(chosen or ())
        return np.array(sorted(shelf.placed), dtype=np.int64)


def latency_ms(route: Route) -> float:
    """Of a request that goes it."""
    return sum(step.way_ms + step.serve_ms for step in route)
