"""Sponge: the constraint request by request, decisions that need no more cores than they must, and simple streams."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idn_agents.systems.sponge import Problem, Settings, Sponge, fitted
from system_line import DATA, called, decided, golden, undecided, written

_PROBLEMS = st.builds(
    Problem,
    latency=st.just(fitted()),
    requests=st.integers(1, 400),
    communication_ms=st.floats(0.0, 1200.0),
    slo_ms=st.floats(10.0, 2000.0),
)


def feasible(problem: Problem, cores: int, batch: int) -> bool:
    """The constraint as it is written, for each request of the queue."""
    time = problem.latency.ms(batch, cores)
    waits = [time + math.floor(i / batch) * time + problem.communication_ms for i in range(problem.requests)]
    return max(waits) <= problem.slo_ms


@given(_PROBLEMS)
def test_first_feasible(problem: Problem) -> None:
    every = [(cores, batch) for cores in range(1, 17) for batch in range(1, 17)]
    assert problem.best() == next((each for each in every if feasible(problem, *each)), None)


def test_golden() -> None:
    assert len(golden("sponge")) == 6


@pytest.mark.skipif(not DATA.exists(), reason="the 4G trace is not shipped")
def test_golden_on_the_4g_trace() -> None:
    """Violations and cores of three loads and three policies."""
    assert len(golden("sponge", DATA)) == 24


def test_decision(tmp_path: Path) -> None:
    """The authors' printed one; and with a latency of one's own: 2 rounds of 10 ms are 20 ms."""
    state = {"rate": 100, "communication_ms": 50.0, "slo_ms": 1000.0}
    assert decided(tmp_path, "sponge", state) == {"cores": 5, "batch": 10}
    flat = {"g": 0.0, "d": 0.0, "e": 0.0, "h": 10.0}
    state = {"rate": 10, "communication_ms": 0.0, "slo_ms": 20.0, "latency": flat}
    assert decided(tmp_path, "sponge", state) == {"cores": 1, "batch": 5}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ((100, 1000.0, 1000.0), "the SLO binds: 1000 ms of communication leave nothing"),
        ((100, 995.0, 1000.0), "the SLO binds: one request takes 1005.0 ms at 16 cores"),
        ((1000, 50.0, 1000.0), "the queue binds: 1000 requests take"),
    ],
)
def test_no_decision_says_what_binds(state: tuple[float, ...], says: str, tmp_path: Path) -> None:
    """One request at 16 cores and batch 1: 18.291/16 + 4.468 + 45.729/16 + 1.517 = 9.99 ms."""
    values = dict(zip(("rate", "communication_ms", "slo_ms"), state, strict=True))
    made = Sponge().decide(Sponge.state_kind.model_validate(values))
    assert made.values is None
    assert says in made.reason
    assert called("decide", "sponge", "--state", written(tmp_path, values), "--json").startswith("null\n")


def test_refused(tmp_path: Path) -> None:
    state = {"rate": -1, "communication_ms": 50.0, "slo_ms": 1000.0}
    assert "rate: -1; must be greater than or equal to 0" in undecided(tmp_path, "sponge", state)


@pytest.mark.parametrize("policy", Sponge().policies())
def test_nothing_is_late_on_a_fast_network(policy: str) -> None:
    """Two requests a second."""
    values = Sponge(Settings(rate=2)).evaluate(policy, np.full(30, 1e5)).values
    assert values["violations"] == 0.0


@pytest.mark.parametrize("policy", Sponge().policies())
def test_all_is_late_where_communication_takes_the_slo(policy: str) -> None:
    """500 KB at 400 bytes/ms take 1,250 ms."""
    values = Sponge(Settings(rate=2)).evaluate(policy, np.full(30, 400.0)).values
    assert values["violations"] == 100.0


def test_more_work_takes_more_cores() -> None:
    """And a cold start makes the horizontal baseline late where the load outgrows its first server at once."""
    stream = np.full(40, 5000.0)
    cores = [Sponge(Settings(rate=rate)).evaluate("sponge", stream).values["cores"] for rate in (10, 40, 90)]
    assert cores == sorted(cores, key=lambda value: value or 0.0)
    assert (cores[0] or 0.0) < (cores[-1] or 0.0)
