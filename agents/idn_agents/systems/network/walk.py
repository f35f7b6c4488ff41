"""Steps of a chain's requests, one stage each, as systems that choose partition by partition see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from idn_gym.model.chains import Chains
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray


class Step(NamedTuple):
    """The next stage of a request, somewhere on its way."""

    way_ms: float  # to there
    placement: int  # P: a repository model
    serve_ms: float
    inaccuracy: float  # percentage points, weighted
    node: int
    state: int  # of the request, after


class Steps:
    """The steps that are open to a chain in a state; the entry is state 0, `end` has all stages done."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._found: dict[tuple[int, int], tuple[Step, ...]] = {}

    def end(self, c: int) -> int:
        """The state of a request of chain c that has been served."""
        return int(self._chains.state_start[c + 1] - self._chains.state_start[c]) - 1

    def of(self, c: int, state: int) -> tuple[Step, ...]:
        """All ways to have the next stage served from a state of chain c; worked out once."""
        if (c, state) not in self._found:
            self._found[c, state] = self._worked_out(c, state)
        return self._found[c, state]

    def _worked_out(self, c: int, state: int) -> tuple[Step, ...]:
        chains, found = self._chains, list[Step]()
        for e in range(int(chains.edge_start[c]), int(chains.edge_start[c + 1])):
            if chains.edge_tail[e] != state:
                continue
            members = range(int(chains.member_start[e]), int(chains.member_start[e + 1]))
            head, way = int(chains.edge_head[e]), float(chains.edge_latency[e])
            if not members:
                found += [step._replace(way_ms=step.way_ms + way) for step in self.of(c, head)]
            for m in members:
                found.append(
                    Step(
                        way,
                        int(chains.member_placement[m]),
                        float(chains.member_latency[m]),
                        float(chains.member_inaccuracy[m]),
                        int(chains.member_node[m]),
                        head,
                    )
                )
        return tuple(found)


class Shelf:
    """What is placed so far, and what still has room."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._left: FloatArray = network.room.copy()
        self.placed: set[int] = set()

    def takes(self, placements: Iterable[int]) -> bool:
        """Whether all of some placements are there or have room; repository models always are."""
        new = [p for p in set(placements) if p < self._network.P and p not in self.placed]
        needed = (
            np.bincount(self._network.placement_node[new], self._network.sizes[new], minlength=self._network.V)
            if new
            else np.zeros(1)
        )
        return bool((needed <= self._left).all())

    def place(self, placements: Iterable[int]) -> None:
        """Place them."""
        for p in set(placements):
            if p < self._network.P and p not in self.placed:
                self.placed.add(p)
                self._left[self._network.placement_node[p]] -= self._network.sizes[p]
