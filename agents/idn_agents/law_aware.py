"""What a policy earns that knows the law of the requests: the yardstick where a stream cannot be foreseen."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from idn_agents.agent import generator, refuse_other
from idn_agents.optimum.dynamic_optimum import popularity_phase
from idn_agents.optimum.options import refuse_options
from idn_agents.optimum.relaxation.highs import require_solver
from idn_agents.optimum.search import log_step, solve
from idn_gym import kernels
from idn_gym.common.parameters import whole
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.scenario.workloads import Burst, OwnWorkload, Zipf
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.popularity import expected_requests
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import MOST_VALUES, Trace, joined

_STREAMS = 6  # purpose of the generator that draws seeds
_MOST = 1_000_000  # slots to wait, and to plan on


class LawAware:
    """Knows the scenario's workload, not its stream: plans each phase of popularity on streams of other seeds.

    A yardstick and no policy, since it is told how popularity moves. Of what lasts from slot to slot (bursts that
    persist, crowds, outages) it knows the law and not the state, which an online agent may learn and be ahead. Where a
    trace is given in place of the workload, the scenario's law is what it plans by.

    Parameters
    ----------
    delay : slots after which it learns of a shift of popularity; what holds in slot 0 it knows.
    every : slots per phase, counted from slot 0; None: those of a sliding popularity, elsewhere one phase for all.
    samples : slots that each plan is made on, at least.
    gap : relative gap to its proven bound at which the search for a plan stops.
    time_limit : seconds for all plans together; None: no limit. However few, every phase has an allocation.
    """

    hindsight = True

    def __init__(
        self,
        *,
        delay: int = 0,
        every: int | None = None,
        samples: int = 1000,
        gap: float = 0.003,
        time_limit: float | None = 60.0,
    ) -> None:
        self._delay = whole("delay", delay, lowest=0, highest=_MOST)
        self._every = None if every is None else whole("every", every)
        self._samples = whole("samples", samples, highest=_MOST)
        refuse_options(gap, time_limit)
        require_solver()
        self._gap, self._time_limit = gap, time_limit

    def accepts(self, network: Network) -> None:
        """A workload that draws its requests by a law of their own: neither a trace nor an adversary."""
        workload = network.scenario.workload
        if not isinstance(workload, Zipf | Burst | OwnWorkload):
            kind = "no workload" if workload is None else f"a workload of kind {workload.kind}"
            name = network.scenario.name
            raise IdnError(
                f"law-aware: scenario {name} has {kind}; needs one that draws requests by a law: zipf, burst"
            )

    def reset(self, network: Network, seed: int) -> None:
        self.accepts(network)
        self._network, self._seeds = network, generator(seed, _STREAMS)
        self._slot = 0

    def fit(self, trace: Trace) -> None:
        """Plan for as many slots as the trace has; its requests are read only to say what the plans gain on them."""
        refuse_other(self._network, trace)
        every = self._every or popularity_phase(self._network) or trace.slots
        kinds = self._kinds(every, -(-trace.slots // every))
        plans = self._plans(every, kinds)
        phase = np.maximum(np.arange(trace.slots) - self._delay, 0) // every
        self._allocations = plans[kinds[phase]]
        gained = kernels.serve(self._network, trace.requests, trace.capacities, self._allocations).gain
        held = self._allocations @ self._network.holding
        self._info = {"plans": len(plans), "every": every, "law_aware_gain": float((gained - held).sum())}

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        allocation: IntArray = self._allocations[self._slot]
        self._slot += 1
        return allocation

    def info(self) -> dict[str, Any]:
        """How many plans there are, for phases of how long, and what they gain: net, where there are prices."""
        return dict(self._info)

    def _kinds(self, every: int, phases: int) -> IntArray:
        """(phases,) number of each phase's plan: those in which the same is expected share one."""
        if isinstance(self._network.scenario.workload, OwnWorkload):
            return np.arange(phases)
        found: dict[bytes, int] = {}
        slots = np.arange(every)
        expected = (expected_requests(self._network, n * every + slots).tobytes() for n in range(phases))
        return np.array([found.setdefault(one, len(found)) for one in expected])

    def _plans(self, every: int, kinds: IntArray) -> IntArray:
        """(plans, P) int8: the best static allocation for the phases of each kind, on streams of other seeds."""
        slots, fewest = every * len(kinds), every * int(np.bincount(kinds).min())
        streams = -(-self._samples // fewest)
        if streams * slots * self._network.R > MOST_VALUES:
            raise IdnError(
                f"law-aware: samples: {self._samples} slots of each phase are {streams} streams of {slots} slots and"
                f" {self._network.R} request types; at most {MOST_VALUES} values are drawn"
            )
        parts: list[list[Trace]] = [[] for _ in range(int(kinds.max()) + 1)]
        for seed in self._seeds.integers(2**63, size=streams):
            stream = draw(self._network, slots, int(seed))
            for n, kind in enumerate(kinds):
                parts[kind].append(stream.part(n * every, (n + 1) * every))
        deadline = time.monotonic() + (np.inf if self._time_limit is None else self._time_limit)
        found = []
        for n, of_kind in enumerate(parts):
            share = max(deadline - time.monotonic(), 0.0) / (len(parts) - n)
            about = f"plan {n + 1} of {len(parts)}, "

            def log(gain: float, bound: float, phase: str, about: str = about) -> None:
                log_step(gain, bound, about + phase)

            limit = None if np.isinf(share) else share
            solution = solve(self._network, joined(of_kind), gap=self._gap, time_limit=limit, progress=log, leaves=1)
            if solution.status == "interrupted":
                raise KeyboardInterrupt
            found.append(solution.allocation)
        return np.array(found)
