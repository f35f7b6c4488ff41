"""The routed service: request types that rank their options, and chains, whose requests are routed through stages.

Its ranked part has the chains too, as types with a repository model and nothing else; so loads, shares and all that
is of single stages is as for any ranked service, and chains add what routing saves. Source: docs/model.md#chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from idn_gym.model.chain_flow import Flow, least_cost_flow
from idn_gym.model.chains import Asked, ChainCatalog, Chains
from idn_gym.model.paths import link_steps
from idn_gym.model.ranked import TOLERANCE, RankedService
from idn_gym.model.service import Served, ServedTypes, Terms
from idn_gym.scenario import Scenario
from idn_gym.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class RoutedService(RankedService):
    """A ranked service over all types, of which some are chains."""

    chains: Chains

    @property
    def submodular(self) -> bool:
        """Never: a lone stage of a chain gains nothing."""
        return False

    @property
    def largest_saving(self) -> float:
        """Delta_C: ms that a request saves at most."""
        return max(super().largest_saving, float((self.chains.repository_cost - self.chains.cheapest).max()))

    def ways(self, rho: int) -> tuple[int, float, float]:
        """See `Service`: of a chain, its routes."""
        if not (of := np.flatnonzero(self.chains.types == rho)).size:
            return super().ways(rho)
        chains, c = self.chains, int(of[0])
        return int(chains.routes[c]), float(chains.cheapest[c]), float(chains.repository_cost[c])

    @cached_property
    def terms(self) -> Terms:
        """The options of each type that are placements, in the order of their ranks; of a chain, all it may use."""
        ranked, chains = super().terms, self.chains
        counts = np.diff(ranked.start)
        counts[chains.types] = np.diff(chains.term_start)
        start = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        types = np.repeat(np.arange(self.R, dtype=np.int32), counts)
        placement = np.empty(len(types), dtype=ranked.placement.dtype)
        of_chain = np.isin(types, chains.types)
        placement[~of_chain] = ranked.placement
        for c, rho in enumerate(chains.types):
            placement[start[rho] : start[rho + 1]] = self._placements(c)
        return Terms(start, types, placement, self.P)

    @cached_property
    def chain_listing(self) -> tuple[IntArray, IntArray]:
        """Chains by placement, as (start (P+1,), chain (n,)): which of them may use it."""
        placement = self.chains.term_placement
        chain = np.repeat(np.arange(len(self.chains.types)), np.diff(self.chains.term_start))
        order = np.argsort(placement, kind="stable")
        start = np.concatenate(([0], np.cumsum(np.bincount(placement, minlength=self.P))))
        return start.astype(np.int64), chain[order].astype(np.int64)

    def flow(self, c: int, shares: FloatArray, allocation: FloatArray) -> Flow:
        """How chain c is routed, for shares (C, P) and an allocation (P,)."""
        own = self._placements(c)
        return least_cost_flow(self.chains, c, (shares[self.chains.type_class[c]] * allocation)[own])

    def gain(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> float:
        """See `Service`."""
        return super().gain(requests, capacities, allocation) + sum(
            requests[rho] * flow.saved for _, rho, flow in self._flows(requests, capacities, allocation)
        )

    def gain_and_supergradient(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, tolerance: float = TOLERANCE
    ) -> tuple[float, FloatArray]:
        """See `Service`; of chains that at the prices of the linear program, without a tolerance."""
        gain, gradient = super().gain_and_supergradient(requests, capacities, allocation, tolerance)
        shares = self.shares(requests, capacities)
        for c, rho, flow in self._flows(requests, capacities, allocation):
            gain += requests[rho] * flow.saved
            own = self._placements(c)
            gradient[own] += requests[rho] * shares[self.chains.type_class[c], own] * flow.prices
        return gain, gradient

    def serve(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
        """See `Service`; every stage counts as a part of the requests served at its node."""
        types = self.serve_types(requests, capacities, allocation)
        by_node = super().serve(requests, capacities, allocation).by_node
        for c, rho, flow in self._flows(requests, capacities, allocation):
            by_node[self.repository_node[rho]] -= requests[rho]  # where the ranked part has them
            for route in flow.routes:
                np.add.at(by_node, list(route.nodes), requests[rho] * route.share / self.chains.stages[c])
        gain, cost, latency, inaccuracy, missed = (float(values.sum()) for values in types)
        return Served(gain, cost, latency, inaccuracy, missed, by_node)

    def serve_types(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> ServedTypes:
        """See `Service`."""
        types = super().serve_types(requests, capacities, allocation)
        for c, rho, flow in self._flows(requests, capacities, allocation):
            types.gain[rho] = requests[rho] * flow.saved
            types.cost[rho] = requests[rho] * (self.chains.repository_cost[c] - flow.saved)
            shares = requests[rho] * np.array([route.share for route in flow.routes])
            latencies = np.array([route.latency for route in flow.routes])
            types.latency[rho] = shares @ latencies
            types.inaccuracy[rho] = shares @ np.array([route.inaccuracy for route in flow.routes])
            types.missed[rho] = shares @ (latencies > self.chains.deadlines[c])
        return types

    def type_cuts(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `Service`: of a chain r (C_repository - end) + sum of prices times shares of what is placed."""
        of_ranks, ranked = super().type_cuts(requests, capacities, allocation)
        constant, slopes = of_ranks.copy(), np.zeros(len(self.terms))
        slopes[~np.isin(self.terms.type, self.chains.types)] = ranked
        for t, r in enumerate(requests):
            capacity = capacities[t if len(capacities) > 1 else 0]
            shares = self.shares(r, capacity)
            for c, rho, flow in self._flows(r, capacity, allocation):
                constant[rho] += r[rho] * (self.chains.repository_cost[c] - flow.end)
                own = shares[self.chains.type_class[c], self._placements(c)]
                slopes[self.terms.start[rho] : self.terms.start[rho + 1]] += r[rho] * own * flow.prices
        return constant, slopes

    def _placements(self, c: int) -> IntArray:
        return self.chains.term_placement[self.chains.term_start[c] : self.chains.term_start[c + 1]]

    def _flows(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray
    ) -> list[tuple[int, int, Flow]]:
        """Chain, type and flow of all chains that have requests."""
        shares = self.shares(requests, capacities)
        chains = enumerate(self.chains.types.tolist())
        return [(c, rho, self.flow(c, shares, allocation)) for c, rho in chains if requests[rho] > 0.0]


def with_chains(
    ranked: RankedService,
    catalog: ChainCatalog,
    types: IntArray,
    type_service: IntArray,
    stages: Sequence[Sequence[int]],
    scenario: Scenario,
    tasks: int,
) -> RoutedService:
    """A service whose types (C,) are chains, from the ranked service of the first stage of each.

    Parameters
    ----------
    stages : per service of the scenario, the task of each stage.
    tasks : N
    """
    hops, per_mb = link_steps(scenario, ranked.paths[types])
    asked = []
    for rho, s, *steps in zip(types, type_service[types], hops, per_mb, strict=True):
        service = scenario.offered[s]
        factors = service.accuracy_weights or (1.0,) * len(service.stages)
        asked.append(Asked(stages[s], float(ranked.weights[rho]), factors, service.input_mb, ranked.paths[rho], *steps))
    chains = catalog.build(types, asked, ranked.type_class[types], ranked.deadlines[types])
    # every stage's requests pass the groups of its task, at every node of the path
    paths, width = ranked.paths, ranked.paths.shape[1]
    groups = np.full((ranked.R, width * max(len(own) for own in stages)), ranked.groups, dtype=np.int32)
    groups[:, :width] = ranked.path_groups
    first = ranked.type_class * (ranked.groups // ranked.classes)
    for rho in types:
        for stage, task in enumerate(stages[type_service[rho]]):
            at = np.where(paths[rho] >= 0, first[rho] + paths[rho] * tasks + task, ranked.groups)
            groups[rho, stage * width : (stage + 1) * width] = at
    # of a chain the ranked part serves nothing and costs nothing: there is only the repository, at which it ends
    empty = {
        "options": ranked.P, "costs": 0.0, "option_count": 1, "repository_latency": 0.0, "repository_inaccuracy": 0.0,
        "deadlines": np.inf,
    }  # fmt: skip
    changed = {"path_groups": groups}
    for name, value in empty.items():
        array = getattr(ranked, name).copy()
        array[types] = value
        changed[name] = array
    held = {field.name: getattr(ranked, field.name) for field in fields(RankedService)}
    return RoutedService(**held | changed, chains=chains)
