"""Fast pack, Bregman projection and dependent rounding over (B, P); references in `idn_gym.allocation`."""

from __future__ import annotations

import numpy as np
from numba import njit

from idn_gym.allocation import Residual
from idn_gym.errors import IdnError
from idn_gym.network import BUDGET_SLACK, Network
from idn_gym.typing import FloatArray, IntArray

_jit = njit(cache=True, nogil=True, error_model="numpy")


def pack(network: Network, priority: FloatArray) -> IntArray:
    """(B, P) int8; see `allocation.pack`."""
    priority = _rows(network, "priority", priority)
    packed = np.zeros(priority.shape, dtype=np.int8)
    _pack(network.tables, priority, packed)
    return packed


def project(network: Network, log_h: FloatArray, mass: FloatArray) -> FloatArray:
    """(B, P) log y from (B, P) log h and mass (V,); see `allocation.project`."""
    log_h = _rows(network, "log_h", log_h)
    return mirror_step(network, log_h, np.zeros_like(log_h), np.zeros((len(log_h), network.V)), mass)


def mirror_step(
    network: Network, log_y: FloatArray, ascent: FloatArray, rate: FloatArray, mass: FloatArray
) -> FloatArray:
    """(B, P) log of the Bregman projection of h = y exp(rate x ascent).

    Parameters
    ----------
    log_y, ascent : (B, P).
    rate : (B, V) per node.
    mass : (V,) MB each node's state sums to; see `allocation.project`.
    """
    log_h = np.empty_like(_rows(network, "log_y", log_y))
    shifted, top = np.empty_like(log_h), np.empty((len(log_h), network.V))
    _shift(network.tables, log_y, _rows(network, "ascent", ascent), rate, log_h, shifted, top)
    np.exp(shifted, out=shifted)  # NumPy's is vectorised, a compiled loop's is not
    _clip(network.tables, shifted, top, mass, log_h)
    return log_h


def round_dependent(
    network: Network, allocation: FloatArray, uniforms: FloatArray, residual: Residual = "drop"
) -> IntArray:
    """(B, P) int8 from allocation and uniforms, both (B, P); see `allocation.round_dependent`."""
    allocation, uniforms = _rows(network, "allocation", allocation), _rows(network, "uniforms", uniforms)
    if len(uniforms) != len(allocation):
        raise IdnError(f"uniforms: {len(uniforms)} rows; must be {len(allocation)}, as the allocation")
    rounded = np.zeros(allocation.shape, dtype=np.int8)
    _round_dependent(network.tables, allocation, uniforms, residual == "drop", rounded)
    return rounded


def node_maximum(network: Network, values: FloatArray) -> FloatArray:
    """(B, V) largest value (B, P) among what fits at each node, at least 0."""
    values = _rows(network, "values", values)
    largest = np.zeros((len(values), network.V))
    _node_maximum(network.tables, values, largest)
    return largest


def memory(network: Network, allocation: IntArray, before: IntArray) -> tuple[FloatArray, FloatArray]:
    """(B, V) MB in use at each node and (B,) MB newly loaded since the allocation before, both (B, P) int8."""
    in_use, loaded = np.zeros((len(allocation), network.V)), np.zeros(len(allocation))
    _memory(network.tables, allocation, before, in_use, loaded)
    return in_use, loaded


def _rows(network: Network, name: str, values: FloatArray) -> FloatArray:
    values = np.ascontiguousarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != network.P:
        raise IdnError(f"{name}: shape {values.shape}; must be (B, {network.P})")
    return values


@_jit
def _memory(tables, allocation, before, in_use, loaded):
    for b in range(len(allocation)):
        for p in range(allocation.shape[1]):
            if allocation[b, p]:
                in_use[b, tables.placement_node[p]] += tables.sizes[p]
                if not before[b, p]:
                    loaded[b] += tables.sizes[p]


@_jit
def _node_maximum(tables, values, largest):
    for b in range(len(values)):
        for v in range(len(tables.budgets)):
            highest = 0.0
            for p in range(tables.node_start[v], tables.node_start[v + 1]):
                if tables.fits[p]:
                    highest = max(highest, values[b, p])
            largest[b, v] = highest


@_jit
def _fill(sizes, priority, start, stop, room, candidates, packed):
    """Place the best of what still fits until nothing does; what has no room now never has again."""
    n = 0
    for p in range(start, stop):
        if packed[p] == 0 and priority[p] > -np.inf and sizes[p] <= room:
            candidates[n] = p
            n += 1
    while n > 0:
        best = candidates[0]
        for c in range(1, n):
            if priority[candidates[c]] > priority[best]:
                best = candidates[c]
        packed[best] = 1
        room -= sizes[best]
        kept = 0
        for c in range(n):
            if candidates[c] != best and sizes[candidates[c]] <= room:
                candidates[kept] = candidates[c]
                kept += 1
        n = kept


@_jit
def _pack(tables, priority, packed):
    candidates = np.empty(priority.shape[1], dtype=np.int64)
    for b in range(len(priority)):
        for v in range(len(tables.budgets)):
            room = tables.budgets[v] * (1.0 + BUDGET_SLACK)
            start, stop = tables.node_start[v], tables.node_start[v + 1]
            _fill(tables.sizes, priority[b], start, stop, room, candidates, packed[b])


@_jit
def _shift(tables, log_y, ascent, rate, log_h, shifted, top):
    """Log h, and the same less its maximum at the node, so that its exponential neither overflows nor vanishes."""
    for b in range(len(log_y)):
        for v in range(len(tables.budgets)):
            start, stop = tables.node_start[v], tables.node_start[v + 1]
            highest = -np.inf
            for p in range(start, stop):
                log_h[b, p] = log_y[b, p] + rate[b, v] * ascent[b, p] if tables.fits[p] else -np.inf
                highest = max(highest, log_h[b, p])
            top[b, v] = highest
            for p in range(start, stop):
                shifted[b, p] = log_h[b, p] - highest if log_h[b, p] > -np.inf else -np.inf


@_jit
def _clip(tables, scaled, top, mass, log_h):
    """From log h, and h up to a factor per node, to log y in place: y = min(1, c h) with s.y = mass."""
    for b in range(len(log_h)):
        h, weight = log_h[b], scaled[b]
        for v in range(len(mass)):
            start, stop = tables.node_start[v], tables.node_start[v + 1]
            total = 0.0
            free = 0.0
            for p in range(start, stop):
                if tables.fits[p]:
                    total += tables.sizes[p]
                    free += tables.sizes[p] * weight[p]
            if total <= mass[v] or mass[v] <= 0.0:
                for p in range(start, stop):
                    h[p] = 0.0 if tables.fits[p] and mass[v] > 0.0 else -np.inf
                continue
            left = mass[v]
            highest = top[b, v]
            while True:  # clip what c would take past 1, until the clipped set stops growing
                if free < 1e-200:  # what is free has vanished beside what is clipped
                    highest = -np.inf
                    for p in range(start, stop):
                        if h[p] < np.inf:
                            highest = max(highest, h[p])
                    if highest == -np.inf:  # nothing free has any weight
                        break
                    free = 0.0
                    for p in range(start, stop):
                        if h[p] < np.inf:
                            weight[p] = np.exp(h[p] - highest)
                            free += tables.sizes[p] * weight[p]
                # the clipped may fill the node up to rounding; the others then keep a trace, or they could never return
                log_c = np.log(max(left, 1e-12 * mass[v]) / free) - highest
                grew = False
                free = 0.0
                for p in range(start, stop):
                    if h[p] == np.inf:
                        continue
                    if h[p] + log_c > 0.0:
                        h[p] = np.inf  # clipped
                        left -= tables.sizes[p]
                        grew = True
                    elif tables.fits[p]:
                        free += tables.sizes[p] * weight[p]
                if not grew:
                    break
            for p in range(start, stop):
                h[p] = 0.0 if h[p] == np.inf else h[p] + log_c


@_jit
def _round_dependent(tables, allocation, uniforms, drop, rounded):
    sizes = tables.sizes
    fractional = np.empty(allocation.shape[1], dtype=np.int64)
    mb = np.empty(allocation.shape[1])
    for b in range(len(allocation)):
        for v in range(len(tables.budgets)):
            start, stop = tables.node_start[v], tables.node_start[v + 1]
            n = 0
            for p in range(start, stop):
                if 0.0 < allocation[b, p] < 1.0:
                    fractional[n] = p
                    mb[p] = sizes[p] * allocation[b, p]
                    n += 1
                elif allocation[b, p] >= 1.0:
                    rounded[b, p] = 1
            last_coin = 0.0
            carried = -1
            size, held = 0.0, 0.0  # MB of the entry that is carried from pair to pair: when full, and now
            for k in range(n - 1, -1, -1):
                draw = uniforms[b, start + k] * (k + 1)
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
                        rounded[b, carried] = 1
                        carried, size, held = (-1, 0.0, 0.0) if empty else (p, other_size, other)
                else:
                    full, empty = down == other_size - other, down == held
                    held -= down
                    other += down
                    if full:
                        rounded[b, p] = 1
                    if empty:
                        carried, size, held = (-1, 0.0, 0.0) if full else (p, other_size, other)
            if carried >= 0 and not drop and last_coin * size < held:
                rounded[b, carried] = 1
            if drop:
                room = tables.budgets[v] * (1.0 + BUDGET_SLACK)
                for p in range(start, stop):
                    if rounded[b, p]:
                        room -= sizes[p]
                for p in range(start, stop):
                    if sizes[p] <= room:
                        mb[p] = allocation[b, p] / sizes[p]
                _fill(sizes, mb, start, stop, room, fractional, rounded[b])
