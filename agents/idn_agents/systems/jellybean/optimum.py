"""The cheapest plan, exactly: an integer program per assignment of variants, cheapest relaxation first."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import coo_array

from idn_agents.systems.jellybean.workflow import PER_HOUR, Assignment, Plan, Workflow, entry_cost
from idn_gym.typing import FloatArray

_EDGE = 1e-9  # of a rate: below it a worker has nothing to do, and by it bounds may be missed


def optimum(workflow: Workflow, rate: float, assignments: Iterable[Assignment]) -> Plan | None:
    """The plan of least cost over assignments, of equal ones the most accurate; None where none can carry the rate."""
    programs = [
        _Program(workflow, rate, chosen)
        for chosen in assignments
        if all(workflow.capacity(operator, chosen) for operator in workflow.order)
    ]
    bounds = [program.bound() for program in programs]
    best: Plan | None = None
    for index in np.argsort(bounds, kind="stable"):
        if not bounds[index] <= (np.finfo(float).max if best is None else best.total + _EDGE):
            break
        found = programs[index].solved()
        if found is not None and (best is None or _better(found, best)):
            best = found
    return best


def _better(one: Plan, other: Plan) -> bool:
    if abs(one.total - other.total) > _EDGE:
        return one.total < other.total
    return one.accuracy > other.accuracy


class _Program:
    """Workers and rates of one assignment, as shares of the rate.

    Variables: y, whether an operator has a worker; x, its share there; z, the share that goes from a worker to one
    along an arc of the workflow.
    """

    def __init__(self, workflow: Workflow, rate: float, chosen: Assignment) -> None:
        self.workflow, self.rate, self.chosen = workflow, rate, chosen
        workers = list(workflow.worker)
        capacity = {operator: workflow.capacity(operator, chosen) for operator in workflow.order}
        self.places = [
            (operator, worker) for operator in workflow.order for worker in workers if worker in capacity[operator]
        ]
        at = {place: n for n, place in enumerate(self.places)}
        count = len(at)
        arcs = [(name, one.name) for one in workflow.operators for name in one.inputs if name not in workflow.source]
        moves = [
            (tail, head, u, v)
            for tail, head in arcs
            for u in capacity[tail]
            for v in capacity[head]
            if workflow.worker[u].tier <= workflow.worker[v].tier
        ]
        self.prices = np.array([workflow.worker[worker].price for _, worker in self.places])
        entries = [rate * entry_cost(workflow, chosen, *place) for place in self.places]
        moved = [
            rate * PER_HOUR * workflow.ways.get((u, v), 0.0) * workflow.message_kb(tail, chosen)
            for tail, _, u, v in moves
        ]
        self.cost = np.concatenate([self.prices, entries, moved])
        self.count = count
        rows: list[dict[int, float]] = []
        low: list[float] = []
        high: list[float] = []

        def add(row: dict[int, float], least: float, most: float) -> None:
            rows.append(row)
            low.append(least)
            high.append(most)

        for operator in workflow.order:
            add({count + at[operator, worker]: 1.0 for worker in capacity[operator]}, 1.0, 1.0)
        for (operator, worker), n in at.items():
            add({count + n: 1.0, n: -capacity[operator][worker] / rate}, -np.inf, 0.0)
        for worker in workers:
            add({n: 1.0 for (_, where), n in at.items() if where == worker}, -np.inf, 1.0)
        for tail, head in arcs:
            for operator in (tail, head):
                for worker in capacity[operator]:
                    row = {
                        2 * count + n: 1.0
                        for n, (one, other, u, v) in enumerate(moves)
                        if (one, other) == (tail, head) and (u if operator == tail else v) == worker
                    }
                    add({**row, count + at[operator, worker]: -1.0}, 0.0, 0.0)
            for u in capacity[tail]:
                for v in capacity[head]:
                    if workflow.worker[u].tier > workflow.worker[v].tier:
                        add({at[tail, u]: 1.0, at[head, v]: 1.0}, -np.inf, 1.0)
        values = [(value, n, column) for n, row in enumerate(rows) for column, value in row.items()]
        data, lines, columns = zip(*values, strict=True)
        matrix = coo_array((data, (lines, columns)), shape=(len(rows), self.cost.size)).tocsr()
        self.constraint = LinearConstraint(matrix, np.array(low), np.array(high))

    def bound(self) -> float:
        """Cost of the relaxation; infinite where there is no plan."""
        result = self._solve(Bounds(0.0, 1.0), whole=False)
        return float(result.fun) if result.success else np.inf

    def solved(self) -> Plan | None:
        """The cheapest plan, its rates by a linear program over the workers chosen."""
        result = self._solve(Bounds(0.0, 1.0), whole=True)
        if not result.success:
            return None
        hired = np.rint(result.x[: self.count])
        fixed = np.ones(self.cost.size)
        fixed[: self.count] = hired
        least = np.zeros(self.cost.size)
        least[: self.count] = hired
        again = self._solve(Bounds(least, fixed), whole=False)
        shares: FloatArray = (again if again.success else result).x[self.count : 2 * self.count]
        rates: dict[str, dict[str, float]] = {operator: {} for operator in self.workflow.order}
        compute = 0.0
        for (operator, worker), share, price in zip(self.places, shares, self.prices, strict=True):
            if share > _EDGE:
                rates[operator][worker] = float(self.rate * share)
                compute += float(price)
        communication = float((again if again.success else result).x[self.count :] @ self.cost[self.count :])
        accuracy = self.workflow.accuracy(self.chosen)
        assert accuracy is not None
        return Plan(self.chosen, rates, compute, communication, accuracy)

    def _solve(self, bounds: Bounds, whole: bool) -> OptimizeResult:
        integrality = np.zeros(self.cost.size)
        integrality[: self.count] = whole
        return milp(
            self.cost, integrality=integrality, bounds=bounds, constraints=self.constraint, options={"mip_rel_gap": 0.0}
        )
