"""An oblivious adversary: it plays against a greedy victim that it simulates, not against whoever is watching.

Its stream is a function of seed and network, so all agents face the same one and an agent in hindsight can fit it.
"""

from __future__ import annotations

import numpy as np

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.scenario.workloads import Adversary
from idn_gym.typing import FloatArray, IntArray

MOST_TYPES = 2000  # the adversary weighs up every type in every slot
_TIE = 1e-9  # relative: types this close to the worst prepared one count as equal to it


class Opponent:
    """Sends each batch to the one type whose coming the victim would most like to have known.

    With e the batch of a type alone, x what the victim is about to hold, and x(e) what it would hold, starting empty,
    had it known e: the type of the largest G(e, x(e)) - G(e, x). Equals are drawn by popularity.

    The victim is the last-batch greedy rule: from the cloud down, node by node, by marginal gain per MB on the last
    batch, with a bonus `keep` on what it holds. Source: docs/model.md#greedy-baselines.
    """

    def __init__(self, network: Network, workload: Adversary) -> None:
        if network.R > MOST_TYPES:
            raise IdnError(f"workload: an adversary against {network.R} request types; at most {MOST_TYPES}")
        RankedService.of(network.service, "workload: an adversary")  # its victim's rule is of one stage
        self._network, self._keep = network, workload.keep
        self._batches: FloatArray = np.eye(network.R) * (workload.rate * network.scenario.slot_seconds)
        # as an agent sees them, so that the victim decides what the agent of that rule decides
        self._seen = self._batches.astype(np.float32).astype(np.float64)
        self._capacities = network.capacities.astype(np.float32).astype(np.float64)
        self._order = np.argsort(network.tiers, kind="stable")
        service = network.type_service
        entries = np.bincount(service, minlength=len(network.service_names))[service]
        self._log_popularity = -workload.exponent * np.log1p(service) - np.log(entries)
        nothing = np.zeros(network.P)
        responses = np.array([self._response(e, nothing) for e in self._seen])
        self._at_best = kernels.gain(network, self._batches, network.capacities, responses)  # (R,)
        self._victim = self._response(np.zeros(network.R), nothing)

    def next_block(self, slots: int, generator: np.random.Generator) -> FloatArray:
        """(slots, R) requests of the coming slots."""
        chosen = np.empty(slots, dtype=np.int64)
        for slot, uniform in enumerate(generator.random(slots)):
            lost = self._at_best - kernels.gain(self._network, self._batches, self._network.capacities, self._victim)
            worst = np.flatnonzero(lost >= lost.max() - _TIE * self._at_best.max())
            chosen[slot] = worst[self._drawn(worst, uniform)]
            self._victim = self._response(self._seen[chosen[slot]], self._victim)
        return self._batches[chosen]

    def _drawn(self, types: IntArray, uniform: float) -> int:
        """Which of these types a uniform number picks, by popularity."""
        log_weights = self._log_popularity[types]
        up_to = np.cumsum(np.exp(log_weights - log_weights.max()))
        return min(int(np.searchsorted(up_to, uniform * up_to[-1], side="right")), len(types) - 1)

    def _response(self, requests: FloatArray, held: FloatArray) -> FloatArray:
        """(P,) what the victim holds after seeing these requests (R,), holding (P,) so far."""
        allocation = np.zeros(self._network.P)
        load = kernels.loads(self._network, requests)
        bonus = 1.0 + self._keep * held
        kernels.fill_by_gain(self._network, requests, self._capacities, load, self._order, bonus, allocation)
        return allocation
