"""Fast pack, Bregman projection and dependent rounding over (B, P); references in `idn_gym.allocation`."""

from __future__ import annotations

import numpy as np
from numba import njit

from idn_gym.allocation import Residual
from idn_gym.errors import IdnError
from idn_gym.network import BUDGET_SLACK, Network
from idn_gym.typing import FloatArray

_jit = njit(cache=True, nogil=True, error_model="numpy")


def pack(network: Network, priority: FloatArray) -> FloatArray:
    """(B, P) int8; see `allocation.pack`."""
    priority = _rows(network, "priority", priority)
    packed = np.zeros(priority.shape, dtype=np.int8)
    _pack(network.tables, priority, packed)
    return packed


def project(network: Network, log_h: FloatArray, mass: FloatArray) -> FloatArray:
    """(B, P) log y from (B, P) log h and mass (V,); see `allocation.project`."""
    log_y = np.empty_like(_rows(network, "log_h", log_h))
    _project(network.tables, _rows(network, "log_h", log_h), mass, log_y)
    return log_y


def round_dependent(
    network: Network, allocation: FloatArray, uniforms: FloatArray, residual: Residual = "drop"
) -> FloatArray:
    """(B, P) int8 from allocation (B, P) and uniforms (B, 2, P); see `allocation.round_dependent`."""
    allocation = _rows(network, "allocation", allocation)
    if uniforms.shape != (len(allocation), 2, network.P):
        raise IdnError(f"uniforms: shape {uniforms.shape}; must be {(len(allocation), 2, network.P)}")
    rounded = np.zeros(allocation.shape, dtype=np.int8)
    _round_dependent(network.tables, allocation, uniforms, residual == "drop", rounded)
    return rounded


def node_maximum(network: Network, values: FloatArray) -> FloatArray:
    """(B, V) largest value (B, P) among what fits at each node, at least 0."""
    values = _rows(network, "values", values)
    largest = np.zeros((len(values), network.V))
    _node_maximum(network.tables, values, largest)
    return largest


def memory(network: Network, allocation: FloatArray, before: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(B, V) MB in use at each node, and (B,) MB newly loaded since the allocation before; both integral (B, P) int8."""
    in_use, loaded = np.zeros((len(allocation), network.V)), np.zeros(len(allocation))
    _memory(network.tables, allocation, before, in_use, loaded)
    return in_use, loaded


def _rows(network: Network, name: str, values: FloatArray) -> FloatArray:
    values = np.ascontiguousarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != network.P:
        raise IdnError(f"{name}: shape {values.shape}; must be (B, {network.P})")
    return values


@_jit
def _memory(tables, allocation, before, in_use, loaded):  # type: ignore[no-untyped-def]
    for b in range(len(allocation)):
        for p in range(allocation.shape[1]):
            if allocation[b, p]:
                in_use[b, tables.placement_node[p]] += tables.sizes[p]
                if not before[b, p]:
                    loaded[b] += tables.sizes[p]


@_jit
def _node_maximum(tables, values, largest):  # type: ignore[no-untyped-def]
    for b in range(len(values)):
        for p in range(values.shape[1]):
            v = tables.placement_node[p]
            if tables.fits[p] and values[b, p] > largest[b, v]:
                largest[b, v] = values[b, p]


@_jit
def _fill(sizes, priority, start, stop, room, candidates, packed):  # type: ignore[no-untyped-def]
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
def _pack(tables, priority, packed):  # type: ignore[no-untyped-def]
    candidates = np.empty(priority.shape[1], dtype=np.int64)
    for b in range(len(priority)):
        for v in range(len(tables.budgets)):
            room = tables.budgets[v] * (1.0 + BUDGET_SLACK)
            start, stop = tables.node_start[v], tables.node_start[v + 1]
            _fill(tables.sizes, priority[b], start, stop, room, candidates, packed[b])


@_jit
def _project(tables, log_h, mass, log_y):  # type: ignore[no-untyped-def]
    scaled = np.empty(log_h.shape[1])
    for b in range(len(log_h)):
        h, y = log_h[b], log_y[b]
        for v in range(len(mass)):
            start, stop = tables.node_start[v], tables.node_start[v + 1]
            total = 0.0
            top = -np.inf
            for p in range(start, stop):
                y[p] = -np.inf
                if tables.fits[p]:
                    total += tables.sizes[p]
                    top = max(top, h[p])
            if total <= mass[v]:
                for p in range(start, stop):
                    if tables.fits[p]:
                        y[p] = 0.0
                continue
            left = mass[v]
            if left <= 0.0:
                continue
            for p in range(start, stop):
                if tables.fits[p]:
                    scaled[p] = tables.sizes[p] * np.exp(h[p] - top)
            while True:  # clip what c would take past 1, until the clipped set stops growing
                weight = 0.0
                for p in range(start, stop):
                    if tables.fits[p] and y[p] < 0.0:
                        weight += scaled[p]
                if weight < 1e-200:  # all that is free has underflowed beside the old top
                    top = -np.inf
                    for p in range(start, stop):
                        if tables.fits[p] and y[p] < 0.0:
                            top = max(top, h[p])
                    if top == -np.inf:  # nothing free has any weight
                        break
                    for p in range(start, stop):
                        if tables.fits[p] and y[p] < 0.0:
                            scaled[p] = tables.sizes[p] * np.exp(h[p] - top)
                    continue
                # the clipped may fill the node up to rounding; the others then keep a trace, or they could never return
                log_c = np.log(max(left, 1e-12 * mass[v]) / weight) - top
                grew = False
                for p in range(start, stop):
                    if tables.fits[p] and y[p] < 0.0 and h[p] + log_c > 0.0:
                        y[p] = 0.0
                        left -= tables.sizes[p]
                        grew = True
                if not grew:
                    break
            for p in range(start, stop):
                if tables.fits[p] and y[p] < 0.0:
                    y[p] = h[p] + log_c


@_jit
def _round_dependent(tables, allocation, uniforms, drop, rounded):  # type: ignore[no-untyped-def]
    sizes = tables.sizes
    fractional = np.empty(allocation.shape[1], dtype=np.int64)
    mb = np.empty(allocation.shape[1])
    for b in range(len(allocation)):
        order, coin = uniforms[b, 0], uniforms[b, 1]
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
            for k in range(n - 1, 0, -1):
                other = int(order[start + k] * (k + 1))
                fractional[k], fractional[other] = fractional[other], fractional[k]
            draw = start
            carried = -1
            held = 0.0  # MB of the entry that is carried from pair to pair
            for k in range(n):
                p = fractional[k]
                if carried < 0:
                    carried, held = p, mb[p]
                    continue
                up = min(sizes[carried] - held, mb[p])
                down = min(held, sizes[p] - mb[p])
                if coin[draw] * (up + down) < down:
                    full = up == sizes[carried] - held
                    empty = up == mb[p]
                    held += up
                    mb[p] -= up
                    if full:
                        rounded[b, carried] = 1
                        carried, held = (-1, 0.0) if empty else (p, mb[p])
                else:
                    empty = down == held
                    full = down == sizes[p] - mb[p]
                    held -= down
                    mb[p] += down
                    if full:
                        rounded[b, p] = 1
                    if empty:
                        carried, held = (-1, 0.0) if full else (p, mb[p])
                draw += 1
            if carried >= 0 and not drop and coin[draw] * sizes[carried] < held:
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
