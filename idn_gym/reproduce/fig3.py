"""Figure 3: latency and inaccuracy of INFIDA over time, for several alpha. Topology I, fixed popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idn_gym.common.figures import sequence
from idn_gym.report.look import Look
from idn_gym.reproduce import fig2
from idn_gym.reproduce.checks import Check, Outcome, above_everywhere, at_most, falling, rising
from idn_gym.reproduce.drawing import legend, line, panels
from idn_gym.reproduce.runs import Budget, Runs, last_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Latency and inaccuracy over time, several alpha (Topology I, fixed popularity)"
BUDGETS = {"smoke": Budget(90), "full": Budget(360, 10)}
ALPHAS = fig2.ALPHAS
cells = fig2.cells
_SMOOTH = 10  # slots of a moving average, since every slot is rounded anew


def claims(runs: Runs) -> list[Check]:
    """The trade-off that alpha sets, and that it settles."""
    end = {
        column: {alpha: last_part(runs.per_slot(column, "infida", accuracy_weight=alpha), 0.25) for alpha in ALPHAS}
        for column in ("latency_ms", "inaccuracy")
    }
    cost = {alpha: _cost(runs, alpha) for alpha in ALPHAS}
    start = {alpha: (values[:, :5].mean(axis=1), last_part(values, 0.25)) for alpha, values in cost.items()}
    drift = [np.abs(last_part(v[:, : v.shape[1] * 3 // 4], 1 / 3) / last_part(v, 0.25) - 1.0) for v in cost.values()]
    return [
        Check(
            "inaccuracy in the last quarter falls as alpha grows",
            "expected",
            falling(end["inaccuracy"], "pp"),
            Outcome.HOLDS,
        ),
        Check(
            "latency in the last quarter rises as alpha grows",
            "expected",
            rising(end["latency_ms"], "ms"),
            Outcome.HOLDS,
        ),
        Check(
            "INFIDA learns: the cost of the first five slots is above that of the last quarter, at every alpha",
            "expected",
            above_everywhere(start),
            Outcome.HOLDS,
        ),
        Check(
            "it settles: cost in the third and in the last quarter differ by less than 2%, at the alpha where most",
            "expected",
            at_most(np.max(drift, axis=0) * 100.0, 2.0, "%"),
            Outcome.HOLDS,
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Two panels over time, a line per alpha."""
    figure, axes = panels(2, ["latency", "inaccuracy"])
    kernel = np.ones(_SMOOTH) / _SMOOTH
    for axis, column, label in zip(
        axes,
        ("latency_ms", "inaccuracy"),
        ("latency per request (ms)", "inaccuracy per request (pp)"),
        strict=True,
    ):
        for alpha, colour in zip(ALPHAS, sequence(len(ALPHAS) + 1), strict=False):
            values = runs.per_slot(column, "infida", accuracy_weight=alpha)
            smooth = np.stack([np.convolve(row, kernel, "valid") for row in values])
            x = np.arange(_SMOOTH, values.shape[1] + 1)
            line(axis, x, smooth, f"alpha = {alpha:g}", Look(colour, ""))
        axis.set_xlabel("time (slots)", fontsize=9)
        axis.set_ylabel(label, fontsize=9)
    legend(figure, axes[0], f"moving average of {_SMOOTH} slots")
    return figure


def _cost(runs: Runs, alpha: float) -> np.ndarray:
    """(seeds, T) ms per request."""
    return np.stack([table.cost / table.requests for table in runs.tables("infida", accuracy_weight=alpha)])
