"""What a search for the best static allocation has found, and what is proven about all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from idn_agents.optimum.certificate import Certificate
from idn_gym.typing import IntArray


@dataclass(frozen=True, eq=False)
class Solution:
    """A feasible allocation, and what is proven about all others: of the net gain, where there are prices."""

    gain: float  # ms over the trace, of the allocation
    net: float | None  # ms, its gain less the price of what it holds; None where nothing has a price
    bound: float  # ms, no feasible allocation gains more: from the certificate, or from branch and bound
    certified_bound: float  # ms, from the certificate alone
    fractional_gain: float  # ms, of the best fractional allocation found: placements in [0, 1], within the budgets
    fractional_bound: float  # ms, no fractional allocation gains more, by the solver's word
    gap: float  # (bound - gain) / bound, 0 if the bound is 0
    status: str  # optimal (within the gap asked for), feasible, time limit, or interrupted (whatever the gap)
    seconds: float
    allocation: IntArray  # (P,) int8
    certificate: Certificate  # what recomputes certified_bound

    @property
    def reached(self) -> float:
        """Ms that the bounds are about: the net gain, where there are prices."""
        return self.gain if self.net is None else self.net

    def info(self) -> dict[str, Any]:
        """All but the allocation and the certificate, as JSON values; `net` where there are prices."""
        kept = {name: value for name, value in vars(self).items() if name not in ("allocation", "certificate")}
        return {name: value for name, value in kept.items() if value is not None}
