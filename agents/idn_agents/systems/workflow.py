"""JellyBean's problem: operators over workers in tiers, what a plan costs, and the optimum by integer programs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field

from idn_agents.systems import vqa
from idn_agents.systems.frame import Infeasible
from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.schema import Section

SCALE = 0.1 * 3600.0 / 1024.0**2  # of link price x KB/s, in cost per hour. Source: libertyeagle/JellyBean, config.yaml
ENOUGH = 1.0 - 1e-9  # of a rate

_Positive = Annotated[float, Field(gt=0.0, le=1e9)]
_Amount = Annotated[float, Field(ge=0.0, le=1e9)]


class Worker(Section):
    """A machine that one operator may run on."""

    name: str
    price: _Amount  # per hour
    tier: Annotated[int, Field(ge=0, le=100)] = 0


class Variant(Section):
    """A model of an operator: ms of a request per worker that can run it, and the size of what it sends on."""

    name: str
    latency_ms: dict[str, _Positive]
    message_kb: _Amount = 0.0
    relative_cost: _Amount = 1.0


class Operator(Section):
    """A step of the workflow; its inputs are sources or operators before it."""

    name: str
    inputs: list[str]
    variants: Annotated[list[Variant], Field(min_length=1, max_length=32)]


class Source(Section):
    """What requests come from, by the size of their messages."""

    name: str
    message_kb: _Amount = 0.0


class Link(Section):
    """Price of traffic from a source or worker to a worker; traffic over links that are not listed is free."""

    source: str
    target: str
    price: _Amount


class Accuracy(Section):
    """The workflow's accuracy with these variants; of operators left out, with any."""

    variants: dict[str, str]
    accuracy: Annotated[float, Field(ge=-1e9, le=1e9)]


class Workflow(Section):
    """A problem of one's own."""

    workers: Annotated[list[Worker], Field(min_length=1, max_length=32)]
    sources: list[Source] = Field(default=[])
    operators: Annotated[list[Operator], Field(min_length=1, max_length=8)]
    links: list[Link] = Field(default=[])
    accuracy: Annotated[list[Accuracy], Field(min_length=1, max_length=4096)]


@dataclass(frozen=True)
class Plan:
    """Variants, and rates of the workers of each operator, in the order in which they were added."""

    variants: Mapping[str, str]
    rates: Mapping[str, Mapping[str, float]]  # operator -> worker -> requests/s
    compute: float  # per hour
    communication: float
    accuracy: float

    @property
    def total(self) -> float:
        """Compute and communication."""
        return self.compute + self.communication


@dataclass(frozen=True)
class Problem:
    """Variants and workers of every operator for a rate and a floor of accuracy: price of workers and of traffic."""

    workflow: Workflow
    rate: float
    floor: float

    def assignments(self) -> list[tuple[dict[str, str], float]]:
        """Variants of all operators that meet the floor, and their accuracy; an `Infeasible` if none do."""
        operators = self.workflow.operators
        named = {operator.name: {variant.name for variant in operator.variants} for operator in operators}
        found: dict[tuple[str, ...], float] = {}
        for row in self.workflow.accuracy:
            for name, variant in row.variants.items():
                if variant not in named.get(name, ()):
                    raise IdnError(f"problem.accuracy: {shown(variant)} is no variant of operator {shown(name)}")
            choices = [[row.variants[each]] if each in row.variants else sorted(named[each]) for each in named]
            for chosen in itertools.product(*choices):
                found.setdefault(chosen, row.accuracy)
        best = max(found.values())
        if best < self.floor:
            raise Infeasible(f"accuracy {self.floor:g}: the accuracy binds: no variants reach more than {best:g}")
        return [
            (dict(zip(named, chosen, strict=True)), value) for chosen, value in found.items() if value >= self.floor
        ]

    def capacity(self, operator: Operator, variant: str) -> dict[str, float]:
        """Requests/s of each worker that can run it."""
        latency = next(each.latency_ms for each in operator.variants if each.name == variant)
        return {worker: 1000.0 / ms for worker, ms in latency.items()}

    def communication(self, variants: Mapping[str, str], rates: Mapping[str, Mapping[str, float]]) -> float:
        """Cost per hour of the traffic, shared out in proportion to the rates at both ends."""
        cost, prices = 0.0, self._prices()
        for source, operator, size in self.edges(variants):
            senders = rates.get(source, {source: self.rate})
            for (start, out), (end, into) in itertools.product(senders.items(), rates[operator].items()):
                cost += SCALE * prices.get((start, end), 0.0) * size * out * into / self.rate
        return cost

    def edges(self, variants: Mapping[str, str]) -> Iterator[tuple[str, str, float]]:
        """(sender, operator, KB of a message) of every edge."""
        sizes = {source.name: source.message_kb for source in self.workflow.sources}
        for operator in self.workflow.operators:
            chosen = next(each for each in operator.variants if each.name == variants[operator.name])
            sizes[operator.name] = chosen.message_kb
        for operator in self.workflow.operators:
            for sender in operator.inputs:
                yield sender, operator.name, sizes[sender]

    def compute(self, rates: Mapping[str, Mapping[str, float]]) -> float:
        """Price per hour of the workers that are used."""
        prices = {worker.name: worker.price for worker in self.workflow.workers}
        return sum(prices[worker] for workers in rates.values() for worker in workers)

    def optimum(self) -> Plan:
        """The cheapest plan: an integer program for each choice of variants that meets the floor.

        Raises
        ------
        Infeasible
            If no variants meet the floor, or no workers the rate.
        """
        best: Plan | None = None
        for variants, accuracy in self.assignments():
            plan = self._cheapest(variants, accuracy, np.inf if best is None else best.total)
            best = plan if plan is not None and (best is None or plan.total < best.total) else best
        if best is None:
            raise Infeasible(
                f"rate {self.rate:g}: the capacity binds: no workers carry it with accuracy {self.floor:g}"
            )
        return best

    def _prices(self) -> dict[tuple[str, str], float]:
        return {(link.source, link.target): link.price for link in self.workflow.links}

    def _cheapest(self, variants: dict[str, str], accuracy: float, most: float) -> Plan | None:
        """The cheapest plan with these variants; None if there is none that costs at most so much."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        workflow, prices = self.workflow, self._prices()
        tiers = {worker.name: worker.tier for worker in workflow.workers}
        capacity = {each.name: self.capacity(each, variants[each.name]) for each in workflow.operators}
        used = [("used", name, worker) for name, workers in capacity.items() for worker in workers]
        rates = [("rate", name, worker) for name, workers in capacity.items() for worker in workers]
        edges = list(self.edges(variants))
        inner = [edge for edge in edges if edge[0] in capacity]
        flows = [(a, b, start, end) for a, b, _ in inner for start in capacity[a] for end in capacity[b]]
        at = {key: n for n, key in enumerate([*used, *rates, *flows])}
        cost = np.zeros(len(at))
        price = {worker.name: worker.price for worker in workflow.workers}
        cost[: len(used)] = [price[worker] for _, _, worker in used]
        for a, b, size in edges:
            for end in capacity[b]:
                if a in capacity:
                    for start in capacity[a]:
                        cost[at[a, b, start, end]] = SCALE * size * prices.get((start, end), 0.0)
                else:
                    cost[at["rate", b, end]] += SCALE * size * prices.get((a, end), 0.0)
        rows: list[tuple[dict[int, float], float, float]] = [(dict(enumerate(cost.tolist())), -np.inf, most)]
        for name, workers in capacity.items():
            rows.append(({at["rate", name, worker]: 1.0 for worker in workers}, self.rate, self.rate))
            for worker, able in workers.items():
                rows.append(({at["rate", name, worker]: 1.0, at["used", name, worker]: -able}, -np.inf, 0.0))
        for worker in tiers:
            keys = [at["used", name, worker] for name, workers in capacity.items() if worker in workers]
            rows.append((dict.fromkeys(keys, 1.0), -np.inf, 1.0))
        for a, b, _ in inner:
            for start in capacity[a]:
                sums = {at[a, b, start, end]: 1.0 for end in capacity[b]}
                rows.append((sums | {at["rate", a, start]: -1.0}, 0.0, 0.0))
            for end in capacity[b]:
                sums = {at[a, b, start, end]: 1.0 for start in capacity[a]}
                rows.append((sums | {at["rate", b, end]: -1.0}, 0.0, 0.0))
            for start, end in itertools.product(capacity[a], capacity[b]):
                if tiers[start] > tiers[end]:
                    rows.append(({at["used", a, start]: 1.0, at["used", b, end]: 1.0}, -np.inf, 1.0))
        matrix = np.zeros((len(rows), len(at)))
        for n, (row, _, _) in enumerate(rows):
            matrix[n, list(row)] = list(row.values())
        integer = np.arange(len(at)) < len(used)
        with _silent():
            found = milp(
                cost,
                integrality=integer,
                bounds=Bounds(0.0, np.where(integer, 1.0, np.inf)),
                constraints=LinearConstraint(matrix, [row[1] for row in rows], [row[2] for row in rows]),
                options={"mip_rel_gap": 0.0},
            )
        if found.x is None:
            return None
        chosen: dict[str, dict[str, float]] = {
            name: {w: float(found.x[at["rate", name, w]]) for w in workers if found.x[at["used", name, w]] > 0.5}
            for name, workers in capacity.items()
        }
        compute = self.compute(chosen)
        return Plan(variants, chosen, compute, float(found.fun) - compute, accuracy)


@contextmanager
def _silent() -> Iterator[None]:
    """What HiGHS prints from C, whatever its options, does not reach standard output."""
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def refuse_inconsistent(workflow: Workflow) -> None:
    """Raise an `IdnError` if names of a workflow do not fit together, or its operators are not in order."""
    workers = [worker.name for worker in workflow.workers]
    before = [source.name for source in workflow.sources]
    for name in {name for name in (*workers, *before) if (*workers, *before).count(name) > 1}:
        raise IdnError(f"problem: {shown(name)} twice; each worker and source has a name of its own")
    for operator in workflow.operators:
        if operator.name in (*before, *workers):
            raise IdnError(f"problem.operators: {shown(operator.name)} twice; each has a name of its own")
        for sender in operator.inputs:
            if sender not in before:
                raise IdnError(
                    f"problem.operators.{operator.name}.inputs: {shown(sender)}; must be a source or operator before"
                )
        for variant in operator.variants:
            for worker in variant.latency_ms:
                if worker not in workers:
                    raise IdnError(
                        f"problem.operators.{operator.name}: worker {shown(worker)}; {allowed(worker, workers)}"
                    )
        before.append(operator.name)


@cache
def vqa_workflow() -> Workflow:
    """Visual question answering on nine workers."""
    sources = [name for name, _ in vqa.EDGES if name not in vqa.LATENCY_MS]
    operators: list[Operator] = []
    for name, variants in vqa.LATENCY_MS.items():
        made = [
            Variant(
                name=variant,
                latency_ms=dict(zip(vqa.WORKERS, times, strict=True)),
                message_kb=vqa.MESSAGE_KB[variant],
                relative_cost=vqa.RELATIVE_COST[variant],
            )
            for variant, times in variants.items()
        ]
        operators.append(Operator(name=name, inputs=[a for a, b in vqa.EDGES if b == name], variants=made))
    tiers: Sequence[tuple[str, int]] = [(name, 0) for name in sources] + list(zip(vqa.WORKERS, vqa.TIERS, strict=True))
    links = [
        Link(source=a, target=b, price=price)
        for (a, start), (b, end) in itertools.product(tiers, tiers)
        if (price := vqa.LINK_PRICES.get((start, end))) is not None and b not in sources
    ]
    rows = [
        Accuracy(variants={"ExtractImageFeature": image, "SpeechRecognition": speech}, accuracy=value)
        for image, others in vqa.ACCURACY.items()
        for speech, value in others.items()
    ]
    workers = [
        Worker(name=name, price=price, tier=tier)
        for name, price, tier in zip(vqa.WORKERS, vqa.PRICES, vqa.TIERS, strict=True)
    ]
    return Workflow(
        workers=workers,
        sources=[Source(name=name, message_kb=vqa.MESSAGE_KB[name]) for name in sources],
        operators=operators,
        links=links,
        accuracy=rows,
    )
