"""Inequalities of the hull of what a node may hold that a fractional allocation violates."""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_agents.optimum.knapsack import Knapsack
from idn_agents.optimum.relaxation.highs import new_model, run
from idn_gym.typing import FloatArray, IntArray

_CUT_ROUNDS = 100  # rows found for one inequality
VIOLATION = 1e-4  # of an inequality scaled to a right-hand side of 1


class Separator:
    """Finds inequalities that all feasible counts of a kind of knapsack keep and given fractional counts violate.

    Source: Boyd, Fenchel cuts for integer programs, Operations Research 42(1), 1994: maximise a.n over the a >= 0 with
    a.n' <= 1 for every feasible n', generating the n' by knapsacks.
    """

    def __init__(self, knapsack: Knapsack, highspy: Any) -> None:
        self._knapsack, self._highspy = knapsack, highspy
        self._found: list[FloatArray] = []
        self._model = new_model(highspy)
        classes = len(knapsack.sizes)
        self._model.addVars(classes, np.zeros(classes), np.full(classes, highspy.kHighsInf))
        for c in range(classes):
            self._add(int(min(knapsack.counts[c], knapsack.room / knapsack.sizes[c])) * (np.arange(classes) == c))

    def separate(self, counts: FloatArray) -> FloatArray | None:
        """(C,) coefficients a with a.n <= 1 for all feasible n and a.counts > 1, or None if there are none."""
        for known in self._found:  # nodes of a kind share them
            if known @ counts > 1.0 + VIOLATION:
                return known
        classes = np.arange(len(counts), dtype=np.int32)
        # the small weight lifts coefficients that the fraction leaves free
        self._model.changeColsCost(len(counts), classes, counts + VIOLATION)
        for _ in range(_CUT_ROUNDS):
            run(self._model)
            weights = np.maximum(self._model.getSolution().col_value, 0.0)
            if weights @ counts <= 1.0 + VIOLATION:
                return None
            most, at = self._knapsack.most(weights)
            cut: FloatArray = weights / most
            if most <= 1.0 + 1e-7 or cut @ counts > 1.0 + 0.5 * (weights @ counts - 1.0):
                self._found.append(cut)
                return cut
            self._add(at)
        return None

    def _add(self, counts: IntArray) -> None:
        index = np.flatnonzero(counts).astype(np.int32)
        self._model.addRow(-self._highspy.kHighsInf, 1.0, len(index), index, counts[index].astype(np.float64))
