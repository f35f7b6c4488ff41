"""The request stream of a workload: drawn block by block, or replayed from a trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.plugins import CAPACITIES, WORKLOADS
from idn_gym.scenario.workloads import (
    Adversary,
    Burst,
    ConstantCapacity,
    Outages,
    Own,
    OwnWorkload,
    Replay,
    Social,
    Zipf,
)
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.adversary import Opponent
from idn_gym.workload.counts import poisson
from idn_gym.workload.own import OwnProcess
from idn_gym.workload.popularity import expected_requests
from idn_gym.workload.processes import Bursts, Crowds, Failures
from idn_gym.workload.social import Opinions
from idn_gym.workload.trace import MOST_VALUES, Trace, joined
from idn_gym.workload.trace_file import read_trace

Expected = Callable[[Network, IntArray], FloatArray]

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
    varying = not isinstance(getattr(network.scenario.workload, "capacity", None), ConstantCapacity | None)
    for width, what in ((network.R, "request types"), (network.P * varying, "placements")):
        if slots * width > MOST_VALUES:
            raise IdnError(f"slots: {slots} of {width} {what}; at most {MOST_VALUES} values are drawn")
    if isinstance(network.scenario.workload, Replay):
        return replayed(network).head(slots)
    stream = Stream(network, np.random.default_rng(seed))
    blocks = [stream.next_block() for _ in range(-(-slots // BLOCK))]
    return joined(blocks).head(slots)


def replayed(network: Network) -> Trace:
    """The whole trace that a workload of kind ``trace`` names."""
    workload = network.scenario.workload
    if not isinstance(workload, Replay):
        raise IdnError(f"scenario {network.scenario.name}: its workload is no trace")
    return read_trace(network, Path(workload.requests), Path(workload.capacities) if workload.capacities else None)


class Stream:
    """An endless stream of slots, drawn in blocks from one generator.

    In each block the processes that the workload has take their numbers in a fixed order: trends, crowds, bursts,
    counts, capacities.

    Parameters
    ----------
    expected : `expected_requests`, or what gives the same and keeps it for other streams.
    """

    def __init__(
        self, network: Network, generator: np.random.Generator, expected: Expected = expected_requests
    ) -> None:
        workload = network.scenario.workload
        if not isinstance(workload, Zipf | Burst | Adversary | Social | OwnWorkload):
            raise IdnError(f"scenario {network.scenario.name}: no workload to draw from; give a trace, or a workload")
        self._network, self._generator, self._expected = network, generator, expected
        self._slot = 0
        self._whole: Opponent | OwnProcess | None = None  # draws all requests itself
        self._capacities: Failures | OwnProcess | None = None
        self._opinions: Opinions | None = None  # instead of a fixed or sliding popularity
        self._factors: list[Crowds | Bursts] = []
        if isinstance(workload, Adversary):
            self._whole = Opponent(network, workload)
            return
        if isinstance(workload.capacity, Outages):
            self._capacities = Failures(network, workload.capacity)
        elif isinstance(workload.capacity, Own):
            self._capacities = OwnProcess(network, workload.capacity, CAPACITIES)
        if isinstance(workload, OwnWorkload):
            self._whole = OwnProcess(network, workload, WORKLOADS)
            return
        if isinstance(workload, Social):
            self._opinions = Opinions(network, workload)
            return
        if workload.flash:
            self._factors.append(Crowds(network, workload.flash))
        if isinstance(workload, Burst):
            self._factors.append(Bursts(network, workload))

    def next_block(self, out: FloatArray | None = None) -> Trace:
        """The next `BLOCK` slots.

        Parameters
        ----------
        out : (BLOCK, R) to draw counts into, where they are drawn here.
        """
        requests = self._whole.next_block(BLOCK, self._generator) if self._whole else self._counts(out)
        if self._capacities is None:
            return Trace(requests, self._network.capacities[None], varying=False)
        return Trace(requests, self._capacities.next_block(BLOCK, self._generator), varying=True)

    def _counts(self, out: FloatArray | None) -> FloatArray:
        if self._opinions is not None:
            mean = self._opinions.next_block(BLOCK, self._generator)
        else:
            mean = self._expected(self._network, np.arange(self._slot, self._slot + BLOCK))
        self._slot += BLOCK
        for process in self._factors:
            mean = mean * process.next_block(BLOCK, self._generator)
        return poisson(self._generator, mean, out)
