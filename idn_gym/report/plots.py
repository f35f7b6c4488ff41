"""Plots of results: pure functions from plain data to a PNG, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from idn_gym.common.colours import FAINT, INK
from idn_gym.common.figures import Target, literal, new_axes, new_figure, save, sequence, style
from idn_gym.common.labels import Name, label_ends
from idn_gym.errors import IdnError
from idn_gym.experiment.intervals import student_interval
from idn_gym.report.focus import limits, near
from idn_gym.report.look import Look, looks
from idn_gym.typing import FloatArray

_DPI = 160
_MARKS = 7  # on a line
_SETTLING = 0.1  # of the slots, that an average over slots so far may take
_BAND = 200  # places at most where a band is computed


def ntag_over_time(
    series: Mapping[str, Sequence[float] | FloatArray],
    target: Target,
    *,
    hindsight: Collection[str] = (),
    bound: float | None = None,
    title: str = "",
    look: Mapping[str, Look] | None = None,
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
    look : of each agent; where it is not given, the one that goes with its name.

    Raises
    ------
    IdnError
        If there is no series, or one is empty.

    Notes
    -----
    The axis is that of the agents close together, less the first tenth of the slots, and has the second half of their
    bands. The end of a line that is far off is named at the edge, with an arrow.
    """
    averages = {agent: _running_average(agent, values) for agent, values in series.items()}
    label = "gain per request, averaged so far (ms)"
    _lines(averages, label, target, hindsight, bound, None, title, look, settling=_SETTLING)


def ntag_over_seeds(
    series: Mapping[str, Sequence[FloatArray]],
    target: Target,
    *,
    hindsight: Collection[str] = (),
    title: str = "",
    look: Mapping[str, Look] | None = None,
) -> None:
    """As `ntag_over_time`, the mean over seeds, with a band that is its 95% interval (Student's).

    Parameters
    ----------
    series : agent -> for each seed (T,) gain per request of each slot in ms; nan in a slot without requests.
    """
    averages, bands = {}, {}
    for agent, of_seeds in series.items():
        values = np.stack([_running_average(agent, of_seed) for of_seed in of_seeds])
        averages[agent] = values.mean(axis=0)
        if len(values) > 1:
            settled = int(_SETTLING * values.shape[1])  # before, an average over few slots scatters
            where = np.unique(np.linspace(settled, values.shape[1] - 1, _BAND).astype(int))
            intervals = [student_interval(values[:, slot]) for slot in where]
            bands[agent] = (where + 1, [i.low for i in intervals], [i.high for i in intervals])
    seeds = max(map(len, series.values()), default=0)
    label = "gain per request, averaged so far (ms)"
    title = f"{title}, mean and 95% interval over {seeds} seeds" if bands else title
    _lines(averages, label, target, hindsight, None, None, title, look, settling=_SETTLING, bands=bands)


def gain_over_time(
    series: Mapping[str, Sequence[float] | FloatArray],
    target: Target,
    *,
    hindsight: Collection[str] = (),
    shaded: tuple[int, int] | None = None,
    title: str = "",
    look: Mapping[str, Look] | None = None,
) -> None:
    """Plot the gain per request slot by slot; parameters as `ntag_over_time`, and `shaded`, slots to set off."""
    values = {agent: np.asarray(gains, dtype=np.float64) for agent, gains in series.items()}
    _lines(values, "gain per request (ms)", target, hindsight, None, shaded, title, look)


def regret_over_time(
    series: Mapping[str, Sequence[float] | FloatArray],
    target: Target,
    *,
    comparator: str,
    hindsight: Collection[str] = (),
    bound: float | None = None,
    title: str = "",
    look: Mapping[str, Look] | None = None,
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
    _lines(values, label, target, hindsight, bound, None, title, look, worse=1)


def _lines(
    series: Mapping[str, FloatArray],
    label: str,
    target: Target,
    hindsight: Collection[str],
    bound: float | None,
    shaded: tuple[int, int] | None,
    title: str,
    look: Mapping[str, Look] | None,
    settling: float = 0.0,
    worse: int = -1,
    bands: Mapping[str, tuple[Any, Any, Any]] | None = None,
) -> None:
    """A line per agent, named at its end with its last value; 1: the higher the worse, -1: the lower."""
    if not series:
        raise IdnError("series: empty; must hold at least one agent")
    look = look or looks(series)
    slots = max(len(values) for values in series.values())
    figure = new_figure(1000, 560, _DPI)
    axes = new_axes(figure, (0.075, 0.105, 0.61, 0.82), "time (slots)", label, title)
    ends = []
    every = max(1, slots // _MARKS)
    for n, (agent, values) in enumerate(series.items()):
        of = look[agent]
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            color=of.colour,
            linewidth=1.6,
            linestyle=of.drawn(agent in hindsight),
            marker=of.marker,
            markersize=5,
            markevery=((n * every // len(series)) % len(values), every),
        )
        if bands and agent in bands:
            axes.fill_between(*bands[agent], color=of.colour, alpha=0.13, linewidth=0, zorder=1.5)
        if np.isfinite(values[-1]):  # else no slot had requests
            ends.append(Name(f"{agent}  {values[-1]:.4g}", float(values[-1]), of.colour, of.marker))
    shown = near([worse * end.at for end in ends])  # agents alone: the bound is beyond the best, whatever the others do
    if bound is not None:
        axes.axhline(bound, color=INK, linewidth=1.0, linestyle=(0, (1, 1.5)))
        ends.append(Name(f"static bound  {bound:.4g}", bound, INK))
    if shaded is not None:
        axes.axvspan(*shaded, color=FAINT, alpha=0.5, linewidth=0)
    axes.set_xlim(0, slots)
    axes.locator_params(axis="x", integer=True)
    axes.margins(y=0.04)
    if settling or not shown.all():
        named = [agent for agent, values in series.items() if np.isfinite(values[-1])]
        close = [agent for agent, kept in zip(named, shown, strict=True) if kept]
        parts = [series[agent][int(settling * len(series[agent])) :] for agent in close]
        parts += [side[len(side) // 2 :] for agent in close if bands and agent in bands for side in bands[agent][1:]]
        extent = np.concatenate([*parts, [] if bound is None else [bound]])
        if np.isfinite(extent).any():
            axes.set_ylim(*limits(extent[np.isfinite(extent)], 0.06))
    label_ends(axes, ends)
    if any(agent in hindsight for agent in series):
        axes.text(1.035, -0.025, "dashed: in hindsight", transform=axes.transAxes, va="top", fontsize=8, color=INK)
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
