"""Sponge as an agent: cores and batch of one server, for requests whose way takes part of their deadline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from idn_agents.systems.network.agent import SystemAgent
from idn_agents.systems.sponge import Problem
from idn_gym.common import parameters
from idn_gym.model.network import Network
from idn_gym.model.paths import request_paths
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Form:
    """Sponge's problem: how a batch runs on cores, and what the way leaves of each type's deadline."""

    placement: dict[tuple[int, int], int]  # (cores, batch), cores ascending, then batch -> the first that is it
    times: dict[tuple[int, int], float]  # ms
    left_ms: FloatArray  # (R,)

    def ms(self, batch: int, cores: int) -> float:
        """Time of a batch."""
        return self.times[cores, batch]


class SpongeAgent(SystemAgent[Form]):
    """Each slot the fewest cores, then the smallest batch, that serve a second's requests within what is left for all.

    All of a second's requests wait together, and what is left is the least of the types that have any. Where nothing
    serves them in time, the most cores and the largest batch are held.

    Parameters
    ----------
    left : share of the deadline that decisions count on; Sponge's margin as `idn-gym system` has it.
    margin, window : of the forecast.
    """

    name = "sponge"

    def __init__(self, *, left: float = 0.9, margin: float = 1.0, window: int = 1) -> None:
        super().__init__(margin=margin, window=window)
        self._left = parameters.real("left", left, highest=1.0)

    def form(self, network: Network) -> Form:
        """One task, one model on cores and in batches, at one node; services with deadlines."""
        service, scenario = network.service, network.scenario
        if not isinstance(service, RankedService) or network.N != 1:
            raise self.refused(network, "one task and single stages")
        node = self.only_node(network)
        fits = np.flatnonzero(network.fits)
        if np.ptp(network.inaccuracies[fits]) > 0.0:
            raise self.refused(network, "one model in several configurations, which are equally accurate")
        limits = np.array([offered.deadline_ms or math.inf for offered in scenario.offered])[network.type_service]
        ways = request_paths(scenario)[2]
        there = network.paths == node
        if not np.isfinite(limits).all() or not there.any(axis=1).all():
            raise self.refused(network, "a deadline_ms of every service, and a way past its node")
        _, cores = self.cores(network, fits)
        times = service.delays[fits]
        batches = np.maximum(1, np.rint(network.capacities[fits] / scenario.slot_seconds * times / 1000.0))
        rows = sorted(zip(cores.tolist(), batches.astype(int).tolist(), fits.tolist(), times.tolist(), strict=True))
        placement, of_batch = dict[tuple[int, int], int](), dict[tuple[int, int], float]()
        for c, b, p, time in rows:
            placement.setdefault((c, b), p)
            of_batch.setdefault((c, b), time)
        return Form(placement, of_batch, self._left * limits - ways[there])

    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        """Cores and batch, as Sponge has them for what the network leaves of the deadlines."""
        form, slot_seconds = self._form, self._network.scenario.slot_seconds
        count = math.ceil(float(requests.sum()) / slot_seconds - 1e-9)
        options = list(form.placement)
        best = Problem(form, count, 0.0, float(form.left_ms[requests > 0.0].min()), options).best()
        if best is None:
            self._short += 1
            best = options[-1]
        return np.array([form.placement[best]])
