"""The cheapest plan, exactly: branch and bound over workers, for all assignments of variants at once.

Relaxations are linear programs. The branch and bound is not HiGHS's own, as SciPy has it: that one writes on standard
output at times, which is for answers.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count as numbers

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from idn_agents.systems.jellybean.workflow import PER_HOUR, Assignment, Plan, Workflow, entry_cost
from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray

_EDGE = 1e-9  # of a rate, below which a worker has nothing to do; and of a cost
_WHOLE = 1e-6  # up to which a share of a worker is none, or all of it
_MOST_NODES = 20_000


def optimum(workflow: Workflow, rate: float, assignments: Iterable[Assignment]) -> Plan | None:
    """The plan of least cost over assignments, of equal ones the most accurate; None where none can carry the rate.

    Nodes are solved in the order of their bounds: workers that an operator must have, and may have. A node's plan takes
    the workers that its relaxation uses at all, where they are nobody else's; it branches on the one paid least for.
    """
    programs = [
        _Program(workflow, rate, chosen)
        for chosen in assignments
        if all(workflow.capacity(operator, chosen) for operator in workflow.order)
    ]
    best: Plan | None = None

    def worth(bound: float, program: _Program) -> bool:
        if best is None or bound < best.total - _EDGE:
            return True
        return bound <= best.total + _EDGE and program.accuracy > best.accuracy

    number = numbers()
    nodes: list[tuple[float, int, _Program, FloatArray, FloatArray, FloatArray]] = []

    def add(program: _Program, least: FloatArray, most: FloatArray) -> None:
        solved = program.relaxed(least, most)
        if solved is not None and worth(solved[0], program):
            heapq.heappush(nodes, (solved[0], next(number), program, least, most, solved[1]))

    for program in programs:
        add(program, np.zeros(program.count), np.ones(program.count))
    while nodes:
        bound, order, program, least, most, solution = heapq.heappop(nodes)
        if order > _MOST_NODES:
            raise IdnError(f"problem: more than {_MOST_NODES:,} nodes of the exact search; ask for fewer workers")
        if not worth(bound, program):
            continue
        plan = program.plan(solution)
        if plan is not None and worth(plan.total, program):
            best = plan
        unpaid = program.unpaid(solution)
        if unpaid.max() > _WHOLE:
            at = int(np.argmax(unpaid * (program.prices + _WHOLE)))
            for paid in (1.0, 0.0):
                low, high = least.copy(), most.copy()
                low[at] = high[at] = paid
                add(program, low, high)
    return best


_Row = tuple[dict[int, float], float]  # coefficients by variable, and what they add up to, or may


class _Program:
    """Workers and rates of one assignment, as shares of the rate.

    Variables: y, whether an operator has a worker; x, its share there; z, the share that goes from a worker to one
    along an arc of the workflow.
    """

    def __init__(self, workflow: Workflow, rate: float, chosen: Assignment) -> None:
        self.workflow, self.rate, self.chosen = workflow, rate, chosen
        accuracy = workflow.accuracy(chosen)
        assert accuracy is not None  # of the assignments that reach one
        self.accuracy = accuracy
        workers = list(workflow.worker)
        capacity = {operator: workflow.capacity(operator, chosen) for operator in workflow.order}
        self.places = [
            (operator, worker) for operator in workflow.order for worker in workers if worker in capacity[operator]
        ]
        at = {place: n for n, place in enumerate(self.places)}
        count = len(at)
        self.arcs = arcs = [
            (name, one.name) for one in workflow.operators for name in one.inputs if name not in workflow.source
        ]
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
        equal: list[_Row] = []
        most: list[_Row] = []
        for operator in workflow.order:
            equal.append(({count + at[operator, worker]: 1.0 for worker in capacity[operator]}, 1.0))
        for (operator, worker), n in at.items():
            most.append(({count + n: 1.0, n: -min(capacity[operator][worker] / rate, 1.0)}, 0.0))
        for worker in workers:
            most.append(({n: 1.0 for (_, where), n in at.items() if where == worker}, 1.0))
        for tail, head in arcs:
            for operator in (tail, head):
                for worker in capacity[operator]:
                    row = {
                        2 * count + n: 1.0
                        for n, (one, other, u, v) in enumerate(moves)
                        if (one, other) == (tail, head) and (u if operator == tail else v) == worker
                    }
                    equal.append(({**row, count + at[operator, worker]: -1.0}, 0.0))
            for u in capacity[tail]:
                for v in capacity[head]:
                    if workflow.worker[u].tier > workflow.worker[v].tier:
                        most.append(({at[tail, u]: 1.0, at[head, v]: 1.0}, 1.0))
        self.equal, self.equals = _matrix(equal, self.cost.size), [value for _, value in equal]
        self.most, self.limits = _matrix(most, self.cost.size), [value for _, value in most]

    def relaxed(self, least: FloatArray, most: FloatArray) -> tuple[float, FloatArray] | None:
        """Cost of the relaxation and its solution, with y, (P,), between bounds; None where there is none."""
        bounds = np.stack([np.zeros(self.cost.size), np.ones(self.cost.size)], axis=1)
        bounds[: self.count] = np.stack([least, most], axis=1)
        result = linprog(self.cost, self.most, self.limits, self.equal, self.equals, bounds, method="highs")
        return (float(result.fun), result.x) if result.status == 0 else None

    def unpaid(self, solution: FloatArray) -> FloatArray:
        """(P,) how much of each worker that has something to do a solution does not pay for."""
        used = solution[self.count : 2 * self.count] > _EDGE
        return np.where(used, 1.0 - solution[: self.count], 0.0)

    def plan(self, solution: FloatArray) -> Plan | None:
        """The plan of all workers that a solution uses; None where one is used twice, or tiers fall."""
        shares = solution[self.count : 2 * self.count]
        used = [n for n, share in enumerate(shares) if share > _EDGE]
        workers = [self.places[n][1] for n in used]
        if len(set(workers)) < len(workers):
            return None
        rates: dict[str, dict[str, float]] = {operator: {} for operator in self.workflow.order}
        for n in used:
            operator, worker = self.places[n]
            rates[operator][worker] = float(self.rate * shares[n])
        tiers = {one: [self.workflow.worker[worker].tier for worker in places] for one, places in rates.items()}
        if any(max(tiers[tail]) > min(tiers[head]) for tail, head in self.arcs):
            return None
        communication = float(solution[self.count :] @ self.cost[self.count :])
        return Plan(self.chosen, rates, float(self.prices[used].sum()), communication, self.accuracy)


def _matrix(rows: list[_Row], width: int) -> csr_array:
    """Coefficients of rows, each by column."""
    values = [(value, n, column) for n, (row, _) in enumerate(rows) for column, value in row.items()]
    data, lines, columns = zip(*values, strict=True)
    return csr_array((data, (lines, columns)), shape=(len(rows), width))
