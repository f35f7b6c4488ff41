"""Figure 5: average latency against average inaccuracy as alpha varies, all policies. Topology II, fixed popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idn_gym.common.labels import Name, label_points
from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.sweep import Cell
from idn_gym.report.look import look
from idn_gym.reproduce.checks import Check, Outcome, above_everywhere, at_most, falling, rising
from idn_gym.reproduce.drawing import panels
from idn_gym.reproduce.runs import Budget, Runs, cells_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Latency against inaccuracy, alpha in {0.5, 1, 2, 3, 4, 5, 6}, all policies (Topology II, fixed popularity)"
BUDGETS = {"smoke": Budget(90), "full": Budget(360, 10)}
OPTIMUM = "optimum:gap=0.01,time_limit=null"  # a limit on time would make results differ from run to run
AGENTS = (OPTIMUM, "static-greedy", "infida-offline", "last-batch-greedy", "load-aware-greedy", "infida", "random")
ALPHAS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def cells(budget: Budget) -> list[Cell]:
    """All policies at seven alphas."""
    return [
        cell for alpha in ALPHAS for cell in cells_of("topology-2-fixed", AGENTS, budget, {"accuracy_weight": alpha})
    ]


def claims(runs: Runs) -> list[Check]:
    """Alpha sets the trade-off, and INFIDA's is a good one."""

    def by_alpha(column: str, agent: str) -> dict[float, np.ndarray]:
        return {alpha: runs.values(column, agent, accuracy_weight=alpha) for alpha in ALPHAS}

    cost = {agent: {alpha: _cost(runs, agent, alpha) for alpha in ALPHAS} for agent in AGENTS}
    excess = [100.0 * (cost["infida"][alpha] / cost[OPTIMUM][alpha] - 1.0) for alpha in ALPHAS]

    def cheaper(agent: str) -> dict[float, tuple[np.ndarray, np.ndarray]]:
        return {alpha: (cost[agent][alpha], cost["infida"][alpha]) for alpha in ALPHAS}

    holds, fails = Outcome.HOLDS, Outcome.FAILS
    return [
        Check(
            "optimum: inaccuracy falls as alpha grows",
            "expected",
            falling(by_alpha("inaccuracy", OPTIMUM), "pp"),
            holds,
        ),
        Check(
            "optimum: latency rises as alpha grows", "expected", rising(by_alpha("latency_ms", OPTIMUM), "ms"), holds
        ),
        Check(
            "INFIDA: inaccuracy falls as alpha grows",
            "expected",
            falling(by_alpha("inaccuracy", "infida"), "pp"),
            holds,
        ),
        Check(
            "INFIDA: latency rises as alpha grows", "expected", rising(by_alpha("latency_ms", "infida"), "ms"), holds
        ),
        Check(
            "near-optimal trade-off: INFIDA's cost is within 10% of the optimum's, at the alpha where it is farthest",
            "paper",
            at_most(np.max(excess, axis=0), 10.0, "% above"),
            fails,
        ),
        Check(
            "INFIDA costs less than load-aware greedy, at every alpha",
            "paper",
            above_everywhere(cheaper("load-aware-greedy")),
            fails,
        ),
        Check(
            "INFIDA costs less than static greedy, at every alpha",
            "paper",
            above_everywhere(cheaper("static-greedy")),
            fails,
        ),
        Check(
            "INFIDA costs less than random placement, at every alpha",
            "expected",
            above_everywhere(cheaper("random")),
            holds,
        ),
    ]


def draw(runs: Runs) -> Figure:
    """A line per policy through its averages at each alpha, with crosses for the 95% intervals."""
    figure, (axis,) = panels(1, [TITLE.partition(",")[0] + ", Topology II, fixed"], 820, 620)
    names: list[Name] = []
    marks: list[tuple[float, float]] = []
    for agent in AGENTS:
        plain = agent.partition(":")[0]
        of = look(plain)
        points = [
            [mean_interval(runs.values(column, agent, accuracy_weight=alpha)) for alpha in ALPHAS]
            for column in ("inaccuracy", "latency_ms")
        ]
        x, y = ([interval.mean for interval in along] for along in points)
        # random placement scatters so much that its whiskers would hide the others
        dx, dy = ([i.high - i.mean if plain != "random" else np.nan for i in along] for along in points)
        axis.errorbar(
            x,
            y,
            dy,
            dx,
            color=of.colour,
            linestyle=of.line,
            marker=of.marker,
            markersize=5,
            linewidth=1.1,
            elinewidth=0.8,
            label=plain,
        )
        if plain in ("optimum", "infida"):
            names += [Name(f"{alpha:g}", at, of.colour) for alpha, *at in zip(ALPHAS, x, y, strict=True)]
        else:
            marks += list(zip(x, y, strict=True))
    axis.set_xlabel("inaccuracy, average per request (percentage points)", fontsize=9)
    axis.set_ylabel("latency, average per request (ms)", fontsize=9)
    axis.legend(
        fontsize=8,
        frameon=False,
        title="small figures: alpha\ncrosses: 95% intervals,\nnot shown for random\ndashed: in hindsight",
        title_fontsize=8,
    )
    label_points(axis, names, marks=marks)
    return figure


def _cost(runs: Runs, agent: str, alpha: float) -> np.ndarray:
    """(seeds,) latency + alpha x inaccuracy per request, in ms."""
    latency = runs.values("latency_ms", agent, accuracy_weight=alpha)
    return latency + alpha * runs.values("inaccuracy", agent, accuracy_weight=alpha)
