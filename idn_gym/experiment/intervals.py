"""Means with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idn_gym.typing import FloatArray


@dataclass(frozen=True)
class Interval:
    """A mean, and the interval that holds the true one with the confidence it was computed for."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def mean_interval(values: Sequence[float] | FloatArray, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent values; unbounded for a single one.

    Parameters
    ----------
    values : (n,) one value per seed.
    """
    from scipy.stats import t

    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = float(t.ppf(0.5 + confidence / 2.0, len(sample) - 1) * sample.std(ddof=1) / math.sqrt(len(sample)))
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(
    values: Sequence[float] | FloatArray, confidence: float = 0.95, *, draws: int = 10_000, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval for the mean: it supposes no distribution, and is somewhat narrow for few values.

    Parameters
    ----------
    values : (n,) one value per seed.
    draws : of n values with replacement, from `seed`.
    """
    sample = np.asarray(values, dtype=np.float64)
    picked = np.random.default_rng(seed).integers(len(sample), size=(draws, len(sample)))
    low, high = np.quantile(sample[picked].mean(axis=1), [0.5 - confidence / 2.0, 0.5 + confidence / 2.0])
    return Interval(float(sample.mean()), float(low), float(high))
