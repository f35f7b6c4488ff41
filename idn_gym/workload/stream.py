"""The request stream of a workload: drawn block by block, kept or drawn anew by whoever reads it, or replayed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
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
_PER_SLOT = 16  # values that a run keeps of each slot, at most


def draw(network: Network, slots: int, seed: int) -> Trace:
    """Draw the stream of a scenario's workload; the same seed gives every agent and environment the same one.

    Raises
    ------
    IdnError
        If the scenario has no workload, or replays a trace of fewer slots.
    """
    if slots < 1:
        raise IdnError(f"slots: {slots}; must be at least 1")
    for width, what in _widths(network):
        if slots * width > MOST_VALUES:
            raise IdnError(f"slots: {slots} of {width} {what}; at most {MOST_VALUES} values are drawn")
    if isinstance(network.scenario.workload, Replay):
        return replayed(network).head(slots)
    return joined(list(_blocks(network, slots, seed)))


class DrawnTrace(Trace):
    """The trace of `draw`, drawn anew whenever it is gone through: no more than two blocks of it are in memory.

    Who asks for all requests or capacities gets the whole, which is kept from then on; so is that of an adversary, who
    takes longer to draw than anyone to read. A workload of one's own that does not draw the same again from the same
    seed is found out.

    Raises
    ------
    IdnError
        If the scenario has no workload to draw from, or the figures of so many slots would fill the memory.
    """

    _drawn: tuple[Network, int, int]
    _own: str  # names of what is of one's own

    def __init__(self, network: Network, slots: int, seed: int) -> None:
        workload = _workload(network)
        if slots * _PER_SLOT > MOST_VALUES:
            raise IdnError(f"slots: {slots}; at most {MOST_VALUES // _PER_SLOT}")
        own = [part.kind for part in (workload, getattr(workload, "capacity", None)) if isinstance(part, Own)]
        self.__dict__.update(varying=len(_widths(network)) > 1, _drawn=(network, slots, seed), _own=", ".join(own))
        if own:
            next(_blocks(*self._drawn))  # what is wrong with it is told at once

    def __repr__(self) -> str:
        network, slots, seed = self._drawn
        return f"DrawnTrace({network!r}, {slots}, {seed})"

    @property
    def slots(self) -> int:
        """T."""
        return self._drawn[1]

    @cached_property
    def _whole(self) -> Trace:
        return draw(*self._drawn)

    @property
    def requests(self) -> FloatArray:
        """(T, R) requests per type."""
        return self._whole.requests

    @property
    def capacities(self) -> FloatArray:
        """(T, P), or (1, P) where they do not vary."""
        return self._whole.capacities

    def parts(self, slots: int) -> Iterator[Trace]:
        """See `Trace`.

        Raises
        ------
        IdnError
            At the end, if this was not what was drawn before.
        """
        if "_whole" in self.__dict__ or isinstance(self._drawn[0].scenario.workload, Adversary):
            yield from self._whole.parts(slots)
            return
        rest: Trace | None = None
        checksum = 0
        for block in _blocks(*self._drawn):
            if self._own:
                checksum = zlib.crc32(block.capacities.data, zlib.crc32(block.requests.data, checksum))
            here = block if rest is None else joined([rest, block])
            full = here.slots // slots * slots
            yield from here.part(0, full).parts(slots)
            rest = here.part(full, here.slots) if full < here.slots else None
            del block, here  # before the next is drawn
        if rest is not None:
            yield rest
        if self.__dict__.setdefault("_checksum", checksum) != checksum:
            seed = self._drawn[2]
            raise IdnError(f"{self._own}: drew other numbers from seed {seed} than before; must draw the same again")


def _workload(network: Network) -> Zipf | Burst | Adversary | Social | OwnWorkload:
    """The workload of the scenario, or an `IdnError` if there is none to draw from."""
    workload = network.scenario.workload
    if not isinstance(workload, Zipf | Burst | Adversary | Social | OwnWorkload):
        raise IdnError(f"scenario {network.scenario.name}: no workload to draw from; give a trace, or a workload")
    return workload


def _widths(network: Network) -> list[tuple[int, str]]:
    """Values of a slot, and what they are of: requests, and capacities where they vary."""
    constant = isinstance(getattr(network.scenario.workload, "capacity", None), ConstantCapacity | None)
    return [(network.R, "request types"), *([] if constant else [(network.P, "placements")])]


def _blocks(network: Network, slots: int, seed: int) -> Iterator[Trace]:
    """The stream of a seed as it is drawn; the last block may be shorter."""
    stream = Stream(network, np.random.default_rng(seed))
    for first in range(0, slots, BLOCK):
        yield stream.next_block().head(min(BLOCK, slots - first))


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
        workload = _workload(network)
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
