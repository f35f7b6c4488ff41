"""What the pictures of the figures share: panels, lines with confidence bands, names of agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from idn_gym.common.colours import FAINT
from idn_gym.common.figures import new_figure, style
from idn_gym.experiment.intervals import mean_interval
from idn_gym.report.look import BLUE, DOTTED, Look
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_MARKS = 8  # on a line, about
# the state behind an agent's allocation, which is no agent
FRACTIONAL = ("infida, fractional state", Look(BLUE, "d", DOTTED))


def panels(
    columns: int, titles: Sequence[str], width: int = 480, height: int = 400, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with titled panels side by side, and as many rows of them as it takes."""
    rows = -(-len(titles) // columns)
    figure = new_figure(width * columns, height * rows, _DPI, "constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    axes = list(grid.flat)
    for axis, title in zip(axes, titles, strict=False):
        style(axis, "", "", title)
        axis.grid(color=FAINT, linewidth=0.6)
    for axis in axes[len(titles) :]:
        axis.set_visible(False)
    return figure, axes[: len(titles)]


def line(
    axes: Axes,
    x: Sequence[float] | FloatArray,
    values: FloatArray,
    label: str,
    look: Look,
) -> None:
    """The mean over seeds of (seeds, n) values as a line, with a band that is its 95% interval.

    There is a marker at each of a few places, or at some of many.
    """
    intervals = [mean_interval(column) for column in values.T]
    mean = [interval.mean for interval in intervals]
    every = max(1, len(mean) // _MARKS)
    axes.plot(
        x,
        mean,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markersize=4.5,
        markevery=(len(axes.lines) % _MARKS * every // _MARKS, every),
        linewidth=1.5,
        label=label,
    )
    if len(values) > 1:
        low, high = [i.low for i in intervals], [i.high for i in intervals]
        axes.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)


def legend(figure: Figure, axes: Axes, note: str = "", intervals: str = "bands") -> None:
    """One legend for all panels, below them: how intervals are drawn, and what else a reader must know."""
    handles, labels = axes.get_legend_handles_labels()
    about = f"{intervals}: 95% intervals of the mean over seeds"
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(len(labels), max(1, int(figure.get_figwidth() / 2.3))),
        fontsize=8,
        frameon=False,
        title=f"{about}; {note}" if note else about,
        title_fontsize=8,
    )


def running_mean(values: FloatArray) -> FloatArray:
    """(seeds, T) mean of the slots so far."""
    return np.cumsum(values, axis=1) / np.arange(1, values.shape[1] + 1)
