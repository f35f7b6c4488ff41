"""The picture of a run: the policies over two measures, and over time where they have steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idn_agents.systems.frame import Measures, System
from idn_gym.common.colours import INK
from idn_gym.common.figures import PALETTE, literal, new_figure, save, style
from idn_gym.common.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX*"


def draw(system: System[Any, Any, Any], results: Sequence[Measures], path: Path) -> None:
    """Write the picture as a PNG."""
    in_time = system.over_time is not None and any(system.over_time[0] in result.steps for result in results)
    figure = new_figure(1000 if in_time else 560, 420, 120, layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=(2, 3)) if in_time else [figure.subplots()]
    trade_off(panels[0], system, results)
    if in_time:
        _over_time(panels[1], system, results)
    with atomic(path) as file:
        save(figure, file)


def trade_off(axes: Axes, system: System[Any, Any, Any], results: Sequence[Measures]) -> None:
    """The policies over the system's two measures, itself the largest mark."""
    headers = {measure.key: measure.header for measure in system.measures}
    x, y = system.trade_off
    for n, result in enumerate(results):
        across, up = result.values[x], result.values[y]
        if across is not None and up is not None:
            look: dict[str, Any] = {"color": PALETTE[n % len(PALETTE)], "marker": _MARKERS[n % len(_MARKERS)]}
            axes.plot(
                [across],
                [up],
                linestyle="none",
                markersize=7 if n else 12,
                zorder=n + 2,
                label=literal(result.policy),
                **look,
            )
    style(axes, headers[x], headers[y], system.title)
    axes.margins(0.15)
    axes.grid(color="#d9d9d9", linewidth=0.6)
    axes.legend(fontsize=8, labelcolor=INK, frameon=False)


def _over_time(axes: Axes, system: System[Any, Any, Any], results: Sequence[Measures]) -> None:
    assert system.over_time is not None
    key, label = system.over_time
    for n, result in enumerate(results):
        if key in result.steps:
            width = 1.2 if n else 2.2  # the system itself, above the others
            axes.plot(result.steps[key], color=PALETTE[n % len(PALETTE)], linewidth=width, zorder=len(results) - n + 2)
    style(axes, "step of the stream", label, "over the stream")
    axes.grid(color="#d9d9d9", linewidth=0.6)
