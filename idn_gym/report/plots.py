"""Plots of results: pure functions from plain data to a PNG, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from idn_gym.common.figures import (
    FAINT,
    INK,
    PALETTE,
    Target,
    label_ends,
    label_points,
    literal,
    new_axes,
    new_figure,
    save,
    sequence,
    style,
)
from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray

_DPI = 160


def ntag_over_time(
    series: Mapping[str, Sequence[float] | FloatArray],
    target: Target,
    *,
    hindsight: Collection[str] = (),
    bound: float | None = None,
    title: str = "",
) -> None:
    """Plot how the gain per request, averaged over the slots so far (NTAG), develops for each agent.

    Parameters
    ----------
    series : agent -> (T,) gain per request of each slot in ms; nan in a slot without requests, which does not count.
    target : path or binary file that the PNG goes to.
    hindsight : agents that saw the requests beforehand; dashed.
    bound : no static allocation has an average above this, in ms; a horizontal line. What is proven of total gain, over
        all requests, is another average than this one, and may lie below it: `regret_over_time` takes that.
    title : what was run.

    Raises
    ------
    IdnError
        If there is no series, or one is empty.
    """
    averages = {agent: _running_average(agent, values) for agent, values in series.items()}
    _lines(averages, "gain per request, averaged so far (ms)", target, hindsight, bound, None, title)


def gain_over_time(
    series: Mapping[str, Sequence[float] | FloatArray],
    target: Target,
    *,
    hindsight: Collection[str] = (),
    shaded: tuple[int, int] | None = None,
    title: str = "",
) -> None:
    """Plot the gain per request slot by slot; parameters as `ntag_over_time`, and `shaded`, slots to set off."""
    values = {agent: np.asarray(gains, dtype=np.float64) for agent, gains in series.items()}
    _lines(values, "gain per request (ms)", target, hindsight, None, shaded, title)


def regret_over_time(
    series: Mapping[str, Sequence[float] | FloatArray],
    target: Target,
    *,
    comparator: str,
    hindsight: Collection[str] = (),
    bound: float | None = None,
    title: str = "",
) -> None:
    """Plot how far each agent is behind the best static allocation in hindsight, summed over the slots so far.

    Parameters
    ----------
    series : agent -> (T,) regret so far, per request of the whole run, in ms; below 0 the agent is ahead.
    comparator : name of the one whose regret is 0; other parameters as `ntag_over_time`.
    bound : no static allocation ends below this, in the same unit; a horizontal line.
    """
    values = {agent: np.asarray(regrets, dtype=np.float64) for agent, regrets in series.items()}
    label = f"regret so far against {comparator}, per request of the run (ms)"
    _lines(values, label, target, hindsight, bound, None, title)


def _lines(
    series: Mapping[str, FloatArray],
    label: str,
    target: Target,
    hindsight: Collection[str],
    bound: float | None,
    shaded: tuple[int, int] | None,
    title: str,
) -> None:
    """A line per agent, named at its end with its last value."""
    if not series:
        raise IdnError("series: empty; must hold at least one agent")
    figure = new_figure(1000, 560, _DPI)
    axes = new_axes(figure, (0.075, 0.105, 0.66, 0.82), "time (slots)", label, title)
    ends = []
    for n, (agent, values) in enumerate(series.items()):
        colour = PALETTE[n % len(PALETTE)]
        dashes = (0, (4, 1.6)) if agent in hindsight else "solid"
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.6, linestyle=dashes)
        if np.isfinite(values[-1]):  # else no slot had requests
            ends.append((f"{agent}  {values[-1]:.4g}", float(values[-1]), colour))
    if bound is not None:
        axes.axhline(bound, color=INK, linewidth=1.0, linestyle=(0, (1, 1.5)))
        ends.append((f"static bound  {bound:.4g}", bound, INK))
    if shaded is not None:
        axes.axvspan(*shaded, color=FAINT, alpha=0.5, linewidth=0)
    axes.set_xlim(0, max(len(values) for values in series.values()))
    axes.margins(y=0.04)
    label_ends(axes, ends)
    if any(agent in hindsight for agent in series):
        axes.text(1.035, -0.025, "dashed: in hindsight", transform=axes.transAxes, va="top", fontsize=8, color=INK)
    save(figure, target)


def latency_against_inaccuracy(rows: Sequence[Mapping[str, Any]], target: Target, *, title: str = "") -> None:
    """Plot the trade-off that each agent strikes: one labelled point per agent, the lower left is better.

    Parameters
    ----------
    rows : mappings with ``agent``, ``latency_ms`` and ``inaccuracy`` (percentage points), both per request.
    target : path or binary file that the PNG goes to.
    title : what was run.

    Raises
    ------
    IdnError
        If there is no row.
    """
    if not rows:
        raise IdnError("rows: empty; must hold at least one agent")
    figure = new_figure(800, 560, _DPI)
    axes = new_axes(
        figure,
        (0.085, 0.105, 0.89, 0.82),
        "inaccuracy, average per request (percentage points)",
        "latency, average per request (ms)",
        title,
    )
    x = np.array([row["inaccuracy"] for row in rows], dtype=np.float64)
    y = np.array([row["latency_ms"] for row in rows], dtype=np.float64)
    colours = [PALETTE[n % len(PALETTE)] for n in range(len(rows))]
    axes.scatter(x, y, s=46, color=colours, zorder=3)
    axes.margins(0.12)
    label_points(axes, x, y, [str(row["agent"]) for row in rows], colours)
    save(figure, target)


def allocation_per_tier(
    shares: Mapping[str, Mapping[str, Sequence[float] | FloatArray]],
    tiers: Sequence[str],
    target: Target,
    *,
    title: str = "",
) -> None:
    """Plot which variants fill the memory of each tier; one panel per agent. `shares` computes the data.

    Parameters
    ----------
    shares : agent -> variant -> share of each tier's memory budget that holds the variant, in [0, 1]. The variants
        stand in the order of the first agent's, the most accurate first: that one is the darkest.
    tiers : name of each tier, the top one first.
    target : path or binary file that the PNG goes to.
    title : what was run.

    Raises
    ------
    IdnError
        If there is no agent.
    """
    if not shares:
        raise IdnError("shares: empty; must hold at least one agent")
    variants = list(dict.fromkeys(variant for of_agent in shares.values() for variant in of_agent))
    columns = min(4, len(shares))
    rows = -(-len(shares) // columns)
    height = max(90 + (60 + 36 * len(tiers)) * rows, 90 + 18 * len(variants))
    figure = new_figure(300 + 215 * columns, height, _DPI, "constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    colours = sequence(len(variants))
    for axes, (agent, of_agent) in zip(grid.flat, shares.items(), strict=False):
        style(axes, "", "", agent)
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        left = np.zeros(len(tiers))
        for variant, colour in zip(variants, colours, strict=True):
            width = 100.0 * np.asarray(of_agent.get(variant, np.zeros(len(tiers))), dtype=np.float64)
            axes.barh(tiers, width, 0.72, left, color=colour, edgecolor="white", linewidth=0.3, label=literal(variant))
            left = left + width
        if not left.any():
            axes.text(50, (len(tiers) - 1) / 2, "nothing placed", ha="center", va="center", fontsize=8, color=INK)
    grid[0, 0].set_xlim(0, 100)
    grid[0, 0].invert_yaxis()
    for n in range(len(shares), rows * columns):  # the last row may be short; the panels above it then show the axis
        grid.flat[n].set_visible(False)
        grid.flat[n - columns].xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel("share of the tier's memory budget (%)", fontsize=9, color=INK)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside right center",
        fontsize=8,
        frameon=False,
        title="variant, the most\naccurate first",
        title_fontsize=8,
        alignment="left",
    )
    if title:
        figure.suptitle(literal(title), fontsize=10, color=INK)
    save(figure, target)


def _running_average(agent: str, values: Sequence[float] | FloatArray) -> FloatArray:
    """(T,) mean of what is not nan up to each slot; nan before the first such slot."""
    gains = np.asarray(values, dtype=np.float64)
    if gains.ndim != 1 or not gains.size:
        raise IdnError(f"series {agent}: shape {gains.shape}; must be one value per slot")
    counted = np.cumsum(~np.isnan(gains))
    return np.where(counted > 0, np.nancumsum(gains) / np.maximum(counted, 1), np.nan)
