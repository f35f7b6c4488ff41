"""What every figure is made of: canvas, axes, colours, labels.

Figures are made without pyplot, so that nothing global changes and any thread may plot. Matplotlib is imported by the
first figure, not with this module.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from idn_gym.common.colours import FAINT, INK
from idn_gym.common.extras import require
from idn_gym.common.text import printable_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Target = str | os.PathLike[str] | IO[bytes]

# Okabe and Ito's colours, which colour-blind readers can tell apart, the dark ones first; grey in place of yellow
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#888888")
MUTED = "#6b6b6b"  # of text that may stay unread


def new_figure(width: int, height: int, dpi: int, layout: Any = None) -> Figure:
    """An empty figure of so many pixels at 100 per inch, drawn by Agg and known to nobody else."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 100.0, height / 100.0), dpi=dpi, facecolor="white", layout=layout)


def require_matplotlib() -> None:
    """Raise an `IdnError` that names the extra, unless matplotlib is installed."""
    require("plots", "plots and images")


def literal(text: str) -> str:
    """Text for matplotlib: what the fonts can draw, and a dollar is a dollar, not the start of a formula."""
    return drawable(text).replace("$", r"\$")


def drawable(text: str) -> str:
    """Printable text, with its escape for what none of the fonts has that matplotlib is set to (`font.sans-serif`)."""
    text = printable_lines(text)
    if text.isascii():
        return text
    from matplotlib import rcParams

    glyphs = _glyphs(tuple(rcParams["font.family"]), tuple(rcParams["font.sans-serif"]))
    return "".join(c if c == "\n" or ord(c) in glyphs else ascii(c)[1:-1] for c in text)


@cache
def _glyphs(families: tuple[str, ...], sans_serif: tuple[str, ...]) -> frozenset[int]:
    """The code points that matplotlib finds in the fonts of these names, as far as they are installed."""
    from matplotlib.font_manager import findfont, get_font

    found: set[int] = set()
    for family in (*families, *sans_serif):
        with suppress(ValueError):  # not installed
            found |= get_font(findfont(family, fallback_to_default=False)).get_charmap().keys()
    return frozenset(found)


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


def save(figure: Figure, target: Target) -> None:
    """Write a PNG without the name and version of what wrote it, so that the bytes depend on the data alone."""
    figure.savefig(target, format="png", metadata={"Software": None})
