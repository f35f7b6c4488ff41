"""INFIDA with coordinated rounding that is guarded, and rates that need no choice."""

from __future__ import annotations

from dataclasses import dataclass

from idn_agents.infida.infida import Infida


@dataclass(kw_only=True, eq=False)
class CoordinatedInfida(Infida):
    """`Infida` with ``rounding=guarded`` and ``learning_rate=adaptive``: nothing has to be chosen.

    Parameters
    ----------
    learning_rate, scale, refresh, target, residual, rounding, window, bonus, update_weight, horizon : as for `Infida`,
        from which only the two defaults differ.
    """

    learning_rate: str | float = "adaptive"
    rounding: str | None = "guarded"
