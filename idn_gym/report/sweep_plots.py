"""The picture of a sweep: NTAG against what is varied, an agent a line, with 95% intervals over seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from idn_gym.common.colours import INK
from idn_gym.common.figures import literal, new_figure, save, style
from idn_gym.common.files import atomic
from idn_gym.errors import IdnError
from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.sweep import label_keys
from idn_gym.report.look import Look, looks
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS, _COLUMNS = 12, 4  # at most in a picture; side by side
_TICKS = 8  # levels at most that are all named on an axis of numbers

Row = Mapping[str, Any]


def draw(rows: Sequence[Row], path: Path) -> list[Path]:
    """Draw NTAG for each setting and agent of a sweep.

    What takes most values stands along the axis (numbers before names), and every combination of the others has a
    panel. Where seeds are few a line is a mean alone; of two or more the band is the 95% interval of the mean.

    Parameters
    ----------
    rows : what `idn_gym.experiment.sweep.run` returns: labels (what is varied), ``agent``, ``seed``, ``ntag`` in ms.
    path : of the PNG; beyond twelve panels further ones are named ``-2``, ``-3``, ... behind its stem.

    Returns
    -------
    The files written.

    Raises
    ------
    IdnError
        If there is no row.
    """
    if not rows:
        raise IdnError("sweep: no rows; there must be at least one run to draw")
    varied = varied_keys(rows)
    along = max(varied, key=lambda key: (_numbers(rows, key) is not None, len(_levels(rows, key))), default=None)
    others = [key for key in varied if key != along] or (["scenario"] if along != "scenario" else [])
    panels: dict[str, list[Row]] = {}
    for row in rows:
        panels.setdefault(", ".join(_said(key, row.get(key)) for key in others if key in row), []).append(row)
    titles = list(panels)
    parts = [titles[start : start + _PANELS] for start in range(0, len(titles), _PANELS)]
    paths = [path if n == 0 else path.with_stem(f"{path.stem}-{n + 1}") for n in range(len(parts))]
    found = looks(str(row["agent"]) for row in rows)
    look = {agent: found[agent] for agent in dict.fromkeys(str(row["agent"]) for row in rows)}
    for part, target in zip(parts, paths, strict=True):
        _draw({title: panels[title] for title in part}, rows, along, look, target)
    return paths


def varied_keys(rows: Sequence[Row]) -> list[str]:
    """The labels that differ between rows of a sweep, in their order."""
    return [key for key in label_keys(rows) if len(_levels(rows, key)) > 1]


def _draw(
    panels: Mapping[str, Sequence[Row]], rows: Sequence[Row], along: str | None, look: Mapping[str, Look], path: Path
) -> None:
    levels = [""] if along is None else _levels(rows, along)
    numbers = None if along is None else _numbers(rows, along)
    columns = min(_COLUMNS, len(panels)) if len(panels) != 4 else 2
    height = -(-len(panels) // columns)
    many = sum(len(level) for level in levels) * 7 > 300
    figure = new_figure(max(640, 400 * columns), 120 + 320 * height + 18 * len(look), 130, "constrained")
    grid = figure.subplots(height, columns, squeeze=False)
    for axes, (title, of_panel) in zip(grid.flat, panels.items(), strict=False):
        style(axes, along or "", "NTAG (ms)", title)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        x = np.arange(len(levels), dtype=np.float64) if numbers is None else numbers
        for n, (agent, of) in enumerate(look.items()):
            values = [
                [row["ntag"] for row in of_panel if row["agent"] == agent and _same(row, along, level)]
                for level in levels
            ]
            shift = 0.0 if numbers is not None else 0.5 * ((n + 0.5) / len(look) - 0.5)
            _line(axes, x + shift, values, agent, of, joined=numbers is not None)
        if numbers is None:
            axes.set_xticks(x, [literal(level) for level in levels], rotation=60 if many else 0)
            axes.set_xlim(-0.5, len(levels) - 0.5)
        else:
            if min(numbers) > 0 and max(numbers) >= 20 * min(numbers):
                axes.set_xscale("log")
            if len(levels) <= _TICKS:
                axes.set_xticks(numbers, [f"{number:,g}" for number in numbers])
                axes.set_xticks([], minor=True)
        axes.margins(y=0.08)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    seeds = len({row.get("seed") for row in rows})
    handles, labels = [], []
    for axes in grid.flat[: len(panels)]:  # an agent may be in some panels only
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    said = "bands: 95% intervals of the mean over seeds" if numbers is not None else "bars: 95% intervals over seeds"
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=max(1, int(figure.get_figwidth() * 14 / (6 + max(map(len, labels))))),
        fontsize=8,
        labelcolor=INK,
        frameon=False,
        title=said if seeds > 1 else "one seed",
        title_fontsize=8,
    )
    with atomic(path) as file:
        save(figure, file)


def _line(axes: Axes, x: FloatArray, values: Sequence[Sequence[float]], agent: str, look: Look, joined: bool) -> None:
    """The means with their intervals, one place per level; nothing where a level has no runs."""
    there = [n for n, sample in enumerate(values) if sample]
    if not there:
        return
    intervals = [mean_interval(values[n]) for n in there]
    mean = np.array([interval.mean for interval in intervals])
    half = np.array([interval.high - interval.mean for interval in intervals])  # unbounded for a single seed
    drawn: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5, "label": literal(agent)}
    if joined:
        axes.plot(x[there], mean, linestyle=look.line, linewidth=1.5, **drawn)
        known = np.isfinite(half)
        axes.fill_between(x[there], mean - half, mean + half, where=known, color=look.colour, alpha=0.16, linewidth=0)
    else:
        axes.errorbar(x[there], mean, np.where(np.isfinite(half), half, 0.0), linestyle="none", capsize=2.5, **drawn)


def _levels(rows: Sequence[Row], key: str) -> list[str]:
    """The values of a label as texts: numbers by size, names in the order of the rows."""
    values: dict[str, Any] = {_text(row.get(key)): row.get(key) for row in rows}
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    return sorted(values, key=values.__getitem__) if numbers else list(values)


def _numbers(rows: Sequence[Row], key: str) -> FloatArray | None:
    """The levels of a label as numbers, if they are."""
    try:
        found = np.array([float(level) for level in _levels(rows, key)])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _said(key: str, value: Any) -> str:
    return _text(value) if key == "scenario" else f"{key} {_text(value)}"


def _same(row: Row, along: str | None, level: str) -> bool:
    return along is None or _text(row.get(along)) == level
