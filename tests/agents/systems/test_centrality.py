"""Influence and conformity: the fixed point against its iteration, opinions by hand, and leaders of small graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from idn_agents.systems.centrality import Problem
from system_line import decided, golden, refused, undecided

_GRAPHS = st.integers(2, 8).flatmap(
    lambda n: arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5]))
)
EDGES = [["u", "v", 1.0], ["v", "w", 2.0], ["u", "w"]]


def test_golden() -> None:
    assert len(golden("influence")) == 11


@given(_GRAPHS, st.floats(0.1, 1.0))
def test_fixed_point(weights: Any, a: float) -> None:
    """I(v) = a d_v + (1 - a) sum_u A_uv I(u), A with normalised rows; node by node."""
    values = Problem(weights, a).centrality()
    count = len(weights)
    sums = [sum(weights[u]) for u in range(count)]
    for v in range(count):
        heard = sum(weights[u, v] / sums[u] * values[u] for u in range(count) if sums[u])
        difference = sums[v] - sum(weights[:, v])
        assert values[v] == pytest.approx(a * difference + (1.0 - a) * heard, abs=1e-8)


@settings(max_examples=300)
@given(_GRAPHS, st.floats(0.1, 1.0), st.integers(1, 3))
def test_elimination_keeps_the_best(weights: Any, a: float, leaders: int) -> None:
    """What it ends with is as influential as the fixed point's best."""
    problem, k = Problem(weights, a), min(leaders, len(weights))
    values = problem.centrality()
    found = problem.eliminated(k)
    assert len(set(found.tolist())) == k
    assert np.sort(values[found]) == pytest.approx(np.sort(values[problem.top(k)]), abs=1e-6)


def test_decision(tmp_path: Path) -> None:
    """By hand: d = 2, 1, -3; I_u = 1, I_v = 0.5 + 0.25 I_u, I_w = -1.5 + 0.25 I_u + 0.5 I_v."""
    answer = decided(tmp_path, "influence", {"edges": EDGES, "leaders": 2, "a": 0.5})
    assert answer == {"leaders": ["u", "v"], "centrality": {"u": 1.0, "v": 0.75, "w": -0.875}}


def test_without_conformity_it_is_the_difference(tmp_path: Path) -> None:
    answer = decided(tmp_path, "influence", {"edges": EDGES, "leaders": 1, "a": 1.0})
    assert answer["centrality"] == {"u": 2.0, "v": 1.0, "w": -3.0}


def test_opinions_by_hand() -> None:
    """0 -> 1 -> 2, and 3 listens to nobody: pinned, all behind the leader follow; 3 keeps its own opinion."""
    weights = np.zeros((4, 4))
    weights[0, 1] = weights[1, 2] = 1.0
    problem = Problem(weights)
    assert problem.adoption(np.array([0]), True) == pytest.approx(3.0)
    assert problem.adoption(np.array([1]), True) == pytest.approx(2.0)
    assert problem.adoption(np.array([1]), False) == pytest.approx(0.0)  # 1 listens to 0, which has none
    assert problem.adoption(np.array([3]), False) == pytest.approx(1.0)
    assert 0.0 < problem.conformity(np.array([0])) <= 4.0


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"edges": EDGES, "leaders": 4}, "leaders: 4; the graph has 3 nodes"),
        ({"edges": [], "leaders": 1}, "edges: []; must have at least 1 item"),
        ({"edges": [["u", "v", -1.0]], "leaders": 1}, "edges.0: ['u', 'v', -1.0]; must be [node, node, weight]"),
        ({"edges": [["u", None]], "leaders": 1}, "must be [node, node, weight]"),
        ({"edges": [["u"]], "leaders": 1}, "must have at least 2 items"),
        ({"edges": EDGES, "leaders": 1, "a": 0.0}, "a: 0.0; must be greater than 0"),
    ],
)
def test_refused(state: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "influence", state)


def test_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("source,target,weight\nu,v,x\n")
    assert "row 1: weight: 'x'" in refused("run", "influence", "--trace", path)
    path.write_text("from,to\nu,v\n")
    assert "no column source" in refused("run", "influence", "--trace", path)
    path.write_text("source,target\nu,v\n")
    assert "leaders: 8; a graph has 2 nodes" in refused("run", "influence", "--trace", path)
