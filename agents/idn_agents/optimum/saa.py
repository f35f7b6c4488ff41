"""The static optimum over a distribution of streams, by sample average approximation (SAA).

Source: Mak, Morton and Wood, Monte Carlo bounding techniques for determining solution quality in stochastic programs,
Operations Research Letters 24, 1999: the multiple replications procedure, with certified bounds as upper ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from idn_agents.optimum.certificate import relative_gap
from idn_agents.optimum.options import refuse_options
from idn_agents.optimum.search import log_step, solve
from idn_gym import kernels
from idn_gym.common import parameters
from idn_gym.common.parameters import real, whole
from idn_gym.errors import IdnError
from idn_gym.experiment.intervals import Interval, student_interval
from idn_gym.kernels.compiled import clock
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Replay
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import MOST_VALUES, Trace, joined

_MOST = 10_000  # of streams, and of replications

Progress = Callable[[int, int, float], None]  # replications done, of how many, relative gap of the last one


@dataclass(frozen=True, eq=False)
class Estimate:
    """A candidate, and what samples say of it and of the optimum; gains in ms per stream."""

    allocation: IntArray  # (P,) int8, the candidate
    expected_gain: Interval  # of the candidate; net, as all gains and bounds here, where there are prices
    expected_bound: float  # mean of the certified bounds; in expectation above every allocation's expected gain
    gap: float  # mean of bound less the candidate's gain on the same streams
    gap_limit: float  # with the confidence asked for, no allocation's expected gain is higher by more than this
    confidence: float
    slots: int  # of a stream
    streams: int  # per replication
    replications: int
    seconds: float

    @property
    def relative_limit(self) -> float:
        """The gap limit as a part of the mean bound."""
        return self.gap_limit / self.expected_bound if self.expected_bound > 0.0 else 0.0


def estimate(
    network: Network,
    slots: int,
    *,
    streams: int = 4,
    replications: int = 10,
    seed: int = 0,
    gap: float = 0.005,
    time_limit: float | None = None,
    confidence: float = 0.95,
    progress: Progress = lambda done, replications, gap: None,
) -> Estimate:
    """The allocation that is best on some streams, and how far from the best in expectation it can be.

    Parameters
    ----------
    slots : of each stream; a stream starts at slot 0 of the workload.
    streams : N, drawn for the candidate and again for each replication.
    replications : M >= 2, of the optimum over N streams that share nothing with the candidate's.
    seed : streams are drawn with this seed and those that follow, N (M + 1) in all.
    gap : relative gap at which a search stops.
    time_limit : seconds for all searches together; less time means wider limits, which hold all the same.
    confidence : of both intervals, one at a time; that of the gap has one end.

    Raises
    ------
    IdnError
        If an option is not allowed, or the workload replays a trace: there is nothing to draw then.

    Notes
    -----
    With G the gain of a stream, the optimum v over N streams has E[v] >= max_x E[G(x)], since the maximum of a mean is
    on average no less than the mean at any one x; a certified bound is no less than v. The candidate is independent of
    a replication's streams, so there the bound less the candidate's gain is on average no less than its gap, and the
    upper end of Student's interval over M replications limits that gap. Both ends come from the same streams, whose
    variation cancels. Student's interval takes the means for normal: a rule of thumb for few replications.
    """
    slots, streams = whole("slots", slots), whole("streams", streams, highest=_MOST)
    replications = whole("replications", replications, lowest=2, highest=_MOST)
    confidence = real("confidence", confidence, lowest=0.5, highest=0.999999)
    seed = parameters.seed(seed)
    refuse_options(gap, time_limit)
    if slots * streams * network.R > MOST_VALUES:
        asked = f"{streams} of {slots} slots and {network.R} request types"
        raise IdnError(f"streams: {asked}; at most {MOST_VALUES} values are drawn at a time")
    if isinstance(network.scenario.workload, Replay):
        raise IdnError(
            f"scenario {network.scenario.name}: replays a trace, always the same; idn-gym optimum is for that"
        )
    begun = clock()
    deadline = time.monotonic() + (np.inf if time_limit is None else time_limit)

    def sample(number: int) -> Trace:
        first = seed + number * streams
        return joined([draw(network, slots, first + n) for n in range(streams)])

    def search(trace: Trace, left: int) -> tuple[IntArray, float]:
        share = max(deadline - time.monotonic(), 0.0) / left
        solution = solve(network, trace, gap=gap, time_limit=None if np.isinf(share) else share, progress=log_step)
        if solution.status == "interrupted":
            raise KeyboardInterrupt
        return solution.allocation, solution.certified_bound

    candidate, _ = search(sample(0), replications + 1)
    gains: list[FloatArray] = []
    bounds = []
    for number in range(1, replications + 1):
        trace = sample(number)
        bounds.append(search(trace, replications + 1 - number)[1] / streams)
        gained = kernels.serve(network, trace.requests, trace.capacities, candidate).gain
        gained -= network.holding @ candidate  # in every slot
        gains.append(gained.reshape(streams, slots).sum(axis=1))
        progress(number, replications, relative_gap(gains[-1].mean(), bounds[-1]))
    ahead = student_interval(np.array(bounds) - np.mean(gains, axis=1), 2.0 * confidence - 1.0)
    return Estimate(
        allocation=candidate,
        expected_gain=student_interval(np.concatenate(gains), confidence),
        expected_bound=float(np.mean(bounds)),
        gap=ahead.mean,
        gap_limit=ahead.high,
        confidence=confidence,
        slots=slots,
        streams=streams,
        replications=replications,
        seconds=clock() - begun,
    )
