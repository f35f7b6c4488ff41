"""The paper's heuristic: a beam of variants, then for each of them a beam of workers, operator by operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import networkx as nx
import numpy as np

from idn_agents.systems.jellybean.workflow import PER_HOUR, Assignment, Plan, Workflow, communication, entry_cost

WIDTH = 10  # of both beams, and of the orders of operators that are tried; Source: the authors' config.yaml

Rates = Mapping[str, Mapping[str, float]]


def beam_search(workflow: Workflow, rate: float, accuracy: float) -> Plan | None:
    """The cheapest plan that the heuristic finds, of equal ones the most accurate; None where it finds none."""
    plans = [plan for chosen in variants(workflow, accuracy) for plan in islice(_plans(workflow, rate, chosen), WIDTH)]
    return min(plans, key=lambda plan: (plan.total, -plan.accuracy), default=None)


def variants(workflow: Workflow, accuracy: float) -> list[dict[str, str]]:
    """Assignments that reach an accuracy, cheapest first: from the last operator back, the cheapest beginnings kept."""
    reach = list(workflow.assignments(accuracy))
    beam: list[dict[str, str]] = [{}]
    for operator in reversed(workflow.order):
        longer = [
            {**begun, operator: variant.name} for begun in beam for variant in workflow.operator[operator].variants
        ]
        within = [each for each in longer if any(each.items() <= whole.items() for whole in reach)]
        beam = sorted(within, key=lambda each: _relative_cost(workflow, each))[:WIDTH]
    return beam


def _relative_cost(workflow: Workflow, chosen: Assignment) -> float:
    total = 0.0
    for operator in chosen:
        variant = workflow.variant(operator, chosen)
        mean = np.mean([workflow.worker[place].price * ms for place, ms in variant.latency_ms.items()] or [0.0])
        total += float(mean) if variant.relative_cost is None else variant.relative_cost
    return total


@dataclass(frozen=True)
class _Partial:
    """Some operators with their workers."""

    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    cost: float = 0.0

    @property
    def taken(self) -> set[str]:
        return {worker for places in self.rates.values() for worker in places}


def _plans(workflow: Workflow, rate: float, chosen: Assignment) -> Iterator[Plan]:
    """Plans of an assignment, cheapest first."""
    arcs = [(name, one.name) for one in workflow.operators for name in one.inputs if name not in workflow.source]
    graph: nx.DiGraph[str] = nx.DiGraph(arcs)
    graph.add_nodes_from(workflow.order)
    found: list[_Partial] = []
    for order in islice(nx.all_topological_sorts(graph), WIDTH):
        beam = [_Partial()]
        for operator in order:
            longer = [
                _with(workflow, chosen, partial, operator, places)
                for partial in beam
                for places in _fillings(workflow, rate, chosen, partial, operator)
            ]
            beam = sorted(longer, key=lambda partial: partial.cost)[:WIDTH]
        found += beam
    accuracy = workflow.accuracy(chosen)
    assert accuracy is not None
    for partial in sorted(found, key=lambda partial: partial.cost):
        rates = {operator: partial.rates[operator] for operator in workflow.order}
        compute = sum(workflow.worker[worker].price for places in rates.values() for worker in places)
        yield Plan(chosen, rates, compute, communication(workflow, chosen, rates), accuracy)


def _with(
    workflow: Workflow, chosen: Assignment, partial: _Partial, operator: str, places: dict[str, float]
) -> _Partial:
    rates = {**partial.rates, operator: places}
    compute = sum(workflow.worker[worker].price for each in rates.values() for worker in each)
    return _Partial(rates, compute + communication(workflow, chosen, rates))


def _fillings(
    workflow: Workflow, rate: float, chosen: Assignment, partial: _Partial, operator: str
) -> Iterator[dict[str, float]]:
    """Workers of an operator: of the tier that its inputs reach, and of one tier more at a time."""
    tier = {name: worker.tier for name, worker in workflow.worker.items()}
    inputs = [name for name in workflow.operator[operator].inputs if name not in workflow.source]
    lowest = max((tier[worker] for name in inputs for worker in partial.rates[name]), default=0)
    capacity = workflow.capacity(operator, chosen)
    free = [worker for worker in capacity if worker not in partial.taken and tier[worker] >= lowest]
    seen: list[dict[str, float]] = []
    for highest in sorted({tier[worker] for worker in free}):
        within = [worker for worker in free if tier[worker] <= highest]
        places = _filled(workflow, rate, chosen, partial.rates, operator, within)
        if places is not None and places not in seen:
            seen.append(places)
            yield places


def _filled(
    workflow: Workflow, rate: float, chosen: Assignment, rates: Rates, operator: str, free: list[str]
) -> dict[str, float] | None:
    """Rates of workers that are filled one after the other; None where they cannot carry the rate.

    If a worker of the lowest tier carries what is left alone, the cheapest such does; else the one that is cheapest by
    what it carries when it is full.
    """
    tier = {name: worker.tier for name, worker in workflow.worker.items()}
    capacity = workflow.capacity(operator, chosen)
    inputs = [name for name in workflow.operator[operator].inputs if name not in workflow.source]

    def cost(worker: str, carried: float) -> float:
        """Per hour, with what is sent to it."""
        each = entry_cost(workflow, chosen, operator, worker)
        for name in inputs:
            size = PER_HOUR * workflow.message_kb(name, chosen)
            each += sum(
                size * workflow.ways.get((tail, worker), 0.0) * sent / rate for tail, sent in rates[name].items()
            )
        return workflow.worker[worker].price + each * carried

    left, places, queue = rate, dict[str, float](), list(free)
    queue.sort(key=lambda worker: (cost(worker, capacity[worker]) / capacity[worker], cost(worker, capacity[worker])))
    while left > 0.0:
        if not queue:
            return None
        lowest = min(tier[worker] for worker in queue)
        alone = [worker for worker in queue if tier[worker] == lowest and capacity[worker] >= left]
        if alone:
            needed = left
            queue = sorted(alone, key=lambda worker: (cost(worker, needed), capacity[worker]))
        worker = queue.pop(0)
        places[worker] = min(left, capacity[worker])
        left -= places[worker]
    return places
