"""Arrays that users hand in: what they must be is looked at before they are used, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray


def checked(name: str, values: FloatArray, shape: tuple[int, ...], highest: float = np.inf) -> FloatArray:
    """Values as float64 of exactly this shape, finite, >= 0 and <= highest, or an `IdnError` naming the argument."""
    array = shaped(name, values, shape)
    low, high = array.min(initial=0.0), array.max(initial=0.0)  # NaN if there is one
    if not (low >= 0.0 and high <= highest and high < np.inf):
        bad = ~((array >= 0.0) & (array <= highest) & np.isfinite(array))
        where = tuple(int(i) for i in np.unravel_index(bad.argmax(), shape))
        allowed = "finite and >= 0" if np.isinf(highest) else f"in [0, {highest:g}]"
        raise IdnError(f"{name}{list(where)}: {array[where]}; must be {allowed}")
    return array


def shaped(name: str, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Values as float64 of exactly this shape, or an `IdnError` naming the argument."""
    array = numbers(name, values)
    if array.shape != shape:
        raise IdnError(f"{name}: shape {array.shape}; must be {shape}")
    return np.asarray(array, dtype=np.float64)


def numbers(name: str, values: FloatArray) -> FloatArray:
    """Values as an array, whatever its dtype, or an `IdnError` naming the argument that is none of numbers."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # of rows that differ in length
        raise IdnError(f"{name}: {type(values).__name__}; must be an array of numbers") from None
    if array.dtype.kind not in "fiub":
        raise IdnError(f"{name}: {array.dtype} of shape {array.shape}; must be an array of numbers")
    return array


def refuse_inconsistent(
    what: str, arrays: Any, axes: Mapping[str, int], shapes: Mapping[str, str], ranges: Mapping[str, tuple[int, str]]
) -> None:
    """Raise unless attributes have the shapes, and hold the whole numbers, that compiled code takes for granted.

    Parameters
    ----------
    axes : length of each axis, by a letter; ``K+1`` is one more than K.
    shapes : the axes of each attribute.
    ranges : of an attribute that counts things: the lowest number, and the axis that all numbers are below.
    """
    for name, along in shapes.items():
        shape, found = tuple(axes[axis] for axis in along), getattr(arrays, name).shape
        if found != shape:
            raise IdnError(f"{what}: {name} of shape {found}; must be {shape}")
    for name, (lowest, axis) in ranges.items():
        below = axes[axis.removesuffix("+1")] + axis.endswith("+1")
        values = getattr(arrays, name)
        if values.size == 0:
            continue
        low, high = values.min(), values.max()
        if low < lowest or high >= below:
            raise IdnError(f"{what}: {name} from {low} to {high}; must be {lowest} to {below - 1}")
