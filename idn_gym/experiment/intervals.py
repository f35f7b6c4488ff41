"""Means over seeds with their confidence intervals, of what runs, sweeps and reproductions compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from idn_gym.typing import FloatArray

FEWEST_BOOTSTRAPPED = 30  # values; of fewer the bootstrap's intervals hold too seldom
_DRAWS, _MOST_VALUES = 9_999, 10**6  # samples drawn, and values of them in memory at a time
_ROUNDING = 1e-12  # a spread of values, as a part of their mean, that is none


@dataclass(frozen=True)
class Interval:
    """A mean, and the interval that holds the true one with the confidence it was computed for."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the width."""
        return (self.high - self.low) / 2.0

    @property
    def ends(self) -> list[float]:
        """Both ends, as JSON has them."""
        return [self.low, self.high]

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def mean_interval(values: Sequence[float] | FloatArray, confidence: float = 0.95) -> Interval:
    """The interval for the mean of independent values, by the one rule of the library.

    Unbounded for a single value, of no width for values that are all the same, Student's t for fewer than
    `FEWEST_BOOTSTRAPPED`, and for more the bias-corrected and accelerated bootstrap (BCa), which follows a skewed
    distribution: `scipy.stats.bootstrap`, drawn from a fixed seed. Pairing is the caller's: give differences.

    Parameters
    ----------
    values : (n,) one value per seed.

    Source: docs/how-to/seeds.md#how-intervals-are-formed.
    """
    sample = np.asarray(values, dtype=np.float64)
    mean, spread = float(sample.mean()), float(sample.std())
    if len(sample) < FEWEST_BOOTSTRAPPED or spread <= _ROUNDING * abs(mean):
        return student_interval(sample, confidence)
    from scipy.stats import bootstrap

    found = bootstrap(
        ((sample - mean) / spread,),  # its acceleration takes cubes, which tiny and huge values do not survive
        np.mean,
        n_resamples=_DRAWS,
        batch=max(1, _MOST_VALUES // len(sample)),
        confidence_level=confidence,
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, mean + spread * float(found.low), mean + spread * float(found.high))


def student_interval(values: Sequence[float] | FloatArray, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent values (n,); unbounded for a single one."""
    from scipy.stats import t

    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, -math.inf, math.inf)
    if sample.min() == sample.max():  # their mean may differ from them by a rounding
        return Interval(*[float(sample[0])] * 3)
    half = float(t.ppf(0.5 + confidence / 2.0, len(sample) - 1) * sample.std(ddof=1) / math.sqrt(len(sample)))
    return Interval(mean, mean - half, mean + half)


def student_bands(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """`student_interval` of each column of (n, m) values: means, lower and upper ends, (m,) each.

    Values that are nan do not count: a column of which one is left has no interval, its ends are nan.
    """
    from scipy.stats import t

    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(values.shape[1], np.nan), where=count > 0)
    squares = np.where(known, values - mean, 0.0) ** 2
    several = count > 1
    freedom = np.maximum(count - 1, 1)
    half = np.where(
        several, t.ppf(0.975, freedom) * np.sqrt(squares.sum(axis=0) / freedom / np.maximum(count, 1)), np.nan
    )
    return mean, mean - half, mean + half


def compared(rows: Sequence[dict[str, Any]], figures: Sequence[str]) -> list[dict[str, Any]]:
    """Agents averaged over the seeds whose streams they all faced, in the order of their first rows.

    Parameters
    ----------
    rows : of runs: ``agent``, ``seed``, and figures.
    figures : keys to average, where an agent's rows all have them.

    Returns
    -------
    Per agent ``agent``, the means under the keys of the figures, ``behind`` (ms of NTAG less than the agent that has
    most of it on average, paired by seed), and ``intervals``, the ends of the 95% interval of each of these means, by
    its key; empty for one seed. ``seconds`` have none: what a clock says is no sample of the streams.
    """
    by_agent: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_agent.setdefault(row["agent"], []).append(row)
    ntag = {agent: np.array([row["ntag"] for row in same]) for agent, same in by_agent.items()}
    best = max(ntag.values(), key=np.mean)
    averaged = []
    for agent, same in by_agent.items():
        values = {key: [row[key] for row in same] for key in figures if all(key in row for row in same)}
        found = {key: mean_interval(column) for key, column in {**values, "behind": best - ntag[agent]}.items()}
        means = {key: interval.mean for key, interval in found.items()}
        several = {key: interval.ends for key, interval in found.items() if len(same) > 1 and key != "seconds"}
        averaged.append({"agent": agent, **means, "intervals": several})
    return averaged


def bootstrap_interval(
    values: Sequence[float] | FloatArray, confidence: float = 0.95, *, draws: int = 10_000, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval for the mean: it supposes no distribution, and is somewhat narrow for few values.

    Of studies whose stored tables were made with it; anything else takes `mean_interval`.

    Parameters
    ----------
    values : (n,) one value per seed.
    draws : of n values with replacement, from `seed`.
    """
    sample = np.asarray(values, dtype=np.float64)
    picked = np.random.default_rng(seed).integers(len(sample), size=(draws, len(sample)))
    low, high = np.quantile(sample[picked].mean(axis=1), [0.5 - confidence / 2.0, 0.5 + confidence / 2.0])
    return Interval(float(sample.mean()), float(low), float(high))
