"""The request streams of many environments at once, each bitwise that of its scalar environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.popularity import expected_requests
from idn_gym.workload.stream import BLOCK, Stream
from idn_gym.workload.trace import Trace

Rows = slice | IntArray  # of a batch: all of it, or the numbers of some


class _Latest:
    """`expected_requests`, the latest of each network kept: most streams of a batch ask for the same."""

    def __init__(self) -> None:
        self._kept: dict[Network, tuple[int, FloatArray]] = {}

    def __call__(self, network: Network, slots: IntArray) -> FloatArray:
        first, expected = self._kept.get(network, (-1, None))
        if expected is None or first != slots[0]:
            expected = expected_requests(network, slots)
            self._kept[network] = int(slots[0]), expected
        return expected


class Streams:
    """B streams, drawn a block at a time; or one trace that all of them replay.

    Parameters
    ----------
    networks : of each environment; they share placements and request types, not necessarily the workload.
    replay : the trace, instead of workloads; its capacities, where they do not vary, are each environment's nominal
        ones if they are so in the first.

    Raises
    ------
    IdnError
        If environments differ in nominal capacities and the trace's, which build on one set of them, vary.
    """

    def __init__(self, networks: Sequence[Network], replay: Trace | None) -> None:
        self._networks, self._replay = networks, replay
        self._slot = np.zeros(len(networks), dtype=np.int64)
        alike = all(np.array_equal(network.capacities, networks[0].capacities) for network in set(networks))
        self._nominal = np.stack([network.capacities for network in (networks[:1] if alike else networks)])
        self._steady = self._nominal  # capacities in force where they do not vary
        if replay is not None and not alike and replay.varying:
            raise IdnError("variants: change capacities; with a capacity file all environments have the same")
        if replay is not None and not replay.varying and (replay.capacities[0] != networks[0].capacities).any():
            self._steady = replay.capacities
        self._streams: list[Stream | None] = [None] * len(networks)
        self._requests = np.empty((0 if replay is not None else BLOCK, len(networks), networks[0].R))
        self._capacities: list[FloatArray | None] = [None] * len(networks)  # of the block, where they vary
        self._expected = _Latest()

    @property
    def nominal(self) -> FloatArray:
        """(1, P) capacities, or (B, P) where environments differ in them."""
        return self._nominal

    def restart(self, rows: Rows, generators: Sequence[np.random.Generator]) -> None:
        """Start streams anew, each with its generator."""
        self._slot[rows] = 0
        if self._replay is None:
            for row, generator in zip(np.arange(len(self._slot))[rows].tolist(), generators, strict=True):
                self._streams[row] = Stream(self._networks[row], generator, self._expected)

    def next_slot(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Requests (n, R), and capacities (n, P), or (1, P) where they are the same for all."""
        slot = self._slot[rows].copy()
        self._slot[rows] += 1
        if self._replay is not None:
            requests = self._replay.requests[slot]
            return requests, self._replay.capacities[slot] if self._replay.varying else self._steady_at(rows)
        numbers = np.arange(len(self._slot))[rows]
        within = slot % BLOCK
        self._draw(numbers[within == 0])
        if isinstance(rows, slice) and (within == within[0]).all():
            requests = self._requests[within[0]].copy()
        else:
            requests = self._requests[within, numbers]
        return requests, self._capacities_at(numbers, within)

    def _draw(self, rows: IntArray) -> None:
        """The next block of each; the generators release Python's lock."""

        def work(first: int, stop: int) -> None:
            for row in rows[first:stop].tolist():
                stream = self._streams[row]
                assert stream is not None
                block = stream.next_block(out=self._requests[:, row])
                if not np.may_share_memory(block.requests, self._requests):
                    self._requests[:, row] = block.requests
                self._capacities[row] = block.capacities if block.varying else None

        if len(rows):
            over_rows(len(rows), self._requests[:, 0].size, work)

    def _capacities_at(self, rows: IntArray, within: IntArray) -> FloatArray:
        blocks = [self._capacities[row] for row in rows.tolist()]
        nominal = self._steady_at(rows)
        if all(block is None for block in blocks):
            return nominal
        nominal = np.broadcast_to(nominal, (len(rows), nominal.shape[1]))
        return np.stack(
            [
                nominal[i] if block is None else block[t]
                for i, (block, t) in enumerate(zip(blocks, within.tolist(), strict=True))
            ]
        )

    def _steady_at(self, rows: Rows) -> FloatArray:
        """(n, P), or (1, P): what is in force in environments whose capacities do not vary."""
        every = isinstance(rows, slice) or len(rows) == len(self._slot)
        return self._steady if every or len(self._steady) == 1 else self._steady[rows]
