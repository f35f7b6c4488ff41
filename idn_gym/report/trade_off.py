"""Plots of what is traded for what: latency against inaccuracy, and gain against price, a point per agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idn_gym.common.figures import MUTED, Target, new_axes, new_figure, save
from idn_gym.common.labels import Name, label_points
from idn_gym.errors import IdnError
from idn_gym.report.focus import limits, near
from idn_gym.report.look import Look, looks
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_DPI = 160
_LEAST = 3  # points that are shown in their places: two alone say too little of the plane
_EDGE = 0.035  # of the axes: how far from their edge a point beyond it is drawn


def latency_against_inaccuracy(
    rows: Sequence[Mapping[str, Any]],
    target: Target,
    *,
    accuracy_weight: float | None = None,
    title: str = "",
    look: Mapping[str, Look] | None = None,
) -> None:
    """Plot the trade-off that each agent strikes: one labelled point per agent, the lower left is better.

    The axes are those of the agents close together; one that is far off stands at the edge, with an arrow and its
    figures.

    Parameters
    ----------
    rows : mappings with ``agent``, ``latency_ms`` and ``inaccuracy`` (percentage points), both per request.
    target : path or binary file that the PNG goes to.
    accuracy_weight : alpha in ms per percentage point; draws lines on which latency + alpha x inaccuracy is the same.
    title : what was run.
    look : of each agent; where it is not given, the one that goes with its name.

    Raises
    ------
    IdnError
        If there is no row.
    """
    lines = None if accuracy_weight is None else _Lines(-accuracy_weight, f"latency + {accuracy_weight:g} × inaccuracy")
    _trade_off(
        rows,
        target,
        _Axis("inaccuracy", "inaccuracy, average per request (percentage points)", "pp"),
        _Axis("latency_ms", "latency, average per request (ms)", "ms"),
        lines,
        title,
        look,
    )


def gain_against_price(
    rows: Sequence[Mapping[str, Any]],
    target: Target,
    *,
    exchange: float | None = None,
    title: str = "",
    look: Mapping[str, Look] | None = None,
) -> None:
    """Plot what each agent gains for what it pays: one labelled point per agent, the upper left is better.

    Parameters
    ----------
    rows : mappings with ``agent``, ``price_per_hour`` and ``gain_per_request`` in ms.
    target, title, look : as for `latency_against_inaccuracy`.
    exchange : ms per request that a unit of currency per hour is worth; draws lines of the same net gain.

    Raises
    ------
    IdnError
        If there is no row.
    """
    lines = None if exchange is None else _Lines(exchange, "net gain")
    _trade_off(
        rows,
        target,
        _Axis("price_per_hour", "price of what is held, average (currency per hour)", "/h"),
        _Axis("gain_per_request", "gain, average per request (ms)", "ms"),
        lines,
        title,
        look,
    )


class _Axis(NamedTuple):
    key: str
    label: str
    unit: str


class _Lines(NamedTuple):
    """Lines y = slope x + c, on each of which `what` is the same c, in ms."""

    slope: float
    what: str


def _trade_off(
    rows: Sequence[Mapping[str, Any]],
    target: Target,
    x: _Axis,
    y: _Axis,
    lines: _Lines | None,
    title: str,
    look: Mapping[str, Look] | None,
) -> None:
    if not rows:
        raise IdnError("rows: empty; must hold at least one agent")
    agents = [str(row["agent"]) for row in rows]
    look = look or looks(agents)
    figure = new_figure(800, 560, _DPI)
    axes = new_axes(figure, (0.085, 0.105, 0.89, 0.82), x.label, y.label, title)
    at = np.array([[row[x.key], row[y.key]] for row in rows], dtype=np.float64)
    shown = near(at[:, 0], _LEAST) & near(at[:, 1], _LEAST)
    if not shown.any():
        shown[:] = True
    axes.set_xlim(*limits(at[shown, 0], 0.16))
    axes.set_ylim(*limits(at[shown, 1], 0.16))
    taken = [] if lines is None else _draw_lines(axes, lines)
    points: list[Name] = []
    for agent, place in zip(agents, at, strict=True):
        of = look[agent]
        inside = _within(axes, place, [point.at for point in points])
        axes.plot(*inside, marker=of.marker, markersize=7, color=of.colour, linestyle="none", zorder=3)
        far = bool((inside != place).any())
        if far:
            _point_out(axes, inside, place, of.colour)
        text = f"{agent} ({place[0]:.3g} {x.unit}, {place[1]:.3g} {y.unit})" if far else agent
        points.append(Name(text, tuple(inside), of.colour))
    label_points(axes, points, taken)
    save(figure, target)


def _within(axes: Axes, place: FloatArray, others: Sequence[Any]) -> FloatArray:
    """A point itself; where it is beyond the axes, the nearest one a little inside that is apart from the others."""
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    if ((low <= place) & (place <= high)).all():
        return place
    room = _EDGE * (high - low)
    inside = np.clip(place, low + room, high - room)
    along = 1 if not low[0] <= place[0] <= high[0] else 0  # the edge it is moved along: aside, where names fit best
    way = np.where(inside[along] < (low + high)[along] / 2, 1.0, -1.0) * room[along]
    while any((np.abs(inside - other) < 0.99 * room).all() for other in others):
        inside[along] += way
    return inside


def _point_out(axes: Axes, inside: FloatArray, place: FloatArray, colour: str) -> None:
    """An arrow from a point to the edge beyond which it belongs."""
    ends = np.array([axes.get_xlim(), axes.get_ylim()])
    way = np.sign(place - inside) * _EDGE * np.diff(ends)[:, 0]
    axes.annotate(
        "", tuple(inside + way), tuple(inside), arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.2}
    )


def _draw_lines(axes: Axes, lines: _Lines) -> list[Bbox]:
    """Lines, each with its ms; the boxes that their labels take, in pixels."""
    from matplotlib.ticker import MaxNLocator

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    slope = lines.slope
    corners = [y - slope * x for x in (left, right) for y in (bottom, top)]
    axes.set_title(f"grey: the same {lines.what}", fontsize=8, color=MUTED, loc="right")
    boxes = []
    for level in MaxNLocator(8).tick_values(min(corners), max(corners)):
        x = np.array([left, right])
        axes.plot(x, level + slope * x, color="#a6a6a6", linewidth=0.8, zorder=1, scalex=False, scaley=False)
        edge = top - 0.03 * (top - bottom) if slope < 0.0 else bottom + 0.03 * (top - bottom)
        x_at = max(left + 0.03 * (right - left), (edge - level) / slope if slope else left)
        place = (x_at, level + slope * x_at)  # a little inside the left edge, or the one that the line comes in by
        if not (x_at < right - 0.08 * (right - left) and bottom < place[1] < top):
            continue
        text = axes.text(
            *place,
            f"{level:g} ms",
            fontsize=7.5,
            color=MUTED,
            ha="left",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            zorder=1.5,
        )
        boxes.append(text.get_window_extent())
    return boxes
