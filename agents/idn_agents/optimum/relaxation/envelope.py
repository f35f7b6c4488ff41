"""Cuts that hold at integral allocations only: as close above a request type's gain as linear functions can be there.

Two fractions of models that together cover a batch have no integral counterpart, so the least concave function above a
type's gain at integral allocations, its envelope, is below the gain itself in between; cut points cannot tell. What a
type is left with of its gain, less charges for its placements, is such a cut with the charges for slopes, and the best
charges for a fraction are found by a small linear program over the choices met so far, and the exact search of
`idn_agents.optimum.charges` for one that it has missed.

Source: Boyd, Fenchel cuts for integer programs, Operations Research 42(1), 1994.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from idn_agents.optimum.certificate import OPEN, Leaf
from idn_agents.optimum.charges import CHOICES, TypeOptions
from idn_agents.optimum.relaxation.columns import Columns
from idn_agents.optimum.relaxation.cutting_planes import Master, Proof
from idn_agents.optimum.relaxation.highs import import_highspy, new_model
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

_ROUNDS = 50  # of the relaxation, at most
_LULL = 3  # rounds in a row, without progress worth speaking of, are the last
_STEPS = 60  # of the linear program for a cut, at most
_DIVIDED = 1e-7  # fractions closer than that to 0 or 1 count as such
_LIFT = 1e-4  # worth of what a fraction leaves free, so that as little as possible is promised of it
_REACHED = 0.5  # share of what a cut could take off at a fraction, from which on it is good enough
_EXACT = 1e-9  # of a type's ceiling: the allowance for rounding of a cut


class _Type:
    """A request type, and the choices met so far as rows of a linear program.

    The program has a charge for each column, and what is left; rows are choices: left + charges >= gain.
    """

    def __init__(self, options: TypeOptions, columns: Columns) -> None:
        self.options, self.terms, self.placements = options, options.terms, options.placements
        # what does not fit is a kind, too
        kinds, self._kind = np.unique(columns.column[self.placements], return_inverse=True)
        self._kinds = len(kinds)
        self._free = np.full(len(self._kind), OPEN, dtype=np.int8)
        self.alone = np.array([options.gain(np.array([k])) for k in range(len(self._kind))])
        self._model: Any = None

    def separate(self, point: FloatArray, estimate: float, least: float) -> tuple[float, FloatArray] | None:
        """What is left and the charges (n,) of a cut at a fraction (n,), in ms; None if none takes off `least` ms."""
        held = np.bincount(self._kind, point, minlength=self._kinds)
        scale = self.options.ceiling
        if self._model is None:
            self._begin()
        number = np.arange(self._kinds + 1, dtype=np.int32)
        self._model.changeColsCost(len(number), number, np.append(held + _LIFT, 1.0))
        for _ in range(_STEPS):
            self._model.run()
            values = np.maximum(self._model.getSolution().col_value, 0.0) * scale
            charges = np.minimum(values[self._kind], self.alone)
            lowest = float(values[-1] + charges @ point)
            if lowest > estimate - least:
                return None
            left, best = self.options.left(charges, self._free, CHOICES)
            reached = left + float(charges @ point)
            missed = self.options.gain(best) - float(charges[best].sum()) - values[-1]
            if missed <= _EXACT * scale or estimate - reached >= _REACHED * (estimate - lowest):
                return (left + _EXACT * scale, charges) if reached < estimate - least else None
            self._meet(best)
        return None

    def _begin(self) -> None:
        highspy = import_highspy()
        self._model = new_model(highspy)
        self._model.changeObjectiveSense(highspy.ObjSense.kMinimize)
        self._infinity = highspy.kHighsInf
        most = np.zeros(self._kinds + 1)
        np.maximum.at(most, self._kind, self.alone / self.options.ceiling)
        most[-1] = 1.0
        self._model.addVars(len(most), np.zeros(len(most)), most)
        for k in range(len(self._kind)):
            self._meet(np.array([k]))

    def _meet(self, held: IntArray) -> None:
        kinds, counts = np.unique(self._kind[held], return_counts=True)
        index = np.append(kinds, self._kinds).astype(np.int32)
        gain = self.options.gain(held) / self.options.ceiling
        self._model.addRow(gain, self._infinity, len(index), index, np.append(counts, 1.0))


class Envelopes:
    """The cuts of all request types that have anything to gain, for a master and the certificates of its optima.

    Parameters
    ----------
    load : `kernels.loads` of the trace.
    """

    def __init__(
        self, network: Network, trace: Trace, load: FloatArray, ceiling: FloatArray, columns: Columns, master: Master
    ) -> None:
        self._network, self._master, self._ceiling = network, master, ceiling
        types = np.flatnonzero(ceiling > 0.0)
        of = network, trace.requests, trace.capacities, load
        self._types = {int(rho): _Type(TypeOptions(*of, int(rho)), columns) for rho in types}

    def cut(self, point: FloatArray, accuracy: float, deadline: float) -> int:
        """Add rows to the master where it takes a type at a fraction (P,) for more than its envelope.

        That is, by more than `accuracy`, a share of its ceiling. Returns the number of rows.
        """
        constant, charges = self._ceiling.copy(), np.zeros(len(self._network.service.terms))
        divided = np.minimum(point, 1.0 - point) > _DIVIDED
        for rho, estimate in self._master.estimates(point).items():
            of_type = self._types[rho]
            if time.monotonic() >= deadline or not divided[of_type.placements].any():
                continue
            found = of_type.separate(point[of_type.placements], estimate, accuracy * self._ceiling[rho])
            if found is not None:
                constant[rho], charges[of_type.terms] = found
        return self._master.cut(point, constant, charges, accuracy)

    def descend(
        self, cut: Callable[[FloatArray], int], accuracy: float, least: float, deadline: float
    ) -> Iterator[tuple[FloatArray, Proof]]:
        """Relaxed optima (P,) with what is proven of all allocations, one after the other.

        Until nothing is cut, or a few rounds in a row lower the relaxation by less than a share `least`.

        Parameters
        ----------
        cut : adds what other rows it will at an optimum, and says how many.
        accuracy : as in `cut`.

        Raises
        ------
        TimeoutError
            When time is up; what was given last holds.
        """
        values: list[float] = []
        none = np.full(self._network.P, OPEN, dtype=np.int8)
        for _ in range(_ROUNDS):
            point = self._master.relax(deadline)
            if point is None:
                raise TimeoutError
            yield point, self.certify(none)
            values.append(self._master.relaxed_value)
            lull = len(values) > _LULL and values[-1 - _LULL] - values[-1] < least * values[-1]
            if lull or self.cut(point, accuracy, deadline) + cut(point) == 0:
                return

    def certify(self, fixed: IntArray) -> Proof:
        """What the charges of the last relaxed optimum prove of a leaf's allocations (P,)."""
        charges, constant = self._master.charges(), 0.0
        for of_type in self._types.values():
            charges[of_type.terms] = np.minimum(charges[of_type.terms], of_type.alone)
            constant += of_type.options.left(charges[of_type.terms], fixed[of_type.placements], CHOICES)[0]
        none = np.zeros((0, self._network.R))
        leaf = Leaf(fixed, np.zeros(0, dtype=np.int64), none, charges=charges)
        return self._master.charged(constant, charges, leaf)
