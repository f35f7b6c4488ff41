"""The random states that a workload carries from slot to slot: bursts, flash crowds, outages.

Each takes the random numbers of a block of slots at once, whatever its state is, from the generator it is given.
"""

from __future__ import annotations

import numpy as np

from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Burst, Flash, Outages
from idn_gym.typing import BoolArray, FloatArray


class Bursts:
    """Multipliers of the mean counts, of a gamma law of mean 1; see `Burst`."""

    def __init__(self, network: Network, workload: Burst) -> None:
        self._shape = workload.shape
        self._persistence = 0.0 if workload.persistence is None else workload.persistence
        self._of_service = network.type_service if workload.per == "task" else None
        self._last: FloatArray | None = None  # (R,), or as many as there are services
        self._width = network.R if self._of_service is None else len(network.service_names)

    def next_block(self, slots: int, generator: np.random.Generator) -> FloatArray:
        """(slots, R) multipliers of the coming slots."""
        drawn = generator.gamma(self._shape, 1.0 / self._shape, size=(slots, self._width))
        if self._persistence:
            stays = generator.random(drawn.shape) < self._persistence
            if self._last is None:
                stays[0] = False
            else:
                drawn[0] = np.where(stays[0], self._last, drawn[0])
            newest = np.where(stays, 0, np.arange(slots)[:, None])
            drawn = np.take_along_axis(drawn, np.maximum.accumulate(newest), axis=0)
            self._last = drawn[-1]
        return drawn if self._of_service is None else drawn[:, self._of_service]


class Crowds:
    """Flash crowds at entry nodes; see `Flash`."""

    def __init__(self, network: Network, process: Flash) -> None:
        self._process = process
        self._entries, self._entry_of_type = np.unique(network.type_entry, return_inverse=True)
        self._here: BoolArray = np.zeros(len(self._entries), dtype=np.bool_)

    def next_block(self, slots: int, generator: np.random.Generator) -> FloatArray:
        """(slots, R) multipliers of the coming slots: 1, or the crowd's factor."""
        starts = generator.random(slots) < self._process.probability
        where = generator.integers(len(self._entries), size=slots)
        stays = generator.random((slots, len(self._entries))) >= 1.0 / self._process.duration
        here = np.empty(stays.shape, dtype=np.bool_)
        for slot in range(slots):
            self._here = self._here & stays[slot]
            self._here[where[slot]] |= starts[slot]
            here[slot] = self._here
        return np.where(here, self._process.factor, 1.0)[:, self._entry_of_type]


class Failures:
    """Outages of nodes; see `Outages`."""

    def __init__(self, network: Network, process: Outages) -> None:
        self._network, self._process = network, process
        self._down: BoolArray = np.zeros(network.V, dtype=np.bool_)

    def next_block(self, slots: int, generator: np.random.Generator) -> FloatArray:
        """(slots, P) capacities of the coming slots."""
        uniforms = generator.random((slots, self._network.V))
        down = np.empty(uniforms.shape, dtype=np.bool_)
        for slot, uniform in enumerate(uniforms):
            stays = uniform >= 1.0 / self._process.duration
            self._down = np.where(self._down, stays, uniform < self._process.probability)
            down[slot] = self._down
        left = np.where(down[:, self._network.placement_node], self._process.remaining, 1.0)
        return left * self._network.capacities
