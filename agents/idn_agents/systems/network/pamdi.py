"""PA-MDI as an agent: partition by partition, to the worker that has it done first, sources of high priority first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.systems.network.agent import SystemAgent
from idn_agents.systems.network.walk import Shelf, Step, Steps
from idn_agents.systems.pamdi import cobham
from idn_gym.common import parameters
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Form:
    """PA-MDI's problem: chains of partitions, and the priority of each."""

    chains: IntArray  # (C,) request type of each
    priority: IntArray  # (C,)
    steps: Steps


class PaMdiAgent(SystemAgent[Form]):
    """Each slot it places the partitions that the requests of the forecast would be sent to.

    Sources of the highest priority come first. Each is sent in parts, one partition after the other to the worker on
    its way of the least queue + way + service. As a slot has counts and no arrivals, the queue is the mean wait at a
    load that stays, by Cobham's formula for one class; and a placement is a worker, as it is in a network. What has no
    room is no candidate.

    Parameters
    ----------
    order : of the sources: `priority`, or `file`, which is AR-MDI.
    parts : that the requests of a type are sent in.
    margin, window : of the forecast.
    """

    name = "pa-mdi"

    def __init__(self, *, order: str = "priority", parts: int = 8, margin: float = 1.0, window: int = 1) -> None:
        super().__init__(margin=margin, window=window)
        self._order = parameters.one_of("order", order, ("priority", "file"))
        self._parts = parameters.whole("parts", parts, highest=1000)

    def form(self, network: Network) -> Form:
        """Requests that need several models in turn, all of them."""
        service = network.service
        if not isinstance(service, RoutedService) or len(service.chains.types) < network.R:
            raise self.refused(network, "services of several stages, which are its partitions")
        priority = np.array([offered.priority for offered in network.scenario.offered])[network.type_service]
        return Form(service.chains.types, priority[service.chains.types], Steps(service.chains))

    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        """Chain by chain, highest priority first: partitions where they are done soonest, as far as they fit."""
        form, shelf, load = self._form, Shelf(self._network), np.zeros(self._network.P)
        order = np.argsort(-form.priority * (self._order == "priority"), kind="stable")
        chains = [c for c in order.tolist() if requests[form.chains[c]] > 0.0]
        for c in chains:
            amount = float(requests[form.chains[c]]) / self._parts
            for _ in range(self._parts):
                route = self._route(c, amount, load, shelf)
                self._short += route is None and c == chains[0]
                for p in route or ():
                    load[p] += amount
                shelf.place(route or ())
        return np.array(sorted(shelf.placed), dtype=np.int64)

    def _route(self, c: int, amount: float, load: FloatArray, shelf: Shelf) -> list[int] | None:
        """Placements that one part is sent to; None where what is left to it has no room."""
        form, chosen, state = self._form, list[int](), 0
        while state != form.steps.end(c):
            open_ = [step for step in form.steps.of(c, state) if shelf.takes([*chosen, step.placement])]
            if not open_:
                return None
            step = min(open_, key=lambda step: self._done_ms(step, amount, load))
            state = step.state
            chosen += [step.placement] if step.placement < self._network.P else []
        return chosen

    def _done_ms(self, step: Step, amount: float, load: FloatArray) -> float:
        """When a part would be done there: the wait at its load, the way and the service."""
        p = step.placement
        queue = 0.0
        if p < self._network.P:
            capacity, total = float(self._network.capacities[p]), float(load[p]) + amount
            if total >= capacity:
                return np.inf
            per_ms = 1e-3 / self._network.scenario.slot_seconds
            rates = np.array([total * per_ms])
            queue = cobham(rates, np.zeros(1), capacity * per_ms)[0]
        return queue + step.way_ms + step.serve_ms
