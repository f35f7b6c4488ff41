"""The arrays of observations: made anew, or those of an earlier observation that nobody holds any more."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import row_of
from idn_gym.kernels.threads import over_rows
from idn_gym.typing import FloatArray, IntArray

_jit = compiled(error_model="numpy")
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


def show(shown: Arrays, requests: FloatArray, allocation: IntArray, capacities: FloatArray | None) -> None:
    """Write what is observed of B environments, row by row.

    Parameters
    ----------
    shown : float32 arrays of `Buffers`.
    requests, allocation : (B, R) and (B, P) int8.
    capacities : (B or 1, P) float32; None: what is shown of them stays.
    """
    into = shown["requests"], shown["allocation"], shown["capacities"]
    stays = capacities is None
    limits = shown["capacities"] if capacities is None else capacities

    def work(first: int, stop: int) -> None:
        _show(requests, allocation, limits, stays, first, stop, *into)

    over_rows(len(allocation), allocation.shape[1], work)


@_jit
def _show(requests, allocation, capacities, stays, first, stop, shown, placed, limits):
    for b in range(first, stop):
        for rho in range(requests.shape[1]):
            shown[b, rho] = requests[b, rho]
        for p in range(allocation.shape[1]):
            placed[b, p] = allocation[b, p]
        if not stays and _differs(limits[b], row_of(capacities, b)):  # to look is faster than to write
            limits[b] = row_of(capacities, b)


@_jit
def _differs(some, others):
    """Whether float32 values are other ones, of equal length."""
    found = np.int32(0)
    left, right = some.view(np.int32), others.view(np.int32)
    for i in range(len(left)):
        found |= left[i] ^ right[i]
    return found != 0
