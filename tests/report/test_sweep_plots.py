"""Pictures over settings and over seeds: every run is in them, at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from idn_gym import IdnError, load_scenario
from idn_gym.experiment import records
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.report import run_plots, sweep_plots

AGENTS = ("infida", "infida:refresh=8", "mine.py:Always", "random")


def rows(seeds: int = 3, **varied: list[Any]) -> list[dict[str, Any]]:
    """The runs of a sweep; NTAG is 10 for the first agent, 20 for the next, and off by the seed less the middle one."""
    cells: list[dict[str, Any]] = [{"scenario": "tiny"}]
    for key, values in varied.items():
        cells = [{**cell, key: value} for cell in cells for value in values]
    return [
        {
            **cell,
            "seed": seed,
            "slots": 5,
            "agent": agent,
            "ntag": 10.0 * n + 10.0 + seed - (seeds - 1) / 2,
            "gain": 1.0,
        }
        for cell in cells
        for seed in range(seeds)
        for n, agent in enumerate(AGENTS)
    ]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What is saved, in order."""
    found: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (found.append(self), save(self, *a, **k)))
    return found


def panels(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_visible()]


class TestSweep:
    def test_numbers_stand_along_the_axis(self, tmp_path: Path, figures: list[Figure]) -> None:
        varied = rows(accuracy_weight=[2, 1, 10])
        assert sweep_plots.draw(varied, tmp_path / "sweep.png") == [tmp_path / "sweep.png"]
        (axes,) = panels(figures[0])
        assert axes.get_xlabel() == "accuracy_weight"
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        assert list(lines) == list(AGENTS)
        np.testing.assert_allclose(lines["infida"], [[1, 10], [2, 10], [10, 10]])
        np.testing.assert_allclose(lines["random"], [[1, 40], [2, 40], [10, 40]])
        # three values one apart: 2.484 = 4.303 (t, 2 degrees of freedom) / sqrt(3)
        bands = [band.get_paths()[0].vertices[:, 1] for band in axes.collections]
        assert len(bands) == len(AGENTS)
        assert bands[0].max() == pytest.approx(12.484, abs=1e-3)
        assert bands[0].min() == pytest.approx(7.516, abs=1e-3)

    def test_every_combination_of_the_rest_has_a_panel(self, tmp_path: Path, figures: list[Figure]) -> None:
        sweep_plots.draw(rows(rate=[1.0, 2.0, 5.0], shape=["a", "b"], size=[1, 2]), tmp_path / "sweep.png")
        titles = [axes.get_title(loc="left") for axes in panels(figures[0])]
        assert titles == ["shape a, size 1", "shape a, size 2", "shape b, size 1", "shape b, size 2"]
        assert {axes.get_xlabel() for axes in panels(figures[0])} == {"rate"}

    def test_many_panels_take_further_files(self, tmp_path: Path, figures: list[Figure]) -> None:
        written = sweep_plots.draw(rows(1, rate=[1, 2, 3, 4, 5], shape=list("abcdefghijklm")), tmp_path / "sweep.png")
        assert [path.name for path in written] == ["sweep.png", "sweep-2.png"]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
        assert [len(panels(figure)) for figure in figures] == [12, 1]

    def test_names_stand_side_by_side(self, tmp_path: Path, figures: list[Figure]) -> None:
        sweep_plots.draw(rows(workload=["poisson", "crowds"]), tmp_path / "sweep.png")
        (axes,) = panels(figures[0])
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["poisson", "crowds"]

    def test_runs_that_are_missing_leave_a_gap(self, tmp_path: Path, figures: list[Figure]) -> None:
        varied = [row for row in rows(1, rate=[1, 2, 3]) if (row["agent"], row["rate"]) != ("infida", 2)]
        sweep_plots.draw(varied, tmp_path / "sweep.png")
        (axes,) = panels(figures[0])
        np.testing.assert_allclose(axes.lines[0].get_xydata(), [[1, 10], [3, 10]])

    def test_nothing_varied_and_odd_values(self, tmp_path: Path) -> None:
        sweep_plots.draw(rows(), tmp_path / "one.png")
        sweep_plots.draw(rows(1, faults=[[{"node": "co"}], None, "$x$"]), tmp_path / "odd.png")
        assert len(list(tmp_path.iterdir())) == 2

    def test_no_rows(self, tmp_path: Path) -> None:
        with pytest.raises(IdnError, match="no rows"):
            sweep_plots.draw([], tmp_path / "sweep.png")
        assert not list(tmp_path.iterdir())


def test_seeds_of_a_run(tmp_path: Path, figures: list[Figure]) -> None:
    """Running NTAG at the end is the mean of the seeds' NTAG; the trade-off is that of the means."""
    agents = ("last-batch-greedy", "static-greedy")
    by_seed = {}
    for seed in range(3):
        specs = [RunSpec(load_scenario("tiny"), AgentSpec.parse(agent), slots=40, seed=seed) for agent in agents]
        by_seed[seed] = records.run(specs, tmp_path / f"{seed}")[2]
    written = run_plots.draw_seeds(by_seed, tmp_path, accuracy_weight=1.0, title="tiny")
    assert [path.name for path in written] == ["ntag.png", "latency-inaccuracy.png"]
    assert all(path.exists() for path in written)
    series, points = (figure.axes[0] for figure in figures)
    for n in range(len(agents)):
        of_seeds = [results[n].summary for results in by_seed.values()]
        assert series.lines[n].get_ydata()[-1] == pytest.approx(np.mean([summary.ntag for summary in of_seeds]))
        middle = [np.mean([summary.inaccuracy for summary in of_seeds]), np.mean([s.latency_ms for s in of_seeds])]
        marks = [line.get_xydata()[0] for line in points.lines if len(line.get_xydata()) == 1]
        np.testing.assert_allclose(marks[n], middle)
    assert len(series.collections) == 2  # bands
