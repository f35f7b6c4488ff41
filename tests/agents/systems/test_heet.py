"""HEET: what follows from its formula, makespans of schedules, and the table of configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from idn_agents.systems.heet import Heet, Problem, Settings, read_configurations, simulated
from system_line import DATA, decided, golden, refused, undecided

_TIMES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(0.01, 1e4))
HEADER = "n_a,n_b,true_makespan_ms,eet_x_a,eet_x_b,eet_y_a,eet_y_b\n"


def test_golden() -> None:
    assert len(golden("heet")) == 3


@pytest.mark.skipif(not DATA.exists(), reason="the AWS configurations are not shipped")
def test_golden_on_the_aws_configurations() -> None:
    """227 of them; the geometric mean does better than HEET."""
    assert len(golden("heet", DATA)) == 9


@given(_TIMES, st.floats(0.1, 10.0))
def test_laws(times: Any, factor: float) -> None:
    """It scales with the times, lies between the least time and the arithmetic mean, and no order counts."""
    heet = Problem(times).heet()
    assert Problem(factor * times).heet() == pytest.approx(factor * heet)
    assert times.min() * (1.0 - 1e-9) <= heet <= times.mean() * (1.0 + 1e-9)
    assert Problem(times[::-1, ::-1]).heet() == pytest.approx(heet)


@given(_TIMES)
def test_slower_is_more(times: Any) -> None:
    slower = times.copy()
    slower[0, 0] *= 2.0
    assert Problem(slower).heet() >= Problem(times).heet()


def test_decision(tmp_path: Path) -> None:
    """Rows 1 3 and 2 2: harmonic means 1.5 and 2."""
    times = [[1.0, 3.0], [2.0, 2.0]]
    assert decided(tmp_path, "heet", {"times": times}) == {"heet": 1.75, "per_machine": 0.875, "makespan": None}
    assert decided(tmp_path, "heet", {"times": times, "tasks": 5})["makespan"] == 5.25
    assert decided(tmp_path, "heet", {"times": times, "tasks": 5, "last_arrival": 9.0})["makespan"] == 9.0


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([], "times: []; must have at least 1 item"),
        ([[1.0], [1.0, 2.0]], "times: rows of 1 and 2 machines; all must have the same"),
        ([[0.0]], "must be greater than 0"),
        ([["x"]], "must be a number"),
    ],
)
def test_refused(times: object, says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "heet", {"times": times})


@pytest.mark.parametrize("scheduler", ["first-free", "first-done"])
def test_equal_times_take_what_heet_says(scheduler: str) -> None:
    """Whatever the scheduler: rounds of J tasks."""
    times = np.full((3, 4), 7.0)
    rng = np.random.default_rng(0)
    for tasks in (1, 4, 5, 41):
        assert simulated(times, tasks, scheduler, rng) == pytest.approx(Problem(times).makespan("HEET", tasks))


def test_one_score_other_mixes() -> None:
    """All have HEET 10; where all times are alike the makespan is what it predicts, where pairs differ it is not."""
    made = Heet(Settings(mixes="same-score"))
    stream = made.stream()
    assert [Problem(each.times).heet() for each in stream] == pytest.approx([10.0] * len(stream))
    errors = dict(zip((each.name for each in stream), made.evaluate("HEET", stream).steps["error"], strict=True))
    assert abs(errors["tasks 0, machines 0, pairs 0"]) < 1e-9
    assert errors["tasks 0, machines 0, pairs 1"] < -15.0


def test_table(tmp_path: Path) -> None:
    """Two machines of a: both have its column; b has none there, and its cells are empty."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "2,0,5000,8,,4,\n")
    (found,) = read_configurations(path)
    assert found.times.tolist() == [[8.0, 8.0], [4.0, 4.0]]
    assert (found.name, found.makespan) == ("2 a", 5000.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "needs columns n_MACHINE"),
        (HEADER, "empty"),
        (HEADER + "0,0,5000,8,,4,\n", "row 1: no machine"),
        (HEADER + "1,1,5000,8,,4,2\n", "row 1: eet_x_b: ''; must be a number above 0"),
        (HEADER + "-1,1,5000,8,1,4,2\n", "row 1: n_a: '-1'"),
        (HEADER + "1,1,nan,8,1,4,2\n", "row 1: true_makespan_ms: 'nan'"),
        (HEADER + "1,1\n", "row 1: eet_x_a: None"),
    ],
)
def test_tables_that_are_none(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert says in refused("run", "heet", "--trace", tmp_path / "a.csv")
