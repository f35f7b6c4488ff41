"""The ranked service: a request type is served by the options on its path in order of cost, each up to its capacity.

In plain NumPy float64, one slot at a time: the readable reference, which `idn_gym.kernels` and `idn_gym.batched` are
tested equal to. The ranks are this module's and theirs: what merely builds on a service asks it for `terms`, cuts and
gains. Source of every formula: docs/model.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from idn_gym.common.arrays import refuse_inconsistent, shaped
from idn_gym.errors import IdnError
from idn_gym.model.placements import Compiled, Placements, unsigned
from idn_gym.model.ranking import entry_by_entry
from idn_gym.model.service import Served, ServedTypes, Service, Terms
from idn_gym.typing import FloatArray, IntArray

TOLERANCE = 1e-9  # relative, of the covering test; bounds and certificates use 0


class RankedTables(NamedTuple):
    """What the kernels of this service read; see `RankedService` and `Placements` for the shapes."""

    placement_node: IntArray
    placement_group: IntArray
    delays: FloatArray
    inaccuracies: FloatArray
    option_positions: IntArray
    path_latencies: FloatArray
    path_groups: IntArray
    options: IntArray
    costs: FloatArray
    option_count: IntArray
    repository_node: IntArray
    repository_latency: FloatArray
    repository_inaccuracy: FloatArray
    repository_cost: FloatArray
    type_class: IntArray
    accuracy_weights: FloatArray
    deadlines: FloatArray
    entry_order: IntArray
    groups: int
    classes: int


_SHAPES = {
    "placement_group": "P", "delays": "P", "inaccuracies": "P", "paths": "RJ", "path_latencies": "RJ",
    "path_groups": "RW", "options": "RK", "costs": "RK", "option_count": "R", "repository_node": "R",
    "repository_latency": "R", "repository_inaccuracy": "R", "type_class": "R", "weights": "R", "accuracy_weights": "R",
    "deadlines": "R",
}  # fmt: skip
_RANGES = {
    "placement_group": (0, "G"), "paths": (-1, "V"), "path_groups": (0, "G+1"), "options": (0, "P+1"),
    "option_count": (1, "K+1"), "repository_node": (0, "V"), "type_class": (0, "C"),
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class RankedService(Compiled):
    """Axes: R request types, K options, J path nodes, P placements, C classes, groups of a class, a node and a task."""

    placements: Placements
    groups: int  # C * V * N: group(c, node, task) is c * V * N + node * N + task
    placement_group: IntArray  # (P,) node * N + task, its group for class 0
    delays: FloatArray  # (P,) ms
    inaccuracies: FloatArray  # (P,) 100 - accuracy, percentage points
    paths: IntArray  # (R, J) nodes from the entry on, padded with -1
    path_latencies: FloatArray  # (R, J) ms from the entry to each node of the path, transfers included; 0 where padded
    path_groups: IntArray  # (R, W) the type's groups along its path, one per stage, padded with the number of groups
    options: IntArray  # (R, K) placements by ascending cost, then P: the repository model and the padding
    costs: FloatArray  # (R, K) ms, weighted, ascending; padded with the repository model's
    option_count: IntArray  # (R,) ranks up to and including the repository model
    repository_node: IntArray  # (R,) where that repository model is
    repository_latency: FloatArray  # (R,) ms, the way there and its delay
    repository_inaccuracy: FloatArray  # (R,) percentage points, times the type's accuracy weight
    classes: int  # C
    type_class: IntArray  # (R,) class of priority, 0 the highest: it has its share of a placement's capacity first
    weights: FloatArray  # (R,) that costs are multiplied by already
    accuracy_weights: FloatArray  # (R,) that inaccuracies of the options are to be multiplied by
    deadlines: FloatArray  # (R,) ms; requests of higher latency count as missed; inf where there is none

    def __post_init__(self) -> None:
        axes = {axis: getattr(self, axis) for axis in "PRK"} | {"V": self.placements.V, "J": self.paths.shape[-1]}
        axes["W"] = self.path_groups.shape[-1]
        refuse_inconsistent("service", self, axes | {"G": self.groups, "C": self.classes}, _SHAPES, _RANGES)
        if ((self.options == self.P).argmax(axis=1) != self.option_count - 1).any():
            raise IdnError("service: options of a type do not end with its repository model, at its option_count")
        super().__post_init__()

    @classmethod
    def of(cls, service: Service, who: str) -> RankedService:
        """The service, if it is a ranked one.

        Raises
        ------
        IdnError
            If it is of another kind, which `who` cannot take.
        """
        if not isinstance(service, cls):
            raise IdnError(f"{who}: takes request types that rank their options, not {type(service).__name__}")
        if type(service) is not cls:
            raise IdnError(f"{who}: takes services of one stage; this scenario has chains")
        return service

    @property
    def submodular(self) -> bool:
        """Always."""
        return True

    @property
    def P(self) -> int:
        """Number of placements."""
        return self.placements.P

    @property
    def R(self) -> int:
        """Number of request types."""
        return len(self.options)

    @property
    def K(self) -> int:
        """Largest number of options of a request type, the repository model included."""
        return int(self.options.shape[1])

    @property
    def largest_saving(self) -> float:
        """Delta_C: ms that a request saves at most."""
        return float((self.costs[:, -1] - self.costs[:, 0]).max())

    def ways(self, rho: int) -> tuple[int, float, float]:
        """See `Service`: its options, the repository model included."""
        return int(self.option_count[rho]), float(self.costs[rho, 0]), float(self.costs[rho, -1])

    @cached_property
    def terms(self) -> Terms:
        """The options of each type that are placements, in the order of their ranks."""
        listed = np.arange(self.K) < (self.option_count - 1)[:, None]
        start = np.concatenate(([0], np.cumsum(self.option_count - 1, dtype=np.int64)))
        types = np.repeat(np.arange(self.R, dtype=np.int32), self.option_count - 1)
        return Terms(start, types, self.options[listed], self.P)

    @cached_property
    def tables(self) -> RankedTables:
        """What the kernels read; indices unsigned, which spares them the test for a negative one."""
        own = [name for name in RankedTables._fields if name not in ("placement_node", "groups", "classes")]
        arrays = {name: getattr(self, name) for name in own} | {"placement_node": self.placements.placement_node}
        return RankedTables(groups=self.groups, classes=self.classes, **{n: unsigned(a) for n, a in arrays.items()})

    @cached_property
    def entry_order(self) -> IntArray:
        """(R,) `ranking.entry_by_entry`; (0,) where the types' own order does."""
        tasks = self.groups // self.classes // self.placements.V
        return entry_by_entry(self.paths[:, 0], self.path_groups[:, 0] % tasks, self.P)

    @cached_property
    def listing(self) -> tuple[IntArray, IntArray, IntArray]:
        """Options by placement, as (start (P+1,), type (n,), rank (n,)): who lists placement p, and where."""
        kept = self.options < self.P
        placement = self.options[kept]
        order = np.argsort(placement, kind="stable")
        types, ranks = np.nonzero(kept)
        start = np.concatenate(([0], np.cumsum(np.bincount(placement, minlength=self.P))))
        return start.astype(np.int64), types[order].astype(np.int32), ranks[order].astype(np.int32)

    @cached_property
    def visitors(self) -> tuple[IntArray, IntArray]:
        """Request types by the groups on their paths, as (start (groups + 1,), type (n,))."""
        passes = self.path_groups < self.groups
        groups, types = self.path_groups[passes], np.nonzero(passes)[0]
        order = np.argsort(groups, kind="stable")
        start = np.concatenate(([0], np.cumsum(np.bincount(groups, minlength=self.groups))))
        return start.astype(np.int64), types[order].astype(np.int64)

    @cached_property
    def repository_cost(self) -> FloatArray:
        """(R,) ms of serving a request from the repository."""
        return np.ascontiguousarray(self.costs[:, -1])

    @cached_property
    def option_nodes(self) -> IntArray:
        """(R, K) the node of each option, padded with the repository's."""
        return self._of_options(self.placements.placement_node, self.repository_node)

    @cached_property
    def option_positions(self) -> IntArray:
        """(R, K) how far along its type's path each option is, counted from 0."""
        position = np.zeros(self.options.shape, dtype=np.min_scalar_type(self.paths.shape[1]))  # one per option: small
        for j, along in enumerate(self.paths.T):
            position[self.option_nodes == along[:, None]] = j
        position.setflags(write=False)
        return position

    @cached_property
    def option_latencies(self) -> FloatArray:
        """(R, K) ms to each option and of its delay; padded with the repository model's."""
        way = np.take_along_axis(self.path_latencies, self.option_positions, axis=1)
        return self._of_options(self.delays, self.repository_latency, way)

    @cached_property
    def option_inaccuracies(self) -> FloatArray:
        """(R, K) percentage points, times the type's accuracy weight; padded with the repository model's."""
        weighted = self.accuracy_weights[:, None] * np.append(self.inaccuracies, 0.0)[self.options]
        return np.where(self.options < self.P, weighted, self.repository_inaccuracy[:, None])

    def loads(self, requests: FloatArray) -> FloatArray:
        """(groups,) S: requests of the types of each class and task whose path visits each node."""
        load = np.zeros(self.groups + 1)
        np.add.at(load, self.path_groups, requests[:, None])
        return load[:-1]  # without the padding of the paths

    def shares(self, requests: FloatArray, capacities: FloatArray) -> FloatArray:
        """(C, P) a: the part of the requests of each class that come by that a placement has capacity for.

        Of L, the higher classes have theirs first: a = clip((L - sum of S of higher classes) / S, 0, 1), with one
        class min(1, L/S). Without requests of the class it is 1. Source: docs/model.md#classes.
        """
        requests, capacities = shaped("requests", requests, (self.R,)), shaped("capacities", capacities, (self.P,))
        passing = self.loads(requests).reshape(self.classes, -1)[:, self.placement_group]
        higher = np.cumsum(passing[:-1], axis=0) if self.classes > 1 else np.empty((0, self.P))
        left = np.maximum(capacities - np.concatenate([np.zeros((1, self.P)), higher]), 0.0)
        return np.minimum(1.0, np.divide(left, passing, out=np.ones_like(passing), where=passing > 0))

    def potential_capacities(self, requests: FloatArray, capacities: FloatArray) -> FloatArray:
        """(R, K) l: requests of each type that each of its options could serve; the repository model serves all."""
        shares = np.pad(self.shares(requests, capacities), ((0, 0), (0, 1)), constant_values=1.0)
        return requests[:, None] * shares[self.type_class[:, None], self.options]

    def cost_of(self, requests: FloatArray, allocation: FloatArray, potential: FloatArray) -> float:
        """C(r, l, x) in ms, for potential capacities (R, K)."""
        return float(self._of_types(self.requests_served(requests, allocation, potential)).cost.sum())

    def gain_of(self, requests: FloatArray, allocation: FloatArray, potential: FloatArray) -> float:
        """G(r, l, x) in ms, for potential capacities (R, K).

        Source: docs/model.md#gain. The minimal allocation omega serves from the last rank on, so Z(omega)
        vanishes in every term of the sum.
        """
        covered = np.minimum(requests[:, None], self._effective(allocation, potential).cumsum(axis=1))
        return float((np.diff(self.costs, axis=1) * covered[:, :-1]).sum())

    def supergradient_of(
        self, requests: FloatArray, allocation: FloatArray, potential: FloatArray, tolerance: float = TOLERANCE
    ) -> FloatArray:
        """(P,) a supergradient of G at the allocation, for potential capacities (R, K).

        `tolerance` is the relative slack of the covering test; the supergradient is set-valued where it decides.
        Source: docs/model.md#supergradient.
        """
        star = self.covering_rank(requests, allocation, potential, tolerance)
        saved = np.maximum(np.take_along_axis(self.costs, star[:, None], axis=1) - self.costs, 0.0)
        return np.bincount(self.options.ravel(), (potential * saved).ravel(), minlength=self.P + 1)[: self.P]

    def requests_served(self, requests: FloatArray, allocation: FloatArray, potential: FloatArray) -> FloatArray:
        """(R, K) requests each option serves: in rank order, each up to its effective capacity, until none is left."""
        covered = np.minimum(requests[:, None], self._effective(allocation, potential).cumsum(axis=1))
        return np.diff(covered, axis=1, prepend=0.0)

    def covering_rank(
        self, requests: FloatArray, allocation: FloatArray, potential: FloatArray, tolerance: float = TOLERANCE
    ) -> IntArray:
        """(R,) K*: the first rank, from 0, at which the batch is covered; the repository model's if none before."""
        total = self._effective(allocation, potential).cumsum(axis=1)
        covers = total >= requests[:, None] * (1.0 - tolerance)
        covers[np.arange(self.R), self.option_count - 1] = True
        return covers.argmax(axis=1)

    def gain(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> float:
        """See `Service`."""
        return self.gain_of(requests, allocation, self.potential_capacities(requests, capacities))

    def gain_and_supergradient(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, tolerance: float = TOLERANCE
    ) -> tuple[float, FloatArray]:
        """See `Service`."""
        potential = self.potential_capacities(requests, capacities)
        gradient = self.supergradient_of(requests, allocation, potential, tolerance)
        return self.gain_of(requests, allocation, potential), gradient

    def serve(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
        """See `Service`."""
        served = self.requests_served(requests, allocation, self.potential_capacities(requests, capacities))
        types = self._of_types(served)
        by_node = np.bincount(self.option_nodes.ravel(), served.ravel(), minlength=self.placements.V)
        gain, cost, latency, inaccuracy, missed = (float(values.sum()) for values in types)
        return Served(gain, cost, latency, inaccuracy, missed, by_node)

    def serve_types(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> ServedTypes:
        """See `Service`."""
        served = self.requests_served(requests, allocation, self.potential_capacities(requests, capacities))
        return self._of_types(served)

    def saved(self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> FloatArray:
        """(P,) ms that the requests each placement serves save against the repository; their sum is the gain."""
        served = self.requests_served(requests, allocation, self.potential_capacities(requests, capacities))
        by_option = (self.costs[:, -1:] - self.costs) * served
        return np.bincount(self.options.ravel(), by_option.ravel(), minlength=self.P + 1)[: self.P]

    def type_cuts(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `Service`: r (gamma_K - gamma_s) + sum_{k<s} l_k (gamma_s - gamma_k) y_k, with s the covering rank."""
        constant, slopes = np.zeros(self.R), np.zeros(self.options.shape)
        at_repository = self.costs[:, -1]
        for t, r in enumerate(requests):
            potential = self.potential_capacities(r, capacities[t if len(capacities) > 1 else 0])
            star = self.covering_rank(r, allocation, potential, tolerance=0.0)
            at_star = np.take_along_axis(self.costs, star[:, None], axis=1)
            constant += r * (at_repository - at_star[:, 0])
            slopes += potential * np.maximum(at_star - self.costs, 0.0)
        return constant, slopes[np.arange(self.K) < (self.option_count - 1)[:, None]]

    def marginal_gains(
        self, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, candidates: IntArray
    ) -> FloatArray:
        """See `Service`."""
        gains = np.zeros(len(candidates))
        for t, r in enumerate(requests):
            capacity = capacities[t if len(capacities) > 1 else 0]
            here = self.gain(r, capacity, allocation)
            for n, p in enumerate(candidates):
                added = np.array(allocation, dtype=np.float64)
                added[p] = 1.0
                gains[n] += self.gain(r, capacity, added) - here
        return gains

    def _of_types(self, served: FloatArray) -> ServedTypes:
        """What the requests come to that the options (R, K) serve."""
        return ServedTypes(
            gain=((self.costs[:, -1:] - self.costs) * served).sum(axis=1),
            cost=(self.costs * served).sum(axis=1),
            latency=(self.option_latencies * served).sum(axis=1),
            inaccuracy=(self.option_inaccuracies * served).sum(axis=1),
            missed=(served * (self.option_latencies > self.deadlines[:, None])).sum(axis=1),
        )

    def _of_options(self, placed: FloatArray, at_repository: FloatArray, way: FloatArray | int = 0) -> FloatArray:
        """(R, K) way (R, K) + values (P,) of the options; padded with those at the repository (R,), way included."""
        at_option = way + np.append(placed, 0)[self.options]
        return np.where(self.options < self.P, at_option, at_repository[:, None])

    def _effective(self, allocation: FloatArray, potential: FloatArray) -> FloatArray:
        """(R, K) z = x l; a repository model is always there."""
        allocation = shaped("allocation", allocation, (self.P,))
        potential = shaped("potential", potential, self.options.shape)
        return np.append(allocation, 1.0)[self.options] * potential
