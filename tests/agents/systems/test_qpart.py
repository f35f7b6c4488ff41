"""QPART: bits against every assignment of small cuts and against KKT's formula, and the best cut at a rate."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.bits import Problem
from idn_agents.systems.qpart import Qpart, Settings
from system_line import decided, golden, refused, undecided

_TENSORS = st.lists(st.tuples(st.floats(0.01, 5.0), st.floats(0.1, 10.0)), min_size=1, max_size=4)
STATE: dict[str, Any] = {"sensitivities": [1, 1, 1, 1, 1], "sizes": [1, 2, 4, 6, 8], "budget": 0.05}


def test_golden() -> None:
    assert len(golden("qpart")) == 10


@settings(max_examples=60, deadline=None)
@given(_TENSORS, st.floats(1e-3, 1.0), st.integers(1, 4), st.integers(0, 5))
def test_exact(tensors: list[tuple[float, float]], budget: float, least: int, more: int) -> None:
    """No assignment within the budget has less payload; the continuous optimum has not more, the heuristic not less."""
    k, z = np.array(tensors).T
    problem = Problem(k, z, budget, least, least + more)
    every = np.array(list(itertools.product(range(least, least + more + 1), repeat=len(k))))
    quiet = every[(k * 4.0**-every).sum(axis=1) <= budget]
    if not len(quiet):
        return
    exact = problem.exact()
    assert exact is not None
    assert z @ exact == pytest.approx((quiet @ z).min(), rel=1e-9)
    assert problem.feasible(exact)
    assert z @ problem.continuous() <= z @ exact * (1.0 + 1e-9)
    greedy = problem.greedy()
    assert problem.feasible(greedy)
    assert ((greedy >= least) & (greedy <= least + more)).all()
    assert z @ greedy >= z @ exact * (1.0 - 1e-9)


@given(_TENSORS)
def test_continuous_is_the_formula_within_the_limits(tensors: list[tuple[float, float]]) -> None:
    """b_l = log4(k_l Z / (Delta z_l)) where no limit binds."""
    k, z = np.array(tensors).T
    budget = 1e-4
    expected = np.log(k * z.sum() / (budget * z)) / np.log(4.0)
    problem = Problem(k, z, budget, 1, 32)
    assert (expected > 1.0).all()
    assert (expected < 32.0).all()
    assert problem.continuous() == pytest.approx(expected, abs=1e-6)


def test_decision(tmp_path: Path) -> None:
    answer = decided(tmp_path, "qpart", STATE)
    assert (answer["payload"], answer["exact"]["payload"]) == (70.0, 69.0)
    assert answer["continuous"] == pytest.approx(66.745, abs=5e-4)
    assert sum(b * z for b, z in zip(answer["bits"], STATE["sizes"], strict=True)) == answer["payload"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": 1e-12}, "the noise binds: 16 bits leave"),
        ({"sizes": [1.0]}, "5 sensitivities and 1 sizes; must be as many"),
        ({"least": 9, "most": 8}, "least must be at most most"),
        ({"budget": 0}, "budget: 0; must be greater than 0"),
        ({"sizes": [0, 1, 1, 1, 1]}, "must be greater than 0"),
    ],
)
def test_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "qpart", STATE | change)


def test_many_layers_are_exact_or_none() -> None:
    """What cannot be enumerated may still be solved; it is never above the heuristic."""
    rng = np.random.default_rng(3)
    problem = Problem(rng.uniform(0.2, 3, 12), rng.uniform(0.5, 8, 12), 0.05)
    exact = problem.exact()
    assert exact is not None
    assert problem.sizes @ problem.continuous() <= problem.sizes @ exact <= problem.sizes @ problem.greedy()


def test_no_policy_beats_the_exact_cut() -> None:
    """At each rate, and the cut of a fast link is the server's, of a slow one the device's."""
    made = Qpart()
    stream = np.array([0.1, 1.0, 10.0, 1e4])
    found = {policy: made.evaluate(policy, stream).values for policy in made.policies()}
    assert all((values["gap"] or 0.0) >= -1e-9 for values in found.values())
    assert found["exact"]["gap"] == pytest.approx(0.0, abs=1e-9)
    cuts = made.evaluate("exact", stream).steps["cut"]
    assert cuts[0] == 7.0
    assert cuts[-1] == 0.0


def test_degradation_takes_bits() -> None:
    """A tenth of the noise takes log4(10) = 1.66 bits more of every number, as long as no limit binds."""
    payloads = [
        Qpart(Settings(degradation=budget)).evaluate("server only", np.ones(1)).values["payload_kb"]
        for budget in (0.01, 0.001)
    ]
    assert payloads == [pytest.approx(150528 * bits / 8e3) for bits in (4, 5)]


def test_a_rate_of_0(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("rate\n1\n0\n")
    assert "rate of step 1: 0; must be above 0" in refused("run", "qpart", "--trace", tmp_path / "a.csv")
