"""Intervals: by hand, by SciPy's own bootstrap, and by how often they cover."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from idn_gym.experiment.intervals import (
    FEWEST_BOOTSTRAPPED,
    Interval,
    bootstrap_interval,
    mean_interval,
    student_interval,
)


class TestRule:
    def test_students_by_hand(self) -> None:
        """Mean 3, standard deviation sqrt(2.5), t of 4 degrees of freedom at 97.5% is 2.7764451."""
        interval = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
        half = 2.7764451051977987 * np.sqrt(2.5 / 5)
        assert interval.mean == 3.0
        assert (interval.low, interval.high) == pytest.approx((3.0 - half, 3.0 + half), rel=1e-12)
        assert interval.half == pytest.approx(half, rel=1e-12)
        assert interval.ends == [interval.low, interval.high]

    def test_one_value_says_nothing(self) -> None:
        assert mean_interval([2.0]) == Interval(2.0, -math.inf, math.inf)

    @pytest.mark.parametrize("n", [2, 3, FEWEST_BOOTSTRAPPED, 200])
    def test_the_same_values_leave_no_doubt(self, n: int) -> None:
        """Whose mean may differ from them by a rounding: three times 0.1 is no three tenths."""
        assert mean_interval([0.1] * n) == Interval(0.1, 0.1, 0.1)

    @pytest.mark.filterwarnings("error")
    def test_values_that_differ_by_roundings(self) -> None:
        values = np.full(FEWEST_BOOTSTRAPPED, 0.1)
        values[3:7] = np.nextafter(0.1, 1.0)
        interval = mean_interval(values)
        assert interval.low <= interval.mean <= interval.high
        assert interval.half < 1e-16

    def test_few_values_are_taken_for_normal_and_many_are_not(self) -> None:
        """Skewed to the right, as the values are, the interval of many reaches farther there."""
        values = np.random.default_rng(3).lognormal(size=FEWEST_BOOTSTRAPPED)
        few, many = mean_interval(values[:-1]), mean_interval(values)
        assert few == student_interval(values[:-1])
        assert many.high - many.mean > 1.2 * (many.mean - many.low)

    @pytest.mark.parametrize("confidence", [0.8, 0.99])
    def test_many_values_by_scipy(self, confidence: float) -> None:
        """Other draws, so up to what 10,000 of them leave open of a quantile: a few percent of the width."""
        values = np.random.default_rng(4).exponential(size=60)
        ours = mean_interval(values, confidence)
        theirs = stats.bootstrap(
            (values,), np.mean, confidence_level=confidence, method="BCa", random_state=np.random.default_rng(99)
        ).confidence_interval
        assert ours.ends == pytest.approx(list(theirs), abs=0.1 * ours.half)
        assert ours.mean == pytest.approx(values.mean(), rel=1e-12)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize(
        "change", [lambda x: 1e-200 * x, lambda x: 1e150 * x, lambda x: 1e6 + x, lambda x: -3.0 * x]
    )
    def test_it_goes_with_units(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """The same draws every time: what is done to the values is done to the ends."""
        values = np.random.default_rng(5).exponential(size=40)
        before, after = mean_interval(values), mean_interval(change(values))
        assert before == mean_interval(values)
        ends = sorted(float(end) for end in change(np.array(before.ends)))
        # mirrored, a quantile is another one of the draws
        assert after.ends == pytest.approx(ends, rel=1e-3 if change(np.ones(1)) < 0.0 else 1e-9)

    @pytest.mark.parametrize("n", [5, FEWEST_BOOTSTRAPPED])
    def test_it_covers_about_as_often_as_it_says(self, n: int) -> None:
        """95%, give or take 4 standard errors, and for the bootstrap 3% that it is known to lack for so few."""
        rng = np.random.default_rng(6)
        found = [mean_interval(rng.normal(size=n)) for _ in range(250)]
        share = np.mean([interval.low <= 0.0 <= interval.high for interval in found])
        error = 4.0 * math.sqrt(0.05 * 0.95 / 250)
        assert 0.95 - error - 0.03 * (n >= FEWEST_BOOTSTRAPPED) < share < min(0.95 + error, 1.0)


class TestPercentiles:
    def test_of_two_values_the_bootstrap_knows_three_means(self) -> None:
        found = bootstrap_interval([1.0, 3.0], confidence=0.95)
        assert (found.mean, found.low, found.high) == (2.0, 1.0, 3.0)  # 1, 2, 2, 3 with probability 1/4 each
        found = bootstrap_interval([1.0, 3.0], confidence=0.4)
        assert (found.low, found.high) == (2.0, 2.0)

    def test_it_is_repeatable_and_does_not_see_order_of_magnitude(self) -> None:
        values = np.random.default_rng(0).normal(size=9)
        first, again, scaled = (
            bootstrap_interval(values),
            bootstrap_interval(values),
            bootstrap_interval(1000.0 * values),
        )
        assert first == again
        assert (scaled.low, scaled.high) == pytest.approx((1000.0 * first.low, 1000.0 * first.high))
        assert first.low < first.mean < first.high

    def test_it_covers_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(1)
        found = [bootstrap_interval(rng.normal(size=40), 0.9, draws=1_000) for _ in range(400)]
        share = np.mean([interval.low <= 0.0 <= interval.high for interval in found])
        assert 0.82 < share < 0.94  # 0.9, less what is known of it for 40 values, give or take 4 standard errors
