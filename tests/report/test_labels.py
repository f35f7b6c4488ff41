"""Names in pictures: none covers another, and what is far off stands at the edge with its figures."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from matplotlib.text import Text

from idn_gym.report import plots, trade_off
from idn_gym.report.focus import near
from idn_gym.report.run_plots import labels

AGENTS = (
    *("infida", "infida-coordinated", "infida-offline", "static-greedy", "last-batch-greedy", "load-aware-greedy"),
    *("optimum:gap=0.005,time_limit=null", "random", "repository-only", "infida-distributed", "ppo", "mine.py:Always"),
)


def drawn(monkeypatch: pytest.MonkeyPatch, plot: Callable[[Any], None]) -> Figure:
    """The figure that a plot saves."""
    found: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: found.append(self))
    plot(io.BytesIO())
    found[-1].draw_without_rendering()
    return found[-1]


def texts(figure: Figure) -> list[Text]:
    """All texts within the axes, ticks and axis labels aside."""
    (axes,) = figure.axes
    return [text for text in axes.texts if text.get_text()]


def refuse_overlaps(figure: Figure) -> None:
    found = texts(figure)
    boxes = {text.get_text(): Text.get_window_extent(text) for text in found}  # less the lines that lead there
    assert len(boxes) == len(found)
    for (one, first), (other, second) in combinations(boxes.items(), 2):
        assert not first.overlaps(second), (one, other)
    for text, box in boxes.items():
        assert box.x0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text


@pytest.mark.parametrize(
    ("count", "scatter"), [*((n, (0.02, 1.0, 30.0)[n % 3]) for n in range(3, 13)), (12, 0.0), (12, 0.02), (12, 30.0)]
)
def test_names_of_points(count: int, scatter: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From all agents at one place to agents far apart, in a crowd with some far off."""
    generator = np.random.default_rng(count)
    at = np.array([20.0, 45.0]) + generator.normal(size=(count, 2)) * scatter
    at[0] += scatter * 10.0
    rows = [{"agent": a, "latency_ms": x, "inaccuracy": y} for a, (x, y) in zip(AGENTS, at, strict=False)]
    figure = drawn(monkeypatch, lambda target: trade_off.latency_against_inaccuracy(rows, target, accuracy_weight=1.0))
    refuse_overlaps(figure)
    names = [text.get_text() for text in texts(figure)]
    assert all(any(name.startswith(agent) for name in names) for agent in AGENTS[:count])


@pytest.mark.parametrize("count", [3, 9, 12])
def test_names_of_lines(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    series = {agent: np.full(30, 50.0 + 0.001 * n) for n, agent in enumerate(AGENTS[:count])}
    series["random"] = np.full(30, 3.0)
    figure = drawn(monkeypatch, lambda target: plots.ntag_over_time(series, target, hindsight=["optimum"], bound=50.1))
    refuse_overlaps(figure)


def test_the_far_do_not_squeeze_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The axis is that of the competitive; the others stand at the edge, with an arrow and their value."""
    ends = {"optimum": 0.0, "infida": 4.0, "static-greedy": 2.0, "random": 20.0, "repository-only": 60.0}
    series = {agent: np.linspace(0.0, end, 40) for agent, end in ends.items()}
    figure = drawn(monkeypatch, lambda target: plots.regret_over_time(series, target, comparator="optimum"))
    low, high = figure.axes[0].get_ylim()
    assert 4.0 < high < 6.0
    assert -2.0 < low < 0.0
    names = {text.get_text() for text in texts(figure)}
    assert {"\u2191 random  20", "\u2191 repository-only  60", "infida  4"} <= names

    rows = [
        {"agent": agent, "latency_ms": latency, "inaccuracy": inaccuracy}
        for agent, latency, inaccuracy in (
            ("infida", 20.0, 44.0),
            ("optimum", 15.0, 46.0),
            ("static-greedy", 16.0, 47.0),
            ("random", 40.0, 45.0),
            ("repository-only", 80.0, 35.0),
        )
    ]
    figure = drawn(monkeypatch, lambda target: trade_off.latency_against_inaccuracy(rows, target))
    assert figure.axes[0].get_ylim()[1] < 25.0
    names = {text.get_text() for text in texts(figure)}
    assert names == {
        "infida",
        "optimum",
        "static-greedy",
        "random (45 pp, 40 ms)",
        "repository-only (35 pp, 80 ms)",
    }


def test_two_alone_are_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the optimum, whose regret is 0, and its bound, two agents are all there is to see; so are three points."""
    series = {agent: np.linspace(0.0, end, 40) for agent, end in {"optimum": 0.0, "infida": 3.3, "mine": 4.5}.items()}
    figure = drawn(
        monkeypatch, lambda target: plots.regret_over_time(series, target, comparator="optimum", bound=-0.03)
    )
    low, high = figure.axes[0].get_ylim()
    assert low < -0.03
    assert high > 4.5

    places = {"optimum": (11.13, 48.9), "mine": (11.05, 49.3), "last-batch-greedy": (12.72, 47.9)}
    rows = [{"agent": agent, "latency_ms": x, "inaccuracy": y} for agent, (x, y) in places.items()]
    figure = drawn(monkeypatch, lambda target: trade_off.latency_against_inaccuracy(rows, target))
    assert {text.get_text() for text in texts(figure)} == set(places)


def test_bands_are_within_the_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two seeds, 10 and 12: Student's t for one degree of freedom, 12.706, times a standard error of 1."""
    series = {"infida": [np.full(40, 10.0), np.full(40, 12.0)], "mine": [np.full(40, 9.0), np.full(40, 9.1)]}
    low, high = drawn(monkeypatch, lambda target: plots.ntag_over_seeds(series, target)).axes[0].get_ylim()
    assert low < 11.0 - 12.706
    assert high > 11.0 + 12.706


def test_lines_of_equal_cost_have_the_slope_of_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"agent": "infida", "latency_ms": 20.0, "inaccuracy": 44.0},
        {"agent": "a", "latency_ms": 25.0, "inaccuracy": 40.0},
    ]
    for weight in (0.0, 0.5, 3.0):
        figure = drawn(
            monkeypatch,
            lambda target, weight=weight: trade_off.latency_against_inaccuracy(rows, target, accuracy_weight=weight),
        )
        (axes,) = figure.axes
        lines = [np.array(line.get_xydata()) for line in axes.lines if len(line.get_xydata()) == 2]
        costs = [line[:, 1] + weight * line[:, 0] for line in lines]
        assert len(costs) >= 3
        np.testing.assert_allclose([first for first, _ in costs], [last for _, last in costs])
        written = {text.get_text() for text in texts(figure)} - {"infida", "a"}
        assert written
        assert written <= {f"{first:g} ms" for first, _ in costs}


def test_near_by_hand() -> None:
    assert near([0.0, 1.0, 2.0, 50.0]).tolist() == [True, True, True, False]
    assert near([0.0, 5.0, 5.5, 6.0, 18.0, 52.0]).tolist() == [True] * 4 + [False] * 2
    assert near([-90.0, 1.0, 2.0, 3.0]).all()  # never the best
    assert near([1.0, 2.0, 3.0, 4.0]).all()
    assert near([1.0, 50.0]).all()  # of two none is the odd one
    assert near([1.0, 2.0, 50.0]).tolist() == [True, True, False]
    assert near([1.0, 2.0, 50.0], 3).all()
    assert near([1.0, 1.0, 1.0, 50.0]).all()  # nothing to look at closely
    assert near([np.nan, 1.0, 2.0]).tolist() == [False, True, True]
    assert near([]).tolist() == []


def test_labels_are_short_and_apart() -> None:
    from idn_gym.experiment.spec import AgentSpec

    folder = AgentSpec("/home/me/agents/mine.py:Always")
    long = [AgentSpec("infida", {"learning_rate": "theory", "residual": "reserve", "refresh": n}) for n in (4, 8)]
    found = labels([folder, *long])
    assert found[str(folder)] == "mine.py:Always"
    assert len(set(found.values())) == 3
    assert all(len(label) <= 34 for label in found.values())


def test_fonts_lack_no_glyph() -> None:
    """A warning is an error here; what no font has is shown by its escape."""
    names = {"\N{CJK UNIFIED IDEOGRAPH-6771}": [1.0, 2.0], "\N{GREEK SMALL LETTER PI} tab\t": [2.0, 1.0]}
    plots.ntag_over_time(names, io.BytesIO(), title="\N{HANGUL SYLLABLE SI} \N{GOTHIC LETTER AHSA}")
    rows = [{"agent": name, "latency_ms": 1.0, "inaccuracy": 2.0} for name in names]
    trade_off.latency_against_inaccuracy(rows, io.BytesIO(), title="\N{HANGUL SYLLABLE SI}")
    shares = {"\N{THAI CHARACTER KO KAI}": {"\N{CJK UNIFIED IDEOGRAPH-6771}": [0.5]}}
    plots.allocation_per_tier(shares, ["tier 0"], io.BytesIO())
