"""The picture of ``idn-gym suite``: how often each causal agent is how close to the best one, and on what workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from idn_gym.common.colours import INK
from idn_gym.common.figures import literal, new_axes, new_figure, save
from idn_gym.common.files import atomic
from idn_gym.report.look import Look, looks
from idn_gym.suite.ranking import behind_best
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4  # of the legend
_LEAST, _MOST = 1e-4, 1.0  # of the axes of how far behind; what is closer stands at their end
_TICKS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_BEHIND = "behind the best causal agent of the case"


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Draw how far causal agents are behind the best of them, over all cases and case by case.

    Parameters
    ----------
    document : what ``idn-gym suite --json`` prints; its agents are in the order of the legend, the best one first.
    path : of the PNG.
    """
    agents = [str(row["agent"]) for row in document["agents"] if not row["hindsight"]]
    look = looks(agents)
    rows = [row for row in document["runs"] if row["agent"] in look]
    played = list(dict.fromkeys(str(row["agent"]) for row in rows))
    kind_of = {row["scenario"]: row["workload"] for row in rows}
    behind = dict(zip(played, np.clip(behind_best(rows), _LEAST, _MOST), strict=True))
    lines = -(-len(agents) // _COLUMNS)
    figure = new_figure(1200, 440 + 20 * lines, 130)
    below = (60 + 20 * lines) / (440 + 20 * lines)
    about = f"{document['split']} split, {len(kind_of)} cases"
    axes = new_axes(figure, (0.05, below, 0.345, 0.92 - below), _BEHIND, f"cases, of {len(kind_of)}", about)
    _profiles(axes, agents, behind, look)
    axes = new_axes(figure, (0.475, below, 0.515, 0.92 - below), "workload", _BEHIND, "each case; bars: medians")
    _cases(axes, agents, behind, list(kind_of.values()), look)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=_COLUMNS, fontsize=8.5, labelcolor=INK, frameon=False)
    with atomic(path) as file:
        save(figure, file)


def _profiles(axes: Axes, agents: Sequence[str], behind: Mapping[str, FloatArray], look: Mapping[str, Look]) -> None:
    """How many cases an agent is behind by no more than what stands below: the higher, the better."""
    for agent in agents:
        of, up = look[agent], np.sort(behind[agent])
        count = np.arange(1, len(up) + 1)
        axes.step(
            np.append(up, _MOST),
            np.append(count, len(up)),
            where="post",
            color=of.colour,
            linestyle=of.line,
            marker=of.marker,
            markersize=4,
            markevery=max(1, len(up) // 6),
            linewidth=1.6,
            label=literal(agent),
        )
    axes.set_xscale("log")
    axes.set_xlim(_LEAST * 0.8, _MOST)
    axes.set_ylim(0, None)
    axes.set_xticks(_TICKS, _labels())


def _cases(
    axes: Axes,
    agents: Sequence[str],
    behind: Mapping[str, FloatArray],
    kinds: Sequence[str],
    look: Mapping[str, Look],
) -> None:
    """A mark per agent and case, side by side within each kind of workload: the lower, the better."""
    names, width = list(dict.fromkeys(kinds)), 0.84 / len(agents)
    for n, agent in enumerate(agents):
        of, middle = look[agent], (n + 0.5) * width - 0.42
        for at, kind in enumerate(names):
            values = behind[agent][np.array(kinds) == kind]
            x = at + middle + 0.25 * width * np.linspace(-1.0, 1.0, len(values))  # equals are seen side by side
            axes.plot(x, values, of.marker, color=of.colour, markersize=4, alpha=0.75, markeredgewidth=0.8)
            ends = at + middle - 0.4 * width, at + middle + 0.4 * width
            axes.hlines(np.median(values), *ends, color=of.colour, linewidth=2.2)
    for at in range(1, len(names)):
        axes.axvline(at - 0.5, color="#bdbdbd", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST * 0.8, _MOST)
    axes.set_yticks(_TICKS, _labels())
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xticks(range(len(names)), [literal(name) for name in names])


def _labels() -> list[str]:
    """Of `_TICKS`, as percent; the first stands for all that is less."""
    first, *rest = (f"{100.0 * tick:g}%" for tick in _TICKS)
    return [f"≤ {first}", *rest]
