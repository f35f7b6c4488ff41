"""What every figure is made of: canvas, axes, colours, labels.

Figures are made without pyplot, so that nothing global changes and any thread may plot. Matplotlib is imported by the
first figure, not with this module.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from idn_gym.common.extras import require
from idn_gym.common.text import printable_lines
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Target = str | os.PathLike[str] | IO[bytes]

# Okabe and Ito's colours, which colour-blind readers can tell apart, the dark ones first; grey in place of yellow
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#888888")
INK, FAINT = "#222222", "#d9d9d9"


def new_figure(width: int, height: int, dpi: int, layout: Any = None) -> Figure:
    """An empty figure of so many pixels at 100 per inch, drawn by Agg and known to nobody else."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 100.0, height / 100.0), dpi=dpi, facecolor="white", layout=layout)


def require_matplotlib() -> None:
    """Raise an `IdnError` that names the extra, unless matplotlib is installed."""
    require("plots", "plots and images")


def literal(text: str) -> str:
    """Text for matplotlib: printable, and a dollar is a dollar, not the start of a formula."""
    return printable_lines(text).replace("$", r"\$")


def sequence(n: int) -> list[Any]:
    """So many colours from dark to light, in an order that survives greyscale."""
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.97, n)))


def new_axes(figure: Figure, place: tuple[float, float, float, float], x: str, y: str, title: str) -> Axes:
    """Axes with a light grid at a place (left, bottom, width, height, in parts of the figure), styled."""
    axes = figure.add_axes(place)
    style(axes, x, y, title)
    axes.grid(color=FAINT, linewidth=0.6)
    return axes


def style(axes: Axes, x: str, y: str, title: str) -> None:
    """The look that all plots share, with labels for both axes and a title."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.set_xlabel(literal(x), fontsize=9, color=INK)
    axes.set_ylabel(literal(y), fontsize=9, color=INK)
    axes.set_title(literal(title), fontsize=9.5, color=INK, loc="left")


def label_ends(axes: Axes, ends: list[tuple[str, float, str]]) -> None:
    """Names right of the lines' ends, moved apart as little as keeps them readable."""
    if not ends:
        return
    from scipy.optimize import isotonic_regression

    order = np.argsort([value for _, value, _ in ends], kind="stable")
    low, high = axes.get_ylim()
    steps = np.arange(len(ends)) * min(0.042, 1.0 / len(ends))  # line height as a share of the axes'
    at = (np.array([ends[i][1] for i in order]) - low) / (high - low)
    placed = np.clip(isotonic_regression(at - steps).x, 0.0, 1.0 - steps[-1]) + steps
    for i, start, y in zip(order, at, placed, strict=True):
        text, _, colour = ends[i]
        axes.plot(
            [1.003, 1.02, 1.03],
            [start, y, y],
            color=colour,
            linewidth=0.8,
            transform=axes.transAxes,
            clip_on=False,
        )
        axes.text(1.035, y, literal(text), transform=axes.transAxes, va="center", fontsize=8.5, color=colour)


def label_points(axes: Axes, x: FloatArray, y: FloatArray, names: list[str], colours: list[str]) -> None:
    """Each name beside its point, at the nearest of some places where it covers no point and no other name."""
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()  # fixes the limits, and with them where the points are
    pixels, inside = figure.dpi / 72.0, axes.get_window_extent()
    points = axes.transData.transform(np.column_stack([x, y]))
    taken = [Bbox.from_bounds(px - 5 * pixels, py - 5 * pixels, 10 * pixels, 10 * pixels) for px, py in points]
    angles = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240])
    places = [(r * np.cos(a), r * np.sin(a)) for r in (10, 18, 28, 40, 55, 75, 100) for a in angles]
    for name, colour, at, (px, py) in zip(names, colours, zip(x, y, strict=True), points, strict=True):
        text = axes.text(0, 0, literal(name), fontsize=8.5)
        width, height = text.get_window_extent().padded(pixels).size
        text.remove()
        options = []
        for n, (dx, dy) in enumerate(places):
            anchor = 0.5 if abs(dx) < 1.0 else 0.0 if dx > 0.0 else 1.0  # the side of the name that faces the point
            left, bottom = px + dx * pixels - anchor * width, py + dy * pixels - height / 2
            box = Bbox.from_bounds(left, bottom, width, height)
            steps = np.arange(0.3, 1.0, 0.1) * pixels
            line = [Bbox.from_bounds(px + step * dx, py + step * dy, 1, 1) for step in steps]
            covers = [box, *line] if n >= len(angles) else [box]  # the nearest places need no line
            outside = box.x1 > inside.x1 or box.y0 < inside.y0
            options.append((sum(part.count_overlaps(taken) for part in covers) + 99 * outside, n, anchor, covers))
        _, n, anchor, covers = min(options, key=lambda option: option[:2])
        axes.annotate(
            literal(name),
            at,
            places[n],
            textcoords="offset points",
            ha={0.0: "left", 0.5: "center", 1.0: "right"}[anchor],
            va="center",
            fontsize=8.5,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "relpos": (anchor, 0.5), "shrinkA": 1}
            if n >= len(angles)
            else None,
        )
        taken += covers


def save(figure: Figure, target: Target) -> None:
    """Write a PNG without the name and version of what wrote it, so that the bytes depend on the data alone."""
    figure.savefig(target, format="png", metadata={"Software": None})
