"""What part of an axis to show, where a few agents are so far off that they would squeeze the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from idn_gym.typing import BoolArray, FloatArray

_SQUEEZED = 1.0 / 3.0  # of the axis: the others must not have less
_NOISE = 1e-3  # of the axis: what differs by less is not worth to be looked at closely


def near(values: Sequence[float] | FloatArray) -> BoolArray:
    """(n,) which values to show on an axis; the rest is so far off that these would share less than a third of it.

    At least half of the values, and two of them, are shown; values that are not finite are not.
    """
    numbers = np.asarray(values, dtype=np.float64)
    shown = np.isfinite(numbers)
    most_off = min(int(shown.sum()) // 2, int(shown.sum()) - 2)
    if most_off < 1:
        return shown
    order = np.flatnonzero(shown)
    order = order[np.argsort(np.abs(numbers[order] - np.median(numbers[order])), kind="stable")]
    kept = len(order)
    for count in range(len(order) - 1, len(order) - most_off - 1, -1):
        narrow, wide = np.ptp(numbers[order[:count]]), np.ptp(numbers[order[:kept]])
        if _NOISE * wide < narrow < _SQUEEZED * wide:
            kept = count
    shown[order[kept:]] = False
    return shown


def limits(values: FloatArray, margin: float) -> tuple[float, float]:
    """Ends of an axis that shows the values (finite, at least one) with a margin, in parts of their range."""
    low, high = float(values.min()), float(values.max())
    room = margin * (high - low) or margin * max(abs(high), 1.0)
    return low - room, high + room
