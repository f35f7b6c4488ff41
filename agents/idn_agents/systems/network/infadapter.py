"""InfAdapter as an agent: cores of each variant of one model, at one node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.systems.infadapter import Problem, Profile
from idn_agents.systems.network.agent import SystemAgent
from idn_gym.common import parameters
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

_MOST = 1_000_000  # configurations that are enumerated


@dataclass(frozen=True)
class Form:
    """InfAdapter's problem: what a request of a variant saves, in ms over 100 points of accuracy, is its accuracy."""

    profile: Profile  # capacities in requests per slot
    placement: IntArray  # (M, B + 1) that has a variant on so many cores, -1 where there is none
    scale: float  # ms of gain that an accuracy of 1 is
    core_cost: float  # ms per slot


class InfAdapterAgent(SystemAgent[Form]):
    """Each slot the optimum of InfAdapter's objective for the forecast: variants and their cores, at one node.

    The network's prices are its weight of cores: where the forecast is covered its objective is the net gain, over the
    requests and 100 points of accuracy. Loading times are no part of a network, and taken as alike.

    Parameters
    ----------
    alpha : weight of all cores against accuracy; None (the default): what the network charges, at the forecast. The
        paper's is 0.05.
    beta : weight of a change of variants' cores.
    margin, window : of the forecast; by default the paper's margin, and about its two minutes.
    """

    name = "infadapter"

    def __init__(
        self, *, alpha: float | None = None, beta: float = 0.001, margin: float = 1.1, window: int = 4
    ) -> None:
        super().__init__(margin=margin, window=window)
        self._alpha = None if alpha is None else parameters.real("alpha", alpha, highest=1e6)
        self._beta = parameters.real("beta", beta, highest=1e6)

    def form(self, network: Network) -> Form:
        """One request type of one stage, one node, sizes that are cores, a price per core."""
        service = network.service
        if not isinstance(service, RankedService) or network.R != 1:
            raise self.refused(network, "requests of one type and one stage")
        node, scale = self.only_node(network), 100.0 * network.accuracy_weight
        if scale <= 0.0:
            raise self.refused(network, "an accuracy_weight above 0")
        ranked = service.options[0, : service.option_count[0] - 1]
        ranked = ranked[network.fits[ranked]]
        if not len(ranked):
            raise self.refused(network, "a model that is cheaper than its repository")
        costs = dict(zip(service.options[0].tolist(), service.costs[0].tolist(), strict=True))
        kinds = sorted({round(costs[p], 9) for p in ranked.tolist()}, reverse=True)
        unit, cores = self.cores(network, ranked)
        most = int(room(network.budgets[node]) / unit)
        placement = np.full((len(kinds), most + 1), -1, dtype=np.int64)
        capacity = np.zeros(placement.shape)
        for p, n in zip(ranked.tolist(), cores.tolist(), strict=True):
            kind = kinds.index(round(costs[p], 9))
            if placement[kind, n] < 0:
                placement[kind, n], capacity[kind, n] = p, network.capacities[p]
        choices = tuple((0, *np.flatnonzero(row >= 0).tolist()) for row in placement)
        if _count(choices, most) > _MOST:
            raise self.refused(network, f"at most {_MOST:,} configurations")
        accuracy = (service.costs[0, service.option_count[0] - 1] - np.array(kinds)) / scale
        profile = Profile(accuracy, np.ones(len(kinds)), capacity, choices)
        return Form(profile, placement, scale, self.core_cost(network, ranked, cores))

    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        """The variants and cores of InfAdapter at the rate of the forecast."""
        form, rate = self._form, float(requests.sum())
        cores = form.placement.shape[1] - 1
        alpha = form.core_cost * cores / (form.scale * rate) if self._alpha is None else self._alpha
        problem = Problem(cores, alpha, self._beta, form.profile)
        before = np.array([_held(row, held) for row in form.placement])
        best = problem.best(rate, before)
        if best is None:
            self._short += 1
            best = problem.largest()
        chosen = form.placement[np.arange(len(best)), best]
        return chosen[best > 0]


def _held(row: IntArray, held: FloatArray) -> int:
    """Cores of a variant that are held."""
    at = np.flatnonzero((row >= 0) & (held[row] > 0.0))
    return int(at[0]) if len(at) else 0


def _count(choices: tuple[tuple[int, ...], ...], most: int) -> int:
    """Configurations of so many cores at most."""
    ways = np.zeros(most + 1)
    ways[0] = 1.0
    for own in choices:
        longer = [np.concatenate([np.zeros(n), ways[: most + 1 - n]]) for n in own]
        ways = np.sum(longer, axis=0)
    return int(min(ways.sum(), 1e18))
