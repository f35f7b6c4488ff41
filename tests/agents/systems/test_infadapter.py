"""InfAdapter: the optimum against a plain search, its decisions, and what a stream makes of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.infadapter import InfAdapter, Problem, Settings, configurations
from system_line import DATA, decided, golden, undecided

from idn_gym.library.profiles import RESNETS

ACCURACY = (0.69758, 0.73314, 0.7613, 0.77374, 0.78312)
LOADING = (6.44, 6.79, 6.82, 7.77, 8.52)
FITS = ((24.45, -6.17), (13.04, -1.87), (10.32, -3.79), (5.09, 0.04), (3.81, -2.25))  # to two digits


def plain(problem: Problem, chosen: tuple[int, ...], rate: float, before: tuple[int, ...]) -> float | None:
    """The objective as the paper writes it, variant by variant; None where the capacity does not cover the rate."""
    capacity = [float(problem.capacity[m, n]) for m, n in enumerate(chosen)]
    if sum(capacity) < rate:
        return None
    rest, accuracy = rate, 0.0
    for m in reversed(range(5)):
        served = min(capacity[m], rest)
        rest -= served
        accuracy += ACCURACY[m] * served / rate
    loading = max([LOADING[m] for m in range(5) if chosen[m] not in (0, before[m])], default=0.0)
    return accuracy - problem.alpha * sum(chosen) / problem.cores - problem.beta * loading / max(LOADING)


@settings(max_examples=25, deadline=None)
@given(
    cores=st.integers(2, 8),
    rate=st.floats(1.0, 150.0),
    alpha=st.floats(0.0, 1.0),
    beta=st.floats(0.0, 0.5),
    before=st.tuples(*[st.integers(0, 4)] * 5),
)
def test_exact(cores: int, rate: float, alpha: float, beta: float, before: tuple[int, ...]) -> None:
    problem = Problem(cores, alpha, beta)
    every = [c for c in itertools.product([0, *range(2, cores + 1)], repeat=5) if sum(c) <= cores]
    assert sorted(map(tuple, configurations(cores).tolist())) == sorted(every)
    values = [value for c in every if (value := plain(problem, c, rate, before)) is not None]
    best = problem.best(rate, np.array(before))
    if not values:
        assert best is None
        return
    assert best is not None
    assert plain(problem, tuple(best.tolist()), rate, before) == pytest.approx(max(values), abs=1e-12)


def test_capacity_is_the_fit() -> None:
    """0.8 (a n + c), never below 0; the coefficients are known to two digits."""
    capacity = Problem().capacity
    for m, (slope, intercept) in enumerate(FITS):
        expected = [max(0.0, 0.8 * (slope * n + intercept)) for n in range(1, 21)]
        assert capacity[m, 1:] == pytest.approx(expected, abs=0.8 * 0.005 * 21)
        assert capacity[m, 0] == 0.0


def test_golden() -> None:
    assert len(golden("infadapter")) == 12


@pytest.mark.skipif(not DATA.exists(), reason="the Twitter segment is not shipped")
def test_golden_on_the_twitter_segment() -> None:
    """Levels of violations, cores and accuracy over 1,260 s."""
    checks = golden("infadapter", DATA)
    assert len(checks) == 28
    assert checks["violations % of VPA-50 on the Twitter segment"]["got"] > 20.0


def test_decision(tmp_path: Path) -> None:
    """At 96 requests/s the heaviest mix that fits; the answer's figures are those of its cores."""
    answer = decided(tmp_path, "infadapter", {"rate": 96.0, "cores": 20, "before": {"resnet18": 4}})
    chosen = tuple(answer["cores"].get(name, 0) for name in RESNETS)
    assert answer["objective"] == pytest.approx(plain(Problem(), chosen, 96.0, (4, 0, 0, 0, 0)))
    assert answer["capacity"] >= 96.0
    assert set(answer) == {"cores", "objective", "accuracy", "capacity"}


def test_what_runs_already_is_cheaper(tmp_path: Path) -> None:
    """With a heavy weight on loading, the configuration that is there stays."""
    there = {"resnet34": 11}
    answer = decided(tmp_path, "infadapter", {"rate": 96.0, "before": there}, "--set", "beta=10")
    assert answer["cores"] == there


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"rate": 1000.0}, "the capacity binds: 20 cores carry at most 386.206 requests/s"),
        ({"rate": 0.0}, "rate: 0.0; must be greater than 0"),
        ({"rate": 10.0, "before": {"resnet19": 2}}, "variant 'resnet19'; did you mean 'resnet18'?"),
        ({"rate": 10.0, "cores": 1}, "cores: 1; must be greater than or equal to 2"),
        ({"cores": 4}, "rate: missing"),
    ],
)
def test_refused(state: dict[str, object], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "infadapter", state)


def test_an_oracle_is_never_late() -> None:
    """As long as the peak can be carried at all."""
    made = InfAdapter(Settings(predictor="oracle"))
    assert made.evaluate("infadapter", np.full(120, 90.0)).values["violations"] == 0.0


def test_too_much_is_late() -> None:
    """Twice what 20 cores of the smallest variant serve."""
    values = InfAdapter().evaluate("VPA-18", np.full(60, 946.0)).values
    assert values["violations"] == pytest.approx(100.0)
    assert values["accuracy"] == pytest.approx(ACCURACY[0])


def test_patience_keeps_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 4 decisions of patience a fall is followed 3 intervals later than without."""
    stream = np.concatenate([np.full(30, 200.0), np.full(300, 20.0)])
    falls = []
    for patience in (0, 4):
        made = InfAdapter(Settings(patience=patience, predictor="oracle"))
        cores = made.evaluate("infadapter", stream).steps["cores"]
        falls.append(int(np.flatnonzero(np.diff(cores) < 0)[0]) + 1)
    assert falls == [30, 120]
