"""Queues with priorities: Cobham's formulas for one worker, and a simulation of requests in partitions over several.

A worker takes one request at a time and finishes what it has begun; it then takes the waiting one of highest priority,
of those the oldest.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from idn_agents.systems.frame import Infeasible
from idn_gym.typing import FloatArray, IntArray


def fifo_wait(rates: FloatArray, service_rate: float) -> float:
    """Mean wait in s of Poisson requests in the order of arrival, each served in 1 / service_rate s.

    Source: Pollaczek and Khinchine, W = lambda E[S^2] / 2 / (1 - rho).
    """
    return _residual(rates, service_rate) / (1.0 - float(rates.sum()) / service_rate)


def priority_waits(rates: FloatArray, priorities: FloatArray, service_rate: float) -> FloatArray:
    """(M,) mean waits in s per source, higher priorities first, the same priorities in the order of arrival.

    Source: Cobham (1954), W_p = W_0 / ((1 - sigma_{p-1}) (1 - sigma_p)), sigma_p the load of p and of those above it.
    """
    above = np.array([rates[priorities > each].sum() for each in priorities]) / service_rate
    down_to = np.array([rates[priorities >= each].sum() for each in priorities]) / service_rate
    waits: FloatArray = _residual(rates, service_rate) / ((1.0 - above) * (1.0 - down_to))
    return waits


def _residual(rates: FloatArray, service_rate: float) -> float:
    """W_0: mean time that the request in service still takes, seen by one that arrives."""
    total = float(rates.sum())
    if total >= service_rate:
        raise Infeasible(f"the service rate binds: {total:g} requests/s arrive, {service_rate:g}/s are served")
    return total / service_rate**2 / 2.0


class Rule(StrEnum):
    """How workers choose among requests, and requests among workers."""

    PRIORITY = "pamdi"
    OLDEST = "AR-MDI"  # by age alone
    LOCAL = "Local"  # by age, at the worker where a request is from


@dataclass(frozen=True)
class Cluster:
    """Workers, the ways between them, and the partitions that each request goes through.

    Parameters
    ----------
    speeds : (W,) F, GFLOP/s of a worker.
    bandwidths : (W, W) MB/s from worker to worker, 0 where there is no way.
    work : (L,) f, GFLOP of a partition.
    inputs : (L,) o, MB that a partition takes in.
    """

    speeds: FloatArray
    bandwidths: FloatArray
    work: FloatArray
    inputs: FloatArray


@dataclass(frozen=True)
class Arrivals:
    """(T,) times in s, ascending, and the source that each request is from."""

    times: FloatArray
    sources: IntArray


@dataclass(frozen=True)
class Played:
    """What came of a simulation."""

    seconds: FloatArray  # (T,) from arrival to the end of the last partition
    waits: FloatArray  # (T,) of them in queues
    starts: list[tuple[float, int, int, int]]  # time, worker, request, partition of each start of service, in order


def poisson(rates: Sequence[float], seconds: float, rng: np.random.Generator) -> Arrivals:
    """Independent Poisson requests of each source, for a time."""
    drawn = [np.sort(rng.uniform(0.0, seconds, rng.poisson(rate * seconds))) for rate in rates]
    times = np.concatenate(drawn)
    order = np.argsort(times, kind="stable")
    sources = np.repeat(np.arange(len(drawn)), [each.size for each in drawn])
    return Arrivals(times[order], sources[order])


def simulate(
    cluster: Cluster, arrivals: Arrivals, homes: Sequence[int], priorities: Sequence[float], rule: Rule
) -> Played:
    """Requests, each a sequence of partitions; before each of them it goes where that promises to end soonest.

    The promise of worker k is queue_k f / F_k + o / B + f / F_k: those that are there, the way, the work; of equal ones
    the request stays, or goes to the first. A way carries any number of requests at once.

    Parameters
    ----------
    homes : (M,) the worker that a source is at.
    priorities : (M,) gamma of a source.
    """
    return _Simulation(cluster, arrivals, homes, priorities, rule).played()


class _Simulation:
    def __init__(
        self, cluster: Cluster, arrivals: Arrivals, homes: Sequence[int], priorities: Sequence[float], rule: Rule
    ) -> None:
        workers = range(len(cluster.speeds))
        self.times = arrivals.times.tolist()
        self.homes = [homes[source] for source in arrivals.sources]
        gammas = [priorities[source] for source in arrivals.sources]
        self.rank = [-gamma if rule is Rule.PRIORITY else 0.0 for gamma in gammas]
        self.takes = [[work / speed for work in cluster.work.tolist()] for speed in cluster.speeds.tolist()]
        self.inputs = cluster.inputs.tolist()
        self.ways = [
            [(k, float(cluster.bandwidths[n, k])) for k in workers if k != n and cluster.bandwidths[n, k] > 0.0]
            for n in workers
        ]
        if rule is Rule.LOCAL:
            self.ways = [[] for _ in workers]
        # rank, request, partition, since when
        self.waiting: list[list[tuple[float, int, int, float]]] = [[] for _ in workers]
        self.busy = [False for _ in workers]
        self.events: list[tuple[float, int, int, int, int, bool]] = []  # time, number, worker, request, partition, end
        self.number = 0
        self.ends = [0.0] * len(self.times)
        self.waits = [0.0] * len(self.times)
        self.starts: list[tuple[float, int, int, int]] = []

    def played(self) -> Played:
        """All requests, from their arrival to their end."""
        upcoming, count = 0, len(self.times)
        while upcoming < count or self.events:
            if not self.events or (upcoming < count and self.times[upcoming] <= self.events[0][0]):
                self._dispatch(self.times[upcoming], self.homes[upcoming], upcoming, 0)
                upcoming += 1
                continue
            time, _, worker, request, partition, end = heapq.heappop(self.events)
            if not end:
                self._queue(time, worker, request, partition)
                continue
            self.busy[worker] = False
            if partition + 1 < len(self.inputs):
                self._dispatch(time, worker, request, partition + 1)
            else:
                self.ends[request] = time
            self._start(time, worker)
        return Played(np.array(self.ends) - np.array(self.times), np.array(self.waits), self.starts)

    def _dispatch(self, time: float, here: int, request: int, partition: int) -> None:
        """Send a request on to the worker of the least promise."""

        def promise(worker: int, way: float) -> float:
            there = len(self.waiting[worker]) + self.busy[worker]
            return (there + 1) * self.takes[worker][partition] + way

        best, way, least = here, 0.0, promise(here, 0.0)
        for worker, bandwidth in self.ways[here]:
            travel = self.inputs[partition] / bandwidth
            if (promised := promise(worker, travel)) < least:
                best, way, least = worker, travel, promised
        if best == here:
            self._queue(time, here, request, partition)
        else:
            self._event(time + way, best, request, partition, end=False)

    def _queue(self, time: float, worker: int, request: int, partition: int) -> None:
        heapq.heappush(self.waiting[worker], (self.rank[request], request, partition, time))
        self._start(time, worker)

    def _start(self, time: float, worker: int) -> None:
        if self.busy[worker] or not self.waiting[worker]:
            return
        _, request, partition, since = heapq.heappop(self.waiting[worker])
        self.busy[worker] = True
        self.waits[request] += time - since
        self.starts.append((time, worker, request, partition))
        self._event(time + self.takes[worker][partition], worker, request, partition, end=True)

    def _event(self, time: float, worker: int, request: int, partition: int, end: bool) -> None:
        self.number += 1
        heapq.heappush(self.events, (time, self.number, worker, request, partition, end))
