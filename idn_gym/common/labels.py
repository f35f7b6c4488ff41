"""Names written into a figure, at its lines' ends or beside its points, where none covers another.

Text has the colour of what it names, as dark as it takes to read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idn_gym.common.colours import readable
from idn_gym.common.figures import literal
from idn_gym.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_SIZE = 8.5  # points
_LINE = 0.042  # height of a line, as a part of the axes'
_ANGLES = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240])
_RADII = np.repeat([10, 18, 28, 40, 55, 75, 100, 130, 165, 200], len(_ANGLES))  # points
_PLACES = _RADII[:, None] * np.tile(np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]), (10, 1))  # from the point
_ANCHORS = np.select([np.abs(_PLACES[:, 0]) < 1.0, _PLACES[:, 0] > 0.0], [0.5, 0.0], 1.0)  # where a name is held
_LED = _RADII > 10  # by a line from the point
_DOTS = 70  # on such a line, so close that nothing fits between them
_ROUNDS = 6
_ON_TEXT = 20  # the cost of text on text or on a point, in that of a line through one


class Name(NamedTuple):
    """What is written at a place, with the colour and the marker of what it names."""

    text: str
    at: Any  # y of a line's end, (x, y) of a point
    colour: str
    marker: Any = ""


@dataclass(frozen=True, eq=False)
class _Places:
    """Where a name may stand, the best first; lengths in pixels."""

    penalty: FloatArray  # (n,) the cost of each by itself
    boxes: FloatArray  # (n, 4) left, bottom, right, top of the name
    lines: FloatArray  # (n, dots, 2) dots on the way from the point; nan where no line leads there


def label_ends(axes: Axes, ends: Sequence[Name]) -> None:
    """Names right of the lines' ends, moved apart as little as keeps them readable.

    An end above or below the axes is named at the edge, with an arrow.
    """
    if not ends:
        return
    from scipy.optimize import isotonic_regression

    ends = sorted(ends, key=lambda end: end.at)
    low, high = axes.get_ylim()
    steps = np.arange(len(ends)) * min(_LINE, 1.0 / len(ends))
    beyond = (np.array([end.at for end in ends]) - low) / (high - low)
    at = np.clip(beyond, 0.0, 1.0)
    placed = np.clip(isotonic_regression(at - steps).x, 0.0, 1.0 - steps[-1]) + steps
    for end, start, y, out in zip(ends, at, placed, beyond - at, strict=True):
        drawn: dict[str, Any] = {"color": end.colour, "transform": axes.transAxes, "clip_on": False}
        axes.plot([1.003, 1.02, 1.03], [start, y, y], linewidth=0.8, **drawn)
        if end.marker:
            axes.plot([1.035], [y], marker=end.marker, markersize=5, **drawn)
        arrow = "\u2191 " if out > 1e-9 else "\u2193 " if out < -1e-9 else ""
        axes.annotate(
            arrow + literal(end.text),
            (1.035, y),
            (6.0 if end.marker else 0.0, 0.0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=_SIZE,
            color=readable(end.colour),
            annotation_clip=False,
        )


def label_points(
    axes: Axes, points: Sequence[Name], taken: Iterable[Bbox] = (), marks: Sequence[tuple[float, float]] = ()
) -> None:
    """Each name beside its point, as near as it covers no point, no other name and nothing of what is `taken`.

    Parameters
    ----------
    points : names with places in the coordinates of the data. The limits of the axes must be final.
    taken : boxes in pixels that must stay free, too.
    marks : as are these points, in the coordinates of the data; they have no names.
    """
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()  # fixes where the points are
    pixels = figure.dpi / 72.0
    centres = axes.transData.transform(np.array([*(point.at for point in points), *marks], np.float64).reshape(-1, 2))
    half = 5.0 * pixels
    fixed = np.array([*(box.extents for box in taken), *(np.hstack([centres - half, centres + half]))]).reshape(-1, 4)
    frame = np.array(axes.get_window_extent().extents)
    options = []
    for point, centre in zip(points, centres, strict=False):
        text = axes.text(0, 0, literal(point.text), fontsize=_SIZE)
        size = text.get_window_extent().padded(pixels).size
        text.remove()
        options.append(_places(centre, np.array(size), pixels, fixed, frame))
    for point, n in zip(points, _settled(options), strict=True):
        leader = {"arrowstyle": "-", "color": point.colour, "linewidth": 0.7, "shrinkA": 1}
        leader["relpos"] = (_ANCHORS[n], 0.5)
        axes.annotate(
            literal(point.text),
            point.at,
            tuple(_PLACES[n]),
            textcoords="offset points",
            ha={0.0: "left", 0.5: "center", 1.0: "right"}[_ANCHORS[n]],
            va="center",
            fontsize=_SIZE,
            color=readable(point.colour),
            path_effects=[withStroke(linewidth=2.5, foreground="white")],  # it may cross the grid
            arrowprops=leader if _LED[n] else None,
        )


def _places(centre: FloatArray, size: FloatArray, pixels: float, fixed: FloatArray, frame: FloatArray) -> _Places:
    """All places of a name of a size (width, height) at a point; `fixed` (m, 4) are boxes that must stay free."""
    ends = centre + pixels * _PLACES
    low = ends - np.column_stack([_ANCHORS * size[0], np.full(len(ends), size[1] / 2.0)])
    boxes = np.hstack([low, low + size])
    share = np.linspace(0.0, 1.0, _DOTS)[:, None]
    lines = np.where(_LED[:, None, None], centre + share * (ends - centre)[:, None, :], np.nan)
    beyond = (boxes[:, :2] < frame[:2]).any(axis=1) | (boxes[:, 2:] > frame[2:]).any(axis=1)
    away = lines[:, (np.abs(lines - centre) > 6.0 * pixels).any(axis=2).argmax(axis=1).max() :]  # off its own point
    penalty = _ON_TEXT * (50 * beyond + _overlap(boxes, fixed).sum(axis=1)) + _held(fixed, away).sum(axis=1)
    return _Places(penalty, boxes, lines)


def _settled(options: Sequence[_Places]) -> list[int]:
    """A place for each name: the best beside those that stand, in a few rounds until none moves."""
    chosen: list[int] = []
    for i in range(len(options)):
        chosen.append(_best(options[i], options[:i], chosen))
    for _ in range(_ROUNDS):
        before = list(chosen)
        for i in range(len(options)):
            chosen[i] = _best(options[i], [*options[:i], *options[i + 1 :]], [*chosen[:i], *chosen[i + 1 :]])
        if before == chosen:
            break
    return chosen


def _best(own: _Places, others: Sequence[_Places], chosen: Sequence[int]) -> int:
    """The place of least cost, the first of equals, beside others at their chosen places."""
    cost = own.penalty.copy()
    if others:
        boxes = np.stack([other.boxes[n] for other, n in zip(others, chosen, strict=True)])
        lines = np.stack([other.lines[n] for other, n in zip(others, chosen, strict=True)])
        cost += _ON_TEXT * _overlap(own.boxes, boxes).sum(axis=1)
        cost += _held(own.boxes, lines).sum(axis=0) + _held(boxes, own.lines).sum(axis=1)
        cost += _cross(own.lines, lines).sum(axis=1)
    return int(cost.argmin())


def _overlap(one: FloatArray, other: FloatArray) -> BoolArray:
    """(n, m) which of boxes (n, 4) and (m, 4) have an area in common."""
    apart = np.maximum(one[:, None, :2] - other[None, :, 2:], other[None, :, :2] - one[:, None, 2:])
    return np.asarray(apart.max(axis=2) < 0.0)


def _held(boxes: FloatArray, lines: FloatArray) -> IntArray:
    """(m, n) how many dots of each line (m, dots, 2) lie in each box (n, 4)."""
    dots = lines[:, None]
    return ((boxes[:, None, :2] < dots) & (dots < boxes[:, None, 2:])).all(axis=3).sum(axis=2)


def _cross(one: FloatArray, other: FloatArray) -> BoolArray:
    """(n, m) which straight lines, from their first to their last dots, cross."""

    def side(lines: FloatArray, dots: FloatArray) -> FloatArray:
        """(n, m) on which side of each line each dot lies."""
        way, to = lines[:, -1] - lines[:, 0], dots[None] - lines[:, None, 0]
        return way[:, None, 0] * to[..., 1] - way[:, None, 1] * to[..., 0]

    across = side(one, other[:, 0]) * side(one, other[:, -1])
    back = side(other, one[:, 0]) * side(other, one[:, -1])
    crossing: BoolArray = np.maximum(across, back.T) < 0.0
    return crossing
