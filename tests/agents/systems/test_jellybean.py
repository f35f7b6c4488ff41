"""JellyBean: plans and costs by hand, the optimum against enumeration, the authors' plan, and refusals."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.jellybean.beam import beam_search
from idn_agents.systems.jellybean.example import question_answering
from idn_agents.systems.jellybean.inputs import read_inputs
from idn_agents.systems.jellybean.optimum import optimum
from idn_agents.systems.jellybean.workflow import Plan, Workflow, communication
from scipy.optimize import linprog
from system_line import DATA, called, decided, golden, refused, undecided

_ONE: dict[str, Any] = {  # one operator at one or both of two workers
    "workers": [{"name": "a", "price": 1.0}, {"name": "b", "price": 3.0}],
    "sources": [{"name": "in", "message_kb": 1024.0, "links": {"b": 2.0}}],
    "operators": [
        {
            "name": "op",
            "inputs": ["in"],
            "variants": [
                {"name": "small", "latency_ms": {"a": 100.0, "b": 20.0}},
                {"name": "big", "latency_ms": {"b": 50.0}},
            ],
        }
    ],
    "accuracies": [{"variants": {"op": "small"}, "percent": 70.0}, {"variants": {"op": "big"}, "percent": 80.0}],
}


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Two operators in a row over four workers of two tiers."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    names = ["a", "b", "c", "d"]

    def variant(name: str) -> dict[str, Any]:
        times = {worker: float(rng.integers(20, 200)) for worker in names}
        return {"name": name, "latency_ms": times, "message_kb": float(rng.integers(0, 500))}

    workers = [{"name": n, "price": float(rng.integers(1, 20)) / 10, "tier": i // 2} for i, n in enumerate(names)]
    links = [[u, v, float(rng.integers(0, 5))] for u in names for v in names if u != v]
    return Workflow.model_validate(
        {
            "workers": workers,
            "sources": [{"name": "in", "message_kb": 300.0, "links": {n: float(rng.integers(0, 3)) for n in names}}],
            "operators": [
                {"name": "one", "inputs": ["in"], "variants": [variant("x"), variant("y")]},
                {"name": "two", "inputs": ["one"], "variants": [variant("z")]},
            ],
            "links": links,
            "accuracies": [{"variants": {"one": "x"}, "percent": 60.0}, {"variants": {"one": "y"}, "percent": 70.0}],
        }
    )


def enumerated(workflow: Workflow, rate: float, accuracy: float) -> float:
    """Least cost over all pairs of sets of workers, flows by a linear program; inf if there is none."""
    names = list(workflow.worker)
    sets = [each for size in range(1, 4) for each in itertools.combinations(names, size)]
    scale, least = 0.1 * 3600.0 / 1024.0**2, np.inf
    prices = {(u, v): price for u, v, price in workflow.links}
    for row in workflow.accuracies:
        if row.percent < accuracy:
            continue
        first = next(v for v in workflow.operator["one"].variants if v.name == row.variants["one"])
        second = workflow.operator["two"].variants[0]
        for ones, twos in itertools.product(sets, sets):
            if {*ones} & {*twos} or max(workflow.worker[u].tier for u in ones) > min(
                workflow.worker[v].tier for v in twos
            ):
                continue
            pairs = list(itertools.product(ones, twos))
            entry = workflow.source["in"]
            cost = [
                scale * (entry.links[u] * entry.message_kb + prices.get((u, v), 0.0) * first.message_kb)
                for u, v in pairs
            ]
            limits = [[float(u == worker) for u, _ in pairs] for worker in ones]
            limits += [[float(v == worker) for _, v in pairs] for worker in twos]
            most = [1000.0 / first.latency_ms[u] for u in ones] + [1000.0 / second.latency_ms[v] for v in twos]
            found = linprog(cost, A_ub=limits, b_ub=most, A_eq=[[1.0] * len(pairs)], b_eq=[rate])
            if found.status == 0:
                least = min(least, found.fun + sum(workflow.worker[each].price for each in (*ones, *twos)))
    return least


def cost_of(workflow: Workflow, plan: Plan, rate: float, accuracy: float) -> None:
    """A plan carries the rate, keeps to capacities, tiers and one operator per worker, and costs what it says."""
    workers = [worker for places in plan.rates.values() for worker in places]
    assert len(workers) == len(set(workers))
    assert plan.accuracy >= accuracy
    assert plan.compute == pytest.approx(sum(workflow.worker[worker].price for worker in workers))
    for operator, places in plan.rates.items():
        assert sum(places.values()) == pytest.approx(rate)
        capacity = workflow.capacity(operator, plan.variants)
        assert all(placed <= capacity[worker] + 1e-6 for worker, placed in places.items())
    for operator in workflow.operators:
        for name in operator.inputs:
            tiers = [workflow.worker[worker].tier for worker in plan.rates.get(name, {})]
            assert max(tiers, default=0) <= min(workflow.worker[worker].tier for worker in plan.rates[operator.name])


def test_golden() -> None:
    assert len(golden("jellybean")) == 7


@pytest.mark.skipif(not (DATA / "jellybean_vqa").is_dir(), reason="no shared/data/jellybean_vqa")
def test_golden_on_the_authors_files() -> None:
    assert len(golden("jellybean", DATA)) == 9
    read, shipped = read_inputs(DATA / "jellybean_vqa"), question_answering()
    assert [worker.price for worker in read.workers] == [worker.price for worker in shipped.workers]
    assert read.accuracies == shipped.accuracies


@given(workflows(), st.floats(1.0, 25.0), st.sampled_from([55.0, 65.0]))
@settings(max_examples=12, deadline=None)
def test_optimum_is_exact(workflow: Workflow, rate: float, accuracy: float) -> None:
    """Against enumeration; the beam search's plan is a plan, and not below it."""
    best = optimum(workflow, rate, workflow.assignments(accuracy))
    least = enumerated(workflow, rate, accuracy)
    if best is None:
        assert least == np.inf
        return
    cost_of(workflow, best, rate, accuracy)
    assert best.total == pytest.approx(least, abs=1e-6)
    beam = beam_search(workflow, rate, accuracy)
    if beam is not None:
        cost_of(workflow, beam, rate, accuracy)
        assert beam.total >= best.total - 1e-6


@pytest.mark.parametrize("rate", [12.0, 33.0, 61.0])
def test_beam_search_on_the_example(rate: float) -> None:
    workflow = question_answering()
    beam, best = beam_search(workflow, rate, 56.0), optimum(workflow, rate, workflow.assignments(56.0))
    assert beam is not None
    assert best is not None
    cost_of(workflow, beam, rate, 56.0)
    cost_of(workflow, best, rate, 56.0)
    assert best.total <= beam.total + 1e-9


def test_costs_by_hand(tmp_path: Path) -> None:
    """One worker carries 10/s for 1.0; the other 50/s for 3.0 and 0.1 x 2.0 x 3600/1024 per request/s."""
    send = 0.1 * 2.0 * 3600.0 / 1024.0
    low = decided(tmp_path, "jellybean", {"rate": 8.0, "accuracy": 70.0, "problem": _ONE})
    assert (low["total"], low["workers"]) == (pytest.approx(1.0), {"op": ["a"]})
    both = decided(tmp_path, "jellybean", {"rate": 40.0, "accuracy": 70.0, "problem": _ONE})
    assert both["total"] == pytest.approx(4.0 + 30.0 * send)  # a as well: it saves 10 send
    assert both["beam"]["total"] == pytest.approx(3.0 + 40.0 * send)  # one that can do it alone is not helped
    big = decided(tmp_path, "jellybean", {"rate": 8.0, "accuracy": 75.0, "problem": _ONE})
    assert (big["variants"], big["communication"]) == ({"op": "big"}, pytest.approx(8.0 * send))


def test_traffic_in_proportion_to_both() -> None:
    """Half of what two workers send goes to each of two."""
    workflow = Workflow.model_validate(
        {
            "workers": [
                {"name": name, "price": 1.0, "tier": tier} for name, tier in zip("abcd", (0, 0, 1, 1), strict=True)
            ],
            "sources": [{"name": "in", "message_kb": 1.0}],
            "operators": [
                {
                    "name": name,
                    "inputs": [before],
                    "variants": [{"name": "v", "latency_ms": dict.fromkeys("abcd", 10.0), "message_kb": 1024.0**2}],
                }
                for name, before in (("one", "in"), ("two", "one"))
            ],
            "links": [["a", "c", 1.0], ["b", "d", 3.0]],
            "accuracies": [{"variants": {}, "percent": 50.0}],
        }
    )
    rates = {"one": {"a": 2.0, "b": 6.0}, "two": {"c": 4.0, "d": 4.0}}
    assert communication(workflow, {"one": "v", "two": "v"}, rates) == pytest.approx(0.1 * 3600.0 * (1.0 + 9.0))


def test_decision(tmp_path: Path) -> None:
    answer = decided(tmp_path, "jellybean", {"rate": 40.0, "accuracy": 56.0})
    keys = ["total", "compute", "communication", "accuracy", "variants", "workers"]
    assert list(answer) == [*keys, "beam"]
    assert list(answer["beam"]) == keys
    assert answer["total"] == pytest.approx(answer["compute"] + answer["communication"])
    assert answer["total"] == pytest.approx(7.48502, abs=5e-6)


def test_nothing_else_on_standard_output() -> None:
    """Nor from the solver, which does not write as Python does: therefore in a process of its own."""
    source = (
        "import numpy as np; from idn_agents.systems.jellybean import JellyBean; "
        "print(JellyBean().evaluate('optimum', np.array([15.0, 20.0])).values['total'])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(0.5 * (5.60022 + 5.96230), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"accuracy": 60.0}, "the accuracy binds: 60 % wanted, all variants at their best reach 58.33 %"),
        ({"rate": 400.0}, "the rate binds: no plan of 9 workers carries 400 requests/s at 56 %"),
        ({"rate": 0.0}, "rate: 0.0; must be greater than 0"),
        ({"problem": {**_ONE, "links": [["a", "x", 1.0]]}}, "links: 'x'; there is none of that name"),
        (
            {"problem": {**_ONE, "operators": [{**_ONE["operators"][0], "inputs": ["op"]}]}},
            "operators: inputs make a cycle",
        ),
    ],
)
def test_states_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "jellybean", {"rate": 40.0, "accuracy": 56.0, **change})


def test_run(tmp_path: Path) -> None:
    """On one rate: nobody is below the optimum, and the most accurate variants cost more."""
    (tmp_path / "rates.csv").write_text("rate\n40\n40\n")
    rows = json.loads(called("run", "jellybean", "--json", "--trace", tmp_path / "rates.csv"))["policies"]
    total = {row["policy"]: row["total"] for row in rows}
    assert total["optimum"] == pytest.approx(7.48502, abs=5e-6)
    assert total["jellybean"] == pytest.approx(7.50878, abs=5e-6)
    assert total["upper tier"] > total["optimum"]
    assert total["most accurate"] > total["optimum"]
    (tmp_path / "rates.csv").write_text("rate\n4000\n")
    assert "the rate binds" in refused("run", "jellybean", "--trace", tmp_path / "rates.csv")


def test_inputs_that_are_none(tmp_path: Path) -> None:
    assert "workers_partition.json: cannot be read" in refused("run", "jellybean", "--set", f"inputs={tmp_path}")
