"""What an array has to be: shapes and values that a user got wrong are named before they are used."""

from __future__ import annotations

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray


def checked(name: str, values: FloatArray, shape: tuple[int, ...], highest: float = np.inf) -> FloatArray:
    """Values as float64 of exactly this shape, finite, >= 0 and <= highest, or an `IdnError` naming the argument."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise IdnError(f"{name}: shape {array.shape}; must be {shape}")
    bad = ~((array >= 0.0) & (array <= highest) & np.isfinite(array))
    if bad.any():
        where = tuple(int(i) for i in np.unravel_index(bad.argmax(), shape))
        allowed = "finite and >= 0" if np.isinf(highest) else f"in [0, {highest:g}]"
        raise IdnError(f"{name}{list(where)}: {array[where]}; must be {allowed}")
    return array
