"""The plots of a run: pure functions from plain data to a PNG, the same bytes for the same data.

Figures are made without pyplot, so that nothing global changes and any thread may plot. Matplotlib is imported by the
first plot, not with this module.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.network import Network
from idn_gym.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Target = str | os.PathLike[str] | IO[bytes]

# Okabe and Ito's colours, which colour-blind readers can tell apart, the dark ones first; grey in place of yellow
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#888888")
INK, FAINT = "#222222", "#d9d9d9"
_DPI = 160
_MOST_VARIANTS = 12


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
    bound : no static allocation gains more than this, in ms per request over all slots; a horizontal line.
    title : what was run.

    Raises
    ------
    IdnError
        If there is no series, or one is empty.
    """
    averages = {agent: _running_average(agent, values) for agent, values in series.items()}
    if not averages:
        raise IdnError("series: empty; must hold at least one agent")
    figure = new_figure(1000, 560, _DPI)
    axes = _axes(figure, (0.075, 0.105, 0.66, 0.82), "time (slots)", "gain per request, averaged so far (ms)", title)
    ends = []
    for n, (agent, average) in enumerate(averages.items()):
        colour = PALETTE[n % len(PALETTE)]
        dashes = (0, (4, 1.6)) if agent in hindsight else "solid"
        axes.plot(np.arange(1, len(average) + 1), average, color=colour, linewidth=1.6, linestyle=dashes)
        if np.isfinite(average[-1]):  # else no slot had requests
            ends.append((f"{agent}  {average[-1]:.4g}", float(average[-1]), colour))
    if bound is not None:
        axes.axhline(bound, color=INK, linewidth=1.0, linestyle=(0, (1, 1.5)))
        ends.append((f"static bound  {bound:.4g}", bound, INK))
    axes.set_xlim(0, max(len(average) for average in averages.values()))
    axes.margins(y=0.04)
    _label_ends(axes, ends)
    if any(agent in hindsight for agent in averages):
        axes.text(1.035, -0.025, "dashed: in hindsight", transform=axes.transAxes, va="top", fontsize=8, color=INK)
    _save(figure, target)


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
    axes = _axes(
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
    _label_points(axes, x, y, [str(row["agent"]) for row in rows], colours)
    _save(figure, target)


def allocation_per_tier(
    shares: Mapping[str, Mapping[str, Sequence[float] | FloatArray]],
    tiers: Sequence[str],
    target: Target,
    *,
    title: str = "",
) -> None:
    """Plot which variants fill the memory of each tier; one panel per agent. `variant_shares` computes the data.

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
    colours = _sequence(len(variants))
    for axes, (agent, of_agent) in zip(grid.flat, shares.items(), strict=False):
        _style(axes, "", "", agent)
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
    _save(figure, target)


def variant_shares(network: Network, allocation: FloatArray) -> tuple[list[str], dict[str, FloatArray]]:
    """The data of `allocation_per_tier` for one agent.

    Parameters
    ----------
    allocation : (P,) one allocation, or the average of those of a run.

    Returns
    -------
    The names of the tiers that have a memory budget, the top one first; and for each variant (what stands behind the
    slash in a model's name, replicas together), the most accurate first, the share of each of those tiers' budget.
    Beyond twelve variants, those that hold the least memory are one: ``others``.
    """
    budgets = np.bincount(network.tiers, network.budgets)
    tiers = np.flatnonzero(budgets > 0.0)
    names = [variant_name(name) for name in network.model_names]
    variants = list(dict.fromkeys(names))
    of_model = np.array([variants.index(name) for name in names])
    of_placement = of_model[network.placement_model]
    cell = network.tiers[network.placement_node] * len(variants) + of_placement
    mb = np.bincount(cell, network.sizes * allocation, minlength=len(budgets) * len(variants))
    shares = mb.reshape(len(budgets), len(variants))[tiers].T / budgets[tiers]
    placements = np.maximum(np.bincount(of_placement, minlength=len(variants)), 1)
    inaccuracy = np.bincount(of_placement, network.inaccuracies, minlength=len(variants)) / placements
    ranked = np.argsort(inaccuracy, kind="stable")
    kept = set(np.argsort(-mb.reshape(len(budgets), -1).sum(axis=0), kind="stable")[:_MOST_VARIANTS].tolist())
    result = {variants[i]: shares[i] for i in ranked if i in kept}
    if len(variants) > _MOST_VARIANTS:
        result["others"] = shares[[i for i in range(len(variants)) if i not in kept]].sum(axis=0)
    nodes = np.bincount(network.tiers)
    return [f"tier {t}\n{nodes[t]} node{'s' if nodes[t] > 1 else ''}" for t in tiers], result


def variant_name(model: str) -> str:
    """What stands behind the slash in a model's name, without the number of a replica."""
    return model.partition("/")[2].partition("#")[0] or model.partition("#")[0]


def new_figure(width: int, height: int, dpi: int, layout: Any = None) -> Figure:
    """An empty figure of so many pixels at 100 per inch, drawn by Agg and known to nobody else."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 100.0, height / 100.0), dpi=dpi, facecolor="white", layout=layout)


def require_matplotlib() -> None:
    """Raise an `IdnError` that names the extra, unless matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise IdnError("plots and images need matplotlib; install it with: pip install 'idn-gym[plots]'") from None


def literal(text: str) -> str:
    """Text for matplotlib in which a dollar is a dollar, not the start of a formula."""
    return text.replace("$", r"\$")


def _running_average(agent: str, values: Sequence[float] | FloatArray) -> FloatArray:
    """(T,) mean of what is not nan up to each slot; nan before the first such slot."""
    gains = np.asarray(values, dtype=np.float64)
    if gains.ndim != 1 or not gains.size:
        raise IdnError(f"series {agent}: shape {gains.shape}; must be one value per slot")
    counted = np.cumsum(~np.isnan(gains))
    return np.where(counted > 0, np.nancumsum(gains) / np.maximum(counted, 1), np.nan)


def _sequence(n: int) -> list[Any]:
    """So many colours from dark to light, in an order that survives greyscale."""
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.97, n)))


def _axes(figure: Figure, place: tuple[float, float, float, float], x: str, y: str, title: str) -> Axes:
    axes = figure.add_axes(place)
    _style(axes, x, y, title)
    axes.grid(color=FAINT, linewidth=0.6)
    return axes


def _style(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.set_title(literal(title), fontsize=9.5, color=INK, loc="left")


def _label_ends(axes: Axes, ends: list[tuple[str, float, str]]) -> None:
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


def _label_points(axes: Axes, x: FloatArray, y: FloatArray, names: list[str], colours: list[str]) -> None:
    """Each name beside its point, at the nearest of some places where it covers no point and no other name."""
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    assert figure is not None
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


def _save(figure: Figure, target: Target) -> None:
    # without the name and version of what wrote it, so that the bytes depend on the data alone
    figure.savefig(target, format="png", metadata={"Software": None})
