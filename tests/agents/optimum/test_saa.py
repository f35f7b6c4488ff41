"""Sample average approximation against the optimum in expectation, computed where that can be done by hand."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from command_line import in_process
from idn_agents.optimum.saa import Estimate, estimate
from idn_agents.optimum.search import solve
from scipy.stats import poisson, t

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model import gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace, joined

SLOTS = 3


@pytest.fixture(scope="module")
def network() -> Network:
    """One station with room for two of four models; a task's Poisson counts overrun its models at times."""
    profiles = {
        "edge": {"size": 1.0, "delay": 1.0, "throughput": 4.0},
        "server": {"size": 1.0, "delay": 1.0, "throughput": 1e6},
    }
    weak = {"edge": {"size": 1.0, "delay": 3.0, "throughput": 9.0}, "server": profiles["server"]}
    tasks = ["a", "b"]
    models = [
        {"name": f"{task}/{kind}", "task": task, "accuracy": 90.0, "profiles": made}
        for task in tasks
        for kind, made in (("fast", profiles), ("wide", weak))
    ]
    return Network.compile(
        parse(
            {
                "format": "idn-gym/scenario-1",
                "name": "two-tasks",
                "slot_seconds": 1.0,
                "tasks": tasks,
                "models": models,
                "nodes": [
                    {"name": "station", "processor": "edge", "budget": 2.0, "entry": True},
                    {"name": "cloud", "processor": "server", "budget": 0.0, "repository": ["a/fast", "b/fast"]},
                ],
                "links": [{"source": "station", "target": "cloud", "latency": 20.0}],
                "workload": {"kind": "zipf", "rate": 12.0, "exponent": 0.3},
            },
            "two-tasks",
        )
    )


def expected_gain(network: Network, held: np.ndarray) -> float:
    """Expected gain per stream: types do not meet, so each is summed over its own Poisson law."""
    weights = np.arange(1, 3) ** -0.3
    total = 0.0
    for rho in range(network.R):
        mean = 12.0 * weights[network.type_task[rho]] / weights.sum()
        for count in range(80):  # the rest has probability below 1e-40
            requests = np.zeros(network.R)
            requests[rho] = count
            total += poisson.pmf(count, mean) * gain.allocation_gain(network, requests, network.capacities, held)
    return SLOTS * total


@pytest.fixture(scope="module")
def truth(network: Network) -> dict[bytes, float]:
    """Expected gain of every feasible allocation."""
    found = {}
    for bits in itertools.product((0, 1), repeat=network.P):
        held = np.array(bits, dtype=np.int8)
        if held @ network.sizes <= 2.0:
            found[held.tobytes()] = expected_gain(network, held.astype(float))
    return found


@pytest.fixture(scope="module")
def estimates(network: Network) -> list[Estimate]:
    """Forty independent estimates."""
    return [estimate(network, SLOTS, streams=2, replications=6, seed=1000 * n, gap=0.0) for n in range(40)]


def test_the_interval_on_the_gap_holds_as_often_as_it_says(
    estimates: list[Estimate], truth: dict[bytes, float]
) -> None:
    """Of 40 at 95%, fewer than 34 have a chance below 1%, even without the certified bounds' margin."""
    best = max(truth.values())
    held = [best - truth[found.allocation.tobytes()] <= found.gap_limit for found in estimates]
    assert sum(held) >= 34


def test_the_interval_on_the_gain_holds_as_often_as_it_says(
    estimates: list[Estimate], truth: dict[bytes, float]
) -> None:
    covered = [e.expected_gain.low <= truth[e.allocation.tobytes()] <= e.expected_gain.high for e in estimates]
    assert sum(covered) >= 34


def test_bounds_are_above_the_optimum_on_average(estimates: list[Estimate], truth: dict[bytes, float]) -> None:
    """And gaps are not 0: an optimum over few streams is better on them than in expectation."""
    bounds = np.array([found.expected_bound for found in estimates])
    assert bounds.mean() + 3 * bounds.std() / np.sqrt(len(bounds)) >= max(truth.values())
    assert all(0.0 <= found.gap <= found.gap_limit for found in estimates)
    assert np.mean([found.gap for found in estimates]) > 0.0


def test_the_limit_by_hand(network: Network) -> None:
    """Seeds count up: two streams for the candidate, then two for each of three replications."""
    found = estimate(network, SLOTS, streams=2, replications=3, seed=5, gap=0.0, confidence=0.9)
    ahead, gains = [], []
    for first in (7, 9, 11):
        trace = joined([draw(network, SLOTS, first), draw(network, SLOTS, first + 1)])
        each = kernels.gain(network, trace.requests, trace.capacities, found.allocation).reshape(2, SLOTS).sum(axis=1)
        gains += each.tolist()
        ahead.append(solve(network, trace, gap=0.0).certified_bound / 2 - each.mean())
    assert found.gap == pytest.approx(np.mean(ahead), rel=1e-9)
    expected = np.mean(ahead) + t.ppf(0.9, 2) * np.std(ahead, ddof=1) / np.sqrt(3)
    assert found.gap_limit == pytest.approx(expected, rel=1e-9)
    assert found.expected_gain.mean == pytest.approx(np.mean(gains), rel=1e-12)
    half = t.ppf(0.95, 5) * np.std(gains, ddof=1) / np.sqrt(6)
    assert found.expected_gain.high - found.expected_gain.mean == pytest.approx(half, rel=1e-9)


def test_more_streams_find_the_optimum_and_narrow_the_gap(network: Network, truth: dict[bytes, float]) -> None:
    few, many = (estimate(network, SLOTS, streams=streams, replications=5, seed=7, gap=0.0) for streams in (1, 150))
    assert truth[many.allocation.tobytes()] == max(truth.values())
    assert many.gap_limit < 0.2 * few.gap_limit
    assert many.expected_gain.high - many.expected_gain.low < few.expected_gain.high - few.expected_gain.low


def test_little_time_widens_the_limit_and_no_more() -> None:
    network = Network.compile(load_scenario("topology-2-fixed"))
    hasty = estimate(network, 5, streams=1, replications=2, time_limit=0.0)
    patient = estimate(network, 5, streams=1, replications=2, gap=0.01)
    assert hasty.gap_limit > patient.gap_limit > 0.0
    assert hasty.expected_bound >= patient.expected_gain.mean


def test_joined_traces() -> None:
    one = Trace(np.ones((2, 3)), np.full((1, 4), 5.0))
    assert joined([one, one]).requests.shape == (4, 3)
    assert joined([one, one]).capacities.shape == (1, 4)
    other = Trace(np.ones((1, 3)), np.full((1, 4), 6.0))  # of one slot, at other capacities than nominal
    assert joined([one, other]).capacities.tolist() == [[5.0] * 4] * 2 + [[6.0] * 4]


def test_the_command() -> None:
    command = ("saa", "tiny", "--slots", 4, "--streams", 2, "--replications", 3)
    outcome = in_process(*command, "--json")
    found = json.loads(outcome.stdout)
    assert found["expected_gain"]["low"] <= found["expected_gain"]["mean"] <= found["expected_gain"]["high"]
    assert found["gap_limit"] >= found["gap"]
    assert found["relative_limit"] == found["gap_limit"] / found["expected_bound"]
    assert set(found["allocation"]) <= {"co", "bs0", "bs1"}
    assert "replication 3 of 3" in outcome.stderr
    assert "with confidence 95%" in in_process(*command).stdout


def test_options_and_workloads_that_do_not_go(network: Network, tmp_path: object) -> None:
    for wrong in ({"streams": 0}, {"replications": 1}, {"confidence": 0.4}, {"gap": 2.0}, {"time_limit": -1.0}):
        with pytest.raises(IdnError, match=next(iter(wrong))):
            estimate(network, SLOTS, **wrong)
    scenario = network.scenario.to_dict() | {"workload": {"kind": "trace", "requests": "requests.csv"}}
    with pytest.raises(IdnError, match="replays a trace"):
        estimate(Network.compile(parse(scenario, "replay")), SLOTS)
