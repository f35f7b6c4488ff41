"""Branching for the sake of the proof: a tree whose leaves have weights, or charges, of their own."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from idn_agents.optimum.relaxation.cutting_planes import Master, Proof
from idn_agents.optimum.relaxation.envelope import Envelopes
from idn_gym.typing import FloatArray, IntArray

_ROUNDS = 30  # of the relaxation at a leaf, at most
_DIVIDED = 1e-6  # fractions closer than that to 0 or 1 count as such


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
    envelopes : cut there too, and leaves have charges of types in place of weights; None where there are chains.
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
        envelopes: Envelopes | None,
    ) -> None:
        self._master, self._cuts, self._consider, self._enough = master, cuts, consider, enough
        self._accuracy, self._deadline, self._envelopes = accuracy, deadline, envelopes

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
            found = (self._envelopes or self._master).certify(fixed)
            proof = found if found.bound < proof.bound else proof
            constant, slope = self._cuts(point)
            placement = self._master.most_divided(point, slope, _DIVIDED)
            self._consider(point)
            if self._enough(proof.bound):
                break
            rows = self._master.separate(point)
            if self._envelopes is not None:
                rows += self._envelopes.cut(point, self._accuracy, self._deadline)
            value = self._master.relaxed_value
            if value - self._master.net_at(point, constant, slope) > self._accuracy * value:
                rows += self._master.cut(point, constant, slope, self._accuracy)
            if rows == 0:
                break
        return Settled(proof, placement)
