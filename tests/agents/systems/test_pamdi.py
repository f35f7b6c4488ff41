"""PA-MDI: Cobham's formulas, queues against Lindley's recursion, and schedules by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.pamdi import Arrivals, PaMdi, Problem, Settings, Source, cobham, poisson
from system_line import decided, golden, refused, undecided

ALONE = Problem((1.0,), ((1.0, 0.0),), 1.0)  # one worker, service of 1 s


def arrivals(*pairs: tuple[float, int]) -> Arrivals:
    """Of (time, source)."""
    times, sources = zip(*pairs, strict=True)
    return Arrivals(np.array(times), np.array(sources))


def test_golden() -> None:
    assert len(golden("pamdi")) == 7


@given(st.lists(st.floats(0.1, 30.0), min_size=1, max_size=5), st.data())
def test_waits_are_conserved(rates: list[float], data: st.DataObject) -> None:
    """Weighted by load they sum to the same whatever the order, and equal priorities wait as without any."""
    priorities = data.draw(st.lists(st.integers(0, 3), min_size=len(rates), max_size=len(rates)))
    load, service = np.array(rates), 1.25 * sum(rates)
    fifo, waits = cobham(load, np.array(priorities, dtype=float), service)
    assert load @ waits == pytest.approx(load.sum() * fifo)
    assert cobham(load, np.ones(len(rates)), service)[1] == pytest.approx(np.full(len(rates), fifo))
    order = np.argsort(priorities)
    assert (np.diff(waits[order]) <= 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=30))
def test_one_queue_is_lindleys(times: list[float]) -> None:
    """W_{n+1} = max(0, W_n + 1 - (t_{n+1} - t_n))."""
    times = sorted(times)
    expected = [0.0]
    for gap in np.diff(times):
        expected.append(max(0.0, expected[-1] + 1.0 - gap))
    latency, wait = ALONE.simulate(Arrivals(np.array(times), np.zeros(len(times), dtype=int)), [0.0], offload=False)
    assert wait == pytest.approx(expected, abs=1e-9)
    assert latency == pytest.approx(np.array(expected) + 1.0, abs=1e-9)


def test_the_higher_priority_goes_first() -> None:
    """While the first is served three wait; source 1 overtakes, and of the same priority the oldest is first."""
    given_ = arrivals((0.0, 0), (0.1, 0), (0.2, 0), (0.3, 1))
    latency, _ = ALONE.simulate(given_, [1.0, 2.0], offload=False)
    assert latency == pytest.approx([1.0, 2.9, 3.8, 1.7])


def test_offloading_takes_the_shorter_way() -> None:
    """Worker 1 is twice as fast and a 0.2 s transfer away: 0.5 + 0.2 against 1 s; its second request is 1.2 s away."""
    problem = Problem((1.0, 2.0), ((1.0, 0.2),), 1.0)
    latency, _ = problem.simulate(arrivals((0.0, 0), (0.0, 0)), [1.0], offload=True)
    assert latency == pytest.approx([0.7, 1.0])
    latency, _ = problem.simulate(arrivals((0.0, 0), (0.0, 0)), [1.0], offload=False)
    assert latency == pytest.approx([1.0, 2.0])


def test_partitions_are_a_chain() -> None:
    """Alone on equal workers nothing is sent on."""
    problem = Problem((2.0, 2.0), ((1.0, 0.5), (3.0, 0.5)), 1.0)
    latency, wait = problem.simulate(arrivals((1.0, 0)), [1.0], offload=True)
    assert (latency[0], wait[0]) == (pytest.approx(2.0), 0.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_priorities_are_ar_mdi(seed: int) -> None:
    """Request by request."""
    sources = [Source(rate=40.0, priority=3.0), Source(rate=50.0, priority=3.0)]
    made = PaMdi(Settings(sources=sources, seconds=10.0, seed=seed))
    ours, theirs = (made.evaluate(policy, made.stream()).steps["latency_ms"] for policy in ("pamdi", "AR-MDI"))
    assert (ours == theirs).all()


@pytest.mark.parametrize("rates", [(20.0, 20.0, 40.0), (60.0, 25.0)])
def test_simulation_agrees_with_the_formulas(rates: tuple[float, ...], tmp_path: Path) -> None:
    """Other rates than the golden ones: within 5 %, about five deviations of means over 200,000 requests."""
    sources = [{"rate": rate, "priority": float(n)} for n, rate in enumerate(rates)]
    answer = decided(tmp_path, "pamdi", {"sources": sources, "service_rate": 110.0})
    assert answer["simulated_ms"] == pytest.approx(answer["waits_ms"], rel=0.05)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"sources": [{"rate": 100, "priority": 1}], "service_rate": 100}, "the service binds: 100 requests/s arrive"),
        ({"sources": [], "service_rate": 100}, "sources: []; must have at least 1 item"),
        ({"sources": [{"rate": 1}], "service_rate": 100}, "sources.0.priority: missing"),
    ],
)
def test_refused(state: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in undecided(tmp_path, "pamdi", state)


def test_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,source\n0,0\n0.5,2\n")
    assert "source: must be a whole number, 0 to 1" in refused("run", "pamdi", "--trace", path)
    assert "partition_mb: 1 values; must be 2" in refused("run", "pamdi", "--set", "partition_mb=[1.0]")


def test_poisson_arrivals() -> None:
    """Counts within five deviations, in order of time."""
    drawn = poisson([30.0, 70.0], 100.0, np.random.default_rng(0))
    counts = np.bincount(drawn.sources)
    assert (np.diff(drawn.times) >= 0.0).all()
    assert (np.abs(counts - np.array([3000, 7000])) < 5.0 * np.sqrt([3000, 7000])).all()
