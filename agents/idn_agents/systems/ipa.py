"""IPA: variant, batch and replicas of each stage of a pipeline, under an end-to-end SLA (arXiv 2308.12871)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

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
    System,
    Tag,
    by_policy,
)
from idn_agents.systems.running.traces import read_column
from idn_agents.systems.running.twins import requests
from idn_agents.systems.vqa import LATENCY_MS, OPERATOR_ACCURACY, WORKERS
from idn_gym.errors import IdnError
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_Window = Literal["bursty", "steady-low", "steady-high", "fluctuating-a", "fluctuating-b"]
_PIPELINE = ("ExtractImageFeature", "SpeechRecognition")  # of JellyBean's VQA, on the worker cpu-5
_BATCHES = (1, 2, 4, 8)
_SUSTAINED = 4.0  # requests/s that the base allocation carries
_SLACK = 5.0  # the SLA of a stage, in mean latencies at batch 1
_REPLICAS = 24  # of RIM-high

_Weight = Annotated[float, Field(ge=0.0, le=1e9)]
_Combine = Literal["sum", "mean", "product"]


class Variant(Section):
    """One variant of a stage; ``latency_ms`` is that of batches of 1, 2, 3, ... requests."""

    name: str
    accuracy: Annotated[float, Field(ge=-1e6, le=1e6)]
    base_cores: Annotated[float, Field(gt=0.0, le=1e6)]
    latency_ms: Annotated[list[Annotated[float, Field(gt=0.0, le=1e9)]], Field(min_length=1, max_length=64)]


class State(Section):
    """A rate of requests, the pipeline, and the weights of the objective."""

    rate: Annotated[float, Field(gt=0.0, le=1e9)]
    sla_ms: Annotated[float, Field(gt=0.0, le=1e9)]
    stages: Annotated[
        list[Annotated[list[Variant], Field(min_length=1, max_length=32)]], Field(min_length=1, max_length=6)
    ]
    alpha: _Weight
    beta: _Weight
    gamma: _Weight
    combine: _Combine = "sum"


class Settings(Section):
    """The paper's weights for video; the pipeline's batch profiles are this library's choice."""

    alpha: _Weight = 2.0  # per percentage point
    beta: _Weight = 1.0  # per core
    gamma: _Weight = 1e-6  # per request of a batch
    window: _Window = "bursty"
    scale: Annotated[float, Field(gt=0.0, le=1e3)] = 0.25  # of the stream
    interval_s: Annotated[int, Field(ge=1, le=86_400)] = 10
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0


@dataclass(frozen=True)
class Option:
    """One configuration of a stage."""

    variant: str
    batch: int
    replicas: int
    accuracy: float
    cores: float
    latency_ms: float  # with the wait for the batch to fill


@dataclass(frozen=True)
class Plan:
    """Options of the first stages together."""

    options: tuple[Option, ...]
    accuracy: float
    cores: float
    batches: int
    latency_ms: float


@dataclass(frozen=True)
class Problem:
    """Options of every stage: alpha Acc - beta cores - gamma batches, if the latencies are within the SLA together."""

    stages: tuple[tuple[Option, ...], ...]
    sla_ms: float
    alpha: float
    beta: float
    gamma: float
    combine: _Combine = "sum"
    most_cores: float = math.inf  # in all; the paper has no such limit

    def objective(self, plan: Plan) -> float:
        """Of all stages."""
        accuracy = plan.accuracy / len(self.stages) if self.combine == "mean" else plan.accuracy
        return self.alpha * accuracy - self.beta * plan.cores - self.gamma * plan.batches

    def best(self) -> Plan | None:
        """The optimum: of the first stages, what is worse in nothing than another is kept; None: the SLA is too short.

        Exact, since objective and constraint are monotone in accuracy, cores, batches and latency.
        """
        plans = [Plan((), 1.0 if self.combine == "product" else 0.0, 0.0, 0, 0.0)]
        shortest = [min((option.latency_ms for option in options), default=math.inf) for options in self.stages]
        fewest = [min((option.cores for option in options), default=math.inf) for options in self.stages]
        for s, options in enumerate(self.stages):
            ms, cores = (self.sla_ms - sum(shortest[s + 1 :])) * (1.0 + 1e-12), self.most_cores - sum(fewest[s + 1 :])
            longer = (self._with(plan, option) for plan in plans for option in options)
            plans = _undominated([plan for plan in longer if plan.latency_ms <= ms and plan.cores <= cores])
        return max(plans, key=self.objective, default=None)

    def binding(self) -> str:
        """Why there is no plan."""
        least = sum(min(option.latency_ms for option in options) for options in self.stages)
        return f"the SLA binds: the fastest variants take {least:.6g} ms together, of {self.sla_ms:g} ms"

    def _with(self, plan: Plan, option: Option) -> Plan:
        one, more = plan.accuracy, option.accuracy
        return Plan(
            (*plan.options, option),
            one * more if self.combine == "product" else one + more,
            plan.cores + option.cores,
            plan.batches + option.batch,
            plan.latency_ms + option.latency_ms,
        )


def _undominated(plans: list[Plan]) -> list[Plan]:
    """Those than which none is at least as good in accuracy, cores, batches and latency; of equals the first."""
    if not plans:
        return []
    costs = np.array([(-plan.accuracy, plan.cores, plan.batches, plan.latency_ms) for plan in plans])
    kept: list[int] = []
    for n in np.lexsort(costs.T[::-1]):  # whatever dominates another comes before it
        if not (costs[kept] <= costs[n]).all(axis=1).any():
            kept.append(int(n))
    return [plans[n] for n in kept]


def option(variant: Variant, batch: int, rate: float) -> Option:
    """A variant at a batch, with the fewest replicas that keep up with the rate."""
    time = variant.latency_ms[batch - 1]
    count = max(1, math.ceil(rate * time / (1000.0 * batch) - 1e-9))
    waiting = 1000.0 * (batch - 1) / rate
    return Option(variant.name, batch, count, variant.accuracy, count * variant.base_cores, time + waiting)


@cache
def pipeline() -> tuple[tuple[Variant, ...], ...]:
    """The stages that a run has, accuracies as fractions, the lightest variant first.

    l(b) = l(1) (0.55 + 0.42 b + 0.03 b^2) is this library's, as no profile is at hand; so is 100 + 10 x as the accuracy
    of speech in percent, of which the profile has a score below 0.
    """
    stages = []
    for operator in _PIPELINE:
        variants = []
        for name, times in LATENCY_MS[operator].items():
            time, score = times[WORKERS.index("cpu-5")], OPERATOR_ACCURACY[name]
            variants.append(
                Variant(
                    name=name,
                    accuracy=(score if score > 0.0 else 100.0 + 10.0 * score) / 100.0,
                    base_cores=max(1, math.ceil(_SUSTAINED * time / 1000.0)),
                    latency_ms=[time * (0.55 + 0.42 * b + 0.03 * b * b) for b in range(1, max(_BATCHES) + 1)],
                )
            )
        stages.append(tuple(variants))
    return tuple(stages)


class Ipa(System[Settings, State, FloatArray]):
    """Variants, batches and replicas every interval; the stream is the requests of each second."""

    name = "ipa"
    title = "variants, batches and replicas of a pipeline"
    paper = "IPA, arXiv 2308.12871"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("objective", "max alpha Acc - beta sum_s n_s base_s - gamma sum_s b_s", Tag.VERIFIED),
        Formula("latency", "sum_s l_s(b_s) + (b_s - 1) / rate <= SLA", Tag.VERIFIED),
        Formula("throughput", "n_s b_s / l_s(b_s) >= rate", Tag.VERIFIED),
        Formula("Acc", "sum, mean or product of the stages' accuracies", Tag.VERIFIED),
        Formula("base", "fewest cores that sustain 4 requests/s within 5 x mean latency at batch 1", Tag.VERIFIED),
        Formula("weights for video", "alpha 2, beta 1, gamma 1e-6, every 10 s, batches up to 8", Tag.VERIFIED),
        Formula("gain", "accuracy +35 % at a cost below +5 % (v1; later versions say 21 %)", Tag.STATED),
        Formula(
            "dominance", "objective >= that of FA2-low, FA2-high and RIM, whose feasible sets are subsets", Tag.DERIVED
        ),
        Formula("accuracies and ms at batch 1", "image and speech of JellyBean's VQA on cpu-5", Tag.VERIFIED),
        Formula("ms at batch b", "l(1) (0.55 + 0.42 b + 0.03 b^2)", Tag.OWN),
        Formula("RIM", f"{_REPLICAS} replicas of each stage", Tag.OWN),
        Formula("forecast", "the interval's own peak", Tag.OWN),
    )
    measures = (
        Measure("objective", "mean objective", ".2f"),
        Measure("accuracy", "accuracy %", ".2f"),
        Measure("cores", "mean cores", ".2f"),
        Measure("infeasible", "intervals without a plan", ".0f"),
    )
    trade_off = ("cores", "accuracy")
    over_time = ("objective", "objective")
    stream_format = (
        "requests of each second: a column requests or rps; without a file, synthetic twins of the windows of the "
        "Twitter trace (setting window)"
    )
    network = (
        "scenario pipeline-cores, agent ipa: a chain of stages, a placement per replica, a price per core, the SLA as "
        "report_deadline_ms; what does not fit is a product of accuracies and the wait for a batch"
    )

    def decide(self, state: State) -> Decision:
        """Variant, batch and replicas of each stage."""
        if state.combine == "product" and any(each.accuracy < 0.0 for stage in state.stages for each in stage):
            raise IdnError("combine: product; accuracies must be >= 0 then")
        stages = tuple(
            tuple(option(each, b, state.rate) for each in stage for b in range(1, len(each.latency_ms) + 1))
            for stage in state.stages
        )
        problem = Problem(stages, state.sla_ms, state.alpha, state.beta, state.gamma, state.combine)
        plan = problem.best()
        if plan is None:
            raise Infeasible(problem.binding())
        chosen = [{key: getattr(each, key) for key in ("variant", "batch", "replicas")} for each in plan.options]
        return Decision({"stages": chosen, "objective": problem.objective(plan), "latency_ms": plan.latency_ms})

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) highest requests/s of each interval, at least 1."""
        given = self.settings
        drawn = (
            requests(given.window, given.seed)
            if path is None
            else read_column(path, ("requests", "rps"), given.segment)
        )
        peaks = [drawn[at : at + given.interval_s].max() for at in range(0, len(drawn), given.interval_s)]
        return np.maximum(given.scale * np.array(peaks), 1.0)

    def policies(self) -> Sequence[str]:
        """IPA, the lightest and the heaviest variants alone, and a fixed number of replicas."""
        return ("ipa", "FA2-low", "FA2-high", "RIM-high")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """Means over the intervals that have a plan."""
        found = {rate: self._row(policy, rate) for rate in set(stream.tolist())}
        rows = np.array([found[rate] for rate in stream.tolist()])
        missing = int(np.isnan(rows[:, 0]).sum())
        means = [None] * 3 if missing == len(rows) else np.nanmean(rows, axis=0).tolist()
        values = {**dict(zip(("objective", "accuracy", "cores"), means, strict=True)), "infeasible": float(missing)}
        return Measures(policy, values, {"rate": stream, "objective": rows[:, 0], "cores": rows[:, 2]})

    def _row(self, policy: str, rate: float) -> tuple[float, float, float]:
        """Objective, accuracy in percent and cores of the best plan, nan where there is none."""
        problem = self.problem(policy, rate)
        plan = problem.best()
        if plan is None:
            return math.nan, math.nan, math.nan
        return problem.objective(plan), 100.0 * plan.accuracy, plan.cores

    def problem(self, policy: str, rate: float) -> Problem:
        """What a policy chooses from at a rate."""
        given = self.settings
        stages = []
        for stage in pipeline():
            ends = {"FA2-low": stage[:1], "FA2-high": stage[-1:]}
            options = [(each, option(each, b, rate)) for each in ends.get(policy, stage) for b in _BATCHES]
            if policy == "RIM-high":
                options = [
                    (each, replace(found, replicas=_REPLICAS, cores=_REPLICAS * each.base_cores))
                    for each, found in options
                    if found.replicas <= _REPLICAS
                ]
            stages.append(tuple(found for _, found in options))
        sla = _SLACK * sum(float(np.mean([each.latency_ms[0] for each in stage])) for stage in pipeline())
        return Problem(tuple(stages), sla, 100.0 * given.alpha, given.beta, given.gamma, "product")

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's gain, and dominance on every interval."""
        values = by_policy(results)
        ours, low = values["ipa"], values["FA2-low"]
        accuracy = float(ours["accuracy"] or 0.0) / float(low["accuracy"] or 1.0) - 1.0
        cost = float(ours["cores"] or 0.0) / float(low["cores"] or 1.0) - 1.0
        beaten, count = _dominated(results)
        return [
            Claim.decided(
                "accuracy up to 35 % higher at a cost less than 5 % higher",
                "abstract of arXiv 2308.12871, v1; later versions say 21 %",
                Tag.STATED,
                accuracy >= 0.35 and cost < 0.05,
                f"{accuracy:+.0%} accuracy at {cost:+.0%} cores against FA2-low, with other variants and profiles",
            ),
            Claim.decided(
                "at least the objective of each baseline on every interval",
                "this library, by construction",
                Tag.DERIVED,
                beaten == count,
                f"on {beaten} of {count} intervals",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Dominance on every interval, and what weights do to accuracy and cores."""
        yield from self._dominance("synthetic twins", [Ipa(Settings(window=name)) for name in get_args(_Window)], None)
        for key, golden in (
            ("alpha", [55.02, 72.49, 75.57, 76.13, 76.13, 76.54, 76.54]),
            ("beta", [11.0, 9.0, 9.0, 8.0, 6.0, 6.0]),
        ):
            weights = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)[: len(golden)]
            problems = [Ipa(Settings.model_validate({key: weight})).problem("ipa", 40.0) for weight in weights]
            plans = [plan for problem in problems if (plan := problem.best()) is not None]
            got = [round(100.0 * plan.accuracy, 2) if key == "alpha" else plan.cores for plan in plans]
            what = "accuracy % over alpha" if key == "alpha" else "cores over beta"
            yield Check.equal(f"{what} {weights[0]:g} to {weights[-1]:g} at 40 requests/s", golden, got, _GOLDEN)
        trace = data / "twitter_segments_per_second.json" if data is not None else None
        if trace is not None and trace.exists():
            made = [Ipa(Settings(segment=f"ipa_{name.replace('-', '_')}")) for name in get_args(_Window)]
            yield from self._dominance("Twitter segments", made, trace)

    def _dominance(self, where: str, made: Sequence[Ipa], trace: Path | None) -> Iterator[Check]:
        beaten = count = 0
        for each in made:
            stream = each.stream(trace)
            more = _dominated([each.evaluate(policy, stream) for policy in each.policies()])
            beaten, count = beaten + more[0], count + more[1]
        yield Check.equal(
            f"intervals of the {where} on which no baseline is better", [420, 420], [beaten, count], _GOLDEN
        )


def _dominated(results: Sequence[Measures]) -> tuple[int, int]:
    """Intervals on which the first policy is at least as good as each other that has a plan, and all intervals."""
    ours, *others = (result.steps["objective"] for result in results)
    beats = np.ones(len(ours), dtype=bool)
    for other in others:
        beats &= np.isnan(other) | (ours >= other - 1e-9)
    return int(beats.sum()), len(ours)
