"""Branching for the sake of the proof: trees whose leaves have weights of their own, one for all types or one per part.

Types that share no placement meet in the budgets alone, so each part of them may pay charges for what it places.

With charges c on placements, where the parts' gains are G_i and the price is h,

    max_x sum G_i(x) - h.x   <=   sum over parts of max { G_i(x) - (h + c).x }  +  sum over nodes of max { c.x },

each maximum over the allocations that fit. A part's is bounded by a tree of its own, a node's is an exact knapsack.
Charges are sought that make the right-hand side small: where parts and nodes would choose alike.

Source: Guignard and Kim, Lagrangean decomposition, Mathematical Programming 39(2), 1987; charges by column generation
within a box about the best ones so far, as in Marsten, Hogan and Blankenship, The boxstep method for large-scale
optimization, Operations Research 23(3), 1975.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from idn_agents.optimum.certificate import OPEN, Certificate, Leaf, linear_maximum, serving
from idn_agents.optimum.columns import Columns
from idn_agents.optimum.cutting_planes import Master, Proof
from idn_agents.optimum.knapsack import knapsacks
from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import BoolArray, FloatArray, IntArray
from idn_gym.workload.trace import Trace

_ROUNDS = 30  # of the relaxation at a leaf, at most
_DIVIDED = 1e-6  # fractions closer than that to 0 or 1 count as such
_STEPS = 5  # charges tried, at most
_BOX = 0.2  # how far the worth of a node's room may move at first, relative
_WIDER, _NARROWER = 1.5, 0.4  # the box, after charges that prove more, or do not
_PROMISING = 0.3  # of the progress that was promised, above which the box grows
_ACCURACY = 5e-5  # of the gain, that all trees together may be off by, and that progress has to promise
_CUT = 1e-6  # share of a type's ceiling that a part's master may overestimate it by at an integral allocation


@dataclass(frozen=True, eq=False)
class Settled:
    """A leaf that cuts say no more about: what is proven of it, and the placement to branch on, if one is divided."""

    proof: Proof
    placement: int | None


class CertificateTree:
    """Best-first: always branches where the least is proven.

    Parameters
    ----------
    master : with the cuts found so far; leaves add theirs, which hold everywhere.
    cuts : `kernels.type_cuts` at an allocation (P,): constants (R,) and slopes (n,) per term.
    consider : told each relaxed optimum (P,), for what may be made of it.
    enough : whether a bound in ms is low enough.
    accuracy : relative error of the relaxation that no more cuts are spent on.
    deadline : of `time.monotonic`.
    """

    def __init__(
        self,
        master: Master,
        cuts: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
        consider: Callable[[FloatArray], None],
        enough: Callable[[float], bool],
        accuracy: float,
        deadline: float,
    ) -> None:
        self._master, self._cuts, self._consider, self._enough = master, cuts, consider, enough
        self._accuracy, self._deadline = accuracy, deadline

    def grow(self, root: Proof, leaves: int) -> Iterator[list[Proof]]:
        """The proofs of all leaves: of the root alone, then after each branching, until there are so many.

        Raises
        ------
        TimeoutError
            When time is up; what was given last holds.
        """
        numbers = count()
        heap: list[tuple[float, int, Settled]] = []

        def grown(*leaves: Settled) -> list[Proof]:
            for leaf in leaves:
                heapq.heappush(heap, (-leaf.proof.bound, next(numbers), leaf))
            return [leaf.proof for _, _, leaf in heap]

        yield grown(self._settle(root))
        while len(heap) < leaves:
            bound, _, worst = heap[0]
            if worst.placement is None or self._enough(-bound):
                return
            children = []
            for value in (0, 1):
                fixed = worst.proof.leaf.fixed.copy()
                fixed[worst.placement] = value
                children.append(self._settle(self._master.carried_over(worst.proof, fixed)))
            heapq.heappop(heap)
            yield grown(*children)

    def _settle(self, proof: Proof) -> Settled:
        """Cut at a leaf's relaxed optima until they are about right, or enough is proven."""
        placement = None
        fixed: IntArray = proof.leaf.fixed
        if proof.bound == -np.inf:
            return Settled(proof, placement)
        self._master.confine(fixed)
        for _ in range(_ROUNDS):
            point = self._master.relax(self._deadline)
            if point is None:
                if time.monotonic() >= self._deadline:
                    raise TimeoutError
                return Settled(proof, None)
            found = self._master.certify(fixed)
            proof = found if found.bound < proof.bound else proof
            constant, slope = self._cuts(point)
            placement = self._master.most_divided(point, slope, _DIVIDED)
            self._consider(point)
            if self._enough(proof.bound):
                break
            rows = self._master.separate(point)
            value = self._master.relaxed_value
            if value - self._master.net_at(point, constant, slope) > self._accuracy * value:
                rows += self._master.cut(point, constant, slope, self._accuracy)
            if rows == 0:
                break
        return Settled(proof, placement)


def parted(network: Network) -> list[BoolArray]:
    """The types (R,) of each part: whole services that share no placement with those of another part."""
    terms, services = network.service.terms, network.R + network.P
    here = np.concatenate((terms.type, np.arange(network.R)))
    there = np.concatenate((network.R + terms.placement, services + np.asarray(network.type_service)))
    nodes = services + len(network.service_names)
    graph = sparse.coo_matrix((np.ones(len(here)), (here, there)), shape=(nodes, nodes))
    label = connected_components(graph, directed=False)[1][: network.R]
    return [label == part for part in np.unique(label)]


class _Part:
    """The types of a part: their master, and the integral allocations met so far with what they gain."""

    def __init__(self, network: Network, trace: Trace, master: Master, types: BoolArray) -> None:
        self.types, self.placements = types, serving(network, types)
        self._network, self._capacities = network, trace.capacities
        self._requests = np.where(types, trace.requests, 0.0)
        self._load = kernels.loads(network, self._requests)
        self.master = master.part(types, self.placements)
        self.met: dict[bytes, tuple[IntArray, float]] = {}
        self.consider(np.zeros(network.P))

    def consider(self, point: FloatArray) -> None:
        """Note what an allocation (P,) gains, rounded, if it is new and fits; and cut there."""
        held = np.where(self.placements, np.rint(point), 0.0)
        key = held.astype(np.int8).tobytes()
        if key in self.met or (self._network.memory_in_use(held) > room(self._network.budgets)).any():
            return
        constant, slope = self._cuts(held)
        gain = float((constant + self._network.service.terms.by_type(slope, held)).sum())
        self.met[key] = held.astype(np.int8), gain
        self.master.cut(held, constant, slope, _CUT)

    def prove(self, price: FloatArray, least: float, leaves: int, deadline: float) -> list[Proof]:
        """Proofs of a tree of the gain less a price (P,), until they leave open no more than `least` ms."""
        self.master.reprice(price)
        none = Leaf(np.full(self._network.P, OPEN, dtype=np.int8), np.zeros(0, dtype=np.int64), np.zeros((0, 0)))

        def enough(bound: float) -> bool:
            return bound <= max(gain - float(price @ held) for held, gain in self.met.values()) + least

        tree = CertificateTree(self.master, self._cuts, self.consider, enough, _CUT, deadline)
        return deque(tree.grow(Proof(np.inf, 0.0, np.zeros(self._network.P), none), leaves), maxlen=1)[0]

    def _cuts(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        return kernels.type_cuts(self._network, self._requests, self._capacities, point, self._load)


class Parts:
    """Charges and the parts' trees.

    Parameters
    ----------
    master : of all types, with a relaxed optimum.
    ceiling : (R,) ms that each type can save.
    price : (P,) ms that each placement takes off the net gain.
    leaves : of each part's tree, at most.
    deadline : of `time.monotonic`.
    """

    def __init__(
        self,
        network: Network,
        trace: Trace,
        columns: Columns,
        master: Master,
        ceiling: FloatArray,
        price: FloatArray,
        leaves: int,
        deadline: float,
    ) -> None:
        self._network, self._columns, self._master, self._price = network, columns, master, price
        self._leaves, self._deadline = leaves, deadline
        self._nodes = knapsacks(network)
        masks = parted(network)
        silent = [mask for mask in masks if not ceiling[mask].any()]
        self._silent = np.any(silent, axis=0) if silent else np.zeros(network.R, dtype=np.bool_)
        self._parts = [_Part(network, trace, master, mask) for mask in masks if ceiling[mask].any()]
        _, _, worth = master.node_rows()
        self._used = np.flatnonzero(worth > 0.0)  # rows; others join when they are found violated
        self._rows = len(worth)
        self._worth = self._center = worth[self._used]
        self._box = _BOX

    def __len__(self) -> int:
        return len(self._parts)

    def descend(self, allocation: IntArray, gain: float) -> Iterator[tuple[float, Certificate]]:
        """Bounds in ms that fall, each with its certificate, from an allocation (P,) and what it gains.

        Raises
        ------
        TimeoutError
            When time is up; what was given last holds.
        """
        least, best, promised = _ACCURACY * gain, np.inf, np.inf
        for part in self._parts:
            part.consider(allocation.astype(np.float64))
        for _ in range(_STEPS):
            found, certificate = self._bound(least / len(self._parts))
            if found < best:
                if best - found > _PROMISING * promised:
                    self._box *= _WIDER
                best, self._center = found, self._worth
                yield found, certificate
            else:
                self._box *= _NARROWER
            promised = best - self._model()
            if promised <= least:
                return

    def _bound(self, least: float) -> tuple[float, Certificate]:
        """What the present charges prove."""
        rows = self._master.node_rows()[0][self._used]
        charges = self._columns.at_placements(np.maximum(rows.T @ self._worth, 0.0))
        total, proven = 0.0, []
        for part in self._parts:
            proofs = part.prove(self._price + charges, least, self._leaves, self._deadline)
            total += max(proof.bound for proof in proofs)
            proven.append(proofs)
            # what no leaf would place at less costs no more than that: the parts lose nothing, and the nodes may gain
            placed = np.any([proof.leaf.fixed == 1 for proof in proofs], axis=0)
            wanted = np.max([proof.slope for proof in proofs], axis=0) + charges
            cheaper = part.placements & ~placed
            charges = np.where(cheaper, np.clip(wanted, 0.0, charges), charges)
        fixed = np.full(self._network.P, OPEN, dtype=np.int8)
        total += linear_maximum(self._nodes, 0.0, charges, fixed)[0]
        return total, self._certificate(charges, proven)

    def _certificate(self, charges: FloatArray, proven: list[list[Proof]]) -> Certificate:
        """The parts' leaves, with points that parts share: each has coordinates of its own in them."""
        leaves: list[Leaf] = []
        points = np.zeros((0, self._network.P))
        for n, (part, proofs) in enumerate(zip(self._parts, proven, strict=True)):
            used = np.unique(np.concatenate([proof.leaf.cuts for proof in proofs]))
            if len(used) > len(points):
                points = np.concatenate((points, np.zeros((len(used) - len(points), self._network.P))))
            points[: len(used)] += part.master.points[used] * part.placements
            types = part.types | self._silent if n == 0 else part.types
            leaves += (
                replace(proof.leaf, cuts=np.searchsorted(used, proof.leaf.cuts), types=types) for proof in proofs
            )
        return Certificate(points, tuple(leaves), charges).compact()

    def _model(self) -> float:
        """Move the worth of nodes' rows to where the allocations met so far leave least to gain; returns that, in ms.

        A linear program over mixtures of these allocations, one mixture per part, which together keep the rows of the
        nodes; breaking a row costs the upper end of its worth's box, and what is left of it earns the lower end.
        """
        met = [(n, *each) for n, part in enumerate(self._parts) for each in part.met.values()]
        counts = sparse.csr_matrix(np.array([self._columns.gather(held) for _, held, _ in met]))
        gains = np.array([gain - float(self._price @ held) for _, held, gain in met])
        mixtures = sparse.csr_matrix((np.ones(len(met)), ([n for n, _, _ in met], np.arange(len(met)))))
        scale = 1e4 / max(float(np.abs(gains).max(initial=0.0)), 1e-300)
        for again in (True, False):
            matrix, upper, _ = self._master.node_rows()
            rows, upper = matrix[self._used], upper[self._used]
            center = np.append(self._center, np.zeros(len(self._used) - len(self._center)))
            width = self._box * np.maximum(center, 0.1 * np.median(center[center > 0.0]) if center.any() else 0.0)
            each = sparse.identity(len(center), format="csr")
            none = sparse.csr_matrix((len(self._parts), 2 * len(center)))
            found = linprog(
                np.concatenate((-gains, center + width, -np.maximum(center - width, 0.0))) * scale,
                A_ub=sparse.hstack([rows @ counts.T, -each, each]) if len(center) else None,
                b_ub=upper if len(center) else None,
                A_eq=sparse.hstack([mixtures, none]),
                b_eq=np.ones(len(self._parts)),
            )
            if found.status != 0:
                return np.inf  # nothing is promised
            self._center, self._worth = center, np.maximum(-found.ineqlin.marginals / scale, 0.0)
            if again:
                self._master.separate(self._columns.spread(counts.T @ found.x[: len(met)]))
                total = self._master.node_rows()[0].shape[0]
                self._used = np.append(self._used, np.arange(self._rows, total))
                self._rows = total
        return -float(found.fun) / scale
