"""The master problem: linear functions above the gain of each request type, maximised over the feasible allocations.

The gain is a sum over request types of concave functions F. With one variable theta per type, and the price h of what
is placed, the master is

    max sum theta - h.y   s.t.   theta <= F(y_j) + g_j.(y - y_j) for each type and cut point y_j,
                           y in the hull of each node's integral allocations,

whose size does not depend on the number of slots: these only enter F and its supergradient g. Either y is relaxed,
solved warm with rows added, or y is integral, solved by branch and bound.

Source: Kelley, The cutting-plane method for solving convex programs, J. SIAM 8(4), 1960; a variable per type as in the
multicut method of Birge and Louveaux, EJOR 34(3), 1988. One cut for all types, or one per slot, gets nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from idn_agents.optimum.certificate import Certificate, Leaf, linear_maximum
from idn_agents.optimum.knapsack import Knapsack, knapsacks
from idn_agents.optimum.relaxation.columns import Columns
from idn_agents.optimum.relaxation.highs import import_highspy, new_model, run
from idn_agents.optimum.relaxation.separator import Separator
from idn_gym.common.arrays import shaped
from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK
from idn_gym.typing import FloatArray, IntArray

SUMMING = 1e-11  # of what the types can save: above the rounding error of the sums here
_OBJECTIVE = 1e4  # of everything the types can save: HiGHS compares objectives to 1e-6, so to 1e-10 of this
_SMALLEST = 1e-8  # coefficient of a cut; HiGHS drops those below 1e-9 itself, but does not make up for it
# of HiGHS, switched off: rounding and local search have done better by now, and these take twice the time of the rest
_HEURISTICS = ("effort", "run_feasibility_jump", "run_rins", "run_rens", "run_root_reduced_cost")
_TOLERANCE = 1e-9  # of rows and integers in branch and bound, so that sizes which miss the budget by 1e-7 do not pass


class Proof(NamedTuple):
    """A bound on the gain of a leaf's allocations, and the function that it is the maximum of."""

    bound: float  # ms, net; -inf if the leaf has no feasible allocation
    constant: float  # ms
    slope: FloatArray  # (P,) ms, less the price
    leaf: Leaf  # its cuts are those of the master


class Master:
    """The master over C columns and the n types with anything to gain, in shares of their ceilings.

    Parameters
    ----------
    ceiling : (R,) ms, what each type saves with everything placed that fits; not 0 throughout.
    price : (P,) ms that each placement takes off the net gain.
    """

    def __init__(self, network: Network, columns: Columns, ceiling: FloatArray, price: FloatArray) -> None:
        self._highspy = import_highspy()
        ceiling = shaped("ceiling", ceiling, (network.R,))
        self._price = shaped("price", price, (network.P,))
        self._network, self._terms = network, network.service.terms
        self._nodes = knapsacks(network)
        self._columns = columns
        self._types = np.flatnonzero(ceiling > 0.0)
        self._ceiling = ceiling[self._types]
        self._scale = _OBJECTIVE / float(ceiling.sum())
        self._rows = _Rows(len(self._columns.first) + len(self._types))
        self._points: list[FloatArray] = []
        self._entries = self._list_entries()
        self._separators: dict[Any, Separator] = {}
        self._relaxed = new_model(self._highspy)
        self._add_variables(self._relaxed)
        self._submitted = 0
        self._duals = np.zeros(0)  # of the rows of the last relaxed optimum
        self.relaxed_value = np.inf  # ms, of the last relaxed optimum
        for node in self._nodes:
            if node.binding:
                self._add_node_row(node, network.sizes / node.budget, 1.0 + BUDGET_SLACK)

    def cut(self, point: FloatArray, constant: FloatArray, slope: FloatArray, violation: float) -> int:
        """Cut at an allocation (P,), with what `kernels.type_cuts` says there; returns the number of rows added.

        Only those types are cut whose gain the master overestimates there by more than `violation` of their ceiling.
        """
        gain = constant + self._terms.by_type(slope, point)
        cut = self.estimate(point) - gain[self._types] / self._ceiling > violation
        row, term, column = self._entries
        slope = slope[term] / self._ceiling[row]
        kept = cut[row] & (slope > _SMALLEST)
        dropped = cut[row] & ~kept
        upper = constant[self._types] / self._ceiling
        upper += np.bincount(row[dropped], (slope * self._columns.counts[column])[dropped], minlength=len(upper))
        types = np.flatnonzero(cut)
        number = np.cumsum(cut) - 1
        values = np.concatenate((-slope[kept], np.ones(len(types))))
        rows = np.concatenate((number[row[kept]], np.arange(len(types))))
        columns = np.concatenate((column[kept], len(self._columns.first) + types))
        matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(types), self._rows.width))
        self._rows.append(matrix, upper[cut], types, len(self._points))
        self._points.append(point)
        return len(types)

    def separate(self, point: FloatArray) -> int:
        """Add inequalities of the nodes' hulls that an allocation (P,) violates; returns their number."""
        added = 0
        whole = point == np.rint(point)
        for node in self._nodes:
            if not node.binding or whole[node.placements].all():  # which fits, and violates none
                continue
            if node.kind not in self._separators:
                self._separators[node.kind] = Separator(node, self._highspy)
            counts = np.bincount(node.size_class, point[node.placements], minlength=len(node.sizes))
            weights = self._separators[node.kind].separate(counts)
            if weights is not None:
                by_placement = np.zeros(self._network.P)
                by_placement[node.placements] = weights[node.size_class]
                self._add_node_row(node, by_placement, 1.0)
                added += 1
        return added

    def estimate(self, point: FloatArray) -> FloatArray:
        """(n,) what the master takes the gains at an allocation (P,) for, in shares of their ceilings."""
        matrix, upper, types, _ = self._rows.stacked()
        slack = upper - matrix @ np.append(self._columns.gather(point), np.zeros(len(self._types)))
        theta = np.ones(len(self._types))
        np.minimum.at(theta, types[types >= 0], slack[types >= 0])
        return theta

    def estimates(self, point: FloatArray) -> dict[int, float]:
        """Ms that the master takes the gain of each type at an allocation (P,) for."""
        return dict(zip(self._types.tolist(), (self.estimate(point) * self._ceiling).tolist(), strict=True))

    def relax(self, deadline: float) -> FloatArray | None:
        """The maximum with y relaxed, (P,); None if time runs out."""
        matrix, upper, _, _ = self._rows.stacked()
        if self._submitted < len(upper):
            self._add_rows(self._relaxed, matrix[self._submitted :], upper[self._submitted :])
            self._submitted = len(upper)
        self._relaxed.setOptionValue("time_limit", self._relaxed.getRunTime() + _left(deadline))
        run(self._relaxed)
        if self._relaxed.getModelStatus() != self._highspy.HighsModelStatus.kOptimal:
            return None
        solution = self._relaxed.getSolution()
        self.relaxed_value = self._relaxed.getInfo().objective_function_value / self._scale
        self._duals = np.abs(np.asarray(solution.row_dual))
        return self._allocation(solution.col_value)

    def confine(self, fixed: IntArray) -> None:
        """Fix placements (P,), as a `Leaf` has it, in the relaxations to come; replicas cannot be fixed."""
        value = fixed[self._columns.first]
        lower = np.where(value == 1, 1.0, 0.0)
        upper = np.where(value == 0, 0.0, self._columns.counts)
        self._relaxed.changeColsBounds(len(value), np.arange(len(value), dtype=np.int32), lower, upper)

    def most_divided(self, point: FloatArray, slope: FloatArray, least: float) -> int | None:
        """The placement to branch on at a relaxed optimum (P,): of what is divided, where most is promised of it."""
        slope = self._terms.by_placement(slope)
        share = np.minimum(point, 1.0 - point)
        single = self._columns.first[self._columns.counts == 1.0]
        divided = single[share[single] > least]
        return int(divided[(share * slope)[divided].argmax()]) if len(divided) else None

    def net_at(self, point: FloatArray, constant: FloatArray, slope: FloatArray) -> float:
        """Net gain in ms of an allocation (P,), from what `kernels.type_cuts` says there."""
        return float((constant + self._terms.by_type(slope, point)).sum()) - float(self._price @ point)

    def certify(self, fixed: IntArray) -> Proof:
        """What the dual values of the last relaxed solution prove of a leaf's allocations."""
        matrix, upper, types, points = self._rows.stacked()
        cuts = np.flatnonzero(types[: len(self._duals)] >= 0)
        types, points = types[cuts], points[cuts]
        weights = np.zeros((len(self._points), len(self._types)))
        weights[points, types] = self._duals[cuts] / (self._ceiling[types] * self._scale)
        weights /= np.maximum(weights.sum(axis=0), 1.0)
        by_row = weights[points, types] * self._ceiling[types]
        constant = float(by_row @ upper[cuts] + (1.0 - weights.sum(axis=0) + SUMMING) @ self._ceiling)
        slope = self._columns.at_placements(-(matrix[cuts].T @ by_row)[: len(self._columns.first)]) - self._price
        used = np.flatnonzero(weights.any(axis=1))
        by_type = np.zeros((len(used), self._network.R))
        by_type[:, self._types] = weights[used]
        return Proof(self._maximum(constant, slope, fixed), constant, slope, Leaf(fixed, used, by_type))

    def charges(self) -> FloatArray:
        """(n,) ms per term: what the dual values of the last relaxed solution charge types for their placements."""
        matrix, _, types, _ = self._rows.stacked()
        cuts = np.flatnonzero(types[: len(self._duals)] >= 0)
        weights = (self._duals[cuts] / self._scale, (types[cuts], np.arange(len(cuts))))
        by_type = sparse.csr_matrix(weights, shape=(len(self._types), len(cuts))) @ matrix[cuts]
        number = np.full(self._network.R, -1)
        number[self._types] = np.arange(len(self._types))
        row, column = number[self._terms.type], self._columns.column[self._terms.placement]
        known = (row >= 0) & (column >= 0)
        charges = np.zeros(len(self._terms))
        charges[known] = np.maximum(-np.asarray(by_type[row[known], column[known]]).ravel(), 0.0)
        return charges

    def charged(self, constant: float, charges: FloatArray, leaf: Leaf) -> Proof:
        """What is proven of a leaf by charges (n,) per term and the ms that types are left with, summed."""
        slope = self._terms.by_placement(charges) - self._price
        return Proof(self._maximum(constant, slope, leaf.fixed), constant, slope, leaf)

    def carried_over(self, proof: Proof, fixed: IntArray) -> Proof:
        """What the weights of a proof prove of another leaf's allocations."""
        bound = self._maximum(proof.constant, proof.slope, fixed)
        return proof._replace(bound=bound, leaf=replace(proof.leaf, fixed=fixed))

    @property
    def points(self) -> FloatArray:
        """(n, P) where was cut, in the order in which leaves number the cuts."""
        return np.array(self._points).reshape(len(self._points), self._network.P)

    def certificate(self, proofs: Sequence[Proof]) -> Certificate:
        """Proofs of all leaves as a certificate, with the cut points that they use."""
        return Certificate(self.points, tuple(proof.leaf for proof in proofs)).compact()

    def branch(
        self,
        start: FloatArray,
        gap: float,
        deadline: float,
        keep: Callable[[FloatArray], None],
        enough: Callable[[float], bool],
        poll: Callable[[], None],
    ) -> float:
        """Maximise with y integral.

        Parameters
        ----------
        start : (P,) feasible integral allocation to begin with.
        gap : relative, at which to stop.
        keep : told the integral allocations (P,) found, the best last.
        enough : told bounds in ms as they fall, says whether to stop.
        poll : called now and then while the solver runs.

        Returns
        -------
        An upper bound in ms.
        """
        model = new_model(self._highspy)
        self._add_variables(model, integral=True)
        self._add_rows(model, *self._rows.stacked()[:2])
        model.setOptionValue("time_limit", _left(deadline))
        model.setOptionValue("mip_rel_gap", gap)
        model.setOptionValue("mip_abs_gap", 0.0)
        model.setOptionValue("mip_feasibility_tolerance", _TOLERANCE)
        model.setOptionValue("primal_feasibility_tolerance", _TOLERANCE)
        for heuristic in _HEURISTICS:
            model.setOptionValue(f"mip_heuristic_{heuristic}", 0.0 if heuristic == "effort" else False)
        solution = self._highspy.HighsSolution()
        solution.col_value = np.concatenate((self._columns.gather(start), self.estimate(start)))
        model.setSolution(solution)

        def improved(event: Any) -> None:
            values = np.asarray(event.data_out.mip_solution)
            if values.shape == (self._rows.width,):  # HiGHS 1.8 only tells the first three
                keep(self._allocation(np.rint(values)))

        def bounded(event: Any) -> None:
            bound = event.data_out.mip_dual_bound / self._scale
            if 0.0 <= bound < np.inf and enough(bound):
                event.data_in.user_interrupt = True

        model.cbMipImprovingSolution += improved
        model.cbMipInterrupt += bounded
        run(model, poll)
        values = np.asarray(model.getSolution().col_value)
        if len(values) == self._rows.width:
            keep(self._allocation(np.rint(values)))
        bound: float = model.getInfo().mip_dual_bound / self._scale
        return bound if bound >= 0.0 else np.inf

    def _maximum(self, constant: float, slope: FloatArray, fixed: IntArray) -> float:
        won, lost = linear_maximum(self._nodes, constant, slope, fixed)
        return won - lost

    def _list_entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """Where slopes per term meet the columns, as (number of the type, term, column); one entry for replicas."""
        number = np.full(self._network.R, -1)
        number[self._types] = np.arange(len(self._types))
        row, placement = number[self._terms.type], self._terms.placement
        term = np.flatnonzero((row >= 0) & (self._columns.rank[placement] == 0))
        return row[term], term, self._columns.column[placement[term]]

    def _add_node_row(self, node: Knapsack, weights: FloatArray, upper: float) -> None:
        """Weights (P,) times what is placed at a node stay within a bound."""
        here = np.flatnonzero(self._network.placement_node[self._columns.first] == node.node)
        values = weights[self._columns.first[here]]
        matrix = sparse.csr_matrix((values, (np.zeros_like(here), here)), shape=(1, self._rows.width))
        self._rows.append(matrix, np.array([upper]), np.array([-1]), -1)

    def _add_variables(self, model: Any, integral: bool = False) -> None:
        columns, types = len(self._columns.first), len(self._types)
        model.addVars(columns + types, np.zeros(columns + types), np.append(self._columns.counts, np.ones(types)))
        costs = np.append(-self._price[self._columns.first], self._ceiling) * self._scale
        model.changeColsCost(len(costs), np.arange(len(costs), dtype=np.int32), costs)
        if integral:
            kinds = np.full(columns, self._highspy.HighsVarType.kInteger)
            model.changeColsIntegrality(columns, np.arange(columns, dtype=np.int32), kinds)

    def _add_rows(self, model: Any, matrix: Any, upper: FloatArray) -> None:
        lower = np.full(len(upper), -self._highspy.kHighsInf)
        starts, index = matrix.indptr[:-1].astype(np.int32), matrix.indices.astype(np.int32)
        model.addRows(len(upper), lower, upper, matrix.nnz, starts, index, matrix.data)

    def _allocation(self, values: Any) -> FloatArray:
        return self._columns.spread(np.asarray(values)[: len(self._columns.first)])


class _Rows:
    """Rows matrix.(y, theta) <= upper: cuts, each with its type and cut point, and rows of nodes, with type -1."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._parts: list[tuple[Any, FloatArray, IntArray, IntArray]] = []

    def append(self, matrix: Any, upper: FloatArray, types: IntArray, point: int | IntArray) -> None:
        if len(upper):
            self._parts.append((matrix, upper, types, np.full(len(upper), point)))

    def stacked(self) -> tuple[Any, FloatArray, IntArray, IntArray]:
        """All rows: matrix (rows, width), upper, types and points (rows,)."""
        if not self._parts:
            none = np.zeros(0, dtype=np.int64)
            return sparse.csr_matrix((0, self.width)), np.zeros(0), none, none
        if len(self._parts) > 1:
            matrices, *arrays = zip(*self._parts, strict=True)
            upper, types, points = (np.concatenate(array) for array in arrays)
            self._parts = [(sparse.vstack(matrices, format="csr"), upper, types, points)]
        return self._parts[0]


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)
