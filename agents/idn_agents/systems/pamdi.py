"""PA-MDI: partitions of a network on several workers, for sources of different priority (arXiv 2412.12371)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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
from idn_gym.errors import IdnError
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray, IntArray

_GOLDEN = "[C] computed independently"
_REQUESTS = 200_000  # of a simulated decision, over all sources

_Rate = Annotated[float, Field(gt=0.0, le=1e9)]
_Amount = Annotated[float, Field(ge=0.0, le=1e9)]


class Source(Section):
    """Requests/s that arrive at random, and their priority: the higher, the sooner."""

    rate: _Rate
    priority: _Amount


class State(Section):
    """Sources at one worker that serves so many requests/s, each in the same time."""

    sources: Annotated[list[Source], Field(min_length=1, max_length=100)]
    service_rate: _Rate


class Settings(Section):
    """Sources, each at a worker of its own, workers, and the partitions of the network: this library's choice."""

    sources: Annotated[list[Source], Field(min_length=1, max_length=100)] = Field(
        default=[Source(rate=30.0, priority=2.0), Source(rate=60.0, priority=1.0)]
    )
    gflops: Annotated[list[_Rate], Field(min_length=1, max_length=100)] = Field(default=[200.0, 200.0, 100.0])  # per s
    partition_gflop: Annotated[list[_Rate], Field(min_length=1, max_length=100)] = Field(default=[1.5, 1.5])
    partition_mb: Annotated[list[_Amount], Field(min_length=1, max_length=100)] = Field(default=[0.6, 0.1])  # of input
    bandwidth_mb: _Rate = 125.0  # per s, between any two workers
    seconds: _Rate = 200.0
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0


@dataclass(frozen=True)
class Arrivals:
    """Requests in the order of their arrival."""

    times: FloatArray  # (N,) s, not falling
    sources: IntArray  # (N,)


@dataclass(frozen=True)
class Problem:
    """Workers that serve one partition at a time, and links between them.

    A request's next partition goes to the worker k of the smallest queue_k f/F_k + o/B + f/F_k, o/B 0 where it already
    is; a worker admits the waiting partition of the highest priority, then the oldest request.
    """

    gflops: tuple[float, ...]  # per s, per worker
    partitions: tuple[tuple[float, float], ...]  # GFLOP, and MB of the input
    bandwidth: float  # MB/s

    def simulate(self, arrivals: Arrivals, priorities: Sequence[float], offload: bool) -> tuple[FloatArray, FloatArray]:
        """(N,) latencies and (N,) waits in queues, in s, without interruption of what is being served.

        Parameters
        ----------
        priorities : per source; source m is at worker m, modulo the workers.
        offload : else all partitions stay where their source is.
        """
        workers = range(len(self.gflops))
        queues: list[list[tuple[float, float, int, int]]] = [[] for _ in workers]  # (-priority, arrival, request, part)
        busy = [False for _ in workers]
        heading = [0 for _ in workers]  # partitions that wait, are served or are under way to a worker
        events: list[tuple[float, int, int, int, int]] = []  # (time, what, request, part, worker): 0 done, 1 here
        latency, wait, since = (np.zeros(len(arrivals.times)) for _ in range(3))
        times, sources = arrivals.times.tolist(), arrivals.sources.tolist()

        def send(now: float, request: int, part: int, at: int) -> None:
            work, size = self.partitions[part]

            def delay(worker: int) -> tuple[float, bool]:
                way = 0.0 if worker == at else size / self.bandwidth
                return (heading[worker] + 1) * work / self.gflops[worker] + way, worker != at

            to = min(workers, key=delay) if offload else at
            heading[to] += 1
            heapq.heappush(events, (now + (0.0 if to == at else size / self.bandwidth), 1, request, part, to))

        def start(now: float, worker: int) -> None:
            if busy[worker] or not queues[worker]:
                return
            _, _, request, part = heapq.heappop(queues[worker])
            busy[worker] = True
            wait[request] += now - since[request]
            heapq.heappush(events, (now + self.partitions[part][0] / self.gflops[worker], 0, request, part, worker))

        coming = 0
        while coming < len(times) or events:
            if coming < len(times) and (not events or times[coming] <= events[0][0]):
                send(times[coming], coming, 0, sources[coming] % len(self.gflops))
                coming += 1
                continue
            now, what, request, part, worker = heapq.heappop(events)
            if what:
                since[request] = now
                heapq.heappush(queues[worker], (-priorities[sources[request]], times[request], request, part))
            else:
                busy[worker] = False
                heading[worker] -= 1
                if part + 1 < len(self.partitions):
                    send(now, request, part + 1, worker)
                else:
                    latency[request] = now - times[request]
            start(now, worker)
        return latency, wait


def cobham(rates: FloatArray, priorities: FloatArray, service_rate: float) -> tuple[float, FloatArray]:
    """Mean waits in s of first-in-first-out, and (M,) of strict priorities; service takes the same time for all.

    Source: Cobham, Operations Research 2 (1954); Pollaczek-Khinchine for deterministic service. Sources of the same
    priority are one class.
    """
    residual = rates.sum() / service_rate**2 / 2.0
    load = rates / service_rate
    above = np.array([load[priorities > priority].sum() for priority in priorities])
    upto = np.array([load[priorities >= priority].sum() for priority in priorities])
    return float(residual / (1.0 - load.sum())), residual / ((1.0 - above) * (1.0 - upto))


def poisson(rates: Sequence[float], seconds: float, rng: np.random.Generator) -> Arrivals:
    """Poisson arrivals of each source over so many seconds."""
    drawn = [np.sort(rng.uniform(0.0, seconds, rng.poisson(rate * seconds))) for rate in rates]
    times = np.concatenate(drawn)
    sources = np.repeat(np.arange(len(rates)), [len(each) for each in drawn])
    order = np.argsort(times, kind="stable")
    return Arrivals(times[order], sources[order])


class PaMdi(System[Settings, State, Arrivals]):
    """Latencies per source; the stream is arrivals."""

    name = "pamdi"
    title = "partitions on workers for sources of different priority"
    paper = "PA-MDI, arXiv 2412.12371"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("offloading", "to the neighbour k of the smallest queue_k f/F_k + o/B + f/F_k", Tag.OWN),
        Formula("admission", "the waiting partition of highest priority, then the oldest request", Tag.OWN),
        Formula(
            "wait, first in first out", "W_0 / (1 - rho), W_0 = lambda / (2 mu^2), service of one length", Tag.DERIVED
        ),
        Formula(
            "wait, strict priorities",
            "W_0 / ((1 - sigma_{k-1})(1 - sigma_k)), sigma_k the load up to class k",
            Tag.DERIVED,
        ),
        Formula("conservation", "sum_k rho_k W_k is the same for every order of service", Tag.DERIVED),
        Formula("at 30 and 50/s, service 100/s", "20.0 ms; 5.714 and 28.571 ms", Tag.COMPUTED),
        Formula("AR-MDI", "the same without priorities; Local: nothing is offloaded", Tag.OWN),
    )
    measures = (
        Measure("mean", "mean latency ms", ".2f"),
        Measure("high", "ms of the highest priority", ".2f"),
        Measure("low", "ms of the lowest", ".2f"),
        Measure("weighted", "ms weighted by priority", ".2f"),
        Measure("wait", "mean wait ms", ".2f"),
    )
    trade_off = ("low", "high")
    stream_format = "a request per row: columns time (s) and source (0, 1, ...); without a file, Poisson arrivals"
    network = (
        "scenario partition-priority, agent pa-mdi: weight and priority of services, chains of partitions with "
        "output_mb and link bandwidth; what does not fit is the queue within a slot"
    )

    def decide(self, state: State) -> Decision:
        """Mean waits at one worker, by the formulas and by simulation."""
        rates = np.array([source.rate for source in state.sources])
        priorities = np.array([source.priority for source in state.sources])
        if rates.sum() >= state.service_rate:
            raise Infeasible(
                f"service_rate {state.service_rate:g}: the service binds: {rates.sum():g} requests/s arrive, and the "
                "queue grows for ever"
            )
        fifo, waits = cobham(rates, priorities, state.service_rate)
        _, waited, sources = self._simulated(state)
        of_each = [waited[sources == source] for source in range(len(rates))]
        means = [float(1e3 * waits_.mean()) if len(waits_) else None for waits_ in of_each]  # None: none came
        return Decision({"fifo_ms": 1e3 * fifo, "waits_ms": (1e3 * waits).tolist(), "simulated_ms": means})

    def stream(self, path: Path | None = None) -> Arrivals:
        """Arrivals."""
        given = self.settings
        if path is None:
            rates = [source.rate for source in given.sources]
            return poisson(rates, given.seconds, np.random.default_rng(given.seed))
        times, sources = (read_column(path, (name,)) for name in ("time", "source"))
        if (sources != np.rint(sources)).any() or sources.max() >= len(given.sources):
            raise IdnError(f"{path}: source: must be a whole number, 0 to {len(given.sources) - 1}")
        order = np.argsort(times, kind="stable")
        return Arrivals(times[order], sources[order].astype(np.int64))

    def policies(self) -> Sequence[str]:
        """PA-MDI, the same without priorities, and without offloading."""
        return ("pamdi", "AR-MDI", "Local")

    def evaluate(self, policy: str, stream: Arrivals) -> Measures:
        """Mean latencies."""
        given = self.settings
        priorities = np.array([source.priority for source in given.sources])
        latency, wait = self._problem().simulate(
            stream, priorities.tolist() if policy == "pamdi" else [0.0] * len(priorities), policy != "Local"
        )
        of_request = priorities[stream.sources]
        weight = of_request.sum()

        def mean_of(priority: float) -> float | None:
            chosen = latency[of_request == priority]
            return float(1e3 * chosen.mean()) if len(chosen) else None

        values = {
            "mean": float(1e3 * latency.mean()),
            "high": mean_of(float(priorities.max())),
            "low": mean_of(float(priorities.min())),
            "weighted": float(1e3 * of_request @ latency / weight) if weight else None,
            "wait": float(1e3 * wait.mean()),
        }
        return Measures(policy, values, {"latency_ms": 1e3 * latency, "wait_ms": 1e3 * wait})

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """What the comparison is about; the abstract's figures are not at hand."""
        values = by_policy(results)
        ours, without, local = (values[policy] for policy in ("pamdi", "AR-MDI", "Local"))

        def compared(text: str, key: str, other: str, theirs: float | None) -> Claim:
            mine = ours[key]
            holds = mine is not None and theirs is not None and mine <= theirs
            reason = "no such requests" if mine is None or theirs is None else f"{mine:.2f} ms, {other} {theirs:.2f} ms"
            return Claim.decided(text, "this library", Tag.OWN, holds, reason)

        return [
            compared("the highest priority waits less than without priorities", "high", "AR-MDI", without["high"]),
            compared("priorities cost the lowest priority nothing", "low", "AR-MDI", without["low"]),
            compared("offloading lowers the mean latency", "mean", "Local", local["mean"]),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Cobham's formulas, the simulation beside them, and equal priorities."""
        state = State(sources=[Source(rate=30.0, priority=2.0), Source(rate=50.0, priority=1.0)], service_rate=100.0)
        values = self.decide(state).values
        assert values is not None
        yield Check.near("first in first out, ms", 20.0, values["fifo_ms"], 1e-9, _GOLDEN)
        for n, golden in enumerate((5.714, 28.571)):
            yield Check.near(f"wait of priority {n + 1}, ms", golden, values["waits_ms"][n], 5e-4, _GOLDEN)
        kept = 0.3 * values["waits_ms"][0] + 0.5 * values["waits_ms"][1]
        yield Check.near("waits weighted by load, s", 0.016, 1e-3 * kept, 1e-9, _GOLDEN)
        for n, (low, high) in enumerate(((5.6, 5.85), (27.5, 29.7))):
            name = f"simulated wait of priority {n + 1}, ms"
            yield Check.within(name, low, high, values["simulated_ms"][n], "[C] 5.74 and 28.9, computed independently")
        equal = [Source(rate=source.rate, priority=1.0) for source in self.settings_kind().sources]
        made = PaMdi(Settings(sources=equal, seconds=20.0))
        ours, theirs = (made.evaluate(policy, made.stream()).steps["latency_ms"] for policy in ("pamdi", "AR-MDI"))
        yield Check.equal("with equal priorities AR-MDI, request by request", True, bool((ours == theirs).all()), "[D]")

    def _problem(self) -> Problem:
        given = self.settings
        if len(given.partition_gflop) != len(given.partition_mb):
            raise IdnError(
                f"partition_mb: {len(given.partition_mb)} values; must be {len(given.partition_gflop)}, as partitions"
            )
        parts = zip(given.partition_gflop, given.partition_mb, strict=True)
        return Problem(tuple(given.gflops), tuple(parts), given.bandwidth_mb)

    def _simulated(self, state: State) -> tuple[FloatArray, FloatArray, IntArray]:
        """Latencies, waits and sources of requests at one worker, which is where all sources are."""
        rates = [source.rate for source in state.sources]
        rng = np.random.default_rng(self.settings.seed)
        arrivals = poisson(rates, _REQUESTS / sum(rates), rng)
        alone = Problem((state.service_rate,), ((1.0, 0.0),), 1.0)
        latency, wait = alone.simulate(arrivals, [source.priority for source in state.sources], offload=False)
        return latency, wait, arrivals.sources
