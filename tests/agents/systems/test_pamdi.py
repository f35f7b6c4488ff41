"""PA-MDI: Cobham's formulas against simulation, queues by hand, equal priorities, streams and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.queues import Arrivals, Cluster, Rule, fifo_wait, poisson, priority_waits, simulate
from system_line import called, decided, golden, refused, undecided

_ONE = Cluster(np.array([1.0]), np.zeros((1, 1)), np.ones(1), np.zeros(1))  # a worker that takes a second
_RATES = st.lists(st.tuples(st.floats(0.1, 5.0), st.integers(0, 3)), min_size=1, max_size=5)


def test_golden() -> None:
    assert len(golden("pamdi")) == 10


@given(_RATES, st.floats(1.05, 5.0))
def test_waits_are_conserved(sources: list[tuple[float, int]], slack: float) -> None:
    """Weighted by load, priorities only move waits about; higher ones wait less, equal ones as long."""
    rates, priorities = np.array(sources).T
    service = slack * rates.sum()
    waits = priority_waits(rates, priorities, service)
    assert rates @ waits == pytest.approx(rates.sum() * fifo_wait(rates, service))
    for one, other in zip(priorities, waits, strict=True):
        assert all((waits <= other + 1e-12)[priorities >= one])


@given(st.floats(0.1, 5.0), st.floats(1.05, 5.0))
def test_one_priority_is_the_order_of_arrival(rate: float, slack: float) -> None:
    rates = np.array([rate, 2.0 * rate])
    service = 3.0 * slack * rate
    assert priority_waits(rates, np.ones(2), service) == pytest.approx(fifo_wait(rates, service))


def test_simulation_of_three_priorities() -> None:
    """40,000 requests at a load of 0.6, within a tenth of the formulas (at least five standard errors)."""
    rates, priorities = np.array([0.1, 0.2, 0.3]), np.array([1.0, 3.0, 2.0])
    arrivals = poisson(rates.tolist(), 40_000 / 0.6, np.random.default_rng(0))
    waits = simulate(_ONE, arrivals, [0, 0, 0], priorities.tolist(), Rule.PRIORITY).waits
    means = [waits[arrivals.sources == source].mean() for source in range(3)]
    assert means == pytest.approx(priority_waits(rates, priorities, 1.0), rel=0.1)


def test_a_queue_by_hand() -> None:
    """Three arrive while the first is served: the important one is next, the others by age; none is interrupted."""
    arrivals = Arrivals(np.array([0.0, 0.1, 0.2, 0.3]), np.array([0, 0, 1, 0]))
    priority = simulate(_ONE, arrivals, [0, 0], [1.0, 2.0], Rule.PRIORITY)
    assert priority.starts == [(0.0, 0, 0, 0), (1.0, 0, 2, 0), (2.0, 0, 1, 0), (3.0, 0, 3, 0)]
    assert priority.seconds == pytest.approx([1.0, 2.9, 1.8, 3.7])
    oldest = simulate(_ONE, arrivals, [0, 0], [1.0, 2.0], Rule.OLDEST)
    assert [start[2] for start in oldest.starts] == [0, 1, 2, 3]


def test_offloading_by_hand() -> None:
    """Two workers, the second twice as fast and 0.4 s away: the first request goes there, the second stays."""
    cluster = Cluster(np.array([1.0, 2.0]), np.array([[0.0, 10.0], [10.0, 0.0]]), np.ones(1), np.array([4.0]))
    arrivals = Arrivals(np.array([0.0, 0.5]), np.array([0, 0]))
    played = simulate(cluster, arrivals, [0], [1.0], Rule.OLDEST)
    assert played.starts == [
        (0.4, 1, 0, 0),
        (0.5, 0, 1, 0),
    ]  # 0.4 + 0.5 s against 1 s; then 0.4 + 2 x 0.5 s against 1 s
    local = simulate(cluster, arrivals, [0], [1.0], Rule.LOCAL)
    assert local.seconds == pytest.approx([1.0, 1.5])


def test_partitions_move_on() -> None:
    """What a partition takes in is small: the second one moves to the fast worker."""
    cluster = Cluster(np.array([1.0, 4.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones(2), np.array([9.0, 0.1]))
    played = simulate(cluster, Arrivals(np.zeros(1), np.zeros(1, dtype=int)), [0], [1.0], Rule.PRIORITY)
    assert [start[1] for start in played.starts] == [0, 1]
    assert played.seconds == pytest.approx([1.0 + 0.1 + 0.25])


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_equal_priorities_step_for_step(seed: int) -> None:
    """Over random clusters: the same starts; every request ends, after all of its work."""
    rng = np.random.default_rng(seed)
    workers, parts = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    ways = rng.uniform(0.0, 20.0, (workers, workers)) * (rng.random((workers, workers)) < 0.7)
    work = rng.uniform(0.1, 1.0, parts)
    cluster = Cluster(rng.uniform(1.0, 4.0, workers), ways, work, rng.uniform(0.0, 1.0, parts))
    arrivals = poisson([1.0, 1.0], 30.0, rng)
    homes = rng.integers(0, workers, 2).tolist()
    same = [simulate(cluster, arrivals, homes, [5.0, 5.0], rule) for rule in (Rule.PRIORITY, Rule.OLDEST)]
    assert same[0].starts == same[1].starts
    assert len(same[0].starts) == parts * arrivals.times.size
    assert (same[0].seconds >= work.sum() / cluster.speeds.max() - 1e-9).all()


def test_decision(tmp_path: Path) -> None:
    """In the order of the sources, whichever comes first."""
    state = {"sources": [{"rate": 50, "priority": 1}, {"rate": 30, "priority": 2}], "service_rate": 100}
    answer = decided(tmp_path, "pamdi", state, "--set", "simulated=20000")
    assert list(answer) == ["fifo_ms", "waits_ms", "simulated_ms"]
    assert answer["fifo_ms"] == pytest.approx(20.0)
    assert answer["waits_ms"] == pytest.approx([28.5714, 5.7143], abs=1e-4)
    assert answer["simulated_ms"] == pytest.approx(answer["waits_ms"], rel=0.25)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"service_rate": 80}, "the service rate binds: 80 requests/s arrive, 80/s are served"),
        ({"service_rate": 0}, "service_rate: 0"),
        ({"sources": []}, "sources"),
        ({"sources": [{"rate": -1.0, "priority": 1}]}, "rate: -1.0; must be greater than 0"),
    ],
)
def test_states_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    state = {"sources": [{"rate": 50, "priority": 1}, {"rate": 30, "priority": 2}], "service_rate": 100, **change}
    assert says in undecided(tmp_path, "pamdi", state)


def test_run() -> None:
    rows = {row["policy"]: row for row in json.loads(called("run", "pamdi", "--json"))["policies"]}
    assert rows["pamdi"]["highest_ms"] < rows["AR-MDI"]["highest_ms"]
    assert rows["pamdi"]["lowest_ms"] > rows["AR-MDI"]["lowest_ms"]
    assert rows["Local"]["moved"] == 0.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,source\n1,0\n0.5,0\n", "time of step 1: before the one above it"),
        ("time,source\n1,3\n", "source of step 0: 3; must be a whole number up to 2"),
        ("time\n1\n", "no column source"),
    ],
)
def test_streams_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert says in refused("run", "pamdi", "--trace", tmp_path / "a.csv")


def test_unknown_worker() -> None:
    line = refused("run", "pamdi", "--set", 'sources=[{"worker": "z", "rate": 1.0, "priority": 1.0}]')
    assert "sources: worker 'z'; allowed: a, b, c, d" in line
