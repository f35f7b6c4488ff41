"""Workflows over tiers of workers: what a file says of one, and plans with what they cost.

A workflow is a graph of operators without cycles, each in several variants; an operator's requests are shared out over
workers, a worker has one operator at most, and what goes from worker to worker costs by the KB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import product
from typing import Annotated

from pydantic import Field, model_validator

from idn_gym.common.text import shown
from idn_gym.scenario.section import AsTuple, Name, Section

Price = Annotated[float, Field(ge=0.0, le=1e9)]
Positive = Annotated[float, Field(gt=0.0, le=1e9)]
Link = Annotated[tuple[Name, Name, Price], AsTuple]  # from a worker to one, price per GB
Assignment = Mapping[str, str]  # operator -> variant

PER_HOUR = 3600.0 / 1024.0 / 1024.0  # KB/s -> GB/h
_MOST_ASSIGNMENTS = 10_000


class Worker(Section):
    """A machine: price per hour, and tier, which requests only go up."""

    name: Name
    price: Price
    tier: Annotated[int, Field(ge=0, le=100)] = 0


class Source(Section):
    """Where requests come from: KB of each, and the price per GB of the way to a worker, 0 where none is given."""

    name: Name
    message_kb: Price
    links: dict[Name, Price] = Field(default={}, max_length=100)


class Variant(Section):
    """A model of an operator: ms per request at the workers that can run it, and KB that it sends on."""

    name: Name
    latency_ms: dict[Name, Positive] = Field(min_length=1, max_length=100)
    message_kb: Price = 0.0
    relative_cost: Price | None = None  # by which the beam search orders; default: mean of price x latency


class Operator(Section):
    """A step of the workflow."""

    name: Name
    inputs: list[Name] = Field(default=[], max_length=20)  # sources and operators
    variants: list[Variant] = Field(min_length=1, max_length=50)


class Accuracy(Section):
    """Accuracy of the whole, in percent, with some operators' variants."""

    variants: dict[Name, Name]
    percent: Price


class Workflow(Section):
    """Operators, workers, the ways between them, and end-to-end accuracies."""

    workers: list[Worker] = Field(min_length=1, max_length=40)
    sources: list[Source] = Field(default=[], max_length=20)
    operators: list[Operator] = Field(min_length=1, max_length=12)
    links: list[Link] = Field(default=[], max_length=2000)  # that are not there cost 0
    accuracies: list[Accuracy] = Field(min_length=1, max_length=_MOST_ASSIGNMENTS)
    scale: Price = 0.1  # of the prices of all ways

    @model_validator(mode="after")
    def _consistent(self) -> Workflow:
        for what, names in (
            ("workers", [worker.name for worker in self.workers]),
            ("operators", [*(one.name for one in self.sources), *(one.name for one in self.operators)]),
            *((f"variants of {one.name}", [variant.name for variant in one.variants]) for one in self.operators),
        ):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"{what}: {shown(twice)} twice")
        if math.prod(len(one.variants) for one in self.operators) > _MOST_ASSIGNMENTS:
            raise ValueError(f"operators: more than {_MOST_ASSIGNMENTS:,} assignments of variants")
        workers = {worker.name for worker in self.workers}
        for one in self.operators:
            for name in one.inputs:
                self._known("inputs", name, {*self.source, *self.operator})
            for variant in one.variants:
                for name in variant.latency_ms:
                    self._known("latency_ms", name, workers)
        for place in (name for link in self.links for name in link[:2]):
            self._known("links", place, workers)
        for place in (name for source in self.sources for name in source.links):
            self._known("links", place, workers)
        for row in self.accuracies:
            for name, variant_name in row.variants.items():
                self._known("accuracies", name, set(self.operator))
                self._known("accuracies", variant_name, {variant.name for variant in self.operator[name].variants})
        try:
            assert self.order
        except CycleError:
            raise ValueError("operators: inputs make a cycle") from None
        return self

    @cached_property
    def operator(self) -> dict[str, Operator]:
        """By name."""
        return {one.name: one for one in self.operators}

    @cached_property
    def source(self) -> dict[str, Source]:
        """By name."""
        return {one.name: one for one in self.sources}

    @cached_property
    def worker(self) -> dict[str, Worker]:
        """By name."""
        return {one.name: one for one in self.workers}

    @cached_property
    def order(self) -> list[str]:
        """Operators, each after its inputs."""
        inputs = {one.name: [name for name in one.inputs if name not in self.source] for one in self.operators}
        return list(TopologicalSorter(inputs).static_order())

    @cached_property
    def ways(self) -> dict[tuple[str, str], float]:
        """Price per GB between workers, scaled; those that are not listed cost 0."""
        return {(tail, head): self.scale * price for tail, head, price in self.links}

    def variant(self, operator: str, chosen: Assignment) -> Variant:
        """An operator's variant in an assignment."""
        return next(one for one in self.operator[operator].variants if one.name == chosen[operator])

    def capacity(self, operator: str, chosen: Assignment) -> dict[str, float]:
        """Requests/s of an operator at the workers that can run it."""
        return {worker: 1000.0 / ms for worker, ms in self.variant(operator, chosen).latency_ms.items()}

    def message_kb(self, name: str, chosen: Assignment) -> float:
        """What a source or an operator sends on."""
        return self.source[name].message_kb if name in self.source else self.variant(name, chosen).message_kb

    def entry_price(self, source: str, worker: str) -> float:
        """Price per GB from a source to a worker, scaled."""
        return self.scale * self.source[source].links.get(worker, 0.0)

    def accuracy(self, chosen: Assignment) -> float | None:
        """Percent, of the first row that an assignment agrees with; None where there is none."""
        rows = (row for row in self.accuracies if row.variants.items() <= chosen.items())
        return next((row.percent for row in rows), None)

    def assignments(self, accuracy: float) -> Iterator[dict[str, str]]:
        """Variants of all operators that reach an accuracy."""
        for names in product(*([variant.name for variant in self.operator[one].variants] for one in self.order)):
            chosen = dict(zip(self.order, names, strict=True))
            reached = self.accuracy(chosen)
            if reached is not None and reached >= accuracy:
                yield chosen

    def only(self, workers: set[str]) -> Workflow:
        """The same with some of the workers."""

        def kept(variant: Variant) -> Variant:
            places = {place: ms for place, ms in variant.latency_ms.items() if place in workers}
            return variant.model_copy(update={"latency_ms": places})

        operators = [one.model_copy(update={"variants": [*map(kept, one.variants)]}) for one in self.operators]
        return Workflow.model_construct(
            workers=[worker for worker in self.workers if worker.name in workers],
            sources=self.sources,
            operators=operators,
            links=[link for link in self.links if {*link[:2]} <= workers],
            accuracies=self.accuracies,
            scale=self.scale,
        )

    @staticmethod
    def _known(key: str, name: str, names: set[str]) -> None:
        if name not in names:
            raise ValueError(f"{key}: {shown(name)}; there is none of that name")


@dataclass(frozen=True)
class Plan:
    """Variants, the rate of each operator at its workers, and what that costs per hour."""

    variants: Assignment
    rates: Mapping[str, Mapping[str, float]]  # operator -> worker -> requests/s
    compute: float
    communication: float
    accuracy: float

    @property
    def total(self) -> float:
        """Per hour."""
        return self.compute + self.communication


def entry_cost(workflow: Workflow, chosen: Assignment, operator: str, worker: str) -> float:
    """Per hour and request/s: what sources send to a worker of an operator."""
    sources = (name for name in workflow.operator[operator].inputs if name in workflow.source)
    return PER_HOUR * sum(workflow.message_kb(name, chosen) * workflow.entry_price(name, worker) for name in sources)


def communication(workflow: Workflow, chosen: Assignment, rates: Mapping[str, Mapping[str, float]]) -> float:
    """Per hour, where each pair of workers of two operators exchanges in proportion to the rates of both."""
    total = 0.0
    for operator, places in rates.items():
        total += sum(entry_cost(workflow, chosen, operator, worker) * rate for worker, rate in places.items())
        for name in workflow.operator[operator].inputs:
            if name in workflow.source:
                continue
            whole = sum(rates[name].values())
            for (tail, sent), (head, taken) in product(rates[name].items(), places.items()):
                price = workflow.ways.get((tail, head), 0.0)
                total += PER_HOUR * price * workflow.message_kb(name, chosen) * sent * taken / whole
    return total
