"""The best allocation per popularity phase in hindsight: the yardstick where popularity moves."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from idn_agents.agent import refuse_other
from idn_agents.optimum.certificate import relative_gap
from idn_agents.optimum.options import refuse_options
from idn_agents.optimum.relaxation.highs import require_solver
from idn_agents.optimum.search import log_step, solve
from idn_agents.optimum.solution import Solution
from idn_gym.common.parameters import whole
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Burst, Social, Zipf
from idn_gym.typing import FloatArray
from idn_gym.workload.trace import Trace


class DynamicOptimum:
    """The best allocation for each phase of the very stream that is served; a yardstick, not a policy.

    Loading models costs nothing here, so with phases of one slot it is the upper envelope of all policies.

    Parameters
    ----------
    every : slots per phase, counted from slot 0; None: those of a sliding popularity, elsewhere one phase for all.
    gap : relative gap to its proven bound at which the search of a phase stops.
    time_limit : seconds for all phases together; None: no limit. However few, every phase has an allocation.
    """

    hindsight = True

    def __init__(self, *, every: int | None = None, gap: float = 0.001, time_limit: float | None = 60.0) -> None:
        self._every = None if every is None else whole("every", every)
        refuse_options(gap, time_limit)
        require_solver()
        self._gap, self._time_limit = gap, time_limit

    def reset(self, network: Network, seed: int) -> None:
        self._network = network
        self._slot = 0

    def fit(self, trace: Trace) -> None:
        """`solve` phase by phase, each with its share of the time that is left; an interrupt is passed on."""
        refuse_other(self._network, trace)
        every = self._every or popularity_phase(self._network) or trace.slots
        self._length, self._solutions = every, list[Solution]()
        deadline = time.monotonic() + (np.inf if self._time_limit is None else self._time_limit)
        starts = range(0, trace.slots, every)
        for n, first in enumerate(starts):
            part = trace.part(first, min(first + every, trace.slots))
            share = max(deadline - time.monotonic(), 0.0) / (len(starts) - n)

            def log(gain: float, bound: float, phase: str, number: int = n + 1) -> None:
                log_step(gain, bound, f"phase {number} of {len(starts)}, {phase}")

            limit = None if np.isinf(share) else share
            solution = solve(self._network, part, gap=self._gap, time_limit=limit, progress=log)
            if solution.status == "interrupted":
                raise KeyboardInterrupt
            self._solutions.append(solution)

    def act(self, observation: dict[str, FloatArray]) -> FloatArray:
        solution = self._solutions[self._slot // self._length]
        self._slot += 1
        return solution.allocation

    def info(self) -> dict[str, Any]:
        """The sums over phases, of the net gain where there are prices; `dynamic_bound` is certified by phase."""
        gain = sum(solution.reached for solution in self._solutions)
        bound = sum(solution.certified_bound for solution in self._solutions)
        return {
            "phases": len(self._solutions),
            "every": self._length,
            "gain": gain,
            "dynamic_bound": bound,
            "dynamic_gap": relative_gap(gain, bound),
            "optimal_phases": sum(solution.status == "optimal" for solution in self._solutions),
        }


def popularity_phase(network: Network) -> int | None:
    """Slots for which the workload's popularity, or its trend, stays; None where it does for good, or is not known."""
    workload = network.scenario.workload
    if isinstance(workload, Social):
        return workload.every
    return workload.every if isinstance(workload, Zipf | Burst) and workload.profile == "sliding" else None
