"""Poisson counts: NumPy's own, number by number, and NumPy itself where they could be others."""

from __future__ import annotations

import numpy as np
import pytest

from idn_gym.workload import counts
from idn_gym.workload.pcg64 import state_of

RATES = {
    "sparse": [0.0, 1e-300, 1e-9, 0.3, 1.0, 9.999999],
    "around the change of method": [np.nextafter(10.0, 0.0), 10.0, np.nextafter(10.0, 11.0), 12.0],
    "usual": [30.0, 180.1, 6558.75, 45_000.0],
    "large": [1e8, 3e12, 1e15],
    "too large for a count to be exact": [5.0, 2e15, 1e18],
}


@pytest.mark.parametrize("name", RATES)
def test_counts_are_numpys_and_so_is_the_state_after_them(name: str) -> None:
    """Rates that come again, and rates that do not, with other draws from the same generator in between."""
    ours, theirs = (np.random.default_rng(7) for _ in range(2))
    rates = np.array(RATES[name])
    again = np.tile(rates, (50, 1))
    new = again * np.random.default_rng(1).uniform(0.5, 1.0, again.shape)
    for mean in (again, new, again[:1]):
        assert np.array_equal(counts.poisson(ours, mean), theirs.poisson(mean))
        assert ours.integers(1 << 20, dtype=np.uint32) == theirs.integers(1 << 20, dtype=np.uint32)  # keeps half a word
    assert ours.bit_generator.state == theirs.bit_generator.state


def test_counts_are_filled_in_where_asked() -> None:
    out = np.full((3, 2), -1.0)
    mean = np.full((3, 2), 40.0)
    assert counts.poisson(np.random.default_rng(0), mean, out) is out
    assert np.array_equal(out, np.random.default_rng(0).poisson(mean))


def test_another_generator_draws_itself() -> None:
    ours, theirs = (np.random.Generator(np.random.MT19937(3)) for _ in range(2))
    mean = np.array([[3.0, 50.0]])
    assert np.array_equal(counts.poisson(ours, mean), theirs.poisson(mean))


def test_where_numpy_draws_otherwise_it_draws_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_numpys_way", lambda: False)
    monkeypatch.setattr(counts, "_drawn", None)  # is not asked
    mean = np.array([[3.0, 50.0]])
    assert np.array_equal(counts.poisson(np.random.default_rng(0), mean), np.random.default_rng(0).poisson(mean))


def test_the_look_at_the_start_sees_a_single_rounding() -> None:
    """At the rates that it compares, the first count changes from one rate to the next there is."""
    words = state_of(np.random.default_rng(5))
    low, high = counts._edge(words, counts._log_factorials(), 100.0, 200.0)
    assert high == np.nextafter(low, np.inf)
    first = [int(np.random.default_rng(5).poisson(rate)) for rate in (low, high)]
    assert first[0] != first[1]
    assert counts._numpys_way()


@pytest.mark.parametrize("mean", [-1.0, np.nan, 1e19])
def test_what_is_no_rate_is_refused_as_numpy_does(mean: float) -> None:
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    with pytest.raises(ValueError, match="lam"):
        counts.poisson(generator, np.array([[5.0, mean]]))
    assert generator.bit_generator.state == before
