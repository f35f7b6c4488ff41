"""What part of an axis to show, where a few agents are so far off that they would squeeze the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from idn_gym.typing import BoolArray, FloatArray

_SQUEEZED = 0.25  # of the axis: the others must not have less
_GAP = 0.75  # of the range of the others: how far from them the nearest one that is off must be
_NOISE = 1e-3  # of the axis: what differs by less is not worth to be looked at closely


def near(values: Sequence[float] | FloatArray, least: int = 2) -> BoolArray:
    """(n,) which values to show on an axis; the larger ones are so far off that these would have less than a quarter.

    At least half of the values, and `least` of them, are shown; values that are not finite are not.
    """
    numbers = np.asarray(values, dtype=np.float64)
    shown = np.isfinite(numbers)
    order = np.flatnonzero(shown)[np.argsort(numbers[shown], kind="stable")]
    up = numbers[order]
    kept = len(up)
    for count in range(len(up) - 1, max(least, (len(up) + 1) // 2) - 1, -1):
        narrow, wide, gap = up[count - 1] - up[0], up[kept - 1] - up[0], up[count] - up[count - 1]
        if _NOISE * wide < narrow < _SQUEEZED * wide and gap > _GAP * narrow:
            kept = count
    shown[order[kept:]] = False
    return shown


def limits(values: FloatArray, margin: float) -> tuple[float, float]:
    """Ends of an axis that shows the values (finite, at least one) with a margin, in parts of their range."""
    low, high = float(values.min()), float(values.max())
    room = margin * (high - low) or margin * max(abs(high), 1.0)
    return low - room, high + room
