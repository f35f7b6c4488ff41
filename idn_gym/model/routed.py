"""The routed service: request types that rank their options, and chains, whose requests are routed through stages.

Its ranked part has the chains too, as types with a repository model and nothing else; so loads, shares and all that
is of single stages is as for any ranked service, and chains add what routing saves. Source: docs/model.md#chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from idn_gym.model.chains import Chains, Flow, least_cost_flow
from idn_gym.model.ranked import RankedService
from idn_gym.model.service import Served, Terms
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
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray
    ) -> tuple[float, FloatArray]:
        """See `Service`."""
        gain, gradient = super().gain_and_supergradient(requests, capacities, allocation)
        shares = self.shares(requests, capacities)
        for c, rho, flow in self._flows(requests, capacities, allocation):
            gain += requests[rho] * flow.saved
            own = self._placements(c)
            gradient[own] += requests[rho] * shares[self.chains.type_class[c], own] * flow.prices
        return gain, gradient

    def serve(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
        """See `Service`; every stage counts as a part of the requests served at its node."""
        gain, cost, latency, inaccuracy, missed, by_node = super().serve(requests, capacities, allocation)
        for c, rho, flow in self._flows(requests, capacities, allocation):
            gain += requests[rho] * flow.saved
            cost += requests[rho] * (self.chains.repository_cost[c] - flow.saved)
            for route in flow.routes:
                share = requests[rho] * route.share
                latency += share * route.latency
                inaccuracy += share * route.inaccuracy
                missed += share * (route.latency > self.chains.deadlines[c])
                np.add.at(by_node, list(route.nodes), share / self.chains.stages[c])
        return Served(gain, cost, latency, inaccuracy, missed, by_node)

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
