"""Fast steps of mirror descent over (B, P): ascent, Bregman projection; references in `idn_gym.model.allocation`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import FLOATS, dtype_of, filled, node_rows, placement_rows
from idn_gym.kernels.shared import room_of, row_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray

# sums and maxima in any order, so that they become vector instructions; nothing here is NaN
_INVERSE = tuple(1.0 / math.factorial(n) for n in range(13))
_jit = compiled(error_model="numpy", fastmath={"reassoc", "nsz", "nnan", "contract"})


def project(
    placements: Placements, log_h: FloatArray, mass: FloatArray, budgets: FloatArray | None = None
) -> FloatArray:
    """(B, P) log y from (B, P) log h and mass (V,) or (B, V); see `allocation.project`."""
    log_h = placement_rows(placements, "log_h", log_h)
    return mirror_step(placements, log_h, np.zeros_like(log_h), np.zeros((1, placements.V)), mass, budgets)


def mirror_step(
    placements: Placements,
    log_y: FloatArray,
    ascent: FloatArray,
    rate: FloatArray,
    mass: FloatArray,
    budgets: FloatArray | None = None,
    out: FloatArray | None = None,
    state: FloatArray | None = None,
) -> FloatArray:
    """(B, P) log of the Bregman projection y' of h = y exp(rate x ascent).

    Parameters
    ----------
    log_y, ascent : (B, P).
    rate : (B, V) per node.
    mass : (V,) or (B, V) MB each node's state sums to; see `allocation.project`.
    budgets : (V,) or (B, V) MB, by default those of the placements; they say what fits.
    out, state : (B, P) to fill with log y' and y'; the dtype of `out`, by default float64, is that of the inputs.
    """
    log_y = placement_rows(placements, "log_y", log_y, dtype=dtype_of(out))
    ascent = placement_rows(placements, "ascent", ascent, len(log_y), "log_y", dtype=dtype_of(out))
    rate, mass = node_rows(placements, "rate", rate, len(log_y)), node_rows(placements, "mass", mass, len(log_y))
    budgets = node_rows(placements, "budgets", placements.budgets if budgets is None else budgets, len(log_y))
    out = np.empty(log_y.shape) if out is None else filled("out", out, log_y.shape)
    state = None if state is None else filled("state", state, log_y.shape)
    tables = placements.tables

    def work(first: int, stop: int) -> None:
        _mirror_step(tables, log_y, ascent, rate, mass, budgets, first, stop, out)
        if state is not None:
            np.exp(out[first:stop], out=state[first:stop])

    over_rows(len(log_y), placements.P, work)
    return out


def node_maximum(placements: Placements, values: FloatArray, budgets: FloatArray | None = None) -> FloatArray:
    """(B, V) largest value (B, P) among what fits at each node, at least 0."""
    values = placement_rows(placements, "values", values, kept=FLOATS)
    budgets = node_rows(placements, "budgets", placements.budgets if budgets is None else budgets, len(values))
    largest = np.zeros((len(values), placements.V))
    tables: Any = placements.tables

    def work(first: int, stop: int) -> None:
        _node_maximum(tables, values, budgets, first, stop, largest)

    over_rows(len(values), placements.P, work)
    return largest


@_jit
def _node_maximum(tables, values, budgets, first, stop, largest):
    sizes = tables.sizes
    for b in range(first, stop):
        budget, value = row_of(budgets, b), values[b]
        for v in range(len(budget)):
            room = room_of(budget[v])
            highest = 0.0
            for p in range(tables.node_start[v], tables.node_start[v + 1]):
                highest = max(highest, value[p] if sizes[p] <= room else 0.0)
            largest[b, v] = highest


@_jit
def exponential(x, factor, bits, out):
    """Exponential of x <= 709, in vector instructions, to within 2 units in the last place; 0 below e^-708.

    x = k ln 2 + r, and e^r by its Taylor polynomial. 2^k is assembled from k, which the addition of 1.5 x 2^52 leaves
    in the low bits of the sum. `bits` is `factor`, seen as integers.
    """
    for i in range(len(x)):
        clipped = max(x[i], -708.0)
        k = np.floor(clipped * 1.4426950408889634 + 0.5)
        r = (clipped - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
        e = r * _INVERSE[12] + _INVERSE[11]
        e = e * r + _INVERSE[10]
        e = e * r + _INVERSE[9]
        e = e * r + _INVERSE[8]
        e = e * r + _INVERSE[7]
        e = e * r + _INVERSE[6]
        e = e * r + _INVERSE[5]
        e = e * r + _INVERSE[4]
        e = e * r + _INVERSE[3]
        e = e * r + _INVERSE[2]
        e = e * r + 1.0
        out[i] = e * r + 1.0
        factor[i] = k + (6755399441055744.0 + 1023.0)
    for i in range(len(x)):
        bits[i] <<= 52
    for i in range(len(x)):
        out[i] = out[i] * factor[i] if x[i] >= -708.0 else 0.0


@_jit
def _mirror_step(tables, log_y, ascent, rate, mass, budgets, first, stop, out):
    """Per node, log h and h up to a factor; then what is clipped at 1 is found, and the rest scaled to the mass."""
    sizes = tables.sizes
    placements = log_y.shape[1]
    log_h, weight, factor = np.empty(placements), np.empty(placements), np.empty(placements)
    bits = factor.view(np.int64)
    for b in range(first, stop):
        etas, masses, budget = row_of(rate, b), row_of(mass, b), row_of(budgets, b)
        for v in range(len(budget)):
            start, end = tables.node_start[v], tables.node_start[v + 1]
            n = end - start
            if n == 0:
                continue
            size, h, g = sizes[start:end], log_h[:n], weight[:n]
            before, along = log_y[b, start:end], ascent[b, start:end]
            room, eta = room_of(budget[v]), etas[v]
            highest = -np.inf
            total = 0.0
            for i in range(n):
                fits = size[i] <= room
                h[i] = before[i] + eta * along[i] if fits else -np.inf
                highest = max(highest, h[i])
                total += size[i] if fits else 0.0
            if total <= masses[v] or masses[v] <= 0.0:
                for i in range(n):
                    inside = masses[v] > 0.0 and size[i] <= room
                    out[b, start + i] = 0.0 if inside else -np.inf
                continue
            highest = max(highest, -1e308)
            for i in range(n):
                h[i] -= highest  # now at most 0
            exponential(h, factor[:n], bits[:n], g)
            log_c = scale_to(size, h, g, masses[v])
            for i in range(n):
                out[b, start + i] = 0.0 if h[i] == np.inf else h[i] + log_c


@_jit
def scale_to(size, h, weight, mass):
    """Log c, so that y = min(1, c h) sums to the mass; what is clipped is marked by h = inf, what is not may move."""
    free = 0.0
    for i in range(len(h)):
        free += size[i] * weight[i]
    left = mass
    log_c = 0.0
    while True:  # clip what c would take past 1, until the clipped set stops growing
        if free < 1e-200:  # what is free has vanished beside what is clipped
            largest = -np.inf
            for i in range(len(h)):
                if h[i] < np.inf:
                    largest = max(largest, h[i])
            if largest == -np.inf:  # nothing free has any weight
                break
            free = 0.0
            for i in range(len(h)):
                if h[i] < np.inf:
                    h[i] -= largest  # here and not in log c, whose digits it would take where it is large
                    weight[i] = np.exp(h[i])
                    free += size[i] * weight[i]
        # the clipped may fill the node up to rounding; the others then keep a trace, or they could never return
        log_c = np.log(max(left, 1e-12 * mass) / free)
        grew = False
        free = 0.0
        for i in range(len(h)):
            if h[i] == np.inf:
                continue
            if h[i] + log_c > 0.0:
                h[i] = np.inf  # clipped
                left -= size[i]
                grew = True
            else:
                free += size[i] * weight[i]
        if not grew:
            break
    return log_c
