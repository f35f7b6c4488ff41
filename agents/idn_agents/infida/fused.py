"""The fast form of INFIDA's update: `infida.update` and dependent rounding, over (B, P), in one compiled pass.

For networks whose services are of one class and one stage, and where holding costs nothing. What comes of it is what
`infida.update` and `kernels.round_dependent` come to, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from idn_agents.infida import fused_kernel
from idn_gym import kernels
from idn_gym.kernels.states import LEAST
from idn_gym.kernels.threads import over_rows, worth_sharing
from idn_gym.model.network import Network
from idn_gym.model.ranked import TOLERANCE
from idn_gym.typing import BoolArray, FloatArray, IntArray
from idn_gym.workload.pcg64 import skip, state_of, strides


class Rates(Protocol):
    """`idn_agents.infida.infida.StepSizes`, as far as this asks for it."""

    def parts(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the eta of the next step is made of: see `fused_kernel.step`."""


class _Types(NamedTuple):
    """Of `RankedTables` what gains are made of: a kernel takes longer to begin with each array that it is given."""

    placement_group: IntArray
    path_groups: IntArray
    options: IntArray
    costs: FloatArray
    option_count: IntArray
    entry_order: IntArray
    groups: int
    classes: int


class _Shelf(NamedTuple):
    """Of `PlacementTables` what states are of."""

    node_start: IntArray
    sizes: FloatArray
    budgets: FloatArray
    smallest: FloatArray
    tail: FloatArray


def _some(of: type[Any], tables: Any) -> Any:
    return of(*(getattr(tables, name) for name in of._fields))


def suits(network: Network) -> bool:
    """Whether there is a fast form for a network."""
    service: Any = network.service
    return bool(service.submodular and service.classes == 1 and not network.priced)


class FusedUpdate:
    """States of B agents, which step along the gain of a slot and are rounded, row by row.

    Parameters
    ----------
    log_state : (1, P) log y, from which all start.
    mass : (V,) MB that the state of each node sums to.
    generators : one per agent; they are read once, and stay where they are.
    residual : as of `kernels.round_dependent`.
    """

    def __init__(
        self,
        network: Network,
        log_state: FloatArray,
        mass: FloatArray,
        generators: Sequence[np.random.Generator],
        residual: str,
        dtype: Any = np.float64,
    ) -> None:
        rows, self._network = len(generators), network
        self.states = np.repeat(kernels.states_of(log_state, dtype), rows, axis=0)
        self.gain = np.zeros(rows)  # ms, of the states before the last step
        self.allocation: IntArray = np.zeros((rows, network.P), dtype=np.int8)
        self._nodes = np.ascontiguousarray(mass, dtype=np.float64), network.fitting_mb <= mass, LEAST[self.states.dtype]
        self._rounding = (
            np.array([state_of(each) for each in generators]),
            strides(np.asarray(network.node_start, dtype=np.int64)),
            residual == "drop",
            residual == "fit",
        )
        self._all = np.ones(rows, dtype=np.bool_)
        service: Any = network.service
        self._types, self._shelf = _some(_Types, service.tables), _some(_Shelf, network.tables)
        self._scratch: list[tuple[FloatArray, FloatArray]] = []  # of threads that are not at work

    @property
    def fractional(self) -> FloatArray:
        """(B, P) y."""
        return kernels.fractions_of(self.states)

    def advance(
        self,
        slots: tuple[FloatArray, FloatArray] | None,
        steps: Rates,
        due: BoolArray | bool,
    ) -> None:
        """Step, then round where it is due.

        Parameters
        ----------
        slots : requests (B or 1, R) and capacities (B or 1, P) to step along the gain of, if any, of the states' dtype.
        steps : says what eta is.
        due : of all rows, or (B,).
        """
        shelf = self._shelf
        due_rows = self._all if isinstance(due, bool) else due
        rounds = due if isinstance(due, bool) else bool(due.any())
        if slots is None and not rounds:
            return
        rates = None if slots is None else steps.parts()
        if slots is not None and len(self.states) == 1 and worth_sharing(self._network.P):
            self._advance_one(slots, rates, rounds)
            return

        def work(first: int, stop: int) -> None:
            scratch = self._scratch.pop() if self._scratch else self._made()
            rows = due_rows, first, stop
            if slots is None:
                fused_kernel.round_states(shelf, self.states, *self._rounding, scratch, *rows, self.allocation)
            else:
                learning = self._types, shelf, slots, 1.0 - TOLERANCE, rates, self._nodes
                if rounds:
                    filled = self.states, self.gain, self.allocation
                    fused_kernel.slot(*learning, self._rounding, scratch, *rows, *filled)
                else:
                    fused_kernel.step(*learning, scratch, first, stop, self.states, self.gain)
            self._scratch.append(scratch)

        over_rows(len(self.states), self._network.P, work)

    def _advance_one(self, slots: tuple[FloatArray, FloatArray], rates: Any, due: bool) -> None:
        """The slot of a single row, whose nodes are shared out once the subgradient is known."""
        network, tables, shelf = self._network, self._types, self._shelf
        scratch = self._scratch.pop() if self._scratch else self._made()
        rows, (requests, capacities) = scratch[0], slots
        slot = requests[0], capacities[0], 1.0 - TOLERANCE
        self.gain[0] = fused_kernel.row_gain(tables, *slot, rows, np.empty(tables.groups + 1), self.states[0])

        def work(first: int, stop: int) -> None:
            filled = self.states[0], self.allocation[0]
            fused_kernel.node_slots(shelf, rates, self._nodes, self._rounding, rows, due, first, stop, *filled)

        over_rows(network.V, network.P // network.V, work)
        if due:
            generators, strides, *_ = self._rounding
            skip(generators[0], strides[network.V])
        self._scratch.append(scratch)

    def _made(self) -> tuple[FloatArray, FloatArray]:
        """What a thread works in: a row of states, and what is of a node."""
        widest = int(np.diff(self._network.node_start).max(initial=1))
        return np.empty((4, self._network.P), dtype=self.states.dtype), np.empty((5, widest))
