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
from idn_agents.optimum.charges import CHOICES
from idn_agents.optimum.charges_kernel import gain_of, most_left, shares_of
from idn_agents.optimum.relaxation.columns import Columns
from idn_agents.optimum.relaxation.cutting_planes import Master, Proof
from idn_agents.optimum.relaxation.highs import import_highspy, new_model
from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

_FEWEST, _SHARES = 16, 500_000  # groups of like slots stand for all where there are more shares of types than so many
_ROUNDS = 50  # of the relaxation, at most
_LULL = 3  # rounds in a row, without progress worth speaking of, are the last
_STEPS = 60  # of the linear program for a cut, at most
_DIVIDED = 1e-7  # fractions closer than that to 0 or 1 count as such
_LIFT = 1e-4  # worth of what a fraction leaves free, so that as little as possible is promised of it
_REACHED = 0.5  # share of what a cut could take off at a fraction, from which on it is good enough
_EXACT = 1e-9  # of a type's ceiling: the allowance for rounding of a cut


class _Type:
    """A request type: its options over grouped slots, and the choices met so far as rows of a linear program.

    The program has a charge for each column, and what is left; rows are choices: left + charges >= gain.
    """

    def __init__(self, network: Network, trace: Trace, load: FloatArray, columns: Columns, rho: int) -> None:
        service = RankedService.of(network.service, "envelopes")
        terms = service.terms
        shares = np.empty((trace.slots, service.K))
        count = shares_of(service.tables, trace.requests, trace.capacities, load, rho, shares)
        self.terms = slice(terms.start[rho], terms.start[rho + 1])
        self.placements = terms.placement[self.terms].astype(np.int64)
        groups = max(_FEWEST, _SHARES // len(terms))
        self._requests, self._shares = grouped(trace.requests[:, rho], shares[:, :count], groups)
        self._costs = service.costs[rho, : count + 1]
        self._sizes = network.sizes[self.placements]
        nodes, self._nodes = np.unique(network.placement_node[self.placements], return_inverse=True)
        self._rooms = network.budgets[nodes] * (1.0 + 2.0 * BUDGET_SLACK)
        self._chosen = np.zeros(count, dtype=np.bool_)
        column = columns.column[self.placements]
        kinds, self._kind = np.unique(column, return_inverse=True)  # what does not fit is a kind, too
        self._kinds = len(kinds)
        self.alone = np.array([self._gain(np.array([k])) for k in range(count)])
        self._model: Any = None

    def left(self, charges: FloatArray, fixed: IntArray) -> float:
        """Ms, the most that is left of the gain less charges (n,) for options that a leaf has fixed (n,)."""
        of_slots = self._requests, self._shares, self._costs
        options = self._sizes, self._nodes, self._rooms
        return float(most_left(*of_slots, charges, fixed, *options, CHOICES, self._chosen)[0])

    def separate(self, point: FloatArray, estimate: float, least: float) -> tuple[float, FloatArray] | None:
        """What is left and the charges (n,) of a cut at a fraction (n,), in ms; None if none takes off `least` ms."""
        held = np.bincount(self._kind, point, minlength=self._kinds)
        free = np.full(len(point), -1, dtype=np.int8)
        scale = float(self._costs[-1] - self._costs[0]) * float(self._requests.sum())
        if self._model is None:
            self._begin(scale)
        number = np.arange(self._kinds + 1, dtype=np.int32)
        self._model.changeColsCost(len(number), number, np.append(held + _LIFT, 1.0))
        for _ in range(_STEPS):
            self._model.run()
            values = np.maximum(self._model.getSolution().col_value, 0.0) * scale
            charges = np.minimum(values[self._kind], self.alone)
            lowest = float(values[-1] + charges @ point)
            if lowest > estimate - least:
                return None
            left = self.left(charges, free)
            reached = left + float(charges @ point)
            if left <= values[-1] + _EXACT * scale or estimate - reached >= _REACHED * (estimate - lowest):
                return (left + _EXACT * scale, charges) if reached < estimate - least else None
            self._meet(np.flatnonzero(self._chosen), scale)
        return None

    def _gain(self, held: IntArray) -> float:
        return float(gain_of(self._requests, self._shares, self._costs, held, len(held)))

    def _begin(self, scale: float) -> None:
        highspy = import_highspy()
        self._model = new_model(highspy)
        self._model.changeObjectiveSense(highspy.ObjSense.kMinimize)
        self._infinity = highspy.kHighsInf
        most = np.zeros(self._kinds + 1)
        np.maximum.at(most, self._kind, self.alone / scale)
        most[-1] = 1.0
        self._model.addVars(len(most), np.zeros(len(most)), most)
        for k in range(len(self._kind)):
            self._meet(np.array([k]), scale)

    def _meet(self, held: IntArray, scale: float) -> None:
        kinds, counts = np.unique(self._kind[held], return_counts=True)
        index = np.append(kinds, self._kinds).astype(np.int32)
        values = np.append(counts, 1.0)
        self._model.addRow(self._gain(held) / scale, self._infinity, len(index), index, values)


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
        self._types = {int(rho): _Type(network, trace, load, columns, int(rho)) for rho in types}

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
            constant += of_type.left(charges[of_type.terms], fixed[of_type.placements])
        none = np.zeros((0, self._network.R))
        leaf = Leaf(fixed, np.zeros(0, dtype=np.int64), none, charges=charges)
        return self._master.charged(constant, charges, leaf)


def grouped(requests: FloatArray, shares: FloatArray, groups: int) -> tuple[FloatArray, FloatArray]:
    """Requests (G,) and shares (G, n) of groups of like slots, from those of all (T,), (T, n).

    A type's gain is concave in its shares, so that it is no less with their mean in place of each.
    """
    slots = np.flatnonzero(requests > 0.0)
    slots = slots[np.argsort(shares[slots].sum(axis=1), kind="stable")]
    like = np.array_split(slots, min(groups, len(slots)))
    summed = np.array([requests[each].sum() for each in like])
    mean = np.array([requests[each] @ shares[each] / requests[each].sum() for each in like])
    return summed, mean.reshape(len(like), shares.shape[1])
