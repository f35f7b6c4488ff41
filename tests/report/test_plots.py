"""The plots: their data by hand, the same bytes for the same data, and no global state."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instances import allocation

from idn_gym import IdnError, Network, load_scenario
from idn_gym.experiment import metrics, records
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.report import plots, trade_off
from idn_gym.report.shares import variant_shares
from idn_gym.scenario import parse

pytest.importorskip("matplotlib")

GENERATOR = np.random.default_rng(0)
SERIES = {f"agent-{n}": 50.0 + n + GENERATOR.normal(size=50) for n in range(10)} | {"no-requests": [np.nan] * 50}
ROWS = [{"agent": f"agent-{n}", "latency_ms": 30.0 + n % 3, "inaccuracy": 45.0 + n % 2} for n in range(10)]
SHARES = {f"agent-{n}": {"large": [0.5, 0.1], "small": [0.2, 0.3]} for n in range(5)} | {"none": {"large": [0.0, 0.0]}}

PLOTS: dict[str, Callable[[plots.Target], None]] = {
    "ntag": lambda target: plots.ntag_over_time(SERIES, target, hindsight=["agent-1"], bound=61.5, title="$ 5"),
    "one slot": lambda target: plots.ntag_over_time({"a": [1.0]}, target),
    "only nan": lambda target: plots.ntag_over_time({"a": [np.nan]}, target),
    "seeds": lambda target: plots.ntag_over_seeds({"a": [SERIES["agent-1"], SERIES["agent-2"]]}, target),
    "points": lambda target: trade_off.latency_against_inaccuracy(ROWS, target, title="ten agents"),
    "one point": lambda target: trade_off.latency_against_inaccuracy(ROWS[:1], target),
    "tiers": lambda target: plots.allocation_per_tier(SHARES, ["tier 1", "tier 2"], target, title="six agents"),
    "regret": lambda target: plots.regret_over_time(SERIES, target, comparator="agent-1", hindsight=["agent-1"]),
    "regret, bound": lambda target: plots.regret_over_time(SERIES, target, comparator="agent-1", bound=-0.5),
    "one panel": lambda target: plots.allocation_per_tier({"a": {"$_": [1.0]}}, ["tier 1"], target),
}


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_data_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    PLOTS[name](first)
    PLOTS[name](second)
    PLOTS[name](tmp_path / "plot.png")
    content = first.getvalue()
    assert content.startswith(b"\x89PNG")
    assert content == second.getvalue() == (tmp_path / "plot.png").read_bytes()
    assert b"tEXt" not in content  # neither versions nor times


def test_no_pyplot_and_no_matplotlib_before_the_first_plot() -> None:
    code = """
import sys
from idn_gym.env import rendering
from idn_gym.report import plots, trade_off
assert "matplotlib" not in sys.modules
import io
import matplotlib
settings = lambda: {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
before = settings()
plots.ntag_over_time({"a": [1.0, 2.0]}, io.BytesIO())
trade_off.latency_against_inaccuracy([{"agent": "a", "latency_ms": 1.0, "inaccuracy": 2.0}], io.BytesIO())
plots.allocation_per_tier({"a": {"x": [1.0]}}, ["tier 1"], io.BytesIO())
assert "matplotlib.pyplot" not in sys.modules
assert settings() == before
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_average_so_far_counts_only_slots_with_requests() -> None:
    average = plots._running_average("a", [np.nan, 2.0, np.nan, 4.0, 0.0])
    np.testing.assert_array_equal(average, [np.nan, 2.0, 2.0, 3.0, 2.0])


def test_gain_so_far_weighs_requests_and_ntag_slots() -> None:
    """A slot of 3 requests, one of none, one of 1: 6 + 0 + 10 ms are 4 per request, and 2 and 10 on average 6."""
    gain, requests = np.array([6.0, 0.0, 10.0]), np.array([3.0, 0.0, 1.0])
    np.testing.assert_array_equal(metrics.gain_so_far(gain, requests), [2.0, 2.0, 4.0])
    np.testing.assert_array_equal(metrics.running_ntag(gain, requests), [2.0, 2.0, 6.0])
    np.testing.assert_array_equal(metrics.gain_so_far(gain[1:], requests[1:]), [0.0, 10.0])


def test_a_bound_stands_beside_its_own_statistic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on total gain; among averages over slots it would lie below the optimum, as on this stream."""
    from idn_gym.report import run_plots

    drawn: dict[str, dict[str, Any]] = {}
    for name in ("ntag_over_time", "regret_over_time"):
        monkeypatch.setattr(plots, name, lambda series, target, name=name, **options: drawn.update({name: options}))
    agents = ("optimum:gap=0.0,time_limit=null", "random", "static-greedy")
    specs = [RunSpec(load_scenario("tiny"), AgentSpec.parse(agent), slots=60) for agent in agents]
    _, trace, results = records.run(specs, tmp_path / "run", plots=run_plots.plot_run)
    optimum, bound, total = results[0].summary, results[0].info["certified_bound"], trace.requests.sum()
    assert optimum.ntag > bound / total >= optimum.gain / total
    assert drawn["ntag_over_time"].get("bound") is None
    below = drawn["regret_over_time"]["bound"]
    assert below == pytest.approx((optimum.gain - bound) / total)
    assert below <= 0.0


def test_variant_shares_by_hand() -> None:
    network = Network.compile(load_scenario("tiny"))
    held = allocation(network, {"co": ["cars/large"], "bs0": ["cars/small", "people/large"], "bs1": ["people/small"]})
    tiers, shares = variant_shares(network, held)
    assert tiers == ["tier 1\n1 node", "tier 2\n2 nodes"]  # the cloud has no memory
    # inaccuracy on average over placements: large 35 (40 and 30), medium 50, small 55; 4 MB at the co, 6 below
    assert list(shares) == ["large", "medium", "small"]
    np.testing.assert_allclose(shares["large"], [3 / 4, 2 / 6])
    np.testing.assert_allclose(shares["medium"], [0.0, 0.0])
    np.testing.assert_allclose(shares["small"], [0.0, 2 / 6])


def test_replicas_of_a_variant_are_one() -> None:
    network = Network.compile(load_scenario("topology-2-fixed", {"replicas": 2}))
    _, shares = variant_shares(network, np.full(network.P, 0.01))
    assert len(shares) == 10
    assert next(iter(shares)) == "yolov4-608"
    # at each node two replicas for each of 20 tasks; the sizes of the ten variants add up to 9,009.81 MB
    budgets = np.array([12000.0, 6000.0, 3000.0, 1500.0])
    np.testing.assert_allclose(sum(shares.values()), 0.01 * 2 * 20 * 9009.81 / budgets)


def test_beyond_twelve_variants_the_least_are_others() -> None:
    values = load_scenario("tiny").to_dict()
    small = values["models"][0]
    values["models"] += [small | {"name": f"cars/v{n}", "accuracy": 41.0 + n} for n in range(12)]
    network = Network.compile(parse(values, "fifteen variants"))
    held = allocation(network, {"co": ["people/large", "cars/v3"], "bs0": ["cars/v5"], "bs1": ["cars/v3", "cars/v9"]})
    _, shares = variant_shares(network, held)
    assert len(shares) == 13
    assert list(shares)[-1] == "others"
    assert {"large", "v3", "v5", "v9"} <= set(shares)  # what holds any memory is not among the others
    np.testing.assert_allclose(sum(shares.values()), [3 / 4, 3 / 6])
    np.testing.assert_allclose(shares["v3"], [1 / 4, 1 / 6])


def test_errors() -> None:
    for call in (
        lambda: plots.ntag_over_time({}, io.BytesIO()),
        lambda: trade_off.latency_against_inaccuracy([], io.BytesIO()),
        lambda: plots.allocation_per_tier({}, [], io.BytesIO()),
    ):
        with pytest.raises(IdnError, match="empty; must hold at least one agent"):
            call()
    with pytest.raises(IdnError, match=r"series a: shape \(0,\); must be one value per slot"):
        plots.ntag_over_time({"a": []}, io.BytesIO())


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(IdnError, match=r'pip install -e "\.\[plots\]"'):
        plots.ntag_over_time({"a": [1.0]}, io.BytesIO())
