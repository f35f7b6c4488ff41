"""PA-MDI: priorities of sources and partitions of a network over several workers (arXiv 2412.12371).

No code of it is public: queues, ways and the rule of offloading follow the paper's description, their details are this
library's. What is exact is the theory of one worker, against which the simulation is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from idn_agents.systems.frame import Check, Claim, Decision, Formula, Measure, Measures, System, Tag, by_policy
from idn_agents.systems.queues import Arrivals, Cluster, Played, Rule, fifo_wait, poisson, priority_waits, simulate
from idn_agents.systems.running.traces import read_column
from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.schema import AsTuple, Name, Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
_OWN = "this library"

_Positive = Annotated[float, Field(gt=0.0, le=1e9)]
_NonNegative = Annotated[float, Field(ge=0.0, le=1e9)]
_Gamma = Annotated[float, Field(ge=-1e9, le=1e9)]


class Class(Section):
    """A source at one worker: requests/s, and gamma, the higher the more important."""

    rate: _Positive
    priority: _Gamma


class State(Section):
    """Sources of one worker, which serves so many requests/s."""

    sources: list[Class] = Field(min_length=1, max_length=100)
    service_rate: _Positive


class Worker(Section):
    """A machine that runs partitions."""

    name: Name
    gflops: _Positive


class Partition(Section):
    """A part of the network, and what it takes in."""

    gflop: _Positive
    input_mb: _NonNegative


class Source(Section):
    """Where requests are from."""

    worker: Name
    rate: _Positive  # requests/s
    priority: _Gamma


class Settings(Section):
    """Workers, ways, partitions, sources and stream; all are this library's own choice."""

    workers: list[Worker] = Field(
        default=[Worker(name=name, gflops=20.0) for name in "abcd"], min_length=1, max_length=50
    )
    links: list[Annotated[tuple[Name, Name, _Positive], AsTuple]] = Field(  # MB/s, both ways
        default=[("a", "b", 25.0), ("b", "c", 25.0), ("c", "d", 25.0), ("d", "a", 25.0)], max_length=2000
    )
    partitions: list[Partition] = Field(
        default=[Partition(gflop=0.5, input_mb=size) for size in (0.6, 0.4, 0.2, 0.1)], min_length=1, max_length=50
    )
    sources: list[Source] = Field(
        default=[
            Source(worker="a", rate=8.5, priority=3.0),
            Source(worker="b", rate=9.0, priority=1.0),
            Source(worker="c", rate=8.5, priority=2.0),
        ],
        min_length=1,
        max_length=50,
    )
    seconds: Annotated[float, Field(gt=0.0, le=1e5)] = 200.0
    simulated: Annotated[int, Field(ge=100, le=2_000_000)] = 100_000  # requests that a decision simulates
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names = [worker.name for worker in self.workers]
        ends = [name for link in self.links for name in link[:2]]
        for key, used in (("links", ends), ("sources", [source.worker for source in self.sources])):
            if unknown := next((name for name in used if name not in names), None):
                raise ValueError(f"{key}: worker {shown(unknown)}; {allowed(unknown, names)}")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"workers: {shown(twice)} twice")
        return self


class Pamdi(System[Settings, State, Arrivals]):
    """Priorities at workers and offloading between them; the stream is requests of sources."""

    name = "pamdi"
    title = "priorities and partitions over workers"
    paper = "PA-MDI, arXiv 2412.12371"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("offloading", "to the neighbour of least queue_k f/F_k + o/B + f/F_k", Tag.OWN),
        Formula("admission", "the waiting request of highest gamma, then the oldest", Tag.OWN),
        Formula("wait, in order", "W = lambda E[S^2] / 2 / (1 - rho) (Pollaczek, Khinchine)", Tag.DERIVED),
        Formula("wait, by priority", "W_0 / ((1 - sigma_{p-1}) (1 - sigma_p)) (Cobham)", Tag.DERIVED),
        Formula("conservation", "sum_p rho_p W_p = rho W", Tag.DERIVED),
        Formula("AR-MDI, Local", "the same without priorities; each source at its own worker", Tag.OWN),
        Formula("cluster, partitions, rates", "this library's; ways carry requests side by side", Tag.OWN),
    )
    measures = (
        Measure("mean_ms", "mean ms", ".1f"),
        Measure("weighted_ms", "mean ms by gamma", ".1f"),
        Measure("highest_ms", "highest priority ms", ".1f"),
        Measure("lowest_ms", "lowest priority ms", ".1f"),
        Measure("moved", "partitions away from home %", ".1f"),
    )
    trade_off = ("lowest_ms", "highest_ms")
    stream_format = (
        "a request per row: columns time in s, ascending, and source, from 0 on; without a file, Poisson requests of "
        "each source"
    )
    network = (
        "weight and priority of services, partitions as stages of a chain with output_mb over links of a bandwidth; "
        "what does not fit is the queue within a slot"
    )

    def decide(self, state: State) -> Decision:
        """Mean waits at one worker: in the order of arrival, by priority, and by priority as simulated."""
        rates = np.array([source.rate for source in state.sources])
        priorities = [source.priority for source in state.sources]
        fifo = fifo_wait(rates, state.service_rate)
        waits = priority_waits(rates, np.array(priorities), state.service_rate)
        simulated = self._simulated(rates, priorities, state.service_rate, Rule.PRIORITY)
        values = {"fifo_ms": 1e3 * fifo, "waits_ms": (1e3 * waits).tolist()}
        return Decision({**values, "simulated_ms": simulated})

    def stream(self, path: Path | None = None) -> Arrivals:
        """Requests of the sources."""
        given = self.settings
        if path is None:
            found = poisson([source.rate for source in given.sources], given.seconds, np.random.default_rng(given.seed))
            if not found.times.size:
                raise IdnError(f"seconds: {given.seconds:g}; no request in them")
            return found
        times, sources = (read_column(path, (name,), given.segment) for name in ("time", "source"))
        if len(times) != len(sources):
            raise IdnError(f"{path}: {len(times)} times and {len(sources)} sources; must be as many")
        if (np.diff(times) < 0.0).any():
            raise IdnError(f"{path}: time of step {int(np.argmax(np.diff(times) < 0.0)) + 1}: before the one above it")
        last = len(given.sources) - 1
        if (wrong := np.flatnonzero((sources > last) | (sources % 1.0 != 0.0))).size:
            what = f"source of step {wrong[0]}: {sources[wrong[0]]:g}"
            raise IdnError(f"{path}: {what}; must be a whole number up to {last}")
        return Arrivals(times, sources.astype(np.int64))

    def policies(self) -> Sequence[str]:
        """PA-MDI, and what it is compared with."""
        return tuple(rule.value for rule in Rule)

    def evaluate(self, policy: str, stream: Arrivals) -> Measures:
        """Mean times from arrival to the last partition's end."""
        played = self._played(Rule(policy), stream)
        milliseconds = 1e3 * played.seconds
        gammas = np.array([source.priority for source in self.settings.sources])[stream.sources]
        weights = gammas - gammas.min() + 1.0 if gammas.min() <= 0.0 else gammas
        homes = np.array(self._homes)[stream.sources]
        away = [worker != homes[request] for _, worker, request, _ in played.starts]
        values = {
            "mean_ms": float(milliseconds.mean()),
            "weighted_ms": float(np.average(milliseconds, weights=weights)),
            "highest_ms": float(milliseconds[gammas == gammas.max()].mean()),
            "lowest_ms": float(milliseconds[gammas == gammas.min()].mean()),
            "moved": 100.0 * float(np.mean(away)),
        }
        steps = {"time_s": stream.times, "source": stream.sources.astype(np.float64), "latency_ms": milliseconds}
        return Measures(policy, values, steps)

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """What priorities do for the highest and the lowest, and what offloading does."""
        values = {
            policy: {key: float(value or 0.0) for key, value in found.items()}
            for policy, found in by_policy(results).items()
        }
        ours, plain, local = values["pamdi"], values["AR-MDI"], values["Local"]
        steps = results[0].steps
        same = self._equal_priorities(Arrivals(steps["time_s"], steps["source"].astype(np.int64)))
        return [
            Claim.decided(
                "the highest priority is served sooner than without priorities",
                _OWN,
                Tag.OWN,
                ours["highest_ms"] < plain["highest_ms"],
                f"{ours['highest_ms']:.1f} ms, AR-MDI {plain['highest_ms']:.1f} ms",
            ),
            Claim.decided(
                "the lowest priority pays for it",
                _OWN,
                Tag.OWN,
                ours["lowest_ms"] > plain["lowest_ms"],
                f"{ours['lowest_ms']:.1f} ms, AR-MDI {plain['lowest_ms']:.1f} ms",
            ),
            Claim.decided(
                "offloading serves all of them sooner than Local",
                _OWN,
                Tag.OWN,
                ours["mean_ms"] < local["mean_ms"],
                f"{ours['mean_ms']:.1f} ms, Local {local['mean_ms']:.1f} ms",
            ),
            Claim.decided(
                "with equal priorities PA-MDI is AR-MDI, step for step",
                _OWN,
                Tag.DERIVED,
                same,
                "every start of service at the same time, worker, request and partition" if same else "starts differ",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """The formulas at rates 30 and 50 of 100/s, the simulation beside them, and equal priorities."""
        rates, priorities = np.array([30.0, 50.0]), np.array([2.0, 1.0])
        where = "rates 30 and 50 of 100/s"
        fifo, waits = fifo_wait(rates, 100.0), priority_waits(rates, priorities, 100.0)
        yield Check.near(f"wait in order, ms, {where}", 20.0, 1e3 * fifo, 0.0005, _GOLDEN)
        for level, golden, wait in zip(("high", "low"), (5.714, 28.571), waits, strict=True):
            yield Check.near(f"wait of {level} priority, ms, {where}", golden, 1e3 * float(wait), 0.0005, _GOLDEN)
        conserved = float(rates @ waits) / 100.0
        yield Check.near(f"waits weighted by load, s, {where}", 0.016, conserved, 0.0000005, _GOLDEN)
        yield Check.near(f"the same in order, s, {where}", 0.016, 0.8 * fifo, 0.0000005, _GOLDEN)
        made = Pamdi()
        for rule, expected in ((Rule.OLDEST, (20.2, 20.2)), (Rule.PRIORITY, (5.74, 28.9))):
            got = made._simulated(rates, priorities.tolist(), 100.0, rule)
            for level, wait, found in zip(("high", "low"), expected, got, strict=True):
                name = f"simulated wait of {level} priority under {rule}, ms, near {wait:g}"
                yield Check.within(name, 0.93 * wait, 1.07 * wait, float(found or 0.0), _GOLDEN)
        same = made._equal_priorities(made.stream())
        yield Check.equal("equal priorities: AR-MDI step for step", True, same, "[D] the rule of admission")

    @property
    def _homes(self) -> list[int]:
        names = [worker.name for worker in self.settings.workers]
        return [names.index(source.worker) for source in self.settings.sources]

    def _played(self, rule: Rule, stream: Arrivals, priorities: Sequence[float] | None = None) -> Played:
        given = self.settings
        at = {worker.name: n for n, worker in enumerate(given.workers)}
        bandwidths = np.zeros((len(at), len(at)))
        for one, other, bandwidth in given.links:
            bandwidths[at[one], at[other]] = bandwidths[at[other], at[one]] = bandwidth
        cluster = Cluster(
            np.array([worker.gflops for worker in given.workers]),
            bandwidths,
            np.array([part.gflop for part in given.partitions]),
            np.array([part.input_mb for part in given.partitions]),
        )
        return simulate(cluster, stream, self._homes, priorities or [one.priority for one in given.sources], rule)

    def _equal_priorities(self, stream: Arrivals) -> bool:
        """Whether PA-MDI with one priority for all starts what AR-MDI starts, when and where."""
        equal = [1.0] * len(self.settings.sources)
        return self._played(Rule.PRIORITY, stream, equal).starts == self._played(Rule.OLDEST, stream).starts

    def _simulated(
        self, rates: FloatArray, priorities: Sequence[float], service_rate: float, rule: Rule
    ) -> list[float | None]:
        """Mean waits in ms per source at one worker; None of a source without a request."""
        seconds = self.settings.simulated / rates.sum()
        arrivals = poisson(rates.tolist(), seconds, np.random.default_rng(self.settings.seed))
        cluster = Cluster(np.array([service_rate]), np.zeros((1, 1)), np.ones(1), np.zeros(1))
        waits = simulate(cluster, arrivals, [0] * len(rates), priorities, rule).waits
        each = [waits[arrivals.sources == source] for source in range(len(rates))]
        return [1e3 * float(found.mean()) if found.size else None for found in each]
