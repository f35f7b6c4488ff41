"""Figure 6: model updates and NTAG of greedy, and of INFIDA with several refresh periods. Topology I, sliding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idn_gym.experiment.sweep import Cell
from idn_gym.report.look import looks
from idn_gym.reproduce.checks import Check, Outcome, above, at_least, falling
from idn_gym.reproduce.drawing import legend, line, panels, running_mean
from idn_gym.reproduce.runs import Budget, Runs, cells_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Model updates and NTAG of greedy, and of INFIDA with refresh 4, 8, 16 and dynamic (Topology I, sliding)"
BUDGETS = {"smoke": Budget(120), "full": Budget(480, 10)}
PERIODS = (1, 4, 8, 16)
DYNAMIC = "infida:refresh=dynamic,target=16"
INFIDA = {period: f"infida:refresh={period}" for period in PERIODS}
AGENTS = (*INFIDA.values(), DYNAMIC, "infida:refresh=dynamic,target=32", "load-aware-greedy")
_KEEP = 0.98  # what a long period may cost at most, in parts of the NTAG of refreshing in every slot


def cells(budget: Budget) -> list[Cell]:
    """INFIDA five times, and greedy."""
    return cells_of("topology-1-sliding", AGENTS, budget)


def claims(runs: Runs) -> list[Check]:
    """What a refresh period saves in updates, and what it costs in gain."""

    def values(column: str, agent: str) -> np.ndarray:
        return runs.values(column, agent)

    updates = {float(period): values("model_update_mb", agent) for period, agent in INFIDA.items()}
    kept = values("ntag", INFIDA[16]) / values("ntag", INFIDA[1])
    greedy = "load-aware-greedy"
    early = {agent: runs.gain_per_request(agent)[:, :30].mean(axis=1) for agent in (DYNAMIC, INFIDA[16])}
    late = {
        agent: runs.per_slot("model_update_mb", agent)[:, -runs.slots // 4 :].mean(axis=1)
        for agent in (DYNAMIC, INFIDA[8])
    }
    holds, fails = Outcome.HOLDS, Outcome.FAILS
    return [
        Check(
            "model updates fall as the refresh period grows: 1, 4, 8, 16",
            "expected",
            falling(updates, "MB/slot"),
            holds,
        ),
        Check(
            f"INFIDA with B = 16 keeps {100 * _KEEP:g}% of the NTAG that it has with B = 1",
            "expected",
            at_least(100 * kept, 100 * _KEEP, "%"),
            fails,
        ),
        Check(
            "INFIDA with B = 4 loads more per slot than load-aware greedy",
            "expected",
            above(values("model_update_mb", INFIDA[4]), values("model_update_mb", greedy), "MB/slot"),
            holds,
        ),
        Check(
            "INFIDA with B = 16 loads less per slot than load-aware greedy",
            "paper",
            above(values("model_update_mb", greedy), values("model_update_mb", INFIDA[16]), "MB/slot"),
            fails,
        ),
        Check(
            "INFIDA with B = 16 earns more than load-aware greedy",
            "paper",
            above(values("ntag", INFIDA[16]), values("ntag", greedy)),
            fails,
        ),
        Check(
            "dynamic refresh (to 16) earns more than B = 16 in the first 30 slots",
            "expected",
            above(early[DYNAMIC], early[INFIDA[16]]),
            holds,
        ),
        Check(
            "dynamic refresh (to 16) loads less than B = 8 in the last quarter",
            "expected",
            above(late[INFIDA[8]], late[DYNAMIC], "MB/slot"),
            holds,
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Two panels over time: updates per slot, averaged so far, and the gain per request."""
    figure, axes = panels(2, ["model updates", "gain"], 520, 430)
    labels = {
        **{INFIDA[period]: f"infida, B = {period}" for period in PERIODS},
        DYNAMIC: "infida, dynamic to 16",
        AGENTS[-2]: "infida, dynamic to 32",
        AGENTS[-1]: AGENTS[-1],
    }
    look = looks(labels)
    time = np.arange(1, runs.slots + 1)
    for agent, label in labels.items():
        loaded = running_mean(runs.per_slot("model_update_mb", agent)) / 1000.0
        line(axes[0], time, loaded, label, look[agent])
        line(axes[1], time, running_mean(runs.gain_per_request(agent)), label, look[agent])
    axes[1].set_ylim(bottom=25.0)
    axes[0].set_yscale("log")
    axes[0].set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes[0].yaxis.set_minor_formatter("")
    for axis, label in zip(
        axes, ("GB newly loaded per slot, averaged so far", "gain per request, averaged so far (ms)"), strict=True
    ):
        axis.set_xlabel("time (slots)", fontsize=9)
        axis.set_ylabel(label, fontsize=9)
    legend(figure, axes[0], "B: slots between roundings")
    return figure
