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
