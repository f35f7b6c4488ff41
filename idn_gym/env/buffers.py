"""The arrays of observations: made anew, or those of an earlier observation that nobody holds any more."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

_MOST = 4  # sets that are remembered; who keeps more observations than that gets new arrays


class Buffers:
    """Sets of arrays, one per observation.

    An array that its receiver still holds, or a view or a tensor of it, is not handed out again. So each observation
    is its receiver's own, as if its arrays were new, without the cost of memory that is new to the process.

    Parameters
    ----------
    copy : without it there is one set, which every observation is written to.
    """

    def __init__(self, copy: bool) -> None:
        self.copy = copy
        self._sets: list[Arrays] = []
        self._alone = self._holders({"": np.empty(0)})

    def take(self, shapes: dict[str, tuple[int, ...]]) -> tuple[Arrays, bool]:
        """Float32 arrays of these shapes, and whether they are as their receiver last saw them, who leaves them so."""
        for arrays in self._sets:
            if not self.copy or self._holders(arrays) == self._alone:
                return dict(arrays), not self.copy
        made = {key: np.empty(shape, dtype=np.float32) for key, shape in shapes.items()}
        self._sets = [*self._sets[1 - _MOST :], made]
        return dict(made), False

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the arrays."""
        return Buffers, (self.copy,)

    @staticmethod
    def _holders(arrays: Arrays) -> int:
        """References to the array that has the most, those from here included."""
        return max(sys.getrefcount(array) for array in arrays.values())
