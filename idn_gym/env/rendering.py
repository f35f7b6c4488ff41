"""What each node holds, how full it is and who serves the requests: as an image, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from idn_gym.common.colours import INK, rgb, text_on
from idn_gym.common.figures import MUTED, drawable, literal, new_figure, require_matplotlib
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Colour = tuple[float, float, float]
Box = tuple[float, float, float, float]  # left, bottom, width, height

# Okabe and Ito's hues, which colour-blind readers can tell apart, as they are, then lighter, then darker
_HUES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#CC79A7")
_SHADES = ((1.0, 0.5), (0.0, 0.4))  # mixed with so much of white or black
_OTHERS: Colour = (0.62, 0.62, 0.62)
_LINK = "#b5b5b5"

_ROWS, _CELLS = 10, 32  # drawn at most; more tiers share a row, more nodes share a cell
_LEFT, _RIGHT, _HEAD, _ROW, _TANK, _LEGEND = 138, 190, 72, 168, 80, 20  # pixels
_TEXT_LINES, _TEXT_FIRST, _BAR = 32, 8, 20  # nodes of a tier that the text lists; of a larger one; characters


@dataclass(frozen=True, eq=False)
class Row:
    """Nodes shown side by side: a tier, or several where there are many."""

    name: str
    cells: list[IntArray]  # nodes of each cell, left to right

    @property
    def nodes(self) -> IntArray:
        """The nodes of all cells."""
        return np.concatenate(self.cells)


def draw(network: Network, allocation: FloatArray, slot: int, by_node: FloatArray) -> NDArray[np.uint8]:
    """Draw the network by tier: each node a tank, filled with what its models take of its memory, coloured by task.

    A tier of many nodes is drawn as cells of several nodes each, and many tiers as rows of several, so that a network
    of any size stays readable. The size of the image depends on the network alone.

    Parameters
    ----------
    allocation : (P,) in [0, 1], what is placed.
    slot : slots served so far.
    by_node : (V,) requests that each node served in the last slot.

    Returns
    -------
    (H, W, 3) uint8; H and W are multiples of 16, as video encoders like them.

    Raises
    ------
    IdnError
        If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    rows, links = arranged(network)
    most_cells = max(len(row.cells) for row in rows)
    width = _whole(min(max(960, _LEFT + _RIGHT + 68 * most_cells), 1920))
    legend = task_colours(network)
    columns = (width - 32) // 128
    height = _whole(_HEAD + _ROW * len(rows) + _LEGEND * (-(-len(legend) // columns)) + 12)

    figure = new_figure(width, height, 100)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), frame_on=False, xticks=[], yticks=[])
    _Picture(axes, network, np.asarray(allocation, dtype=np.float64), by_node).draw(rows, links, width, slot)
    for n, (task, colour) in enumerate(legend):
        x, y = 16 + n % columns * 128, height - 6 - _LEGEND * (-(-len(legend) // columns) - n // columns)
        _boxes(axes, [(x, y, 12, 12)], [colour])
        _text(axes, x + 17, y + 6, _short(drawable(task), 17), 8, ha="left")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def arranged(network: Network, most_rows: int = _ROWS, most_cells: int = _CELLS) -> tuple[list[Row], IntArray]:
    """The rows from the top tier down, nodes in an order that keeps linked ones near, and the links (n, 2) by node."""
    index = {name: v for v, name in enumerate(network.node_names)}
    ends = [(index[link.source], index[link.target]) for link in network.scenario.links or ()]
    links = np.array(ends, dtype=np.int64).reshape(-1, 2)
    either_way = np.concatenate([links, links[:, ::-1]])
    degree = np.bincount(either_way[:, 0], minlength=network.V)
    tiers = np.unique(network.tiers)
    bands = np.array_split(tiers, min(len(tiers), most_rows))
    nodes = [np.flatnonzero(np.isin(network.tiers, band)) for band in bands]
    place = np.zeros(network.V)
    for v in nodes:
        place[v] = (np.arange(len(v)) + 0.5) / len(v)
    for _ in range(8):  # each node towards the mean of its neighbours
        for n, v in enumerate(nodes):
            mean = np.bincount(either_way[:, 0], place[either_way[:, 1]], minlength=network.V) / np.maximum(degree, 1)
            nodes[n] = v[np.argsort(np.where(degree > 0, mean, place)[v], kind="stable")]
            place[nodes[n]] = (np.arange(len(v)) + 0.5) / len(v)
    rows = [
        Row(
            f"tier {band[0]}" if len(band) == 1 else f"tiers {band[0]} to {band[-1]}",
            np.array_split(v, min(len(v), most_cells)),
        )
        for band, v in zip(bands, nodes, strict=True)
    ]
    return rows, links


def describe(network: Network, allocation: FloatArray, slot: int, by_node: FloatArray) -> str:
    """The same as plain text, one line per node; of a large tier the first nodes, and the others together.

    Parameters and their shapes are those of `draw`.
    """
    allocation = np.asarray(allocation, dtype=np.float64)
    in_use, total = network.memory_in_use(allocation), float(by_node.sum())
    placed = np.flatnonzero(allocation > 0)
    held: list[list[str]] = [[] for _ in range(network.V)]
    for v, m in zip(network.placement_node[placed], network.placement_model[placed], strict=True):
        held[v].append(network.model_names[m])
    lines = [f"{network.scenario.name} {_moment(slot, total)}"]

    def state(nodes: IntArray) -> str:
        """Memory, models and served share of some nodes."""
        budget = float(network.budgets[nodes].sum())
        if budget:
            full = float(in_use[nodes].sum()) / budget
            memory = "\u2588" * round(full * _BAR) + "\u2591" * (_BAR - round(full * _BAR)) + f" {full:4.0%}"
        else:
            memory = "repository" if _has_repository(network, nodes) else "no memory"
        served = f"{float(by_node[nodes].sum()) / total:.1%}" if total else "-"
        return f"{memory:<{_BAR + 5}}  {_counted(sum(len(held[v]) for v in nodes), 'model'):>9}  serves {served:>6}"

    for row in arranged(network)[0]:
        nodes = np.sort(row.nodes)
        shown = nodes if len(nodes) <= _TEXT_LINES else nodes[:_TEXT_FIRST]
        rest = nodes[len(shown) :]
        names = [_short(network.node_names[v], 20) for v in shown] + ([f"{len(rest)} others"] if len(rest) else [])
        width = max(map(len, names))
        lines += ["", f"{row.name}, {_counted(len(nodes), 'node')}"]
        for name, group in zip(names, [*(np.array([v]) for v in shown), rest], strict=False):
            holds = _listed(held[group[0]], 44) if len(group) == 1 else ""
            lines.append(f"  {name:<{width}}  {state(group)}  {holds}".rstrip())
    return "\n".join(lines) + "\n"


class _Picture:
    """One image under way; the origin is the upper left corner, lengths are pixels."""

    def __init__(self, axes: Axes, network: Network, allocation: FloatArray, by_node: FloatArray) -> None:
        self._axes, self._network, self._allocation, self._by_node = axes, network, allocation, by_node
        self._placed = np.flatnonzero(allocation > 0)
        self._in_use = network.memory_in_use(allocation)
        self._tasks, self._colours = zip(*task_colours(network), strict=True)

    def draw(self, rows: list[Row], links: IntArray, width: float, slot: int) -> None:
        """Everything but the legend."""
        network, total = self._network, float(self._by_node.sum())
        _text(self._axes, 16, 22, network.scenario.name, 13, ha="left", weight="bold")
        _text(self._axes, 16, 43, _moment(slot, total), 9, ha="left")
        _text(self._axes, width - _RIGHT + 24, 43, "requests served", 9, ha="left", color=MUTED)
        area = width - _LEFT - _RIGHT
        at = np.zeros((network.V, 2))
        for n, row in enumerate(rows):
            pitch = area / len(row.cells)
            for c, cell in enumerate(row.cells):
                at[cell] = (_LEFT + (c + 0.5) * pitch, _HEAD + n * _ROW + 30)
        self._links(at, links)
        for n, row in enumerate(rows):
            top = _HEAD + n * _ROW + 30
            self._row_labels(row, top, width, total)
            for cell in row.cells:
                self._cell(cell, float(at[cell[0], 0]), top, area / len(row.cells), total)

    def _links(self, at: FloatArray, links: IntArray) -> None:
        from matplotlib.collections import PathCollection
        from matplotlib.path import Path

        ends = [sorted((tuple(at[a, ::-1]), tuple(at[b, ::-1]))) for a, b in links]  # (y, x), the upper end first
        paths = []
        for (ay, ax), (by, bx) in dict.fromkeys((upper, lower) for upper, lower in ends):
            if ay < by:
                paths.append(Path([(ax, ay + _TANK + 31), (bx, by - 15)]))
            elif ax < bx:  # within a row: an arc above it
                rise = ay - 20 - min(44, 8 + 0.1 * (bx - ax))
                paths.append(Path([(ax, ay - 15), (ax, rise), (bx, rise), (bx, ay - 15)], [1, 4, 4, 4]))
        self._axes.add_collection(
            PathCollection(paths, facecolors="none", edgecolors=_LINK, linewidths=0.9, zorder=1), autolim=False
        )

    def _row_labels(self, row: Row, top: float, width: float, total: float) -> None:
        axes, nodes = self._axes, row.nodes
        shared = f", {len(row.cells)} cells" if len(nodes) > len(row.cells) else ""
        _text(axes, 16, top + 14, row.name, 10, ha="left", weight="bold")
        _text(axes, 16, top + 32, f"{_counted(len(nodes), 'node')}{shared}", 8, ha="left")
        _text(axes, 16, top + _TANK + 10, "memory in use", 7.5, ha="left", color=MUTED)
        _text(axes, 16, top + _TANK + 23, "requests served", 7.5, ha="left", color=MUTED)
        left, whole = width - _RIGHT + 24, _RIGHT - 88
        share = float(self._by_node[nodes].sum()) / total if total else 0.0
        _boxes(axes, [(left, top + 26, whole, 22), (left, top + 26, whole * share, 22)], ["#eeeeee", "#4d4d4d"])
        _text(axes, left + whole + 8, top + 37, f"{share:.1%}" if total else "-", 9, ha="left")

    def _cell(self, nodes: IntArray, x: float, top: float, pitch: float, total: float) -> None:
        axes, network = self._axes, self._network
        width = min(0.86 * pitch, 150.0)
        tank = (x - width / 2, top, width, _TANK)
        budget, repository = float(network.budgets[nodes].sum()), _has_repository(network, nodes)
        name = network.node_names[nodes[0]] if len(nodes) == 1 else f"\u00d7{len(nodes)}"
        if repository and budget:
            name += " (repository)"
        _text(axes, x, top - 8, _short(drawable(name), int(pitch / 6.2)), 8)
        _boxes(axes, [tank], ["white" if budget else "#f4f4f4"])
        if budget:
            self._fill(nodes, tank, budget)
            _text(axes, x, top + _TANK + 10, f"{self._in_use[nodes].sum() / budget:.0%}", 7.5)
        else:
            says = "repository" if repository else "no memory"
            _text(axes, x, top + _TANK / 2, _short(says, int(width / 5.6)), 7.5, color=MUTED)
        _boxes(axes, [tank], ["none"], edge=MUTED)
        served = float(self._by_node[nodes].sum())
        _text(axes, x, top + _TANK + 23, f"{served / total:.1%}" if total else "-", 7.5)

    def _fill(self, nodes: IntArray, tank: Box, budget: float) -> None:
        """The models of one node, or the tasks of several, from the bottom of the tank up."""
        network = self._network
        left, top, width, height = tank
        placed = self._placed[np.isin(network.placement_node[self._placed], nodes)]
        models = network.placement_model[placed]
        kind = np.minimum(network.model_task[models], len(self._tasks) - 1)  # as in the legend
        order = np.argsort(kind, kind="stable")
        mb, kind = (network.sizes[placed] * self._allocation[placed])[order], kind[order]
        names = [network.model_names[m] for m in models[order]]
        if len(nodes) > 1:
            mb = np.bincount(kind, mb, minlength=len(self._tasks))
            kind = np.flatnonzero(mb)
            mb, names = mb[kind], [self._tasks[i] for i in kind]
        heights = mb / budget * height
        tops = top + height - np.cumsum(heights)
        colours = [self._colours[i] for i in kind]
        boxes = [(left, y, width, h) for y, h in zip(tops, heights, strict=True)]
        _boxes(self._axes, boxes, colours, edge=["white" if h >= 4.0 else "none" for h in heights])
        room = int(width / 5.2)
        for name, i, y, h in zip(names, kind, tops, heights, strict=True):
            if h >= 9.5:
                says = name if len(drawable(name)) <= room else _short(drawable(self._tasks[i]), room)
                _text(self._axes, left + width / 2, y + h / 2, says, 6.5, color=text_on(self._colours[i]))


def _has_repository(network: Network, nodes: IntArray) -> bool:
    return any(network.scenario.nodes[v].repository for v in nodes)


def task_colours(network: Network) -> list[tuple[str, Colour]]:
    """Each task and its colour; those beyond the colours there are share a last entry."""
    pure = [np.array(rgb(hue)) for hue in _HUES]
    shades = [tuple(map(float, (1.0 - share) * hue + share * towards)) for towards, share in _SHADES for hue in pure]
    colours: list[Any] = [tuple(map(float, hue)) for hue in pure] + shades
    tasks = network.scenario.tasks
    if len(tasks) <= len(colours):
        return list(zip(tasks, colours, strict=False))
    return [*zip(tasks, colours, strict=False), (f"{len(tasks) - len(colours)} other tasks", _OTHERS)]


def _boxes(axes: Axes, boxes: Sequence[Box], colours: Sequence[Any], edge: str | list[str] = "none") -> None:
    from matplotlib.collections import PolyCollection

    corners = [[(x, y), (x + w, y), (x + w, y + h), (x, y + h)] for x, y, w, h in boxes]
    axes.add_collection(
        PolyCollection(corners, facecolors=colours, edgecolors=edge, linewidths=0.8, zorder=2), autolim=False
    )


def _text(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    *,
    ha: str = "center",
    color: str = INK,
    weight: str = "normal",
) -> None:
    axes.text(
        x,
        y,
        literal(text),
        fontsize=size,
        ha=ha,
        va="center_baseline",
        color=color,
        fontweight=weight,
        zorder=3,
    )


def _moment(slot: int, total: float) -> str:
    if slot == 0:
        return "before the first slot"
    return f"after {_counted(slot, 'slot')}, {total:,.0f} requests in the last one"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _listed(names: list[str], width: int) -> str:
    """As many names as fit, and the number of the others."""
    for n in range(len(names), 0, -1):
        text = ", ".join(names[:n]) + (f", +{len(names) - n} more" if n < len(names) else "")
        if len(text) <= width or n == 1:
            return text
    return ""


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 1)] + "\u2026"


def _whole(pixels: int) -> int:
    return -(-pixels // 16) * 16
