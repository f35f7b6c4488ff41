"""The agent that plays the best static allocation in hindsight; what finds it is `search.solve`."""

from __future__ import annotations

from typing import Any

from idn_agents.optimum.options import refuse_options
from idn_agents.optimum.relaxation.highs import require_solver
from idn_agents.optimum.search import log_step, solve
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray
from idn_gym.workload.trace import Trace


class Optimum:
    """The best static allocation for the very stream that is served: a yardstick, not a policy.

    Parameters
    ----------
    gap : relative gap to its proven bound at which the search stops.
    time_limit : seconds after which it stops in any case; None: never.
    leaves : of the certificate's tree, at most; see `solve`.
    """

    hindsight = True

    def __init__(self, *, gap: float = 0.001, time_limit: float | None = 60.0, leaves: int | None = None) -> None:
        refuse_options(gap, time_limit, leaves)
        require_solver()
        self._gap, self._time_limit, self._leaves = gap, time_limit, leaves

    def reset(self, network: Network, seed: int) -> None:
        self._network = network

    def fit(self, trace: Trace) -> None:
        """`solve` for the stream, within the time limit; an interrupt is passed on."""
        limits: dict[str, Any] = {"gap": self._gap, "time_limit": self._time_limit, "leaves": self._leaves}
        self._solution = solve(self._network, trace, **limits, progress=log_step)
        if self._solution.status == "interrupted":
            raise KeyboardInterrupt

    def act(self, observation: dict[str, FloatArray]) -> FloatArray:
        return self._solution.allocation

    def info(self) -> dict[str, Any]:
        """Gain, bounds, gap, status and seconds of the `Solution`."""
        return self._solution.info()
