"""Figure 2: which variants INFIDA's fractional state holds at each tier, for several alpha. Topology I, fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from idn_gym.common.colours import INK
from idn_gym.common.figures import sequence
from idn_gym.experiment.sweep import Cell
from idn_gym.model.network import Network
from idn_gym.report.shares import variant_shares
from idn_gym.reproduce.checks import Check, Outcome, above_everywhere, rising
from idn_gym.reproduce.drawing import panels
from idn_gym.reproduce.runs import Budget, Runs, cells_of
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Fractional allocation per tier and variant, several alpha (Topology I, fixed popularity)"
BUDGETS = {"smoke": Budget(90), "full": Budget(360)}
ALPHAS = (0.5, 1.0, 2.0, 4.0, 6.0)


def cells(budget: Budget) -> list[Cell]:
    """INFIDA alone, at five alphas."""
    return [
        cell
        for alpha in ALPHAS
        for cell in cells_of("topology-1-fixed", ["infida"], budget, {"accuracy_weight": alpha})
    ]


def claims(runs: Runs) -> list[Check]:
    """How what is held moves with alpha and with the tier."""
    accuracy = {alpha: held_accuracy(runs, alpha) for alpha in ALPHAS}
    tiers = runs.network(accuracy_weight=ALPHAS[0]).tiers
    found = [
        Check(
            f"tier {tier}: the models held are on average more accurate, the larger alpha",
            "expected",
            rising({alpha: accuracy[alpha][:, tier] for alpha in ALPHAS}, "pp"),
            Outcome.HOLDS,
        )
        for tier in range(1, int(tiers.max()) + 1)
    ]
    top, bottom = 1, int(tiers.max())
    gap = {alpha: (accuracy[alpha][:, top], accuracy[alpha][:, bottom]) for alpha in ALPHAS}
    found.append(
        Check(
            "the data centre (tier 1) holds more accurate models than the base stations, at every alpha",
            "expected",
            above_everywhere(gap, "pp"),
            Outcome.HOLDS,
        )
    )
    return found


def draw(runs: Runs) -> Figure:
    """A panel per alpha: bars that split each tier's memory by variant, the mean over seeds and time."""
    figure, axes = panels(len(ALPHAS), [f"alpha = {alpha:g}" for alpha in ALPHAS], 230, 330, sharey=True, sharex=True)
    for axis, alpha in zip(axes, ALPHAS, strict=True):
        network = runs.network(accuracy_weight=alpha)
        tiers, shares = variant_shares(network, runs.fractional("infida", accuracy_weight=alpha).mean(axis=0))
        left = np.zeros(len(tiers))
        for (variant, share), colour in zip(shares.items(), sequence(len(shares)), strict=True):
            axis.barh(tiers, 100 * share, 0.72, left, color=colour, edgecolor="white", linewidth=0.3, label=variant)
            left = left + 100 * share
        axis.set_xlim(0, 100)
    axes[0].invert_yaxis()
    figure.supxlabel(
        "share of the tier's memory budget (%), INFIDA's state averaged over time and seeds", fontsize=9, color=INK
    )
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside right center",
        fontsize=8,
        frameon=False,
        title="most accurate first",
        title_fontsize=8,
    )
    return figure


def held_accuracy(runs: Runs, alpha: float) -> FloatArray:
    """(seeds, tiers) accuracy in pp of the models held, averaged over them by fraction; nan where nothing can be."""
    network = runs.network(accuracy_weight=alpha)
    return np.stack([_by_tier(network, state) for state in runs.fractional("infida", accuracy_weight=alpha)])


def _by_tier(network: Network, state: FloatArray) -> FloatArray:
    tier = network.tiers[network.placement_node]
    held = np.bincount(tier, state)
    points = np.bincount(tier, state * (100.0 - network.inaccuracies))
    return np.divide(points, held, out=np.full(len(held), np.nan), where=held > 0)
