"""QPART: bits against brute force, the closed form of the relaxation, cuts over rates, and refusals."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.bits import Problem
from idn_agents.systems.frame import Infeasible
from idn_agents.systems.qpart import Qpart
from system_line import called, decided, golden, refused, undecided

_SIZES = st.floats(0.0, 8.0)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Few layers of few bits, some of them insensitive or of no size."""
    layers = draw(st.integers(1, 4))
    sensitivities = draw(st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.7]), min_size=layers, max_size=layers))
    sizes = draw(st.lists(_SIZES, min_size=layers, max_size=layers))
    least = draw(st.integers(1, 3))
    most = least + draw(st.integers(0, 5))
    budget = sum(sensitivities) * 4.0**-most + draw(st.floats(1e-4, 0.5))
    return Problem(np.array(sensitivities), np.array(sizes), budget, least, most)


def choices(problem: Problem) -> list[tuple[float, tuple[int, ...]]]:
    """All that keep to the budget, by payload."""
    every = itertools.product(range(problem.least, problem.most + 1), repeat=len(problem.sizes))
    kept = (bits for bits in every if problem.noise(np.array(bits)) <= problem.budget)
    return sorted((float(problem.sizes @ bits), bits) for bits in kept)


def test_golden() -> None:
    assert len(golden("qpart")) == 6


@given(problems())
@settings(max_examples=60, deadline=None)
def test_exact_is_exact(problem: Problem) -> None:
    """Against all choices; the relaxation is below it, the greedy choice above, and both keep to the budget."""
    least = choices(problem)[0][0]
    exact = problem.exact()
    assert exact is not None
    assert problem.sizes @ exact == pytest.approx(least)
    assert problem.noise(exact) <= problem.budget
    assert problem.sizes @ problem.continuous() <= least + 1e-9
    greedy = problem.greedy()
    assert problem.noise(greedy) <= problem.budget
    assert problem.sizes @ greedy >= least - 1e-9


@given(st.lists(st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)), min_size=1, max_size=6))
def test_relaxation_inside_its_bounds(layers: list[tuple[float, float]]) -> None:
    """b_l = log_4(k_l Z / (Delta z_l)) where no bound is met."""
    sensitivities, sizes = np.array(layers).T
    bits = np.log(sensitivities * sizes.sum() / (0.005 * sizes)) / np.log(4.0)
    assert Problem(sensitivities, sizes, 0.005).continuous() == pytest.approx(bits)


def test_decision(tmp_path: Any) -> None:
    """Five layers alike in sensitivity: payloads by exhaustive search over {2..16}^5."""
    for budget, greedy, exact, bound in ((0.01, 94, 93, 91.1), (0.05, 70, 69, 66.7), (0.2, 49, 48, 45.9)):
        state = {"sensitivities": [1, 1, 1, 1, 1], "sizes": [1, 2, 4, 6, 8], "budget": budget, "least": 2, "most": 16}
        answer = decided(tmp_path, "qpart", state)
        assert list(answer) == ["bits", "payload", "continuous", "exact"]
        assert answer["payload"] == greedy == np.dot(answer["bits"], state["sizes"])
        assert answer["exact"]["payload"] == exact == np.dot(answer["exact"]["bits"], state["sizes"])
        assert answer["continuous"] == pytest.approx(bound, abs=0.05)


def test_slack_budget(tmp_path: Any) -> None:
    state = {"sensitivities": [1.0, 0.0], "sizes": [1.0, 2.0], "budget": 5.0}
    assert decided(tmp_path, "qpart", state)["bits"] == [2, 2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": 1e-12}, "the budget binds: 16 bits in every layer leave a noise of"),
        ({"budget": 0.0}, "budget: 0.0; must be greater than 0"),
        ({"sizes": [1.0]}, "sizes: 1 of them; must be as many as sensitivities"),
        ({"least": 9, "most": 8}, "least: 9; must be at most 8"),
        ({"sensitivities": [-1.0, 1.0]}, "must be greater than or equal to 0"),
    ],
)
def test_states_refused(change: dict[str, Any], says: str, tmp_path: Any) -> None:
    state = {"sensitivities": [1.0, 1.0], "sizes": [1.0, 2.0], "budget": 0.1, **change}
    assert says in undecided(tmp_path, "qpart", state)


def test_infeasible_at_its_edge() -> None:
    """The largest noise that all bits leave is still feasible."""
    Problem(np.ones(2), np.ones(2), 2.0 * 4.0**-4, 2, 4)
    with pytest.raises(Infeasible):
        Problem(np.ones(2), np.ones(2), 1.99 * 4.0**-4, 2, 4)


def test_policies_on_one_stream() -> None:
    """No policy costs less than exact bits at the best cut, and quantised ones keep to their degradation."""
    rows = json.loads(called("run", "qpart", "--json", "--set", "steps=50"))["policies"]
    cost = {row["policy"]: row["cost"] for row in rows}
    assert all(cost["exact bits"] <= other + 1e-12 for other in cost.values())
    assert cost["qpart"] <= 1.01 * cost["exact bits"]
    assert all(row["degradation"] <= 1.0 for row in rows)


def test_a_float_of_its_own_is_no_claim() -> None:
    """Where more may be lost than the abstract says, its claim does not hold."""
    made = Qpart(Qpart.settings_kind(degradation=3.0))
    stream = made.stream()
    claims = made.claims([made.evaluate(policy, stream) for policy in made.policies()])
    assert claims[0].outcome == "does not hold"


def test_budget_beyond_all_bits() -> None:
    assert "the budget binds" in refused("run", "qpart", "--set", "degradation=1e-9")
