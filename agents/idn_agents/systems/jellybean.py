"""JellyBean: variants and workers of a workflow at a rate and a floor of accuracy (arXiv 2205.04713)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from idn_agents.systems.frame import (
    Check,
    Claim,
    Decision,
    Formula,
    Infeasible,
    Measure,
    Measures,
    Outcome,
    System,
    Tag,
    by_policy,
)
from idn_agents.systems.running.traces import read_column
from idn_agents.systems.workflow import (
    ENOUGH,
    Operator,
    Plan,
    Problem,
    Workflow,
    refuse_inconsistent,
    vqa_workflow,
)
from idn_gym.errors import IdnError
from idn_gym.scenario.schema import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_README = "[V] printed in the authors' README"
_KEPT = 10  # variants' assignments, and orders of operators, that the heuristic looks at; the authors' settings

_Rate = Annotated[float, Field(gt=0.0, le=1e9)]
_Accuracy = Annotated[float, Field(ge=-1e9, le=1e9)]


class State(Section):
    """Requests/s, the least accuracy, and the problem, which is VQA where there is none of one's own."""

    rate: _Rate
    accuracy: _Accuracy
    problem: Workflow | None = None


class Settings(Section):
    """The floor of accuracy and the rates of the synthetic stream."""

    accuracy: _Accuracy = 56.0
    highest: _Rate = 40.0  # requests/s
    steps: Annotated[int, Field(ge=1, le=100)] = 4
    segment: str | None = None


def beam(problem: Problem) -> Plan:
    """The authors' heuristic: the cheapest variants first, then workers per operator, the cheapest tier first.

    Variants are searched by their relative cost, operators in reverse order, the best 10 kept. For each of them and for
    each order of the operators, an operator takes workers of the lowest tiers that are enough: one that carries all
    that is left if there is one, the cheapest of them, else the one of the least price per request. Which worker is
    taken next is this library's reading; it gives the plan in the authors' README, worker by worker.

    Raises
    ------
    Infeasible
        As `Problem.optimum`; of the capacity also where the heuristic alone fails.
    """
    operators = problem.workflow.operators
    feasible = problem.assignments()
    cost = {(each.name, v.name): v.relative_cost for each in operators for v in each.variants}
    kept: list[dict[str, str]] = [{}]
    for operator in reversed(operators):
        longer = [{**chosen, operator.name: variant.name} for chosen in kept for variant in operator.variants]
        open_ = [chosen for chosen in longer if any(chosen.items() <= full.items() for full, _ in feasible)]
        kept = sorted(open_, key=lambda chosen: sum(cost[each] for each in chosen.items()))[:_KEPT]
    accuracies = {tuple(sorted(full.items())): value for full, value in feasible}
    plans = []
    for variants, order in itertools.product(kept, _orders(operators)):
        rates = _workers(problem, variants, order)
        if rates is not None:
            accuracy = accuracies[tuple(sorted(variants.items()))]
            plans.append(
                Plan(variants, rates, problem.compute(rates), problem.communication(variants, rates), accuracy)
            )
    if not plans:
        raise Infeasible(
            f"rate {problem.rate:g}: the capacity binds: no workers carry it with accuracy {problem.floor:g}"
        )
    return min(plans, key=lambda plan: plan.total)


def _orders(operators: Sequence[Operator]) -> list[tuple[Operator, ...]]:
    """The first orders in which every operator comes after its inputs."""
    names = {operator.name for operator in operators}

    def sorted_(order: Sequence[Operator]) -> bool:
        place = {operator.name: n for n, operator in enumerate(order)}
        return all(place[a] < place[b.name] for b in order for a in b.inputs if a in names)

    return list(itertools.islice(filter(sorted_, itertools.permutations(operators)), _KEPT))


def _workers(
    problem: Problem, variants: Mapping[str, str], order: Sequence[Operator]
) -> dict[str, dict[str, float]] | None:
    """Rates of each operator's workers, filled in the order in which they are added; None where they do not suffice."""
    workers = {worker.name: worker for worker in problem.workflow.workers}
    free, rates = dict(workers), dict[str, dict[str, float]]()
    for operator in order:
        senders = [worker for name in operator.inputs for worker in rates.get(name, ())]
        lowest = max((workers[worker].tier for worker in senders), default=0)
        capacity = {w: most for w, most in problem.capacity(operator, variants[operator.name]).items() if w in free}
        able = {w: most for w, most in capacity.items() if workers[w].tier >= lowest}
        for tier in sorted({workers[w].tier for w in able}):
            some = {w: most for w, most in able.items() if workers[w].tier <= tier}
            if sum(some.values()) >= problem.rate * ENOUGH:
                break
        else:
            return None
        rest, taken = problem.rate, dict[str, float]()
        while rest > problem.rate * (1.0 - ENOUGH):
            alone = [w for w, most in some.items() if most >= rest * ENOUGH]
            ratio = {w: workers[w].price / most for w, most in some.items()}
            next_ = min(alone, key=lambda w: workers[w].price) if alone else min(some, key=lambda w: ratio[w])
            taken[next_] = min(some.pop(next_), rest)
            rest -= taken[next_]
            del free[next_]
        rates[operator.name] = taken
    return rates


class JellyBean(System[Settings, State, FloatArray]):
    """Plans per step; the stream is rates of requests."""

    name = "jellybean"
    title = "variants and workers of a workflow over tiers"
    paper = "JellyBean, arXiv 2205.04713"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("objective", "min sum_{w used} price_w + sum_{(u,v)} sum_{w,w'} kappa_{w,w'} traffic", Tag.VERIFIED),
        Formula("traffic", "cost/h = 0.1 link price x KB/s x 3600 / 1024^2", Tag.VERIFIED),
        Formula("rate", "sum_w f_{v,w} >= rate, f_{v,w} <= 1000 / latency_ms", Tag.VERIFIED),
        Formula("workers", "one operator each; tier(v) >= tiers of its inputs", Tag.VERIFIED),
        Formula("accuracy", "of the answers, by the table of variants, at least the floor", Tag.VERIFIED),
        Formula(
            "heuristic", "beam search over variants by relative cost, then workers, cheapest tier first", Tag.VERIFIED
        ),
        Formula("which worker next", "the cheapest that carries the rest, else the least price per request", Tag.OWN),
        Formula("at 40/s and accuracy 56", "6.242 compute + 1.2667783 communication, accuracy 56.59", Tag.VERIFIED),
        Formula("exact optimum there", "7.48502, the authors' plan 7.50878: +0.32 %", Tag.COMPUTED),
        Formula("gains", "-58 % VQA, -36 % vehicle tracking, up to 5x", Tag.STATED),
        Formula("upper tier alone", "the baseline: the exact optimum without the workers of the lowest tier", Tag.OWN),
    )
    measures = (
        Measure("total", "cost/h", ".5f"),
        Measure("compute", "compute/h", ".4f"),
        Measure("communication", "communication/h", ".5f"),
        Measure("accuracy", "accuracy %", ".2f"),
        Measure("gap", "largest gap to exact %", ".2f"),
        Measure("infeasible", "steps without a plan", ".0f"),
    )
    trade_off = ("compute", "communication")
    over_time = ("total", "cost/h")
    stream_format = "requests/s of each step: a column rate or requests; without a file, even steps up to the highest"
    network = (
        "an in-tree of operators, a set of workers each and a hard floor do not fit the network; it is a module of its "
        "own, the exact optimum beside the beam search"
    )

    def decide(self, state: State) -> Decision:
        """The exact optimum and the heuristic's plan."""
        if state.problem is not None:
            refuse_inconsistent(state.problem)
        problem = Problem(state.problem or vqa_workflow(), state.rate, state.accuracy)
        exact = problem.optimum()
        try:
            found = _document(beam(problem))
        except Infeasible:  # of the heuristic alone
            found = None
        return Decision({**_document(exact), "beam": found})

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) requests/s."""
        given = self.settings
        if path is None:
            return given.highest * np.arange(1, given.steps + 1) / given.steps
        rates = read_column(path, ("rate", "requests"), given.segment)
        if (rates == 0.0).any():
            raise IdnError(f"{path}: rate of step {int(np.argmin(rates))}: 0; must be above 0")
        return rates

    def policies(self) -> Sequence[str]:
        """The heuristic, the exact optimum, and the upper tiers alone."""
        return ("jellybean", "exact", "upper tier alone")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """Means over the steps that have a plan."""
        plans = {rate: (self._plan(policy, rate), self._plan("exact", rate)) for rate in set(stream.tolist())}
        keys = ("total", "compute", "communication", "accuracy")
        found = [plan for rate in stream.tolist() if (plan := plans[rate][0]) is not None]
        values: dict[str, float | None] = {
            key: float(np.mean([getattr(plan, key) for plan in found])) if found else None for key in keys
        }
        gaps = [plan.total / best.total - 1.0 for plan, best in plans.values() if plan is not None and best is not None]
        values |= {"gap": 100.0 * max(gaps) if gaps else None, "infeasible": float(len(stream) - len(found))}
        totals = [np.nan if (plan := plans[rate][0]) is None else plan.total for rate in stream.tolist()]
        return Measures(policy, values, {"rate": stream, "total": np.array(totals)})

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's gains; of vehicle tracking there is no profile."""
        series = {result.policy: result.steps["total"] for result in results}
        both = series["jellybean"] / series["upper tier alone"]
        saved = 1.0 - float(np.nanmin(both)) if not np.isnan(both).all() else 0.0
        source = "abstract of arXiv 2205.04713"
        gap = by_policy(results)["jellybean"]["gap"]
        return [
            Claim.decided(
                "VQA up to 58 % cheaper",
                source,
                Tag.STATED,
                saved >= 0.58,
                f"{saved:.0%} cheaper at most than the upper tier alone, which is this library's baseline",
            ),
            Claim(
                "vehicle tracking up to 36 % cheaper", source, Tag.STATED, Outcome.OPEN, "its profile is not at hand"
            ),
            Claim.decided(
                "the heuristic, as this library reads it, is optimal",
                "this library's comparison",
                Tag.COMPUTED,
                gap is not None and gap < 1e-6,
                "no plan to compare" if gap is None else f"up to {gap:.2f} % above the exact optimum",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """The authors' printed plan, and the optimum."""
        problem = Problem(vqa_workflow(), 40.0, 56.0)
        plan, exact = beam(problem), problem.optimum()
        yield Check.near("compute of the beam search, 40/s, accuracy 56", 6.242, plan.compute, 5e-7, _README)
        yield Check.near("communication of it", 1.2667783071, plan.communication, 5e-8, _README)
        yield Check.near("accuracy of it", 56.59, plan.accuracy, 1e-9, _README)
        golden = {
            "ExtractImageFeature": ["cpu-1", "cpu-2", "cpu-5"],
            "SpeechRecognition": ["cpu-3", "gpu-1"],
            "VQA": ["cpu-6"],
        }
        yield Check.equal("workers of it", golden, {name: sorted(each) for name, each in plan.rates.items()}, _README)
        yield Check.near("total of it", 7.50878, plan.total, 5e-6, _GOLDEN)
        yield Check.near("exact optimum", 7.48502, exact.total, 5e-6, _GOLDEN)
        yield Check.near("gap %", 0.32, 100.0 * (plan.total / exact.total - 1.0), 0.005, _GOLDEN)

    def _plan(self, policy: str, rate: float) -> Plan | None:
        return _planned(policy, rate, self.settings.accuracy)


@cache
def _planned(policy: str, rate: float, accuracy: float) -> Plan | None:
    """A policy's plan for VQA; None where it has none."""
    workflow = vqa_workflow()
    if policy == "upper tier alone":
        lowest = min(worker.tier for worker in workflow.workers)
        upper = {worker.name for worker in workflow.workers if worker.tier > lowest}
        values = workflow.model_dump()
        for operator in values["operators"]:
            for variant in operator["variants"]:
                variant["latency_ms"] = {w: ms for w, ms in variant["latency_ms"].items() if w in upper}
        workflow = Workflow.model_validate(values)
    try:
        problem = Problem(workflow, rate, accuracy)
        return beam(problem) if policy == "jellybean" else problem.optimum()
    except Infeasible:
        return None


def _document(plan: Plan) -> dict[str, Any]:
    keys = ("total", "compute", "communication", "accuracy")
    workers = {name: dict(each) for name, each in plan.rates.items()}
    return {**{key: getattr(plan, key) for key in keys}, "variants": dict(plan.variants), "workers": workers}
