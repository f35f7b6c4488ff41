"""A slot of INFIDA in one pass over the rows of a batch: gain, step, projection, rounding; see `fused`.

States are as of `idn_gym.kernels.states`.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.allocation import list_support, round_node, rounding_scratch
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.gain import slot_gain
from idn_gym.kernels.shared import borrowed, largest, part, room_of, row_of
from idn_gym.kernels.states import step_node
from idn_gym.workload.pcg64 import fill_uniforms, skip

_jit = compiled(error_model="numpy")
# sums and maxima in any order, so that they become vector instructions; nothing here is NaN
_vector = compiled(error_model="numpy", fastmath={"reassoc", "nsz", "nnan", "contract"})


@_jit
def step(tables, shelf, slots, covered, rates, nodes, scratch, first, stop, states, gain):
    """Take rows first to stop of the states (B, P) a step along the subgradient of a slot's gain; fills `gain` (B,).

    Parameters
    ----------
    slots : requests (B or 1, R) and capacities (B or 1, P).
    rates : (B,) and (B,): eta is the first, and the second over the third, (B, V), to which the steepest g / s is
        added, where that is not 0.
    nodes : (V,) MB that a state spends, and (V,) whether that is all that fits; below which y is kept as its logarithm.
    scratch : (4, P) of the states' dtype, and (5, W) float64, of W placements at most at a node.
    """
    requests, capacities = slots
    load = np.empty(tables.groups + 1)
    for b in range(first, stop):
        r, capacity = row_of(requests, b), row_of(capacities, b)
        gain[b] = _step_row(tables, shelf, r, capacity, covered, rates, nodes, scratch, load, b, states[b])


@_jit
def round_states(shelf, states, generators, strides, drop, fit, scratch, due, first, stop, rounded):
    """Round rows first to stop of the states that are due, in `rounded` (B, P) int8.

    Parameters
    ----------
    generators : (B, 4) of `draws`, each of which is taken P numbers on.
    strides : (V + 1, 4) over the placements before each node, and over all.
    """
    listing = rounding_scratch(scratch[1].shape[1])
    for b in range(first, stop):
        if due[b]:
            _round_row(shelf, states[b], generators[b], strides, drop, fit, scratch, listing, rounded[b])


@_jit
def slot(tables, shelf, slots, covered, rates, nodes, rounding, scratch, due, first, stop, states, gain, rounded):
    """`step`, then `round_states`, row by row: what is of a row stays in the cache."""
    requests, capacities = slots
    generators, strides, drop, fit = rounding
    load, listing = np.empty(tables.groups + 1), rounding_scratch(scratch[1].shape[1])
    for b in range(first, stop):
        r, capacity = row_of(requests, b), row_of(capacities, b)
        gain[b] = _step_row(tables, shelf, r, capacity, covered, rates, nodes, scratch, load, b, states[b])
        if due[b]:
            _round_row(shelf, states[b], generators[b], strides, drop, fit, scratch, listing, rounded[b])


@_jit
def row_gain(tables, r, capacity, covered, rows, load, s):
    """The gain of a state (P,); what its subgradient is made of stands in two of the rows (4, P) then."""
    y, share, w, saved = rows[0], rows[1], rows[2], rows[3]
    for p in range(len(s)):
        y[p] = max(s[p], 0.0)
    return slot_gain(tables, r, capacity, y, covered, load, share, w, saved)


@_jit
def node_slots(shelf, rates, nodes, rounding, rows, due, first, stop, s, rounded):
    """Of nodes first to stop, the step of the one state (P,) after `row_gain`, and its rounding if that is due.

    Each node is by itself, and finds its own draws: the generator stays where it is.
    """
    widest = np.int64(1)
    for v in range(first, stop):
        widest = max(widest, np.int64(shelf.node_start[v + 1]) - np.int64(shelf.node_start[v]))
    buffers = np.empty((5, widest))
    _step_nodes(shelf, rates, nodes, rows, buffers, 0, first, stop, s)
    if due:
        generators, strides, drop, fit = rounding
        listing = rounding_scratch(widest)
        _round_nodes(shelf, s, generators[0], strides, drop, fit, buffers, listing, first, stop, rounded)


@_jit
def _step_row(tables, shelf, r, capacity, covered, rates, nodes, scratch, load, b, s):
    rows, buffers = scratch
    gain = row_gain(tables, r, capacity, covered, rows, load, s)
    _step_nodes(shelf, rates, nodes, rows, buffers, b, 0, len(nodes[0]), s)
    return gain


@_jit
def _step_nodes(shelf, rates, nodes, rows, buffers, b, first, stop, s):
    shelf, (constant, scaled, steepest) = borrowed(shelf), borrowed(rates)
    mass, everything, least = borrowed(nodes)
    share, saved = rows[1], rows[3]
    ascents, factors, xs, hs, es = buffers[0], buffers[1], buffers[2], buffers[3], buffers[4]
    bits = factors.view(np.int64)
    for v in range(first, stop):
        start, end = np.int64(shelf.node_start[v]), np.int64(shelf.node_start[v + 1])
        n = end - start
        if n == 0 or mass[v] <= 0.0:
            continue
        own, size = part(s, start, end), part(shelf.sizes, start, end)
        along = part(ascents, 0, n)
        top = _ascent(own, part(share, start, end), part(saved, start, end), size, along)
        steepest[b, v] += top
        eta = constant[b] + (scaled[b] / steepest[b, v] if steepest[b, v] > 0.0 else 0.0)
        work = part(factors, 0, n), part(bits, 0, n), part(xs, 0, n), part(hs, 0, n), part(es, 0, n)
        step_node(own, along, eta * top, size, eta, mass[v], everything[v], least, work, own)


@_jit
def _round_row(shelf, s, generator, strides, drop, fit, scratch, listing, rounded):
    _round_nodes(shelf, s, generator, strides, drop, fit, scratch[1], listing, 0, len(shelf.budgets), rounded)
    skip(generator, strides[len(shelf.budgets)])


@_jit
def _round_nodes(shelf, s, generator, strides, drop, fit, buffers, listing, first, stop, rounded):
    shelf, listing, ys, uniforms = borrowed(shelf), borrowed(listing), buffers[0], buffers[1]
    for v in range(first, stop):
        start, end = np.int64(shelf.node_start[v]), np.int64(shelf.node_start[v + 1])
        n = end - start
        if n == 0:
            continue
        y = part(ys, 0, n)
        for i in range(n):
            y[i] = max(s[start + i], 0.0)
        size, tail, x = part(shelf.sizes, start, end), shelf.tail[v], part(rounded, start, end)
        listed = list_support(size, y, tail, x, listing)
        draws = part(uniforms, 0, min(n, listed[0] + 2))
        fill_uniforms(generator, strides[v], draws)
        round_node(size, y, tail, shelf.smallest[v], listed, draws, drop, fit, room_of(shelf.budgets[v]), x, listing)


@_vector
def _ascent(s, share, saved, size, along):
    """Fill in g / s, 0 for what does not fit; returns the largest."""
    for i in range(len(s)):
        step = np.float64(share[i] * saved[i]) / size[i]
        along[i] = step if s[i] > -np.inf else 0.0
    return largest(along)
