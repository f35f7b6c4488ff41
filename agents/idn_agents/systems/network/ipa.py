"""IPA as an agent: variant, batch and replicas of each stage of one pipeline, at one node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.systems.ipa import Problem, Variant, option
from idn_agents.systems.network.agent import SystemAgent
from idn_gym.common import parameters
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import FloatArray, IntArray

_FALL = 0.9  # of the rate, until it can be met
_LEAST = 1e-3  # of the forecast, below which nothing is held


@dataclass(frozen=True)
class Configuration:
    """A variant at a batch, and its replicas."""

    variant: Variant  # its name is the model's
    batch: int
    placements: IntArray  # one per replica


@dataclass(frozen=True)
class Form:
    """IPA's problem: a list of configurations per stage; cores count as MB."""

    stages: tuple[tuple[Configuration, ...], ...]
    sla_ms: float
    budget: float  # MB
    point: float  # ms of gain that a percentage point of accuracy of a request is
    core_cost: float  # ms per MB and slot


class IpaAgent(SystemAgent[Form]):
    """Each slot the optimum of IPA's objective for the forecast: the stages' accuracies, summed, less cores.

    The network's weights are its weights, alpha accuracy_weight x requests and beta the price; there is no weight of
    batches. Of rates that the node has no room for it meets the highest.

    Parameters
    ----------
    alpha, beta : weights of a percentage point and of a core; None (the default): the network's. The paper's for video
        are 2 and 1.
    margin, window : of the forecast.
    """

    name = "ipa"

    def __init__(
        self, *, alpha: float | None = None, beta: float | None = None, margin: float = 1.1, window: int = 3
    ) -> None:
        super().__init__(margin=margin, window=window)
        self._alpha = None if alpha is None else parameters.real("alpha", alpha, highest=1e9)
        self._beta = None if beta is None else parameters.real("beta", beta, highest=1e9)

    def form(self, network: Network) -> Form:
        """One request type with a deadline to report, one node, a price per MB, batches in what models serve."""
        if network.R != 1:
            raise self.refused(network, "requests of one type")
        scenario, service = network.scenario, network.scenario.offered[0]
        sla = service.counted_deadline
        if sla is None:
            raise self.refused(network, "a service with report_deadline_ms, which is its SLA")
        node = self.only_node(network)
        weights = service.accuracy_weights or (1.0,) * len(service.stages)
        stages = []
        for task, weight in zip(service.stages, weights, strict=True):
            fits = np.flatnonzero(network.fits)
            own = fits[network.model_task[network.placement_model[fits]] == scenario.tasks.index(task)]
            bases = network.model_base[network.placement_model[own]]
            stages.append(
                tuple(self._configuration(network, int(base), own[bases == base], weight) for base in np.unique(bases))
            )
        if not all(stages):
            raise self.refused(network, "models of every stage that fit its node")
        fitting = np.flatnonzero(network.fits)
        cost = self.core_cost(network, fitting, network.sizes[fitting])
        point = service.weight * network.accuracy_weight
        return Form(tuple(stages), sla, float(room(network.budgets[node])), point, cost)

    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        """Variant, batch and replicas of each stage, as IPA has them at the rate of the forecast."""
        form, count = self._form, float(requests.sum())
        alpha = form.point * count if self._alpha is None else self._alpha
        beta = form.core_cost if self._beta is None else self._beta
        rate = wanted = count / self._network.scenario.slot_seconds
        while rate > _LEAST * wanted:
            options = tuple(
                tuple(
                    found
                    for each in stage
                    if (found := option(each.variant, each.batch, rate)).replicas <= len(each.placements)
                )
                for stage in form.stages
            )
            plan = Problem(options, form.sla_ms, alpha, beta, 0.0, most_cores=form.budget).best()
            if plan is not None:
                self._short += rate < wanted
                of_name = {(each.variant.name, each.batch): each for stage in form.stages for each in stage}
                chosen = [of_name[each.variant, each.batch].placements[: each.replicas] for each in plan.options]
                return np.concatenate(chosen)
            rate *= _FALL
        self._short += 1
        return np.zeros(0, dtype=np.int64)

    def _configuration(self, network: Network, base: int, placements: IntArray, weight: float) -> Configuration:
        """A model as a configuration: its batch is what it serves in the time that a request takes."""
        model, p = network.scenario.models[base], int(placements[0])
        processor = network.scenario.nodes[int(network.placement_node[p])].processor
        profile = model.profiles[processor]
        batch = max(1, round(profile.throughput * profile.delay / 1000.0))
        if batch > 64 or profile.delay <= 0.0:
            raise self.refused(network, "models that serve in batches of 1 to 64")
        variant = Variant(
            name=model.name,
            accuracy=weight * model.accuracy,
            base_cores=float(network.sizes[p]),
            latency_ms=[profile.delay] * batch,
        )
        return Configuration(variant, batch, placements)
