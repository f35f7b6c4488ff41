"""Fast serving, gain and subgradient in factored form with early exit.

With a = min(1, L/S) and w = a y, a type's batch is covered at the first option where the running sum of w reaches 1,
however many requests there are; so no (R, K) array is formed and nothing behind the covering option is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from idn_gym.errors import IdnError
from idn_gym.gain import TOLERANCE
from idn_gym.network import Network
from idn_gym.typing import FloatArray

_jit = njit(cache=True, nogil=True, error_model="numpy")
# stands for 1/0 where no request comes by: the share is then 1 wherever there is any capacity, and unused
_NO_LOAD = 1e300


class Served(NamedTuple):
    """What serving costs, per row; sums over the row's requests."""

    gain: FloatArray  # (B,) ms
    cost: FloatArray  # (B,) ms
    inaccuracy: FloatArray  # (B,) percentage points summed over requests
    by_node: FloatArray  # (B, V) requests served at each node


def gain(network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> FloatArray:
    """Gain (B,) in ms; see `gain.allocation_gain`."""
    requests, capacities, allocation, rows = _rows(network, requests, capacities, allocation)
    gain = np.zeros(rows)
    _gain(network.tables, requests, capacities, allocation, gain)
    return gain


def gain_and_subgradient(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    tolerance: float = TOLERANCE,
) -> tuple[FloatArray, FloatArray]:
    """Gain (B,) and subgradient (B, P), both in ms; see `gain.allocation_gain` and `gain.subgradient`."""
    requests, capacities, allocation, rows = _rows(network, requests, capacities, allocation)
    gain, gradient = np.zeros(rows), np.zeros((rows, network.P))
    _gain_and_subgradient(network.tables, requests, capacities, allocation, 1.0 - tolerance, gain, gradient)
    return gain, gradient


def serve(network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
    """Serve each row of requests with an allocation, integral or fractional."""
    requests, capacities, allocation, rows = _rows(network, requests, capacities, allocation)
    served = Served(np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros((rows, network.V)))
    _serve(network.tables, requests, capacities, allocation, served)
    return served


def type_gains(
    network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, load: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gain (R,) of each type summed over T slots, and a supergradient (R, K) in what the type lists; tolerance 0.

    One allocation (P,) serves all slots; `load` is `loads` of them. The gain is concave and separable over types:
    for every allocation y', the gain of a type is at most its value here plus its row times (y' - allocation).
    """
    requests, capacities, allocation, _ = _rows(network, requests, capacities, allocation)
    gain, gradient = np.zeros(network.R), np.zeros((network.R, network.K))
    _type_gains(network.tables, requests, capacities, allocation[0], load, gain, gradient)
    return gain, gradient


def marginal_gains(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    load: FloatArray,
    candidates: Any,
) -> FloatArray:
    """(n,) gain in ms, summed over T slots, of adding each candidate placement alone to one allocation (P,)."""
    requests, capacities, allocation, _ = _rows(network, requests, capacities, allocation)
    gains = np.zeros(len(candidates))
    _marginal_gains(
        network.tables, network.listing, requests, capacities, allocation[0], load, np.asarray(candidates), gains
    )
    return gains


def loads(network: Network, requests: FloatArray) -> FloatArray:
    """(B, V*N + 1) reciprocal of the requests S of each group; the last column is padding."""
    requests = np.atleast_2d(np.asarray(requests, dtype=np.float64))
    load = np.empty((len(requests), network.V * network.N + 1))
    for b in range(len(requests)):
        _reciprocal_load(network.tables, requests[b], load[b])
    return load


def _rows(
    network: Network, requests: Any, capacities: Any, allocation: Any
) -> tuple[FloatArray, FloatArray, FloatArray, int]:
    """Requests, capacities and allocation as float64 (B or 1, R/P/P), and B."""
    out = (
        _two_dimensional("requests", requests, network.R),
        _two_dimensional("capacities", capacities, network.P),
        _two_dimensional("allocation", allocation, network.P),
    )
    rows = max(len(out[0]), len(out[1]), len(out[2]))
    for name, array in zip(("requests", "capacities", "allocation"), out, strict=True):
        if len(array) not in (1, rows):
            raise IdnError(f"{name}: {len(array)} rows; must be {rows}, or 1 to serve all")
    return *out, rows


def _two_dimensional(name: str, values: Any, width: int) -> FloatArray:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != width:
        raise IdnError(f"{name}: shape {array.shape}; must be ({width},) or (B, {width})")
    return array


@_jit
def _row(array, b):
    return array[b] if len(array) > 1 else array[0]


@_jit
def _reciprocal_load(tables, requests, load):
    load[:] = 0.0
    for rho in range(len(requests)):
        for group in tables.path_groups[rho]:
            load[group] += requests[rho]
    for group in range(tables.groups):
        load[group] = 1.0 / load[group] if load[group] > 0.0 else _NO_LOAD


@_jit
def _share(tables, capacities, load, p):
    return min(1.0, capacities[p] * load[tables.placement_group[p]])


@_jit
def _gain_and_subgradient(tables, requests, capacities, allocation, covered, gain, gradient):
    options, costs = tables.options, tables.costs
    load = np.empty(tables.groups + 1)
    share = np.empty(options.shape[1])
    for b in range(len(gain)):
        r, capacity, y, g = _row(requests, b), _row(capacities, b), _row(allocation, b), gradient[b]
        _reciprocal_load(tables, r, load)
        total = 0.0
        for rho in range(len(r)):
            if r[rho] == 0.0:
                continue
            last = tables.option_count[rho] - 1
            sum_w = 0.0
            sum_cost = 0.0
            star = last
            for k in range(last):
                p = options[rho, k]
                share[k] = _share(tables, capacity, load, p)
                w = share[k] * y[p]
                if sum_w + w >= covered:
                    star = k
                    break
                sum_w += w
                sum_cost += w * costs[rho, k]
            at_star = costs[rho, star]
            total += r[rho] * (costs[rho, last] - sum_cost - (1.0 - sum_w) * at_star)
            for k in range(star):
                g[options[rho, k]] += r[rho] * share[k] * (at_star - costs[rho, k])
        gain[b] = total


@_jit
def _gain(tables, requests, capacities, allocation, gain):
    options, costs = tables.options, tables.costs
    load = np.empty(tables.groups + 1)
    for b in range(len(gain)):
        r, capacity, y = _row(requests, b), _row(capacities, b), _row(allocation, b)
        _reciprocal_load(tables, r, load)
        for rho in range(len(r)):
            if r[rho] == 0.0:
                continue
            star = last = tables.option_count[rho] - 1
            sum_w = 0.0
            sum_cost = 0.0
            for k in range(last):
                p = options[rho, k]
                if y[p] == 0.0:
                    continue
                w = _share(tables, capacity, load, p) * y[p]
                if sum_w + w >= 1.0:
                    star = k
                    break
                sum_w += w
                sum_cost += w * costs[rho, k]
            gain[b] += r[rho] * (costs[rho, last] - sum_cost - (1.0 - sum_w) * costs[rho, star])


@_jit
def _serve(tables, requests, capacities, allocation, served):
    options, costs = tables.options, tables.costs
    load = np.empty(tables.groups + 1)
    for b in range(len(served.gain)):
        r, capacity, y, by_node = _row(requests, b), _row(capacities, b), _row(allocation, b), served.by_node[b]
        _reciprocal_load(tables, r, load)
        for rho in range(len(r)):
            if r[rho] == 0.0:
                continue
            star = last = tables.option_count[rho] - 1
            sum_w = 0.0
            cost = 0.0
            inaccuracy = 0.0
            for k in range(last):
                p = options[rho, k]
                if y[p] == 0.0:
                    continue
                w = _share(tables, capacity, load, p) * y[p]
                if sum_w + w >= 1.0:
                    star = k
                    break
                sum_w += w
                cost += w * costs[rho, k]
                inaccuracy += w * tables.inaccuracies[p]
                by_node[tables.placement_node[p]] += w * r[rho]
            left = 1.0 - sum_w
            cost += left * costs[rho, star]
            if star < last:
                inaccuracy += left * tables.inaccuracies[options[rho, star]]
                by_node[tables.placement_node[options[rho, star]]] += left * r[rho]
            else:
                inaccuracy += left * tables.repository_inaccuracy[rho]
                by_node[tables.repository_node[rho]] += left * r[rho]
            served.cost[b] += r[rho] * cost
            served.gain[b] += r[rho] * (costs[rho, last] - cost)
            served.inaccuracy[b] += r[rho] * inaccuracy


@_jit
def _type_gains(tables, requests, capacities, y, load, gain, gradient):
    options, costs = tables.options, tables.costs
    share = np.empty(options.shape[1])
    for rho in range(requests.shape[1]):
        last = tables.option_count[rho] - 1
        for t in range(len(requests)):
            r = requests[t, rho]
            if r == 0.0:
                continue
            capacity = _row(capacities, t)
            sum_w = 0.0
            sum_cost = 0.0
            star = last
            for k in range(last):
                p = options[rho, k]
                share[k] = _share(tables, capacity, load[t], p)
                w = share[k] * y[p]
                if sum_w + w >= 1.0:
                    star = k
                    break
                sum_w += w
                sum_cost += w * costs[rho, k]
            at_star = costs[rho, star]
            gain[rho] += r * (costs[rho, last] - sum_cost - (1.0 - sum_w) * at_star)
            for k in range(star):
                gradient[rho, k] += r * share[k] * (at_star - costs[rho, k])


@_jit
def _marginal_gains(tables, listing, requests, capacities, y, load, candidates, gains):
    for n in range(len(candidates)):
        gains[n] = _marginal_gain(tables, listing, requests, capacities, y, load, candidates[n])


@_jit
def _marginal_gain(tables, listing, requests, capacities, y, load, added):
    start, types, ranks = listing
    options, costs = tables.options, tables.costs
    gain = 0.0
    for entry in range(start[added], start[added + 1]):
        rho, rank = types[entry], ranks[entry]
        last = tables.option_count[rho] - 1
        here = costs[rho, rank]
        for t in range(len(requests)):
            r = requests[t, rho]
            if r == 0.0:
                continue
            capacity = _row(capacities, t)
            left = 1.0  # of the batch, what better options leave over
            for k in range(rank):
                p = options[rho, k]
                if y[p] > 0.0:
                    left -= _share(tables, capacity, load[t], p) * y[p]
                    if left <= 0.0:
                        break
            if left <= 0.0:
                continue
            # what it takes over it takes from the worst options in use, the covering one first
            spare = left - min(left, _share(tables, capacity, load[t], added) * (1.0 - y[added]))
            saved = 0.0
            for k in range(rank, last):
                p = options[rho, k]
                if y[p] == 0.0:
                    continue
                w = min(left, _share(tables, capacity, load[t], p) * y[p])
                left -= w
                kept = min(w, spare)
                spare -= kept
                saved += (w - kept) * (costs[rho, k] - here)
                if left <= 0.0:
                    break
            saved += (left - min(left, spare)) * (costs[rho, last] - here)
            gain += r * saved
    return gain
