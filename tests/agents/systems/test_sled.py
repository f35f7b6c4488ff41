"""SLED: the textbook's tokens per verification, and the best length by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idn_agents.systems.sled import Problem, Sled, State, tokens
from system_line import decided, golden, undecided

_STATES = st.builds(
    State,
    acceptance=st.floats(0.0, 1.0),
    draft_ms=st.floats(0.0, 100.0),
    rtt_ms=st.floats(0.0, 1000.0),
    verify_ms=st.floats(0.1, 100.0),
    largest=st.integers(0, 12),
)


def test_golden() -> None:
    assert len(golden("sled")) == 8


@given(st.floats(0.0, 0.99), st.integers(0, 30))
def test_tokens_are_the_geometric_sum(acceptance: float, length: int) -> None:
    assert tokens(acceptance, length) == pytest.approx((1.0 - acceptance ** (length + 1)) / (1.0 - acceptance))


def test_tokens_by_simulation() -> None:
    """Accepted up to the first refusal, and one of the server's; mean of 200,000 within five deviations."""
    accepted = np.random.default_rng(1).random((200_000, 4)) < 0.7
    drawn = 1 + np.cumprod(accepted, axis=1).sum(axis=1)
    assert abs(drawn.mean() - tokens(0.7, 4)) < 5.0 * drawn.std() / np.sqrt(drawn.size)


@given(_STATES)
def test_no_length_is_faster(state: State) -> None:
    problem = Problem(state)
    best = problem.best()
    assert all(problem.rate(length) <= problem.rate(best) for length in range(state.largest + 1))


@given(_STATES, st.floats(0.0, 1000.0))
def test_a_longer_way_never_shortens_the_draft(state: State, more: float) -> None:
    far = state.model_copy(update={"rtt_ms": state.rtt_ms + more})
    assert Problem(far).best() >= Problem(state).best()


def test_length_0_is_centralised() -> None:
    """One token per way and verification."""
    state = State(acceptance=0.9, draft_ms=5.0, rtt_ms=20.0, verify_ms=30.0)
    assert Problem(state).rate(0) == pytest.approx(1000.0 / 50.0)


def test_decision(tmp_path: Path) -> None:
    state = {"acceptance": 0.7, "draft_ms": 12.0, "rtt_ms": 40.0, "verify_ms": 30.0, "largest": 8}
    answer = decided(tmp_path, "sled", state)
    assert answer == {"length": 3, "tokens": pytest.approx(2.533), "rate": pytest.approx(2533.0 / 106.0)}
    assert "acceptance: 1.5; must be less than or equal to 1" in undecided(
        tmp_path, "sled", {**state, "acceptance": 1.5}
    )


def test_twin_has_the_moments_of_the_trace() -> None:
    """Mean 211.1 and deviation 162.9 tokens, within five deviations of the sample's mean."""
    drawn = Sled().stream()
    assert abs(drawn.mean() - 211.1) < 5.0 * 162.9 / np.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(162.9, rel=0.1)
