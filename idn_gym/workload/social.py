"""Popularity by opinion dynamics: entry nodes follow those that influence them, leaders a trend.

Source: docs/workloads.md#opinions-that-spread; DeGroot's model with stubborn nodes (Friedkin and Johnsen).
"""

from __future__ import annotations

import numpy as np

from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Social
from idn_gym.typing import BoolArray, FloatArray, IntArray


class Opinions:
    """What each entry node asks for, as shares of its requests by service; see `Social`."""

    def __init__(self, network: Network, workload: Social) -> None:
        self._network, self._workload = network, workload
        nodes, self._entry = np.unique(network.type_entry, return_inverse=True)
        names = [network.node_names[v] for v in nodes]
        count = len(network.service_names)
        self._asked: BoolArray = np.zeros((len(nodes), count), dtype=np.bool_)
        self._asked[self._entry, network.type_service] = True
        own = np.where(self._asked, np.arange(1, count + 1, dtype=np.float64) ** -workload.exponent, 0.0)
        self._own: FloatArray = own / own.sum(axis=1, keepdims=True)  # (E, S)
        self._heard = heard(names, [(arc.source, arc.target, arc.weight) for arc in workload.influence])
        self._leaders: IntArray = np.array([names.index(name) for name in workload.leaders])
        self._opinions = self._own
        self._trend = 0  # service
        self._slot = 0

    def next_block(self, slots: int, generator: np.random.Generator) -> FloatArray:
        """(slots, R) mean requests of the coming slots, whose numbers are drawn whatever the state is."""
        trends = generator.integers(len(self._network.service_names), size=slots)
        shares = np.empty((slots, self._network.R))
        for n, trend in enumerate(trends.tolist()):
            if self._slot % self._workload.every == 0:
                self._trend = trend
            self._opinions = self._next()
            shares[n] = self._opinions[self._entry, self._network.type_service]
            self._slot += 1
        return shares * (self._workload.rate * self._network.scenario.slot_seconds / len(self._own))

    def _next(self) -> FloatArray:
        """(E, S) opinions a slot later: inertia x + (1 - inertia) (conformity W x + (1 - conformity) own).

        Leaders go by the trend instead. Of what a node never asks for it hears nothing: its own opinion counts for it.
        """
        given = self._workload
        said = given.conformity * np.where(self._asked, self._heard @ self._opinions, 0.0)
        said += (1.0 - said.sum(axis=1, keepdims=True)) * self._own
        found = given.inertia * self._opinions + (1.0 - given.inertia) * said
        follows = self._leaders[self._asked[self._leaders, self._trend]]
        found[self._leaders] = self._own[self._leaders]
        found[follows] *= 1.0 - given.trend
        found[follows, self._trend] += given.trend
        return found


def heard(names: list[str], arcs: list[tuple[str, str, float]]) -> FloatArray:
    """(E, E) W: the part of what a node hears that comes from each other one; a row of 0 where nobody influences it.

    Parameters
    ----------
    arcs : source, which influences the target, and weight.
    """
    weights = np.zeros((len(names), len(names)))
    at = {name: n for n, name in enumerate(names)}
    for source, target, weight in arcs:
        weights[at[target], at[source]] = weight
    sums = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0.0)
