"""Gains over many slots of one allocation: by request type, and of adding one placement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from idn_gym.kernels.gain import _row, _share
from idn_gym.kernels.rows import slot_rows
from idn_gym.network import Network
from idn_gym.typing import FloatArray

_jit = njit(cache=True, nogil=True, error_model="numpy")


def type_gains(
    network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, load: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gain (R,) of each type summed over T slots, and a supergradient (R, K) in what the type lists; tolerance 0.

    One allocation (P,) serves all slots; `load` is `loads` of them. The gain is concave and separable over types:
    for every allocation y', the gain of a type is at most its value here plus its row times (y' - allocation).
    """
    requests, capacities, allocation, _ = slot_rows(network, requests, capacities, allocation)
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
    requests, capacities, allocation, _ = slot_rows(network, requests, capacities, allocation)
    gains = np.zeros(len(candidates))
    _marginal_gains(
        network.tables, network.listing, requests, capacities, allocation[0], load, np.asarray(candidates), gains
    )
    return gains


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
