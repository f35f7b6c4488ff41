"""IPA: the optimum against every configuration of small pipelines, and what its paper says must be so."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.frame import Infeasible
from idn_agents.systems.ipa import Ipa, Settings, State
from system_line import DATA, decided, golden, undecided

_VARIANTS = st.fixed_dictionaries(
    {
        "name": st.sampled_from("abc"),
        "accuracy": st.floats(0.0, 100.0),
        "base_cores": st.integers(1, 8),
        "latency_ms": st.lists(st.floats(1.0, 300.0), min_size=1, max_size=3),
    }
)
_STATES = st.fixed_dictionaries(
    {
        "rate": st.floats(0.5, 100.0),
        "sla_ms": st.floats(1.0, 1000.0),
        "stages": st.lists(st.lists(_VARIANTS, min_size=1, max_size=3), min_size=1, max_size=3),
        "alpha": st.floats(0.0, 3.0),
        "beta": st.floats(0.0, 3.0),
        "gamma": st.floats(0.0, 1.0),
        "combine": st.sampled_from(("sum", "mean", "product")),
    }
)
STATE: dict[str, Any] = {
    "rate": 10.0,
    "sla_ms": 1000.0,
    "stages": [
        [
            {"name": "s", "accuracy": 45.7, "base_cores": 1, "latency_ms": [80.0, 140.0]},
            {"name": "m", "accuracy": 64.1, "base_cores": 4, "latency_ms": [300.0, 550.0]},
        ]
    ],
    "alpha": 2.0,
    "beta": 1.0,
    "gamma": 1e-6,
}


def best(state: dict[str, Any]) -> float | None:
    """The highest objective of all configurations, by the formulas; None where none is within the SLA."""
    rate, values = state["rate"], []
    choices = [[(v, b) for v in stage for b in range(1, len(v["latency_ms"]) + 1)] for stage in state["stages"]]
    for chosen in itertools.product(*choices):
        latency = sum(v["latency_ms"][b - 1] + 1000.0 * (b - 1) / rate for v, b in chosen)
        if latency > state["sla_ms"]:
            continue
        cores = sum(max(1, math.ceil(rate * v["latency_ms"][b - 1] / 1000.0 / b)) * v["base_cores"] for v, b in chosen)
        each = [v["accuracy"] for v, _ in chosen]
        accuracy = {"sum": sum(each), "mean": sum(each) / len(each), "product": math.prod(each)}[state["combine"]]
        values.append(state["alpha"] * accuracy - state["beta"] * cores - state["gamma"] * sum(b for _, b in chosen))
    return max(values, default=None)


@settings(max_examples=60, deadline=None)
@given(_STATES)
def test_exact(state: dict[str, Any]) -> None:
    expected = best(state)
    if expected is None:
        with pytest.raises(Infeasible, match="the SLA binds"):
            Ipa().decide(State.model_validate(state))
        return
    values = Ipa().decide(State.model_validate(state)).values
    assert values is not None
    assert values["objective"] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert values["latency_ms"] <= state["sla_ms"] * (1.0 + 1e-9)


def test_golden() -> None:
    assert len(golden("ipa")) == 3


@pytest.mark.skipif(not DATA.exists(), reason="the Twitter segments are not shipped")
def test_golden_on_the_twitter_segments() -> None:
    """420 of 420 intervals."""
    assert len(golden("ipa", DATA)) == 4


@pytest.mark.parametrize("rate", [1.0, 7.0, 25.0, 60.0])
def test_weights(rate: float) -> None:
    """Raising alpha never lowers accuracy, raising beta never raises cores; other rates than the golden one."""
    for key, sign in (("alpha", 1.0), ("beta", -1.0)):
        plans = [
            Ipa(Settings.model_validate({key: weight})).problem("ipa", rate).best()
            for weight in np.geomspace(0.05, 50, 9)
        ]
        values = [plan.accuracy if key == "alpha" else plan.cores for plan in plans if plan is not None]
        assert len(values) == 9
        assert (sign * np.diff(values) >= -1e-12).all()


def test_decision(tmp_path: Path) -> None:
    """64.1 % at 3 replicas of 4 cores is worth 116.2, 45.7 % at one core 90.4; a dear core turns it round."""
    answer = decided(tmp_path, "ipa", STATE)
    assert answer["stages"] == [{"variant": "m", "batch": 1, "replicas": 3}]
    assert answer["objective"] == pytest.approx(2 * 64.1 - 12 - 1e-6)
    assert answer["latency_ms"] == 300.0
    dear = decided(tmp_path, "ipa", STATE | {"beta": 10.0})
    assert dear["stages"] == [{"variant": "s", "batch": 1, "replicas": 1}]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sla_ms": 50.0}, "the SLA binds: the fastest variants take 80 ms together, of 50 ms"),
        ({"stages": []}, "stages: []; must have at least 1 item"),
        ({"rate": 0.0}, "rate: 0.0; must be greater than 0"),
        ({"combine": "least"}, "allowed: 'sum', 'mean' or 'product'"),
        (
            {"combine": "product", "stages": [[{**STATE["stages"][0][0], "accuracy": -1.0}]]},
            "combine: product; accuracies must be >= 0 then",
        ),
    ],
)
def test_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "ipa", STATE | change)


def test_a_rate_beyond_fixed_replicas() -> None:
    """24 replicas of the heaviest speech variant at batch 8 carry few thousand requests/s at most."""
    values = Ipa().evaluate("RIM-high", np.array([40.0, 1e6])).values
    assert values["infeasible"] == 1.0
    assert Ipa().evaluate("RIM-high", np.array([1e6])).values["objective"] is None
