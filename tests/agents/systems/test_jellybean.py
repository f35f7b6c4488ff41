"""JellyBean: the optimum against every assignment of small workflows, and the plan of the authors' README."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.frame import Infeasible
from idn_agents.systems.jellybean import beam
from idn_agents.systems.workflow import Problem, Workflow, vqa_workflow
from system_line import decided, golden, refused, undecided

_TIMES = st.lists(st.floats(5.0, 100.0), min_size=4, max_size=4)


def workflow(times: list[list[float]], prices: list[float], links: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A chain of two operators with one variant each over four workers, the last two in the second tier."""
    workers = [{"name": f"w{n}", "price": price, "tier": n // 2} for n, price in enumerate(prices)]
    operators = [
        {
            "name": name,
            "inputs": inputs,
            "variants": [{"name": name, "latency_ms": {f"w{n}": ms for n, ms in enumerate(row)}, "message_kb": 1024.0}],
        }
        for name, inputs, row in zip("ab", ([], ["a"]), times, strict=True)
    ]
    return {
        "workers": workers,
        "operators": operators,
        "links": list(links),
        "accuracy": [{"variants": {}, "accuracy": 50.0}],
    }


def cheapest(times: list[list[float]], prices: list[float], rate: float) -> float | None:
    """The least price of workers, each of operator a, b or neither, where traffic is free."""
    found = []
    for owners in itertools.product((0, 1, None), repeat=4):
        own = [[n for n, owner in enumerate(owners) if owner == operator] for operator in (0, 1)]
        enough = all(sum(1000.0 / times[o][n] for n in own[o]) >= rate for o in (0, 1))
        if enough and max(n // 2 for n in own[0]) <= min(n // 2 for n in own[1]):
            found.append(sum(prices[n] for n, owner in enumerate(owners) if owner is not None))
    return min(found, default=None)


def test_golden() -> None:
    assert len(golden("jellybean")) == 7


@settings(max_examples=20, deadline=None)
@given(st.tuples(_TIMES, _TIMES), st.lists(st.floats(0.1, 3.0), min_size=4, max_size=4), st.floats(1.0, 200.0))
def test_exact(times: tuple[list[float], list[float]], prices: list[float], rate: float) -> None:
    problem = Problem(Workflow.model_validate(workflow(list(times), prices)), rate, 50.0)
    expected = cheapest(list(times), prices, rate)
    if expected is None:
        with pytest.raises(Infeasible, match="the capacity binds"):
            problem.optimum()
        return
    assert problem.optimum().total == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("rate", "accuracy"), [(8.0, 54.0), (33.0, 56.0), (47.0, 55.0)])
def test_never_worse_than_the_heuristic(rate: float, accuracy: float) -> None:
    """At other rates and floors; both plans keep the rules."""
    problem = Problem(vqa_workflow(), rate, accuracy)
    exact, heuristic = problem.optimum(), beam(problem)
    assert exact.total <= heuristic.total + 1e-9
    tiers = {worker.name: worker.tier for worker in problem.workflow.workers}
    for plan in (exact, heuristic):
        assert plan.accuracy >= accuracy
        used = [worker for each in plan.rates.values() for worker in each]
        assert len(used) == len(set(used))
        for operator in problem.workflow.operators:
            rates = plan.rates[operator.name]
            capacity = problem.capacity(operator, plan.variants[operator.name])
            assert sum(rates.values()) == pytest.approx(rate)
            assert all(value <= capacity[worker] * (1.0 + 1e-6) for worker, value in rates.items())
            for sender in operator.inputs:
                assert max((tiers[w] for w in plan.rates.get(sender, ())), default=0) <= min(tiers[w] for w in rates)


def test_traffic_by_hand(tmp_path: Path) -> None:
    """One worker each at 10/s: 1,024 KB x 10/s x price 2 x 0.1 x 3600 / 1024^2 = 7.03125 per hour."""
    times = [[10.0, 1e6, 1e6, 1e6], [1e6, 1e6, 10.0, 1e6]]
    links = ({"source": "w0", "target": "w2", "price": 2.0},)
    state = {"rate": 10.0, "accuracy": 50.0, "problem": workflow(times, [1.0, 1.0, 1.0, 1.0], links)}
    answer = decided(tmp_path, "jellybean", state)
    assert answer["communication"] == pytest.approx(7.03125)
    assert answer["total"] == pytest.approx(9.03125)
    assert answer["workers"] == {"a": {"w0": pytest.approx(10.0)}, "b": {"w2": pytest.approx(10.0)}}
    assert answer["beam"]["total"] == pytest.approx(9.03125)


def test_decision(tmp_path: Path) -> None:
    answer = decided(tmp_path, "jellybean", {"rate": 40.0, "accuracy": 56.0})
    assert answer["total"] == pytest.approx(7.48502, abs=5e-6)
    assert answer["beam"]["total"] == pytest.approx(7.50878, abs=5e-6)
    assert answer["variants"]["ExtractImageFeature"] == "resnet18"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"rate": 40.0, "accuracy": 60.0}, "the accuracy binds: no variants reach more than 58.33"),
        ({"rate": 4000.0, "accuracy": 56.0}, "the capacity binds"),
        ({"rate": 0, "accuracy": 56.0}, "rate: 0; must be greater than 0"),
    ],
)
def test_refused(state: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "jellybean", state)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("operators", 1, "inputs"), ["c"], "problem.operators.b.inputs: 'c'; must be a source or operator before"),
        (("operators", 1, "name"), "a", "'a' twice"),
        (("operators", 0, "variants", 0, "latency_ms"), {"w9": 1.0}, "worker 'w9'; allowed: w0, w1, w2, w3"),
        (("accuracy", 0, "variants"), {"a": "z"}, "'z' is no variant of operator 'a'"),
        (("workers", 1, "name"), "w0", "'w0' twice"),
    ],
)
def test_problems_that_are_none(path: tuple[Any, ...], value: object, says: str, tmp_path: Path) -> None:
    problem: Any = workflow([[10.0] * 4, [10.0] * 4], [1.0] * 4)
    here = problem
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    assert says in undecided(tmp_path, "jellybean", {"rate": 1.0, "accuracy": 1.0, "problem": problem})


def test_a_rate_of_0(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("rate\n1\n0\n")
    assert "rate of step 1: 0; must be above 0" in refused("run", "jellybean", "--trace", tmp_path / "a.csv")


def test_rates_beyond_all_workers_are_counted() -> None:
    """And cost nothing."""
    from idn_agents.systems.jellybean import JellyBean

    values = JellyBean().evaluate("exact", np.array([10.0, 4000.0])).values
    assert values["infeasible"] == 1.0
    assert values["total"] == pytest.approx(JellyBean().evaluate("exact", np.array([10.0])).values["total"])
