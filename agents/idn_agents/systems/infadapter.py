"""InfAdapter: which variants of a model get how many cores, under a latency SLO (arXiv 2304.10892)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

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
from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError
from idn_gym.library.profiles import (
    CAPACITY_SHARE,
    RESNET_ACCURACY,
    RESNET_CAPACITY,
    RESNET_LOADING_S,
    RESNET_SLO_MS,
    RESNETS,
    capacity_fits,
)
from idn_gym.scenario.section import Section
from idn_gym.typing import BoolArray, FloatArray, IntArray

_GOLDEN = "[C] computed independently"
_FEWEST = 2  # cores of a variant that has any

_Cores = Annotated[int, Field(ge=_FEWEST, le=32)]
_Weight = Annotated[float, Field(ge=0.0, le=1e6)]


class State(Section):
    """The peak to serve, with its margin, the cores there are, and what runs now."""

    rate: Annotated[float, Field(gt=0.0, le=1e9)]
    cores: _Cores = 20
    before: dict[str, Annotated[int, Field(ge=0, le=1000)]] = Field(default={})


class Settings(Section):
    """The paper's parameters, and the forecast, which is this library's stand-in for the paper's LSTM."""

    cores: Annotated[int, Field(ge=_FEWEST, le=RESNET_CAPACITY.shape[1])] = 20
    alpha: _Weight = 0.05
    beta: _Weight = 0.001
    interval_s: Annotated[int, Field(ge=1, le=86_400)] = 30
    margin: Annotated[float, Field(ge=1.0, le=10.0)] = 1.1
    predictor: Literal["peak", "ewm", "oracle"] = "peak"
    window_s: Annotated[int, Field(ge=1, le=86_400)] = 120  # of the peak
    smoothing: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005  # weight of the last second in ewm
    patience: Annotated[int, Field(ge=0, le=1000)] = 0  # decisions for fewer cores before there are fewer
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0


@cache
def configurations(cores: int, choices: tuple[tuple[int, ...], ...] | None = None) -> IntArray:
    """(N, M) cores of each variant, so many in total at most; in lexicographic order.

    Parameters
    ----------
    choices : of each variant, ascending, 0 among them; by default of `RESNETS` 0 or at least 2.
    """
    found = np.zeros((1, 0), dtype=np.int64)
    for own in choices or ((0, *range(_FEWEST, cores + 1)),) * len(RESNETS):
        longer = np.concatenate([np.repeat(found, len(own), axis=0), np.tile(own, len(found))[:, None]], axis=1)
        found = longer[longer.sum(axis=1) <= cores]
    return found


@dataclass(frozen=True)
class Profile:
    """Variants by accuracy, of which the most accurate is filled first."""

    accuracy: FloatArray  # (M,) ascending
    loading_s: FloatArray  # (M,) of a change of cores
    capacity: FloatArray  # (M, B + 1) requests/s that each is counted on for, with 0 to B cores
    choices: tuple[tuple[int, ...], ...] | None = None  # cores that each may have; see `configurations`


@cache
def resnets(cores: int) -> Profile:
    """The paper's variants with up to so many cores: 0.8 of the fitted capacity, never below 0."""
    fitted = [[CAPACITY_SHARE * (slope * n + at) for n in range(1, cores + 1)] for slope, at in capacity_fits()]
    capacity = np.concatenate([np.zeros((len(RESNETS), 1)), np.maximum(fitted, 0.0)], axis=1)
    return Profile(RESNET_ACCURACY, RESNET_LOADING_S, capacity)


@dataclass(frozen=True)
class Problem:
    """Cores per variant: accuracy less weighted cores and loading, if the capacity covers the rate."""

    cores: int = 20
    alpha: float = 0.05
    beta: float = 0.001
    own: Profile | None = None  # by default the paper's variants

    @property
    def profile(self) -> Profile:
        """What the variants do."""
        return self.own or resnets(self.cores)

    @property
    def configurations(self) -> IntArray:
        """(N, M) cores of each variant."""
        return configurations(self.cores, self.profile.choices)

    @property
    def capacity(self) -> FloatArray:
        """(M, cores + 1) requests/s that each variant is counted on for."""
        return self.profile.capacity

    def covered(self, chosen: IntArray) -> FloatArray:
        """(N, M) requests/s of each configuration's variants."""
        return self.capacity[np.arange(chosen.shape[1]), chosen]

    def accuracy(self, chosen: IntArray, rate: float) -> FloatArray:
        """(N,) mean accuracy, the most accurate variants filled first; 0 for what is not covered."""
        return filled(self.covered(chosen), np.full(len(chosen), rate)) @ self.profile.accuracy / rate

    def objective(self, chosen: IntArray, rate: float, before: IntArray) -> FloatArray:
        """(N,) AA - alpha RC / B - beta LC."""
        times = self.profile.loading_s
        loading = np.where((chosen != 0) & (chosen != before), times, 0.0).max(axis=1) / times.max()
        resources = chosen.sum(axis=1) / self.cores
        return self.accuracy(chosen, rate) - self.alpha * resources - self.beta * loading

    def best(self, rate: float, before: IntArray, among: BoolArray | None = None) -> IntArray | None:
        """(M,) the optimum by enumeration, of all configurations or of some (N,); None where none covers the rate."""
        chosen = self.configurations if among is None else self.configurations[among]
        chosen = chosen[self.covered(chosen).sum(axis=1) >= rate]
        return chosen[int(np.argmax(self.objective(chosen, rate, before)))] if len(chosen) else None

    def largest(self, among: BoolArray | None = None) -> IntArray:
        """(M,) the configuration of the highest capacity."""
        chosen = self.configurations if among is None else self.configurations[among]
        return chosen[int(np.argmax(self.covered(chosen).sum(axis=1)))]

    def vertical(self, variant: int, rate: float) -> IntArray:
        """(M,) one variant alone with the fewest cores that cover the rate, else all."""
        enough = np.flatnonzero(self.capacity[variant] >= rate)
        chosen = np.zeros(len(self.capacity), dtype=np.int64)
        chosen[variant] = enough[0] if len(enough) else self.cores
        return chosen


def filled(capacity: FloatArray, rate: FloatArray) -> FloatArray:
    """(N, M) requests that each variant serves of (N,) requests, the most accurate first."""
    better = np.cumsum(capacity[:, ::-1], axis=1)[:, ::-1] - capacity
    return np.minimum(capacity, np.maximum(rate[:, None] - better, 0.0))


class InfAdapter(System[Settings, State, FloatArray]):
    """Cores per variant every interval; the stream is the requests of each second."""

    name = "infadapter"
    title = "variants of a model and their cores"
    paper = "InfAdapter, arXiv 2304.10892"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("objective", "max AA - alpha RC/B - beta LC/max_m rt_m, alpha 0.05, beta 0.001", Tag.VERIFIED),
        Formula("constraints", "sum n_m <= B, sum th_m(n_m) >= rate, n_m 0 or at least 2", Tag.VERIFIED),
        Formula("accuracy", "AA = sum_m acc_m l_m / rate, filled from the most accurate variant down", Tag.VERIFIED),
        Formula("loading", "LC = max_m rt_m of variants whose cores change to other than 0", Tag.VERIFIED),
        Formula("capacity", "th_m(n) = 0.8 (a_m n + c_m), fitted at 1, 2, 4, 8, 16 cores for 750 ms", Tag.VERIFIED),
        Formula("rate", "predicted peak x 1.1, every 30 s", Tag.VERIFIED),
        Formula("scaling down", "after 4 decisions for fewer cores (setting patience, 0 here)", Tag.VERIFIED),
        Formula("fits (a, c)", "(24.45, -6.17) (13.04, -1.87) (10.32, -3.79) (5.09, 0.04) (3.81, -2.25)", Tag.COMPUTED),
        Formula("violations and cost", "-65 % and -33 %, at most, against a vertical autoscaler", Tag.STATED),
        Formula("forecast", "the peak of the last 120 s; the paper has an LSTM", Tag.OWN),
        Formula("queue", "holds 0.75 s of work; a second that would overflow it is late as a whole", Tag.OWN),
    )
    measures = (
        Measure("violations", "SLO violations %", ".2f"),
        Measure("cores", "mean cores", ".2f"),
        Measure("accuracy", "mean accuracy", ".4f"),
    )
    trade_off = ("cores", "violations")
    over_time = ("cores", "cores")
    stream_format = (
        "requests of each second: a column requests or rps; without a file, a synthetic twin of the 21 minutes of the "
        "Twitter trace that the paper is evaluated on"
    )
    network = (
        "scenario variants-cores, agent infadapter: one node whose budget is cores, models variant x cores with "
        "capacity th(n), a price of alpha/B per core: rank order is the fill, and where the rate is covered the net "
        "gain is the objective; what does not fit is the loading cost, a maximum, and the queue"
    )

    def decide(self, state: State) -> Decision:
        """Cores per variant, and what they come to."""
        problem = Problem(state.cores, self.settings.alpha, self.settings.beta)
        before = np.zeros(len(RESNETS), dtype=np.int64)
        for name, cores in state.before.items():
            if name not in RESNETS:
                raise IdnError(f"before: variant {shown(name)}; {allowed(name, RESNETS)}")
            before[RESNETS.index(name)] = cores
        best = problem.best(state.rate, before)
        if best is None:
            largest = problem.largest()
            raise Infeasible(
                f"rate {state.rate:g}: the capacity binds: {state.cores} cores carry at most "
                f"{problem.covered(largest[None]).sum():.6g} requests/s within {RESNET_SLO_MS:g} ms ({_named(largest)})"
            )
        chosen = best[None]
        return Decision(
            {
                "cores": _named(best),
                "objective": float(problem.objective(chosen, state.rate, before)[0]),
                "accuracy": float(problem.accuracy(chosen, state.rate)[0]),
                "capacity": float(problem.covered(chosen).sum()),
            }
        )

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) requests of each second."""
        if path is not None:
            return read_column(path, ("requests", "rps"), self.settings.segment)
        return requests("infadapter", self.settings.seed)

    def policies(self) -> Sequence[str]:
        """InfAdapter, exactly one variant, and each variant alone scaled vertically."""
        return ("infadapter", "MS+", *(f"VPA-{name.removeprefix('resnet')}" for name in RESNETS))

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """A queue of at most 0.75 s of work, a second at a time, served at the profiled capacity."""
        given, choose = self.settings, self._policy(policy)
        chosen, wanted = np.zeros(len(RESNETS), dtype=np.int64), list[int]()
        backlog = late = right = served = 0.0
        cores = np.zeros(len(stream))
        for second, count in enumerate(stream.tolist()):
            if second % given.interval_s == 0:
                asked = choose(max(self._forecast(stream, second), 1e-9), chosen)
                wanted.append(int(asked.sum()))
                fewer = wanted[-1] < chosen.sum()
                patient = len(wanted) >= given.patience and all(
                    each < chosen.sum() for each in wanted[-given.patience :]
                )
                chosen = chosen if fewer and given.patience and not patient else asked
            capacity = np.where(chosen > 0, RESNET_CAPACITY[np.arange(len(RESNETS)), chosen - 1], 0.0)
            total = float(capacity.sum())
            room = RESNET_SLO_MS / 1000.0 * total
            late += count if backlog + count - total > room else 0.0
            done = min(backlog + count, total)
            backlog = min(backlog + count - done, room)
            right += float(filled(capacity[None], np.array([done]))[0] @ RESNET_ACCURACY)
            served += done
            cores[second] = chosen.sum()
        values = {
            "violations": 100.0 * late / stream.sum() if stream.any() else 0.0,
            "cores": float(cores.mean()),
            "accuracy": right / served if served else None,
        }
        return Measures(policy, values, {"requests": stream, "cores": cores})

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """The abstract's two figures, against the vertical autoscaler that is worst in each."""
        values = by_policy(results)
        scaled = {policy: each for policy, each in values.items() if policy.startswith("VPA")}
        found = []
        for key, share, what in (("violations", 0.65, "SLO violations"), ("cores", 0.33, "cost")):
            ours = float(values["infadapter"][key] or 0.0)
            worst = max(scaled, key=lambda policy: float(scaled[policy][key] or 0.0))
            theirs = float(scaled[worst][key] or 0.0)
            saved = 1.0 - ours / theirs if theirs else 0.0
            text = f"{what} up to {share:.0%} lower than a vertical autoscaler's"
            reason = f"{saved:.0%} lower than {worst} ({ours:.3g} against {theirs:.3g})"
            found.append(Claim.decided(text, "abstract of arXiv 2304.10892", Tag.STATED, saved >= share, reason))
        return found

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Fits, the number of configurations, and levels on the synthetic and the real stream."""
        golden = ((24.45, -6.17), (13.04, -1.87), (10.32, -3.79), (5.09, 0.04), (3.81, -2.25))
        for name, expected, got in zip(RESNETS, golden, capacity_fits(), strict=True):
            yield Check.equal(f"fit of {name}", list(expected), [round(value, 2) for value in got], _GOLDEN)
        yield Check.equal("configurations of 20 cores", 20_529, len(configurations(20)), _GOLDEN)
        yield from self._levels("the synthetic stream", InfAdapter(), None)
        trace = data / "twitter_segments_per_second.json" if data is not None else None
        if trace is not None and trace.exists():
            segment = "infadapter_eval_day15_82_103min"
            yield from self._levels("the Twitter segment", InfAdapter(Settings(segment=segment)), trace)

    def _levels(self, where: str, made: InfAdapter, trace: Path | None) -> Iterator[Check]:
        """The levels of violations that do not hang on the queue's rule; on the real stream cores and accuracy, too."""
        stream = made.stream(trace)
        golden = {
            "infadapter": (None, 5.0, 14.0, 0.737),
            "MS+": (None, 5.0, 12.2, 0.719),
            "VPA-18": (None, 5.0, 8.5, 0.698),
            "VPA-50": (20.0, None, 14.0, 0.761),
            "VPA-152": (50.0, None, 19.9, 0.783),
        }
        for policy, (low, high, cores, accuracy) in golden.items():
            values = made.evaluate(policy, stream).values
            source = _GOLDEN if trace is not None else "[C] the level on the real stream"
            yield Check.within(f"violations % of {policy} on {where}", low, high, values["violations"] or 0.0, source)
            if trace is not None:
                yield Check.near(f"cores of {policy} on {where}", cores, values["cores"] or 0.0, 0.05, _GOLDEN)
                yield Check.near(f"accuracy of {policy} on {where}", accuracy, values["accuracy"] or 0.0, 5e-4, _GOLDEN)
        oracle = InfAdapter(made.settings.model_copy(update={"predictor": "oracle"}))
        bad = oracle.evaluate("infadapter", stream).values["violations"]
        yield Check.within(f"violations % of infadapter with an oracle on {where}", None, 0.005, bad or 0.0, source)

    def _policy(self, policy: str) -> Callable[[float, IntArray], IntArray]:
        given = self.settings
        problem = Problem(given.cores, given.alpha, given.beta)
        if policy.startswith("VPA"):
            variant = RESNETS.index(f"resnet{policy.removeprefix('VPA-')}")
            return lambda rate, before: problem.vertical(variant, rate)
        among = (configurations(given.cores) > 0).sum(axis=1) == 1 if policy == "MS+" else None

        def chosen(rate: float, before: IntArray) -> IntArray:
            best = problem.best(rate, before, among)
            return problem.largest(among) if best is None else best

        return chosen

    def _forecast(self, stream: FloatArray, second: int) -> float:
        """The peak to expect from a second on, with the margin."""
        given = self.settings
        past = stream[:second] if second else stream[:1]
        match given.predictor:
            case "peak":
                peak = past[-given.window_s :].max()
            case "ewm":
                weights = (1.0 - given.smoothing) ** np.arange(len(past) - 1, -1, -1)
                peak = weights @ past / weights.sum()
            case "oracle":
                peak = stream[second : second + given.interval_s].max()
        return given.margin * float(peak)


def _named(chosen: IntArray) -> dict[str, int]:
    return {name: int(cores) for name, cores in zip(RESNETS, chosen, strict=True) if cores}
