"""INFIDA with coordinated rounding that is guarded, and rates that need no choice."""

from __future__ import annotations

from idn_agents.infida.infida import Infida


class CoordinatedInfida(Infida):
    """`Infida` with ``rounding=guarded`` and ``learning_rate=adaptive``: nothing has to be chosen.

    Parameters
    ----------
    learning_rate, scale, refresh, target, residual, rounding, order, point, window, bonus, update_weight, horizon : as
        for `Infida`.
    """

    def __init__(
        self,
        *,
        learning_rate: str | float = "adaptive",
        scale: float = 1.0,
        refresh: int | str = 1,
        target: int = 32,
        residual: str = "drop",
        rounding: str = "guarded",
        order: str | None = None,
        point: str | None = None,
        window: str | int | None = None,
        bonus: float | None = None,
        update_weight: float | None = None,
        horizon: int | None = None,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            scale=scale,
            refresh=refresh,
            target=target,
            residual=residual,
            rounding=rounding,
            order=order,
            point=point,
            window=window,
            bonus=bonus,
            update_weight=update_weight,
            horizon=horizon,
        )
