"""Names written into a figure, at its lines' ends or beside its points, where none covers another.

Text has the colour of what it names, as dark as it takes to read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from idn_gym.common.colours import readable
from idn_gym.common.figures import literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_SIZE = 8.5  # points
_LINE = 0.042  # height of a line, as a part of the axes'
_ANGLES = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240])
_PLACES = [(r * np.cos(a), r * np.sin(a)) for r in (10, 18, 28, 40, 55, 75, 100, 130, 165, 200) for a in _ANGLES]
_ROUNDS = 6


class Name(NamedTuple):
    """What is written at a place, with the colour and the marker of what it names."""

    text: str
    at: Any  # y of a line's end, (x, y) of a point
    colour: str
    marker: Any = ""


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
        axes.text(
            1.05 if end.marker else 1.035,
            y,
            arrow + literal(end.text),
            transform=axes.transAxes,
            va="center",
            fontsize=_SIZE,
            color=readable(end.colour),
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
    from matplotlib.transforms import Bbox

    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()  # fixes where the points are
    pixels, inside = figure.dpi / 72.0, axes.get_window_extent()
    places = [*(point.at for point in points), *marks]
    centres = axes.transData.transform(np.array(places, dtype=np.float64).reshape(-1, 2))
    half = 5.0 * pixels
    fixed = [*taken, *(Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half) for x, y in centres)]
    options = []  # of each name: (a penalty for its place, number of the place, anchor, boxes it covers)
    for point, (x, y) in zip(points, centres, strict=False):
        text = axes.text(0, 0, literal(point.text), fontsize=_SIZE)
        width, height = text.get_window_extent().padded(pixels).size
        text.remove()
        of_point = []
        for n, (dx, dy) in enumerate(_PLACES):
            anchor = 0.5 if abs(dx) < 1.0 else 0.0 if dx > 0.0 else 1.0  # the side of the name that faces the point
            box = Bbox.from_bounds(x + dx * pixels - anchor * width, y + dy * pixels - height / 2, width, height)
            steps = np.linspace(0.2, 0.95, int(np.hypot(dx, dy) / 3.0)) * pixels  # nothing fits between two of them
            line = [Bbox.from_bounds(x + step * dx, y + step * dy, 1, 1) for step in steps] if _led(n) else []
            outside = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
            penalty = 1000 * outside + 20 * box.count_overlaps(fixed) + sum(part.count_overlaps(fixed) for part in line)
            of_point.append((penalty, n, anchor, [box, *line]))
        options.append(of_point)
    chosen = _settled(options)
    for point, (_, n, anchor, _) in zip(points, chosen, strict=True):
        leader = {"arrowstyle": "-", "color": point.colour, "linewidth": 0.7, "relpos": (anchor, 0.5), "shrinkA": 1}
        axes.annotate(
            literal(point.text),
            point.at,
            _PLACES[n],
            textcoords="offset points",
            ha={0.0: "left", 0.5: "center", 1.0: "right"}[anchor],
            va="center",
            fontsize=_SIZE,
            color=readable(point.colour),
            path_effects=[withStroke(linewidth=2.5, foreground="white")],  # it may cross the grid
            arrowprops=leader if _led(n) else None,
        )


def _led(place: int) -> bool:
    """Whether a line leads to the place; the nearest need none."""
    return place >= len(_ANGLES)


def _settled(options: list[list[tuple[int, int, float, list[Bbox]]]]) -> list[tuple[int, int, float, list[Bbox]]]:
    """One place each: the best beside those that stand, in a few rounds until none moves."""
    chosen: list[tuple[int, int, float, list[Bbox]]] = []
    for of_point in options:
        chosen.append(min(of_point, key=lambda option: _cost(option, chosen)))
    for _ in range(_ROUNDS):
        before = [option[1] for option in chosen]
        for i, of_point in enumerate(options):
            others = chosen[:i] + chosen[i + 1 :]
            chosen[i] = min(of_point, key=lambda option: _cost(option, others))
        if before == [option[1] for option in chosen]:
            break
    return chosen


def _cost(
    option: tuple[int, int, float, list[Bbox]], others: Sequence[tuple[int, int, float, list[Bbox]]]
) -> tuple[int, int]:
    penalty, place, _, (box, *line) = option
    names = [boxes[0] for _, _, _, boxes in others]
    lines = [part for _, _, _, boxes in others for part in boxes[1:]]
    on_names = 20 * box.count_overlaps(names) + sum(part.count_overlaps(names) for part in line)
    return penalty + on_names + box.count_overlaps(lines), place
