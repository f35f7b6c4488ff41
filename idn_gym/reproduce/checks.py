"""Claims about policies decided by data: holds, does not hold, or not decided.

Values are paired over seeds, since all policies of a seed face one stream. What is decided is decided with 95%
confidence, shared out evenly (Bonferroni) where a claim has several parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np

from idn_gym.experiment.intervals import Interval, mean_interval
from idn_gym.typing import FloatArray

FEWEST = 5  # seeds; with fewer nothing is decided
_ERROR = 0.05


class Outcome(StrEnum):
    """What the data say of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "not decided"


@dataclass(frozen=True)
class Verdict:
    """An outcome and the figures behind it."""

    outcome: Outcome
    evidence: str


@dataclass(frozen=True)
class Check:
    """A claim, who makes it, and what came of it.

    ``documented`` is the outcome at full budget that the documentation reports; where it is ``holds``, anything that
    turns it into ``does not hold`` is an error.
    """

    claim: str
    source: str  # paper: its authors claim so; expected: what the figure should show
    verdict: Verdict
    documented: Outcome

    @property
    def broken(self) -> bool:
        """Whether the documentation says that the claim holds, and it does not."""
        return self.documented is Outcome.HOLDS and self.verdict.outcome is Outcome.FAILS


def above(high: FloatArray, low: FloatArray, unit: str = "ms", margin: float = 0.0) -> Verdict:
    """Whether one quantity lies above another by more than a margin; (seeds,) each."""
    interval = mean_interval(np.asarray(high) - np.asarray(low))
    outcome = _decided([interval], margin, len(high))
    more = f" (asked for: {margin:g})" if margin else ""
    return Verdict(outcome, f"difference {interval} {unit}{more}, {len(high)} seeds")


def at_least(value: FloatArray, limit: float, unit: str = "") -> Verdict:
    """Whether a quantity (seeds,) exceeds a limit."""
    interval = mean_interval(value)
    return Verdict(_decided([interval], limit, len(value)), f"{interval} {unit}, {len(value)} seeds".replace(" ,", ","))


def at_most(value: FloatArray, limit: float, unit: str = "") -> Verdict:
    """Whether a quantity (seeds,) stays below a limit."""
    interval = mean_interval(value)
    mirrored = Interval(-interval.mean, -interval.high, -interval.low)
    outcome = _decided([mirrored], -limit, len(value))
    return Verdict(outcome, f"{interval} {unit}, {len(value)} seeds".replace(" ,", ","))


def rising(levels: Mapping[float, FloatArray], unit: str, sign: float = 1.0) -> Verdict:
    """Whether a quantity rises from each level to the next.

    Parameters
    ----------
    levels : level -> (seeds,), in ascending order of levels.
    sign : -1 for falling.
    """
    names, values = list(levels), [np.asarray(value) for value in levels.values()]
    confidence = 1.0 - _ERROR / (len(values) - 1)
    steps = [mean_interval(sign * (b - a), confidence) for a, b in pairwise(values)]
    worst = min(range(len(steps)), key=lambda i: steps[i].low)
    step = mean_interval(values[worst + 1] - values[worst], confidence)
    evidence = (
        f"from {values[0].mean():.4g} to {values[-1].mean():.4g} {unit}; "
        f"least clear step, {names[worst]:g} to {names[worst + 1]:g}: {step}, {len(values[0])} seeds"
    )
    return Verdict(_decided(steps, 0.0, len(values[0])), evidence)


def falling(levels: Mapping[float, FloatArray], unit: str) -> Verdict:
    """Whether a quantity falls from each level to the next; as `rising`."""
    return rising(levels, unit, -1.0)


def above_everywhere(levels: Mapping[Any, tuple[FloatArray, FloatArray]], unit: str = "ms") -> Verdict:
    """Whether one quantity lies above another at every level; level -> the two, (seeds,) each."""
    confidence = 1.0 - _ERROR / len(levels)
    gaps = {level: mean_interval(high - low, confidence) for level, (high, low) in levels.items()}
    seeds = min(len(high) for high, _ in levels.values())
    worst = min(gaps, key=lambda level: gaps[level].low)
    where = worst if isinstance(worst, str) else f"{worst:g}"
    evidence = f"least clear at {where}: difference {gaps[worst]} {unit}, {seeds} seeds"
    return Verdict(_decided(list(gaps.values()), 0.0, seeds), evidence)


def crosses(levels: Mapping[float, tuple[FloatArray, FloatArray]], unit: str = "ms") -> Verdict:
    """Whether the first quantity is below the second at the lowest level and above it at the highest.

    The evidence brackets the crossing: the last level of the lower part and the first of the upper one.
    """
    confidence = 1.0 - _ERROR / 2.0
    gaps = {level: mean_interval(first - second, confidence) for level, (first, second) in levels.items()}
    names = list(gaps)
    first, last = gaps[names[0]], gaps[names[-1]]
    seeds = min(len(a) for a, _ in levels.values())
    outcome = _decided([Interval(-first.mean, -first.high, -first.low), last], 0.0, seeds)
    up = next((i for i, name in enumerate(names) if gaps[name].mean > 0.0), len(names))
    where = f"between {names[up - 1]:g} and {names[up]:g}" if 0 < up < len(names) else "nowhere"
    evidence = f"difference {first} {unit} at {names[0]:g}, {last} {unit} at {names[-1]:g}; crosses {where}"
    return Verdict(outcome, f"{evidence}, {seeds} seeds")


def _decided(intervals: Sequence[Interval], limit: float, seeds: int) -> Outcome:
    """Holds if all intervals lie above the limit, does not if one lies at or below it."""
    if seeds < FEWEST:
        return Outcome.OPEN
    if all(interval.low > limit for interval in intervals):
        return Outcome.HOLDS
    if any(interval.high <= limit for interval in intervals):
        return Outcome.FAILS
    return Outcome.OPEN
