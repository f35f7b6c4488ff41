"""Fast pack, dependent rounding and memory in use over (B, P); references in `idn_gym.model.allocation`."""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import BITS, FLOATS, filled, node_rows, placement_rows, shaped
from idn_gym.kernels.shared import add_memory, borrowed, part, placed_in, room_of, row_of, trailing_zeros
from idn_gym.kernels.threads import over_rows
from idn_gym.model.allocation import Residual, refuse_no_uniform, refuse_residual
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray, IntArray

_jit = compiled(error_model="numpy")
# sums in any order, so that they become vector instructions; nothing here is NaN
_vector = compiled(error_model="numpy", fastmath={"reassoc", "nsz", "nnan"})
_NOBODY, _TAIL = -1, -2  # in place of the entry that is carried from pair to pair
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
    packed = _packed_rows(out, priority.shape)
    tables = placements.tables

    def work(first: int, stop: int) -> None:
        _pack(tables, priority, budgets, first, stop, packed)

    over_rows(len(priority), placements.P, work)
    return packed


def _packed_rows(out: IntArray | None, shape: tuple[int, ...]) -> IntArray:
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
        held = allocation[b]
        count = placed_in(held, found)
        loaded[b] = add_memory(tables.sizes, tables.placement_node, held, before[b], found, count, in_use[b])


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
    rounded = _packed_rows(out, allocation.shape)
    tables, drop, fit = placements.tables, residual == "drop", residual == "fit"

    def work(first: int, stop: int) -> None:
        if not _all_uniform(uniforms[first:stop]):
            refuse_no_uniform(uniforms[first:stop], first)
        _round_dependent(tables, allocation, uniforms, drop, fit, budgets, first, stop, rounded)

    over_rows(len(allocation), placements.P, work)
    return rounded


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
    tables, scratch = borrowed(tables), rounding_scratch(allocation.shape[1])
    for b in range(first, stop):
        budget, ys, draws, xs = row_of(budgets, b), allocation[b], uniforms[b], rounded[b]
        for v in range(len(budget)):
            start, end = np.int64(tables.node_start[v]), np.int64(tables.node_start[v + 1])
            y, uniform, x = part(ys, start, end), part(draws, start, end), part(xs, start, end)
            size, tail, smallest = part(tables.sizes, start, end), tables.tail[v], tables.smallest[v]
            listed = list_support(size, y, tail, x, scratch)
            round_node(size, y, tail, smallest, listed, uniform, drop, fit, room_of(budget[v]), x, scratch)


@_jit
def rounding_scratch(width):
    """Room for what the rounding of a node of up to so many placements takes down."""
    mask = np.zeros(width + 8, dtype=np.uint8)
    return mask, mask[: len(mask) // 8 * 8].view(np.uint64), np.empty(width, dtype=np.int64), np.empty((2, width))


@_vector
def list_support(size, y, tail, x, scratch):
    """Of a node: what is whole, in `x`; in scratch its entries from the tail on.

    Returns how many these are, and MB: of the tail, and of what is whole.
    """
    mask, words, support, mb = scratch[0], scratch[1], scratch[2], scratch[3][0]
    mass, whole = 0.0, 0.0
    for i in range(len(y)):
        x[i] = y[i] >= 1.0
        mask[i] = (y[i] >= tail) & (y[i] < 1.0)
    for i in range(len(y)):
        mb[i] = size[i] * y[i]
    for i in range(len(y)):  # writes nothing: the order of the sums does not depend on where arrays lie
        mass += mb[i] if y[i] < tail else 0.0
        whole += size[i] if y[i] >= 1.0 else 0.0
    used = (len(y) + 7) // 8
    mask[len(y) : 8 * used] = 0
    n = 0
    for word in range(used):
        waiting = words[word]  # a byte per entry, 0 or 1
        while waiting:
            support[n] = 8 * word + np.int64(trailing_zeros(waiting) >> np.uint64(3))
            waiting &= waiting - np.uint64(1)
            n += 1
    return n, mass, whole


@_jit
def round_node(size, y, tail, smallest, listed, uniform, drop, fit, room, x, scratch):
    """Settle in `x` what `list_support` has listed of a node, whose smallest placement is of so many MB.

    `uniform` are the node's draws: one for each entry listed, and two more for its tail.
    """
    support, mb, buffer = scratch[2], scratch[3][0], scratch[3][1]
    n, mass, used = listed
    carried, full_size, held = _NOBODY, 0.0, 0.0  # MB of what is carried from pair to pair: when full, and now
    last_coin, first = 0.0, n - 1
    if mass > 0.0:
        carried, held, last_coin = _TAIL, mass, np.float64(uniform[n])
    for k in range(n - 1, -1, -1):
        draw = np.float64(uniform[k]) * (k + 1)
        drawn = int(draw)
        coin = draw - drawn
        p = support[drawn]
        support[drawn] = support[k]
        other_size, other = size[p], mb[p]
        if carried == _NOBODY:
            if k == first:
                last_coin = coin
            carried, full_size, held = p, other_size, other
            continue
        down = min(held, other_size - other)
        if carried == _TAIL:
            if coin * (min(smallest - held, other) + down) < down or down < held:
                carried = _winner(size, y, tail, held, uniform, n)
                full_size = size[carried]
            else:  # it loses all of it, whichever of the tail has it
                full_size = np.inf
        up = min(full_size - held, other)
        if coin * (up + down) < down:
            full, empty = up == full_size - held, up == other
            held += up
            other -= up
            if full:
                x[carried] = 1
                used += full_size
                carried, full_size, held = (_NOBODY, 0.0, 0.0) if empty else (p, other_size, other)
        else:
            full, empty = down == other_size - other, down == held
            held -= down
            other += down
            if full:
                x[p] = 1
                used += other_size
            if empty:
                carried, full_size, held = (_NOBODY, 0.0, 0.0) if full else (p, other_size, other)
    if drop:
        _fill_up(size, y, room - used, smallest, buffer, x)
        return
    if carried == _TAIL:
        carried = _winner(size, y, tail, held, uniform, n)
        full_size = size[carried]
    if carried >= 0 and last_coin * full_size < held and (not fit or full_size <= room - used):
        x[carried] = 1


@_jit
def _fill_up(size, y, room, smallest, density, x):
    """Place the densest of what still fits until nothing does."""
    while room >= smallest:
        best = _densest(size, y, room, density, x)
        if best == len(x):
            return
        x[best] = 1
        room -= size[best]


@_vector
def _densest(size, y, room, density, x):
    """The first of those with most of the state per MB, among what fits and is not placed; or their number."""
    bits = density.view(np.int64)  # in the order of the numbers, but for those below 0
    for i in range(len(y)):
        density[i] = y[i] / size[i] if (size[i] <= room) & (x[i] == 0) else -1.0
    highest = np.int64(-1)
    for i in range(len(y)):
        highest = max(highest, bits[i])
    first = len(y)
    if highest >= 0:
        for i in range(len(y)):
            first = min(first, i if bits[i] == highest else len(y))
    return first


@_jit
def _winner(size, y, tail, mass, uniform, n):
    """The entry of a tail that has all its MB."""
    last, entries = 0, 0
    for i in range(len(y)):
        if y[i] < tail and size[i] * y[i] > 0.0:
            last = i
            entries += 1
    if entries == 1:
        return last
    target, up_to = uniform[n + 1] * mass, 0.0
    for i in range(last):
        if y[i] < tail:
            up_to += size[i] * y[i]
            if up_to > target:
                return i
    return last
