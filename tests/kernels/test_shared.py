"""Arrays whose references are not counted: pieces and tuples of them are what they are of, and nothing is let go."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import borrowed, part
from idn_gym.typing import FloatArray


class Pair(NamedTuple):
    """Arrays and a number."""

    values: FloatArray
    others: tuple[FloatArray, FloatArray]
    factor: float


@compiled()
def _piece(values: FloatArray, start: int, stop: int) -> tuple[float, int]:
    found = part(values, start, stop)
    found[0] = -1.0
    return found.sum(), len(found)


@compiled()
def _total(pair: Pair) -> float:
    pair = borrowed(pair)
    return pair.factor * (pair.values[1:].sum() + pair.others[0][0] + pair.others[1].sum())


def test_a_part_is_the_array_itself_from_one_place_to_another() -> None:
    values = np.arange(8.0)
    assert _piece(values, 2, 5) == (-1.0 + 3.0 + 4.0, 3)
    assert values.tolist() == [0.0, 1.0, -1.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_there_is_no_part_of_what_is_not_contiguous() -> None:
    with pytest.raises(TypingError):
        _piece(np.arange(16.0)[::2], 2, 5)


def test_what_is_borrowed_is_as_it_was_and_still_its_owners() -> None:
    pair = Pair(np.array([9.0, 1.0, 2.0]), (np.array([10.0, 7.0]), np.array([100.0, 200.0])), 0.5)
    before = [sys.getrefcount(array) for array in (pair.values, *pair.others)]
    for _ in range(3):
        assert _total(pair) == 0.5 * (3.0 + 10.0 + 300.0)
    assert [sys.getrefcount(array) for array in (pair.values, *pair.others)] == before
