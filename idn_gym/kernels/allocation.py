"""Fast pack, dependent rounding and memory in use over (B, P); references in `idn_gym.model.allocation`."""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import BITS, FLOATS, filled, node_rows, placement_rows, shaped
from idn_gym.kernels.shared import placed_in, room_of, row_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.allocation import Residual, refuse_no_uniform, refuse_residual
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
    packed = _filled(out, priority.shape)
    tables = placements.tables

    def work(first: int, stop: int) -> None:
        _pack(tables, priority, budgets, first, stop, packed)

    over_rows(len(priority), placements.P, work)
    return packed


def round_dependent(
    placements: Placements,
    allocation: FloatArray,
    uniforms: FloatArray,
    residual: Residual = "drop",
    budgets: FloatArray | None = None,
    out: IntArray | None = None,
) -> IntArray:
    """(B, P) int8 from allocation and uniforms, both (B, P); see `allocation.round_dependent`.

    Parameters
    ----------
    budgets : (V,) or (B, V) MB, by default those of the placements.
    out : (B, P) int8 to fill; the other arrays are then read in their own dtype.

    Raises
    ------
    IdnError
        If a shape differs, `residual` is another word, or a uniform is not in [0, 1): it says which entry is drawn.
    """
    refuse_residual(residual)
    kept = () if out is None else FLOATS
    allocation = placement_rows(placements, "allocation", allocation, kept=kept)
    uniforms = placement_rows(placements, "uniforms", uniforms, len(allocation), "the allocation", kept=kept)
    budgets = node_rows(placements, "budgets", placements.budgets if budgets is None else budgets, len(allocation))
    rounded = _filled(out, allocation.shape)
    tables, drop, fit = placements.tables, residual == "drop", residual == "fit"

    def work(first: int, stop: int) -> None:
        if not _all_uniform(uniforms[first:stop]):
            refuse_no_uniform(uniforms[first:stop], first)
        _round_dependent(tables, allocation, uniforms, drop, fit, budgets, first, stop, rounded)

    over_rows(len(allocation), placements.P, work)
    return rounded


def _filled(out: IntArray | None, shape: tuple[int, ...]) -> IntArray:
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


@_sum
def _in_use(sizes, placed):
    total = 0.0
    for i in range(len(sizes)):
        total += sizes[i] * placed[i]
    return total


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


@_jit
def _all_uniform(draws):
    inside = True
    for b in range(len(draws)):
        row = draws[b]
        for p in range(len(row)):
            inside &= (row[p] >= 0.0) & (row[p] < 1.0)  # NaN is not; without a branch, to be vector instructions
    return inside


@_jit
def _round_dependent(tables, allocation, uniforms, drop, fit, budgets, first, stop, rounded):
    sizes = tables.sizes
    fractional = np.empty(allocation.shape[1], dtype=np.int64)
    mb, buffer = np.empty(allocation.shape[1]), np.empty(allocation.shape[1])
    for b in range(first, stop):
        y, uniform, budget, x = allocation[b], uniforms[b], row_of(budgets, b), rounded[b]
        for v in range(len(budget)):
            start, end = np.int64(tables.node_start[v]), np.int64(tables.node_start[v + 1])
            n = 0
            for p in range(start, end):
                x[p] = y[p] >= 1.0
                mb[p] = sizes[p] * y[p]
                fractional[n] = p
                n += 0.0 < y[p] < 1.0
            last_coin = 0.0
            carried = -1
            size, held = 0.0, 0.0  # MB of the entry that is carried from pair to pair: when full, and now
            for k in range(n - 1, -1, -1):
                draw = np.float64(uniform[start + k]) * (k + 1)
                drawn = int(draw)
                coin = draw - drawn
                p = fractional[drawn]
                fractional[drawn] = fractional[k]
                if k == n - 1:
                    last_coin = coin
                if carried < 0:
                    carried, size, held = p, sizes[p], mb[p]
                    continue
                other_size, other = sizes[p], mb[p]
                up = min(size - held, other)
                down = min(held, other_size - other)
                if coin * (up + down) < down:
                    full, empty = up == size - held, up == other
                    held += up
                    other -= up
                    if full:
                        x[carried] = 1
                        carried, size, held = (-1, 0.0, 0.0) if empty else (p, other_size, other)
                else:
                    full, empty = down == other_size - other, down == held
                    held -= down
                    other += down
                    if full:
                        x[p] = 1
                    if empty:
                        carried, size, held = (-1, 0.0, 0.0) if full else (p, other_size, other)
            wins = carried >= 0 and not drop and last_coin * size < held
            if wins and fit:
                wins = size <= room_of(budget[v]) - _in_use(sizes[start:end], x[start:end])
            if wins:
                x[carried] = 1
            if drop:
                room = room_of(budget[v]) - _in_use(sizes[start:end], x[start:end])
                for p in range(start, end):
                    if sizes[p] <= room:
                        mb[p] = y[p] / sizes[p]
                _fill(sizes, mb, start, end, room, buffer, x)
