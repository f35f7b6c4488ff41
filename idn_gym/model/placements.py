"""The feasible set: which models each node may hold, how large they are, and the one test of room.

What is about memory alone (packing, projection, rounding, knapsacks, a node's shelf in the protocol) needs no more than
this; how requests are served is in `service`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from idn_gym.common.arrays import refuse_inconsistent, shaped
from idn_gym.errors import IdnError
from idn_gym.typing import BoolArray, FloatArray, IntArray

_TAIL = 1e-4  # of a placement: where a state ends in what dependent rounding looks at only in sum
BUDGET_SLACK = 1e-9  # relative to the budget: the rounding error of a sum, nothing more


def room(budgets: Any, slack: float = BUDGET_SLACK) -> Any:
    """MB that may be in use within budgets in MB: those and their rounding slack; arrays, tensors or numbers."""
    return budgets * (1.0 + slack)


class PlacementTables(NamedTuple):
    """What the kernels of the feasible set read; see `Placements` for the shapes."""

    node_start: IntArray
    placement_node: IntArray
    sizes: FloatArray
    fits: BoolArray
    budgets: FloatArray
    smallest: FloatArray
    tail: FloatArray


class Compiled:
    """What compiled data has in common: arrays that nobody can write to, also after a trip through a pickle."""

    def __post_init__(self) -> None:
        for array in (value for value in vars(self).values() if isinstance(value, np.ndarray)):
            array.setflags(write=False)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is computed on first use is computed again, over arrays that are read-only again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


_SHAPES = {"budgets": "V", "placement_node": "P", "placement_model": "P", "sizes": "P", "fits": "P"}
_RANGES = {"placement_node": (0, "V"), "placement_model": (0, "M")}


@dataclass(frozen=True, eq=False, repr=False)
class Placements(Compiled):
    """Axes: V nodes, M models (replicas included), P placements, node by node and in the order of the models."""

    node_names: tuple[str, ...]
    model_names: tuple[str, ...]
    budgets: FloatArray  # (V,) MB
    node_start: IntArray  # (V+1,) the placements of node v are node_start[v]:node_start[v+1]
    placement_node: IntArray  # (P,)
    placement_model: IntArray  # (P,)
    sizes: FloatArray  # (P,) MB
    fits: BoolArray  # (P,) no larger than the node's budget

    def __post_init__(self) -> None:
        refuse_inconsistent("placements", self, {axis: getattr(self, axis) for axis in "VMP"}, _SHAPES, _RANGES)
        starts = np.searchsorted(self.placement_node, np.arange(self.V + 1))
        if not np.array_equal(self.node_start, starts) or (np.diff(self.placement_node) < 0).any():
            raise IdnError("placements: node_start is not where the placements of each node start")
        super().__post_init__()

    @property
    def V(self) -> int:
        """Number of nodes."""
        return len(self.node_names)

    @property
    def M(self) -> int:
        """Number of models, replicas included."""
        return len(self.model_names)

    @property
    def P(self) -> int:
        """Number of placements."""
        return len(self.placement_node)

    @cached_property
    def room(self) -> FloatArray:
        """(V,) MB that may be in use at each node."""
        return room(self.budgets)

    @cached_property
    def fitting_mb(self) -> FloatArray:
        """(V,) MB: the sizes of all that fits at each node."""
        return np.bincount(self.placement_node, self.sizes * self.fits, minlength=self.V)

    @cached_property
    def spendable(self) -> FloatArray:
        """(V,) MB: min(budget, sizes of all that fits); what a state of mirror descent spends."""
        return np.minimum(self.budgets, self.fitting_mb)

    @cached_property
    def smallest(self) -> FloatArray:
        """(V,) MB: the smallest placement at each node; inf where there is none."""
        smallest = np.full(self.V, np.inf)
        np.minimum.at(smallest, self.placement_node, self.sizes)
        smallest.setflags(write=False)
        return smallest

    @cached_property
    def tail(self) -> FloatArray:
        """(V,) fractions below this are the tail of a node: at most 1e-4, and less than half its smallest size in all.

        Source: docs/model.md#dependent-rounding.
        """
        total = np.bincount(self.placement_node, self.sizes, minlength=self.V)
        tail: FloatArray = np.minimum(_TAIL, 0.5 * self.smallest / np.where(total > 0.0, total, 1.0))
        tail.setflags(write=False)
        return tail

    @cached_property
    def tables(self) -> PlacementTables:
        """What the kernels read; indices unsigned, which spares them the test for a negative one."""
        return PlacementTables(**{name: unsigned(getattr(self, name)) for name in PlacementTables._fields})

    @cached_property
    def placement_index(self) -> IntArray:
        """(V, M) number of each placement, -1 where there is none."""
        index = np.full((self.V, self.M), -1, dtype=np.int32)
        index[self.placement_node, self.placement_model] = np.arange(self.P)
        return index

    @cached_property
    def node_number(self) -> dict[str, int]:
        """Number of each node, by name."""
        return {name: v for v, name in enumerate(self.node_names)}

    @cached_property
    def model_number(self) -> dict[str, int]:
        """Number of each model, by name."""
        return {name: m for m, name in enumerate(self.model_names)}

    def names(self, p: int | np.integer[Any]) -> tuple[str, str]:
        """Node and model of a placement."""
        return self.node_names[self.placement_node[p]], self.model_names[self.placement_model[p]]

    def number(self, node: str, model: str) -> int:
        """Number of the placement of a model at a node, by name; -1 where that is none."""
        v, m = self.node_number.get(node, -1), self.model_number.get(model, -1)
        return int(self.placement_index[v, m]) if v >= 0 and m >= 0 else -1

    def memory_in_use(self, allocation: FloatArray) -> FloatArray:
        """(V,) MB that an allocation (P,) takes at each node."""
        allocation = shaped("allocation", allocation, (self.P,))
        return np.bincount(self.placement_node, self.sizes * allocation, minlength=self.V)

    def to_matrix(self, values: FloatArray, fill: float = 0.0) -> FloatArray:
        """(..., P) values per placement as (..., V, M), with `fill` where there is no placement."""
        values = np.asarray(values)
        if values.shape[-1:] != (self.P,):
            raise IdnError(f"values of shape {values.shape}; the network's is (..., P) = (..., {self.P})")
        matrix = np.full((*values.shape[:-1], self.V, self.M), fill, dtype=np.result_type(values, type(fill)))
        matrix[..., self.placement_node, self.placement_model] = values
        return matrix

    def from_matrix(self, matrix: FloatArray) -> FloatArray:
        """(..., V, M) values as (..., P); entries that are no placement are left out."""
        matrix = np.asarray(matrix)
        if matrix.shape[-2:] != (self.V, self.M):
            raise IdnError(f"matrix of shape {matrix.shape}; the network's is (..., V, M) = (..., {self.V}, {self.M})")
        return matrix[..., self.placement_node, self.placement_model]

    def shelf(self, v: int) -> Placements:
        """The placements of one node, as copies: all that the node itself knows of the feasible set."""
        own = slice(int(self.node_start[v]), int(self.node_start[v + 1]))
        count = own.stop - own.start
        models = self.placement_model[own]
        return Placements(
            node_names=self.node_names[v : v + 1],
            model_names=tuple(self.model_names[m] for m in models),
            budgets=self.budgets[v : v + 1].copy(),
            node_start=np.array([0, count], dtype=np.int32),
            placement_node=np.zeros(count, dtype=np.int32),
            placement_model=np.arange(count, dtype=np.int32),
            sizes=self.sizes[own].copy(),
            fits=self.fits[own].copy(),
        )


def refuse_over_budget(
    placements: Placements,
    in_use: FloatArray,
    who: str,
    verb: str,
    budgets: Any = None,
    slack: float = BUDGET_SLACK,
) -> None:
    """Raise an `IdnError` that names the first node whose memory in use (V,) exceeds its budget in MB."""
    budgets = placements.budgets if budgets is None else budgets
    over = in_use > room(budgets, slack)
    if over.any():
        v = int(over.argmax())
        node, used, budget = placements.node_names[v], float(in_use[v]), float(budgets[v])
        raise IdnError(f"{who}: node {node} {verb} {used:.6g} MB; its budget is {budget:.6g} MB")


def unsigned(array: Any) -> Any:
    """Indices in int32 seen as unsigned; anything else as it is."""
    return array.view(np.uint32) if array.dtype == np.int32 else array
