"""Workloads: the processes that requests and capacities are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.network import Network
from idn_gym.scenario import Burst, Outages, Replay, Zipf
from idn_gym.trace import MOST_VALUES, Trace, read_trace
from idn_gym.typing import BoolArray, FloatArray

BLOCK = 64  # slots drawn at a time; part of the stream, since it orders the draws


def draw(network: Network, slots: int, seed: int) -> Trace:
    """Draw the stream of a scenario's workload; the same seed gives every agent and environment the same one.

    Raises
    ------
    IdnError
        If the scenario has no workload, or replays a trace of fewer slots.
    """
    if slots < 1:
        raise IdnError(f"slots: {slots}; must be at least 1")
    if slots * network.R > MOST_VALUES:
        raise IdnError(f"slots: {slots} of {network.R} request types; at most {MOST_VALUES} values are drawn")
    if isinstance(network.scenario.workload, Replay):
        return replayed(network).head(slots)
    stream = Stream(network, np.random.default_rng(seed))
    blocks = [stream.next_block() for _ in range(-(-slots // BLOCK))]
    capacities = [block.capacities for block in blocks] if len(blocks[0].capacities) > 1 else [blocks[0].capacities]
    return Trace(np.concatenate([block.requests for block in blocks]), np.concatenate(capacities)).head(slots)


def replayed(network: Network) -> Trace:
    """The whole trace that a workload of kind ``trace`` names."""
    workload = network.scenario.workload
    if not isinstance(workload, Replay):
        raise IdnError(f"scenario {network.scenario.name}: its workload is no trace")
    return read_trace(network, Path(workload.requests), Path(workload.capacities) if workload.capacities else None)


class Stream:
    """An endless stream of slots, drawn in blocks from one generator."""

    def __init__(self, network: Network, generator: np.random.Generator) -> None:
        workload = network.scenario.workload
        if not isinstance(workload, Zipf | Burst):
            raise IdnError(f"scenario {network.scenario.name}: no workload to draw from; give a trace, or a workload")
        self._network, self._workload, self._generator = network, workload, generator
        self._slot = 0
        self._down: BoolArray = np.zeros(network.V, dtype=np.bool_)

    def next_block(self) -> Trace:
        """The next `BLOCK` slots."""
        mean = expected_requests(self._network, np.arange(self._slot, self._slot + BLOCK))
        if isinstance(self._workload, Burst):
            shape = self._workload.shape
            mean = mean * self._generator.gamma(shape, 1.0 / shape, size=mean.shape)
        requests = self._generator.poisson(mean).astype(np.float64)
        self._slot += BLOCK
        return Trace(requests, self._capacities())

    def _capacities(self) -> FloatArray:
        process = self._workload.capacity
        nominal = self._network.capacities[None]
        if not isinstance(process, Outages):
            return nominal
        uniforms = self._generator.random((BLOCK, self._network.V))
        down = np.empty(uniforms.shape, dtype=np.bool_)
        for slot, uniform in enumerate(uniforms):
            stays = uniform >= 1.0 / process.duration
            self._down = np.where(self._down, stays, uniform < process.probability)
            down[slot] = self._down
        return np.where(down[:, self._network.placement_node], process.remaining, 1.0) * nominal


def expected_requests(network: Network, slots: FloatArray) -> FloatArray:
    """(len(slots), R) mean requests of each type: popularity over tasks times an even split over entry nodes.

    The i-th task in the file has popularity proportional to i^-exponent; a sliding profile moves it by `shift`
    tasks every `every` slots, cyclically.
    """
    workload = network.scenario.workload
    if not isinstance(workload, Zipf | Burst):
        raise IdnError(f"scenario {network.scenario.name}: its workload has no rate")
    popularity = np.arange(1, network.N + 1, dtype=np.float64) ** -workload.exponent
    step = np.zeros(len(slots), dtype=np.int64)
    if workload.profile == "sliding":
        step = (workload.shift or 0) * (np.asarray(slots, dtype=np.int64) // (workload.every or 1))
    entries = np.bincount(network.type_task, minlength=network.N)
    of_task = popularity[(np.arange(network.N) - step[:, None]) % network.N] * (entries > 0)
    of_type = (of_task / np.maximum(entries, 1))[:, network.type_task]
    return of_type / of_type.sum(axis=1, keepdims=True) * (workload.rate * network.scenario.slot_seconds)
