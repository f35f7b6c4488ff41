"""JellyBean: variants and workers of a workflow, at the least cost for a rate and an accuracy (arXiv 2205.04713)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
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
from idn_agents.systems.jellybean.beam import beam_search
from idn_agents.systems.jellybean.example import ACCURACY, RATE, question_answering
from idn_agents.systems.jellybean.inputs import read_inputs
from idn_agents.systems.jellybean.optimum import optimum
from idn_agents.systems.jellybean.workflow import Plan, Workflow
from idn_agents.systems.running.traces import read_column
from idn_gym.errors import IdnError
from idn_gym.scenario.section import Location, Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_AUTHORS = "[V] the authors' README"
_MOST_PROGRAMS = 500

_Rate = Annotated[float, Field(gt=0.0, le=1e9)]
_Percent = Annotated[float, Field(ge=0.0, le=1e9)]


class State(Section):
    """Requests/s, the accuracy that is wanted, and a workflow other than visual question answering."""

    rate: _Rate
    accuracy: _Percent
    problem: Workflow | None = None


class Settings(Section):
    """The workflow and the stream; the paper's example is the workflow, the stream is this library's."""

    accuracy: _Percent = ACCURACY
    rate: _Rate = RATE  # mean of the synthetic stream
    swing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.6  # of the mean
    steps: Annotated[int, Field(ge=1, le=1000)] = 12
    grain: _Rate = 5.0  # requests/s that rates are rounded up to
    inputs: Location | None = None  # folder of the authors' optimiser's files, instead of the example
    segment: str | None = None


class JellyBean(System[Settings, State, FloatArray]):
    """Plans per step; the stream is the rate of each step."""

    name = "jellybean"
    title = "variants and workers of a workflow over tiers"
    paper = "JellyBean, arXiv 2205.04713"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("objective", "sum of prices of used workers + sum kappa_ww' traffic", Tag.STATED),
        Formula("price of traffic", "0.1 x link price x KB/s x 3600 / 1024^2 per hour", Tag.VERIFIED),
        Formula("capacity", "f_vw <= 1000 / latency_ms(v, a_v, w), sum_w f_vw >= rate", Tag.VERIFIED),
        Formula("workers", "one operator each; tiers never fall along the workflow", Tag.VERIFIED),
        Formula("accuracy", "end to end, of the variants together, at least the one wanted", Tag.VERIFIED),
        Formula("beam search", "variants by relative cost, then workers, cheapest tier first", Tag.VERIFIED),
        Formula("profile of the example", "nine workers, eight variants, ten accuracies", Tag.VERIFIED),
        Formula("exact optimum", "branch and bound over variants and workers; rates split at least cost", Tag.DERIVED),
        Formula("gains", "-58 % on VQA, -36 % on vehicle tracking, up to 5x", Tag.STATED),
        Formula("baselines and stream", "upper tier only, most accurate variants; a day's swing", Tag.OWN),
    )
    measures = (
        Measure("total", "mean cost/h", ".4f"),
        Measure("compute", "compute/h", ".4f"),
        Measure("communication", "communication/h", ".4f"),
        Measure("accuracy", "mean accuracy %", ".2f"),
        Measure("served", "steps served %", ".1f"),
    )
    trade_off = ("total", "accuracy")
    over_time = ("total", "cost/h")
    stream_format = "requests/s of each step: a column rate; without a file, a sine around the mean rate"
    network = (
        "none: an operator is served by a set of workers at once, its accuracy is a hard floor of all variants "
        "together, and a join waits for all its inputs; costs are therefore compared here"
    )

    @cached_property
    def workflow(self) -> Workflow:
        """The example, or what the settings name."""
        return question_answering() if self.settings.inputs is None else read_inputs(Path(self.settings.inputs))

    def decide(self, state: State) -> Decision:
        """The exact optimum, and beside it the beam search's plan, or None where it finds none."""
        workflow = state.problem or self.workflow
        best = _exact(workflow, state.rate, state.accuracy)
        if best is None:
            raise Infeasible(_binding(workflow, state.rate, state.accuracy))
        beam = beam_search(workflow, state.rate, state.accuracy)
        return Decision({**_values(best), "beam": None if beam is None else _values(beam)})

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) requests/s."""
        given = self.settings
        if path is not None:
            return read_column(path, ("rate",), given.segment, least=1e-9)
        waves = given.rate * (1.0 + given.swing * np.sin(2.0 * np.pi * np.arange(given.steps) / 12.0))
        return given.grain * np.ceil(waves / given.grain - 1e-9)

    def policies(self) -> Sequence[str]:
        """The beam search, the optimum, the optimum of the most accurate variants, and of the highest tier alone."""
        return ("jellybean", "optimum", "most accurate", "upper tier")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """Means over the steps that a policy can serve; the optimum has to serve all of them."""
        plans = {rate: self._plan(policy, rate) for rate in np.unique(stream).tolist()}
        served = [plan for rate in stream.tolist() if (plan := plans[rate]) is not None]
        values: dict[str, float | None] = {
            key: float(np.mean([getattr(plan, key) for plan in served])) if served else None
            for key in ("total", "compute", "communication", "accuracy")
        }
        totals = [np.nan if (plan := plans[rate]) is None else plan.total for rate in stream.tolist()]
        return Measures(policy, {**values, "served": 100.0 * len(served) / stream.size}, {"total": np.array(totals)})

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's savings, and how far the beam search is from the optimum."""
        values = by_policy(results)
        totals = {result.policy: result.steps["total"] for result in results}
        both = np.isfinite(totals["upper tier"]) & np.isfinite(totals["jellybean"])
        savings = 1.0 - totals["jellybean"][both] / totals["upper tier"][both]
        text, source = "up to 58 % less cost on visual question answering", "abstract"
        if savings.size:
            reason = f"up to {100.0 * savings.max():.0f} % less than the upper tier alone, a baseline of this library's"
            first = Claim.decided(text, source, Tag.STATED, bool(savings.max() >= 0.58), reason)
        else:
            first = Claim(text, source, Tag.STATED, Outcome.OPEN, "the upper tier alone serves no step")
        other = "36 % less on vehicle tracking, up to 5x in all"
        gaps = totals["jellybean"] / totals["optimum"] - 1.0
        gaps = gaps[np.isfinite(gaps)]
        worst, mean = (100.0 * gaps.max(), 100.0 * gaps.mean()) if gaps.size else (np.nan, np.nan)
        misses = 100.0 - float(values["jellybean"]["served"] or 0.0)
        return [
            first,
            Claim(other, source, Tag.STATED, Outcome.OPEN, "the profile of vehicle tracking is not at hand"),
            Claim.decided(
                "the beam search is within 1 % of the optimum at every step",
                "this library",
                Tag.OWN,
                bool(worst <= 1.0 and misses == 0.0),
                f"{mean:.2f} % above it on average, {worst:.2f} % at worst; no plan in {misses:.0f} % of the steps",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """The authors' plan, found by the beam search, and the optimum below it."""
        state = State(rate=RATE, accuracy=ACCURACY)
        made = JellyBean()
        values = made.decide(state).values
        assert values is not None
        beam = values["beam"]
        where = "40/s at 56 %"
        yield Check.near(f"compute of the beam search's plan, {where}", 6.242, beam["compute"], 0.0005, _AUTHORS)
        got = beam["communication"]
        yield Check.near(f"communication of the beam search's plan, {where}", 1.2667783071, got, 5e-11, _AUTHORS)
        yield Check.near(f"accuracy of the beam search's plan, {where}", 56.59, beam["accuracy"], 0.005, _AUTHORS)
        yield Check.near(f"total of the beam search's plan, {where}", 7.50878, beam["total"], 5e-6, _AUTHORS)
        workers = {
            "ExtractImageFeature": ["cpu-1", "cpu-2", "cpu-5"],
            "SpeechRecognition": ["cpu-3", "gpu-1"],
            "VQA": ["cpu-6"],
        }
        chosen = {operator: sorted(places) for operator, places in beam["workers"].items()}
        yield Check.equal(f"workers of the beam search's plan, {where}", workers, chosen, _AUTHORS)
        yield Check.near(f"total of the optimum, {where}", 7.48502, values["total"], 5e-6, _GOLDEN)
        gap = 100.0 * (beam["total"] / values["total"] - 1.0)
        yield Check.near(f"beam search's plan above the optimum, %, {where}", 0.32, gap, 0.005, _GOLDEN)
        folder = data / "jellybean_vqa" if data is not None else None
        if folder is None or not folder.is_dir():
            return
        again = JellyBean(Settings(inputs=str(folder))).decide(state).values
        assert again is not None
        yield Check.near("total of the optimum, from the authors' files", 7.48502, again["total"], 5e-6, _GOLDEN)
        name = "communication of the beam search's plan, from the authors' files"
        yield Check.near(name, 1.2667783071, again["beam"]["communication"], 5e-11, _AUTHORS)

    def _plan(self, policy: str, rate: float) -> Plan | None:
        workflow, accuracy = self.workflow, self.settings.accuracy
        if policy == "jellybean":
            return beam_search(workflow, rate, accuracy)
        if policy == "most accurate":
            return _exact(workflow, rate, max(accuracy, _best_accuracy(workflow)))
        if policy == "upper tier":
            highest = max(worker.tier for worker in workflow.workers)
            return _exact(workflow.only({one.name for one in workflow.workers if one.tier == highest}), rate, accuracy)
        best = _exact(workflow, rate, accuracy)
        if best is None:
            raise Infeasible(_binding(workflow, rate, accuracy))
        return best


def _exact(workflow: Workflow, rate: float, accuracy: float) -> Plan | None:
    assignments = list(workflow.assignments(accuracy))
    if len(assignments) > _MOST_PROGRAMS:
        raise IdnError(
            f"problem: {len(assignments)} assignments of variants reach {accuracy:g} %; at most {_MOST_PROGRAMS}"
        )
    return optimum(workflow, rate, assignments)


def _best_accuracy(workflow: Workflow) -> float:
    return max((workflow.accuracy(chosen) or 0.0 for chosen in workflow.assignments(0.0)), default=0.0)


def _binding(workflow: Workflow, rate: float, accuracy: float) -> str:
    """Which constraint leaves no plan."""
    best = _best_accuracy(workflow)
    if best < accuracy:
        return f"the accuracy binds: {accuracy:g} % wanted, all variants at their best reach {best:g} %"
    return f"the rate binds: no plan of {len(workflow.workers)} workers carries {rate:g} requests/s at {accuracy:g} %"


def _values(plan: Plan) -> dict[str, Any]:
    workers = {operator: list(places) for operator, places in plan.rates.items()}
    return {
        "total": plan.total,
        "compute": plan.compute,
        "communication": plan.communication,
        "accuracy": plan.accuracy,
        "variants": dict(plan.variants),
        "workers": workers,
    }
