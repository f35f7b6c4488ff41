"""How requests are served: what every kind of service can be asked, and what serving comes to.

The kind there is ranks the options of a request type by cost (`ranked`). What builds on a service without looking
inside it asks for `terms`: which placements a type depends on at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from idn_gym.common.arrays import shaped
from idn_gym.typing import FloatArray, IntArray


class Served(NamedTuple):
    """What serving slots comes to, summed over the requests of each; of one slot, without the axis B."""

    gain: Any  # (B,) ms saved against repositories alone
    cost: Any  # (B,) ms
    latency: Any  # (B,) ms
    inaccuracy: Any  # (B,) percentage points
    missed: Any  # (B,) requests served later than their service's deadline; 0 where there is none
    by_node: Any  # (B, V) requests served at each node

    def row(self, b: int) -> Served:
        """That of one slot."""
        return Served(*[values[b] for values in self])


class ServedTypes(NamedTuple):
    """The same of one slot by request type, each (R,)."""

    gain: FloatArray
    cost: FloatArray
    latency: FloatArray
    inaccuracy: FloatArray
    missed: FloatArray


@dataclass(frozen=True, eq=False)
class Terms:
    """The placements that each request type depends on, type by type: n pairs of a type and a placement."""

    start: IntArray  # (R+1,) the terms of type rho are start[rho]:start[rho+1]
    type: IntArray  # (n,)
    placement: IntArray  # (n,)
    placements: int  # P

    def __len__(self) -> int:
        return len(self.placement)

    def by_type(self, slopes: FloatArray, allocation: FloatArray) -> FloatArray:
        """(R,) slopes (n,) of linear functions, one per type, times an allocation (P,)."""
        slopes = shaped("slopes", slopes, (len(self),))
        allocation = shaped("allocation", allocation, (self.placements,))
        return np.bincount(self.type, slopes * allocation[self.placement], minlength=len(self.start) - 1)

    def by_placement(self, slopes: FloatArray) -> FloatArray:
        """(P,) slopes (n,) of all types, summed."""
        slopes = shaped("slopes", slopes, (len(self),))
        return np.bincount(self.placement, slopes, minlength=self.placements)


class Service(Protocol):
    """A kind of service, in plain NumPy float64: the reference that kernels are held against.

    Shapes: requests (R,), capacities (P,), allocation (P,) in [0, 1], of one slot; or (T, R) and (T, P) or (1, P) of
    many slots that one allocation serves. Arguments are trusted; `idn_gym.model.gain` checks them.
    """

    @property
    def submodular(self) -> bool:
        """Whether the gain is submodular in integral allocations: what greedy filling and its guarantees rely on."""

    @property
    def classes(self) -> int:
        """Number of classes of priority: capacity goes to the higher ones first."""

    @property
    def terms(self) -> Terms:
        """Which placements each type depends on."""

    @property
    def largest_saving(self) -> float:
        """Delta_C: ms that a request saves at most."""

    @property
    def K(self) -> int:
        """Largest number of ways to serve a type, repositories included."""

    def ways(self, rho: int) -> tuple[int, float, float]:
        """How many ways there are to serve a type, and ms of the cheapest and of repositories alone."""

    def loads(self, requests: FloatArray) -> FloatArray:
        """(groups,) S: requests that pass each group."""

    def gain(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> float:
        """Ms saved in a slot against repositories alone: concave in the allocation."""

    def gain_and_supergradient(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, tolerance: float = ...
    ) -> tuple[float, FloatArray]:
        """The gain, and a supergradient (P,) of it at the allocation.

        `tolerance` is the relative slack of what counts as covered; the supergradient is set-valued where it decides.
        """

    def serve(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
        """What serving a slot comes to."""

    def serve_types(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> ServedTypes:
        """What serving a slot comes to, type by type."""

    def type_cuts(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Constants (R,) and slopes (n,), per term, of linear functions above the types' gains over the slots.

        They hold for every allocation, and touch at the one given.
        """

    def marginal_gains(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, candidates: IntArray
    ) -> FloatArray:
        """Ms (len(candidates),), over the slots, of adding each placement alone to the allocation."""
