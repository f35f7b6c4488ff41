"""Sponge: cores and batch of one server under a deadline that the network has part of (arXiv 2404.00704).

What a request has left of its SLO varies with the bandwidth it came over. Sponge changes the cores of its server in
place, chooses the batch with them, and serves by earliest deadline first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from idn_agents.systems.frame import Check, Claim, Decision, Formula, Measure, Measures, Outcome, System, Tag, by_policy
from idn_agents.systems.running.traces import read_column
from idn_gym.library.profiles import BATCH_LATENCY_MS, BATCHES, CORES, latency_fit
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray

_GOLDEN = "[C] computed independently"
MOST_CORES = MOST_BATCH = 16
_REAL_GAIN = 0.5  # points of violations below which a difference is called none

# The twin of the bandwidth of a bus over 4G (Ghent's logs, as sponge has them): quantiles in bytes/ms, and the
# correlation of successive seconds.
_LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_BANDWIDTH = (432.0, 885.0, 1328.0, 1745.0, 2598.0, 3355.0, 4284.0, 5244.0, 5800.0, 6395.0, 6998.0)
_CORRELATION = 0.74

_Positive = Annotated[float, Field(gt=0.0, le=1e9)]
_Time = Annotated[float, Field(ge=0.0, le=1e9)]


class Latency(Section):
    """Coefficients of l(b, c) = g b/c + d b + e/c + h, in ms."""

    g: _Time
    d: _Time
    e: _Time
    h: _Time

    def ms(self, batch: int, cores: int) -> float:
        """Time of a batch."""
        return self.g * batch / cores + self.d * batch + self.e / cores + self.h


@cache
def fitted() -> Latency:
    """The least squares fit to the profile."""
    g, d, e, h = latency_fit()
    return Latency(g=g, d=d, e=e, h=h)


class State(Section):
    """A second's requests, the longest time that one of them was under way, and the SLO as it is."""

    rate: Annotated[float, Field(ge=0.0, le=1e6)]
    communication_ms: _Time
    slo_ms: _Positive
    latency: Latency | None = None


class Settings(Section):
    """The stream's requests, and how decisions are made; the margin and the FA2 baseline are this library's choice."""

    rate: Annotated[int, Field(ge=1, le=1000)] = 40  # requests/s
    payload_kb: _Positive = 500.0
    slo_ms: _Positive = 1000.0
    margin: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9  # of the SLO that decisions may count on
    seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    cold_start_s: _Time = 10.0  # of an instance of FA2
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**32)] = 0


class Times(Protocol):
    """What a batch takes."""

    def ms(self, batch: int, cores: int) -> float:
        """Time of a batch."""


EVERY = tuple((c, b) for c in range(1, MOST_CORES + 1) for b in range(1, MOST_BATCH + 1))


@dataclass(frozen=True)
class Problem:
    """Cores and batch for requests that wait together: the fewest cores, then the smallest batch."""

    latency: Times
    requests: int  # that are in the queue
    communication_ms: float
    slo_ms: float
    options: Sequence[tuple[int, int]] = EVERY  # cores and batch, cores ascending, then batch

    def last_ms(self, cores: int, batch: int) -> float:
        """When the last of the queue is served: the constraint of all others is implied by its."""
        rounds = 1 + max(self.requests - 1, 0) // batch
        return rounds * self.latency.ms(batch, cores) + self.communication_ms

    def best(self) -> tuple[int, int] | None:
        """The first feasible (cores, batch): the optimum of c + delta b, delta < 1/16."""
        return next((each for each in self.options if self.last_ms(*each) <= self.slo_ms), None)

    def binding(self) -> str:
        """Which constraint leaves no configuration."""
        if self.communication_ms >= self.slo_ms:
            return f"the SLO binds: {self.communication_ms:g} ms of communication leave nothing of {self.slo_ms:g} ms"
        alone = self.latency.ms(1, MOST_CORES) + self.communication_ms
        if alone > self.slo_ms:
            return f"the SLO binds: one request takes {alone:.1f} ms at {MOST_CORES} cores, of {self.slo_ms:g} ms"
        least = min(self.last_ms(MOST_CORES, batch) for batch in range(1, MOST_BATCH + 1))
        return (
            f"the queue binds: {self.requests} requests take {least:.1f} ms even at {MOST_CORES} cores, the most, "
            f"of {self.slo_ms:g} ms"
        )


@dataclass(frozen=True)
class Servers:
    """What a policy has in a second: servers that take batches side by side."""

    count: int
    cores: int  # of each
    batch: int


Policy = Callable[[float], Servers]  # longest communication of the last second in ms -> what is there in this one


class Sponge(System[Settings, State, FloatArray]):
    """Cores and batch each second; the stream is the bandwidth of each second in bytes/ms."""

    name = "sponge"
    title = "cores and batch under dynamic SLOs"
    paper = "Sponge, arXiv 2404.00704"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("objective", "min c + delta b, 1 <= c, b <= 16", Tag.VERIFIED),
        Formula("constraint", "l(b,c) + floor(i/b) l(b,c) + cl_max <= SLO for i = 0 .. requests - 1", Tag.VERIFIED),
        Formula("solver", "c ascending, then b ascending, first feasible", Tag.VERIFIED),
        Formula("latency", "l(b,c) = g b/c + d b + e/c + h, fitted to 30 points", Tag.VERIFIED),
        Formula("at 100 requests/s, 50 ms, SLO 1,000 ms", "(c, b) = (5, 10)", Tag.VERIFIED),
        Formula("remaining budget", "SLO - payload / bandwidth", Tag.VERIFIED),
        Formula("waiting", "a batch waits for more until two batches' time before the first deadline", Tag.OWN),
        Formula("margin", "decisions count on 0.9 of the SLO, and on the last second's communication", Tag.OWN),
        Formula("FA2", "servers of one core, as many as the rate needs, each 10 s after it is asked for", Tag.OWN),
    )
    measures = (Measure("violations", "violations %", ".2f"), Measure("cores", "mean cores", ".2f"))
    trade_off = ("cores", "violations")
    over_time = ("cores", "cores")
    stream_format = (
        "the bandwidth of each second in bytes/ms: a column bandwidth; without a file, a correlated process with the "
        "quantiles of a bus over 4G"
    )
    network = (
        "scenario uploads-4g, agent sponge: a service per class of communication time, whose way takes its part of "
        "deadline_ms, and models (c, b); what does not fit is the queue within a second"
    )

    def decide(self, state: State) -> Decision:
        """Cores and batch, or None and what binds."""
        problem = Problem(state.latency or fitted(), math.ceil(state.rate), state.communication_ms, slo_ms=state.slo_ms)
        best = problem.best()
        if best is None:
            return Decision(None, problem.binding())
        return Decision({"cores": best[0], "batch": best[1]})

    def stream(self, path: Path | None = None) -> FloatArray:
        """(T,) bandwidth in bytes/ms, at most as many seconds as are set."""
        if path is not None:
            return read_column(path, ("bandwidth",), self.settings.segment)[: self.settings.seconds]
        from scipy.special import ndtr

        rng = np.random.default_rng(self.settings.seed)
        state, states = rng.standard_normal(), []
        for step in rng.standard_normal(self.settings.seconds):
            state = _CORRELATION * state + math.sqrt(1.0 - _CORRELATION**2) * step
            states.append(state)
        return np.interp(ndtr(states), _LEVELS, _BANDWIDTH)

    def policies(self) -> Sequence[str]:
        """Sponge, the same without reordering, the horizontal baseline, and fixed cores."""
        return ("sponge", "sponge FIFO", "FA2", "static 8", "static 16")

    def evaluate(self, policy: str, stream: FloatArray) -> Measures:
        """Violations in percent of the requests, and mean cores."""
        cold = 1000.0 * self.settings.cold_start_s if policy == "FA2" else 0.0
        late, count, cores = self._served(stream, self._policy(policy), cold, "FIFO" not in policy)
        values = {"violations": 100.0 * late / max(count, 1), "cores": float(cores.mean())}
        return Measures(policy, values, {"cores": cores})

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """What the comparison is about; the abstract's figures are not at hand."""
        values = by_policy(results)
        ours, fifo, others = values["sponge"], values["sponge FIFO"], values["static 16"]
        assert ours["cores"] is not None
        assert others["cores"] is not None
        bad, fixed, unordered, horizontal = (
            float(each["violations"] or 0.0) for each in (ours, others, fifo, values["FA2"])
        )
        text = "Sponge has at most 0.1 points more violations than 16 fixed cores, with fewer cores"
        reason = f"{bad:.2f} % at {ours['cores']:.2f} cores, {fixed:.2f} % at {others['cores']:g}"
        holds = bad <= fixed + 0.1 and ours["cores"] < others["cores"]
        source = "this library"
        return [
            Claim.decided(text, source, Tag.OWN, holds, reason),
            Claim.decided(
                "Sponge has fewer violations than FA2",
                source,
                Tag.OWN,
                bad < horizontal,
                f"{bad:.2f} and {horizontal:.2f} %",
            ),
            Claim(
                "reordering by deadline lowers violations",
                source,
                Tag.OWN,
                Outcome.HOLDS if bad < unordered - _REAL_GAIN else Outcome.OPEN,
                f"{bad:.2f} % with it, {unordered:.2f} % without; no gain is claimed below {_REAL_GAIN} points",
            ),
        ]

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """The fit, the authors' printed decision, and violations over the bus's bandwidth."""
        latency = fitted()
        for key, value in {"g": 18.291, "d": 4.468, "e": 45.729, "h": 1.517}.items():
            yield Check.near(f"{key} of the fit in ms", value, getattr(latency, key), 0.0005, _GOLDEN)
        yield Check.near("R2 of the fit", 0.969, _determination(latency), 0.0005, _GOLDEN)
        state = State(rate=100, communication_ms=50.0, slo_ms=1000.0)
        decision = self.decide(state).values
        yield Check.equal(
            "100 requests/s, 50 ms, SLO 1,000 ms", {"cores": 5, "batch": 10}, decision, "[V] the authors' notebook"
        )
        trace = data / "sponge_4g_bus_bandwidth.json" if data is not None else None
        if trace is None or not trace.exists():
            return
        for rate, payload, bad, cores, floor in (
            (20, 500, 0.18, 1.12, 0.17),
            (40, 200, 0.0, 2.01, 0.0),
            (40, 500, 0.17, 2.27, 0.17),
        ):
            made = Sponge(Settings(rate=rate, payload_kb=float(payload)))
            stream = made.stream(trace)
            where = f"{rate}/s of {payload} KB over the 4G trace"
            golden = {"sponge": (bad, cores), "static 8": (floor, 8.0), "static 16": (floor, 16.0)}
            for policy, (violations, mean) in golden.items():
                values = made.evaluate(policy, stream).values
                assert values["violations"] is not None
                assert values["cores"] is not None
                yield Check.near(f"{policy}: violations %, {where}", violations, values["violations"], 0.01, _GOLDEN)
                yield Check.near(f"{policy}: cores, {where}", mean, values["cores"], 0.01, _GOLDEN)

    def _policy(self, policy: str) -> Policy:
        given = self.settings
        if policy.startswith("static"):
            return lambda communication: Servers(1, int(policy.removeprefix("static ")), 4)
        slo = given.margin * given.slo_ms

        @cache
        def sponge(communication: float) -> Servers:
            best = Problem(fitted(), given.rate, communication, slo).best() or (MOST_CORES, MOST_BATCH)
            return Servers(1, *best)

        @cache
        def fa2(communication: float) -> Servers:
            """The fewest servers of one core: each batch, and the wait for it to fill, within what is left."""
            best = Servers(MOST_CORES, 1, 1)
            for batch in range(1, MOST_BATCH + 1):
                time = fitted().ms(batch, 1)
                count = math.ceil(given.rate * time / (1000.0 * batch) - 1e-9)
                fits = time + 1000.0 * (batch - 1) / given.rate + communication <= slo
                if fits and count < best.count:
                    best = Servers(count, 1, batch)
            return best

        return fa2 if policy == "FA2" else sponge

    def _served(
        self, bandwidth: FloatArray, policy: Policy, cold_ms: float, by_deadline: bool
    ) -> tuple[int, int, FloatArray]:
        """Late requests, all that were served or dropped, and (T,) cores; requests are sent evenly.

        Each second the policy decides by the longest communication of the last one. What cannot be served within its
        deadline is dropped, and is late.
        """
        given, latency = self.settings, fitted()
        seconds = len(bandwidth)
        sent = np.arange(seconds * given.rate) * 1000.0 / given.rate
        second = (sent // 1000.0).astype(int)
        under_way = np.minimum(1000.0 * given.payload_kb / np.maximum(bandwidth, 1e-9), 1e7)
        arrive = sent + under_way[second]
        order = np.argsort(arrive, kind="stable")
        deadline, arrive = (sent[order] + given.slo_ms).tolist(), arrive[order].tolist()
        late = count = upcoming = 0
        queue: list[tuple[float, int]] = []
        free = [0.0]  # when each server is
        cores = np.zeros(seconds)
        for step in range(seconds):
            begin, end = 1000.0 * step, 1000.0 * (step + 1)
            now = policy(float(min(under_way[step - 1], given.slo_ms)) if step else 0.0)
            cores[step] = now.count * now.cores
            free = sorted(free)[: now.count]
            free += [begin + cold_ms * (step > 0)] * (now.count - len(free))
            heapq.heapify(free)
            while (clock := max(free[0], begin)) < end:
                while upcoming < len(arrive) and arrive[upcoming] <= clock:
                    heapq.heappush(queue, (deadline[upcoming] if by_deadline else arrive[upcoming], upcoming))
                    upcoming += 1
                while queue and deadline[queue[0][1]] < clock + latency.ms(1, now.cores):
                    heapq.heappop(queue)
                    late, count = late + 1, count + 1
                following = arrive[upcoming] if upcoming < len(arrive) else math.inf
                if not queue:
                    heapq.heapreplace(free, min(following, end))
                    continue
                patience = deadline[queue[0][1]] - 2.0 * latency.ms(now.batch, now.cores)
                if len(queue) < now.batch and following < min(patience, end):
                    heapq.heapreplace(free, following)
                    continue
                taken = [heapq.heappop(queue)[1] for _ in range(min(now.batch, len(queue)))]
                done = clock + latency.ms(len(taken), now.cores)
                heapq.heapreplace(free, done)
                late, count = late + sum(deadline[one] < done for one in taken), count + len(taken)
        return late, count, cores


def _determination(latency: Latency) -> float:
    """R2 of the fit."""
    measured = np.array(BATCH_LATENCY_MS)
    said = np.array([[latency.ms(batch, cores) for cores in CORES] for batch in BATCHES])
    return float(1.0 - ((measured - said) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())
