"""Intervals: the bootstrap by counting all its draws, and by how often it covers."""

from __future__ import annotations

import numpy as np
import pytest

from idn_gym.experiment.intervals import bootstrap_interval


def test_of_two_values_the_bootstrap_knows_three_means() -> None:
    found = bootstrap_interval([1.0, 3.0], confidence=0.95)
    assert (found.mean, found.low, found.high) == (2.0, 1.0, 3.0)  # 1, 2, 2, 3 with probability 1/4 each
    found = bootstrap_interval([1.0, 3.0], confidence=0.4)
    assert (found.low, found.high) == (2.0, 2.0)


def test_it_is_repeatable_and_does_not_see_order_of_magnitude() -> None:
    values = np.random.default_rng(0).normal(size=9)
    first, again, scaled = bootstrap_interval(values), bootstrap_interval(values), bootstrap_interval(1000.0 * values)
    assert first == again
    assert (scaled.low, scaled.high) == pytest.approx((1000.0 * first.low, 1000.0 * first.high))
    assert first.low < first.mean < first.high


def test_it_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    found = [bootstrap_interval(rng.normal(size=40), 0.9, draws=1_000) for _ in range(400)]
    share = np.mean([interval.low <= 0.0 <= interval.high for interval in found])
    assert 0.82 < share < 0.94  # 0.9, less what is known of it for 40 values, give or take 4 standard errors
