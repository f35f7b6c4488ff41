"""Figure 7: NTAG against the request rate. Topology I, fixed and sliding popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idn_gym.experiment.sweep import Cell
from idn_gym.report.look import look
from idn_gym.reproduce.checks import Check, Outcome, above_everywhere, crosses, falling
from idn_gym.reproduce.drawing import FRACTIONAL, legend, line, panels
from idn_gym.reproduce.runs import Budget, Runs, cells_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "NTAG against the request rate (Topology I, fixed and sliding popularity)"
BOTH = ("topology-1-fixed", "topology-1-sliding")
BUDGETS = {"smoke": Budget(90, scenarios=BOTH), "full": Budget(240, 5, BOTH)}
RATES = (1875.0, 3750.0, 7500.0, 15000.0, 30000.0)  # requests/s: doubling, around the packaged 7500
AGENTS = ("static-greedy", "last-batch-greedy", "load-aware-greedy", "infida", "random")


def cells(budget: Budget) -> list[Cell]:
    """Five policies at five rates."""
    return [
        cell
        for name in budget.scenarios
        for rate in RATES
        for cell in cells_of(name, AGENTS, budget, {"workload.rate": rate})
    ]


def claims(runs: Runs) -> list[Check]:
    """Gains per request fall where capacity binds; who leads, and where that turns."""
    return [check for name in runs.levels("scenario") for check in _claims(runs, name)]


def _claims(runs: Runs, name: str) -> list[Check]:
    def by_rate(agent: str, column: str = "ntag") -> dict[float, np.ndarray]:
        return {rate: runs.values(column, agent, **{"scenario": name, "workload.rate": rate}) for rate in RATES}

    def both(first: str, second: str, column: str = "ntag") -> dict[float, tuple[np.ndarray, np.ndarray]]:
        a, b = by_rate(first, column), by_rate(second)
        return {rate: (a[rate], b[rate]) for rate in RATES}

    upper = {rate: values for rate, values in by_rate("infida").items() if rate >= 7500.0}
    holds, fails = Outcome.HOLDS, Outcome.FAILS
    long = runs.slots >= BUDGETS["full"].slots  # static allocations fall behind as popularity moves, which takes time
    turns = fails if name == "topology-1-fixed" else holds if long else Outcome.OPEN
    return [
        Check(f"{name}: INFIDA's NTAG falls with the rate, from 7,500/s on", "expected", falling(upper, "ms"), holds),
        Check(
            f"{name}: static greedy's NTAG falls with the rate, from the lowest on",
            "expected",
            falling(by_rate("static-greedy"), "ms"),
            holds,
        ),
        Check(
            f"{name}: INFIDA earns more than load-aware greedy at every rate",
            "paper",
            above_everywhere(both("infida", "load-aware-greedy")),
            fails,
        ),
        Check(
            f"{name}: INFIDA is behind static greedy at the lowest rate and ahead at the highest",
            "expected",
            crosses(both("infida", "static-greedy")),
            turns,
        ),
        Check(
            f"{name}: INFIDA's fractional state earns more than load-aware greedy at every rate",
            "paper",
            above_everywhere(both("infida", "load-aware-greedy", "fractional_ntag")),
            holds,
        ),
        Check(
            f"{name}: INFIDA earns more than random placement at every rate",
            "expected",
            above_everywhere(both("infida", "random")),
            holds,
        ),
    ]


def draw(runs: Runs) -> Figure:
    """A panel per workload: NTAG against the rate."""
    names = runs.levels("scenario")
    figure, axes = panels(len(names), names, 500, 430, sharey=True)
    for axis, name in zip(axes, names, strict=True):

        def ntag(agent: str, column: str = "ntag", name: str = name) -> np.ndarray:
            labels = ({"scenario": name, "workload.rate": rate} for rate in RATES)
            return np.stack([runs.values(column, agent, **of) for of in labels], axis=1)

        for agent in AGENTS:
            line(axis, RATES, ntag(agent), agent, look(agent))
        line(axis, RATES, ntag("infida", "fractional_ntag"), *FRACTIONAL)
        axis.set_xscale("log", base=2)
        axis.set_xticks(RATES, [f"{rate:,.0f}" for rate in RATES])
        axis.set_xlabel("request rate (requests/s)", fontsize=9)
    axes[0].set_ylabel("NTAG (ms)", fontsize=9)
    legend(figure, axes[0], "dashed: in hindsight")
    return figure
