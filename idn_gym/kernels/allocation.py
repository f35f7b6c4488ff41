"""Fast pack and memory in use over (B, P); references in `idn_gym.model.allocation`."""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import BITS, FLOATS, filled, node_rows, placement_rows, shaped
from idn_gym.kernels.shared import placed_in, room_of, row_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray, IntArray

_jit = compiled(error_model="numpy")
_NONE = np.iinfo(np.int64).min
_sum = compiled(fastmath={"reassoc"})  # in any order, so that it becomes vector instructions


def pack(
    placements: Placements, priority: FloatArray, budgets: FloatArray | None = None, out: IntArray | None = None
) -> IntArray:
    """(B, P) int8; see `allocation.pack`.

    Parameters
    ----------
    priority : (B, P).
    budgets : (V,) or (B, V) MB, by default those of the placements.
    out : (B, P) int8 to fill; the priority is then read in its own dtype.
    """
    priority = placement_rows(placements, "priority", priority, kept=() if out is None else FLOATS)
    budgets = node_rows(placements, "budgets", placements.budgets if budgets is None else budgets, len(priority))
    packed = packed_rows(out, priority.shape)
    tables = placements.tables

    def work(first: int, stop: int) -> None:
        _pack(tables, priority, budgets, first, stop, packed)

    over_rows(len(priority), placements.P, work)
    return packed


def packed_rows(out: IntArray | None, shape: tuple[int, ...]) -> IntArray:
    """What integral allocations (B, P) int8 are written to."""
    return np.empty(shape, dtype=np.int8) if out is None else filled("out", out, shape, BITS)


def memory(placements: Placements, allocation: IntArray, before: IntArray) -> tuple[FloatArray, FloatArray]:
    """(B, V) MB in use at each node and (B,) MB newly loaded since the allocation before, both (B, P) int8.

    Raises
    ------
    IdnError
        If a shape differs.
    """
    allocation = placement_rows(placements, "allocation", allocation, kept=BITS)
    before = shaped("before", before, *allocation.shape, kept=BITS)
    in_use, loaded = np.zeros((len(allocation), placements.V)), np.zeros(len(allocation))
    tables = placements.tables

    def work(first: int, stop: int) -> None:
        _memory(tables, allocation, before, first, stop, in_use, loaded)

    over_rows(len(allocation), placements.P // 8, work)  # bytes are looked at eight at a time
    return in_use, loaded


@_jit
def _memory(tables, allocation, before, first, stop, in_use, loaded):
    found = np.empty(allocation.shape[1], dtype=np.uint32)
    for b in range(first, stop):
        held, earlier, used, added = allocation[b], before[b], in_use[b], 0.0
        for i in range(placed_in(held, found)):
            p = found[i]
            size = tables.sizes[p] * held[p]
            used[tables.placement_node[p]] += size
            added += size * (1 - earlier[p])
        loaded[b] = added


@_jit
def _fill(sizes, priority, start, stop, room, buffer, packed):
    """Place the best of what still fits until nothing does; what has no room now never has again.

    Priorities are compared as integers in the same order, each loop in a function of its own: both make them vector
    instructions.
    """
    urgency = buffer[: stop - start]
    keys, size, placed = urgency.view(np.int64), sizes[start:stop], packed[start:stop]
    _as_keys(priority[start:stop], placed, urgency, keys)
    while True:
        _drop_what_does_not_fit(keys, size, room)
        highest = _highest(keys)
        if highest == _NONE:
            return
        best = _first(keys, highest)
        placed[best] = 1
        room -= size[best]
        keys[best] = _NONE


@_jit
def _as_keys(priority, placed, urgency, keys):
    """Integers in the order of priorities, seen through `keys` where `urgency` lies; -inf and NaN are not in it."""
    for i in range(len(keys)):
        urgency[i] = priority[i] + 0.0  # -0.0 becomes 0.0, its equal
    for i in range(len(keys)):
        descending = (keys[i] >> 63) & 0x7FFFFFFFFFFFFFFF  # bits of negative numbers ascend as they fall
        keys[i] = keys[i] ^ descending if (placed[i] == 0) & (priority[i] > -np.inf) else _NONE


@_jit
def _drop_what_does_not_fit(keys, sizes, room):
    for i in range(len(keys)):
        keys[i] = keys[i] if sizes[i] <= room else _NONE


@_jit
def _highest(keys):
    highest = _NONE
    for i in range(len(keys)):
        highest = max(highest, keys[i])
    return highest


@_jit
def _first(keys, highest):
    first = len(keys)
    for i in range(len(keys)):
        first = min(first, i if keys[i] == highest else len(keys))
    return first


@_jit
def _pack(tables, priority, budgets, first, stop, packed):
    buffer = np.empty(priority.shape[1])
    for b in range(first, stop):
        budget = row_of(budgets, b)
        packed[b] = 0
        for v in range(len(budget)):
            room = room_of(budget[v])
            start, end = np.int64(tables.node_start[v]), np.int64(tables.node_start[v + 1])
            _fill(tables.sizes, priority[b], start, end, room, buffer, packed[b])
