"""Influence: the fixed point by hand and by recursion, elimination against it, opinions, the study and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.influence import Problem
from idn_agents.systems.opinions import conforming, listening, spread, spread_conforming
from system_line import called, decided, golden, refused, undecided

_FEW = ("--set", "graphs=2", "--set", "nodes=30", "--set", "leaders=3")
_CHAIN = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])  # a -> b -> c


@st.composite
def graphs(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Some nodes, some of them without arcs."""
    nodes = draw(st.integers(2, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return (rng.random((nodes, nodes)) < 0.3) * rng.uniform(0.1, 5.0, (nodes, nodes))


def test_golden() -> None:
    assert len(golden("influence")) == 12


def test_fixed_point_by_hand() -> None:
    """D = (2, 1, -3); I_a = 2/2, I_b = 1/2 + I_a/2, I_c = -3/2 + I_b/2."""
    assert Problem(_CHAIN, 1).influence == pytest.approx([1.0, 1.0, -1.0])
    assert Problem(_CHAIN, 1).after(1) == pytest.approx([1.0, 1.5, -1.0])


@given(graphs(), st.floats(0.1, 1.0))
@settings(max_examples=50, deadline=None)
def test_recursion_comes_to_the_fixed_point(weights: np.ndarray[Any, Any], a: float) -> None:
    """Within (1 - a)^t of the whole, in the sum of absolute values, which rows that sum to 1 contract."""
    problem = Problem(weights, 1, a)
    gap = np.abs(problem.after(40) - problem.influence).sum()
    assert gap <= (1.0 - a) ** 40 * np.abs(problem.balance - problem.influence).sum() + 1e-9


@given(graphs(), st.integers(1, 2))
@settings(max_examples=50, deadline=None)
def test_elimination(weights: np.ndarray[Any, Any], leaders: int) -> None:
    """The leaders that it finds have the influence of the exact ones."""
    problem = Problem(weights, leaders)
    found = np.sort(problem.influence[problem.eliminated()])
    assert found == pytest.approx(np.sort(problem.influence[problem.best()]), abs=1e-9)


@given(graphs(), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_influence_goes_with_the_names(weights: np.ndarray[Any, Any], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(weights))
    moved = Problem(weights[np.ix_(order, order)], 1).influence
    assert moved == pytest.approx(Problem(weights, 1).influence[order])


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_opinions_are_means(weights: np.ndarray[Any, Any]) -> None:
    """Rows sum to 1 in both models: where all agree nothing changes."""
    assert listening(weights).sum(axis=1) == pytest.approx(1.0)
    heard, own = conforming(weights, np.arange(1.0, len(weights) + 1.0))
    assert heard.sum(axis=1) + own == pytest.approx(1.0)
    everyone = np.arange(len(weights))
    assert spread_conforming(weights, np.ones(len(weights)), everyone) == pytest.approx(len(weights))


def test_opinions_by_hand() -> None:
    """Along a chain everyone comes to hold the first's opinion; with conformity half of what each takes."""
    assert spread(_CHAIN, np.array([0]), False, 2) == pytest.approx(3.0)
    assert spread(_CHAIN, np.array([1]), False, 2) == pytest.approx(0.0)
    assert spread(_CHAIN, np.array([1]), True, 2) == pytest.approx(2.0)
    assert spread_conforming(_CHAIN, np.ones(3), np.array([0]), least=1e-9) == pytest.approx(1.0 + 0.5 + 0.25)


def test_decision(tmp_path: Path) -> None:
    """Parallel arcs add up; of equal influence the first named leads."""
    state = {"edges": [["a", "b", 1.5], ["a", "b", 0.5], ["b", "c", 3]], "leaders": 2, "a": 0.5}
    answer = decided(tmp_path, "influence", state)
    assert answer["leaders"] == ["a", "b"]
    assert answer["centrality"] == {name: pytest.approx(value) for name, value in (("a", 1), ("b", 1), ("c", -1))}
    balance = decided(tmp_path, "influence", {**state, "a": 1.0})["centrality"]
    assert balance == {"a": 2.0, "b": 1.0, "c": -3.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"leaders": 4}, "leaders: 4; the graph has 3 nodes"),
        ({"leaders": 0}, "leaders: 0; must be greater than or equal to 1"),
        ({"a": 0.0}, "a: 0.0; must be greater than 0"),
        ({"edges": []}, "edges: []"),
        ({"edges": [["a", "b"]]}, "edges"),
        ({"edges": [["a", "b", -1.0]]}, "must be greater than or equal to 0"),
    ],
)
def test_states_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    state = {"edges": [["a", "b", 1.0], ["b", "c", 1.0]], "leaders": 1, **change}
    assert says in undecided(tmp_path, "influence", state)


def test_graph_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "graph.csv").write_text("u,v,weight\n0,1,2\n1,7,3\n")
    rows = json.loads(called("run", "influence", "--json", "--trace", tmp_path / "graph.csv", "--set", "leaders=1"))[
        "policies"
    ]
    assert {row["policy"]: row["pinned"] for row in rows}["influence"] == pytest.approx(3.0)
    assert "no column weight" in refused("run", "influence", "--trace", _written(tmp_path, "u,v\n0,1\n"))
    assert "the graph has 3 nodes" in refused("run", "influence", "--trace", tmp_path / "graph.csv")


def test_claims_say_where_it_fails() -> None:
    """With leaders that listen, reversed PageRank spreads further in the study."""
    claims = json.loads(called("run", "influence", "--json"))["claims"]
    assert [claim["outcome"] for claim in claims] == ["holds", "does not hold", "does not hold", "holds"]
    assert "reversed PageRank 90" in claims[1]["reason"]


def _written(folder: Path, text: str) -> Path:
    path = folder / "other.csv"
    path.write_text(text)
    return path
