"""Gains over many slots of one allocation: by request type, and of adding placements, one or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.kernels.chains import chain_cuts, chain_joint_gains, chain_marginal_gains
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import indices, ranked, single, window_rows
from idn_gym.kernels.shared import borrowed, first_group, row_of, share_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray

_jit = compiled(error_model="numpy")
_inlined = compiled(error_model="numpy", inline="always")


def type_gains(
    network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, load: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gain (R,) of each type summed over T slots, and a supergradient (n,) of it per term; tolerance 0.

    One allocation (P,) serves all slots; `load` is `loads` of them. The gain is concave and separable over types:
    for every allocation y', the gain of a type is at most its value here plus its slopes times (y' - allocation).
    """
    constant, slope = type_cuts(network, requests, capacities, allocation, load)
    return constant + network.service.terms.by_type(slope, single("allocation", allocation, network.P)), slope


def type_cuts(
    network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray, load: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Constant (R,) and slope (n,), per term, of the linear functions above the types' gains that `type_gains` touches.

    With s the covering rank of a type in a slot, gamma its costs and l its potential capacities, its gain is at most

        r (gamma_K - gamma_s) + sum_{k<s} l_k (gamma_s - gamma_k) y_k

    for every y and, as each min in the gain is at most either of its arguments, for every s. So a covering rank that
    rounding got wrong costs tightness, not truth; and since no term is negative, the relative error of the sums stays
    within that of their number of terms.
    """
    requests, capacities, load = window_rows(network, requests, capacities, load)
    allocation = single("allocation", allocation, network.P)
    service = ranked(network)
    tables, start = service.tables, service.terms.start
    constant, slope = np.zeros(network.R), np.zeros(len(service.terms))

    def work(first: int, stop: int) -> None:
        _type_cuts(tables, start, requests, capacities, allocation, load, first, stop, constant, slope)

    over_rows(network.R, requests.shape[0] * service.K, work)
    if isinstance(service, RoutedService):
        chains = service.chains.tables

        def route(first: int, stop: int) -> None:
            chain_cuts(tables, chains, start, requests, capacities, allocation, load, first, stop, constant, slope)

        over_rows(len(chains.types), requests.shape[0] * len(chains.member_cost), route)
    return constant, slope


def marginal_gains(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    load: FloatArray,
    candidates: Any,
) -> FloatArray:
    """(n,) gain in ms, summed over T slots, of adding each candidate placement alone to one allocation (P,)."""
    requests, capacities, load = window_rows(network, requests, capacities, load)
    allocation = single("allocation", allocation, network.P)
    added = indices("candidates", candidates, network.P, "placements")
    gains, service = np.zeros(len(added)), ranked(network)
    _marginal_gains(service.tables, service.listing, requests, capacities, allocation, load, added, gains)
    if isinstance(service, RoutedService):
        slots = requests, capacities, allocation, load
        chain_marginal_gains(service.tables, service.chains.tables, service.chain_listing, *slots, added, gains)
    return gains


def joint_gains(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    load: FloatArray,
    sets: Sequence[Sequence[int]],
) -> FloatArray:
    """(n,) gain in ms, summed over T slots, of adding each set of placements to one allocation (P,), as a whole.

    Where a request needs several models, a set may gain although none of its placements does alone.
    """
    requests, capacities, load = window_rows(network, requests, capacities, load)
    allocation = single("allocation", allocation, network.P)
    try:
        added = indices("sets", [p for each in sets for p in each], network.P, "placements")
    except TypeError:
        raise IdnError(f"sets: {type(sets).__name__}; must be lists of placements") from None
    start = np.concatenate(([0], np.cumsum([len(each) for each in sets], dtype=np.int64)))
    gains, service = np.zeros(len(sets)), ranked(network)
    slots = requests, capacities, allocation, load, start, added, gains
    _joint_gains(service.tables, service.listing, *slots)
    if isinstance(service, RoutedService):
        chain_joint_gains(service.tables, service.chains.tables, service.chain_listing, *slots)
    return gains


@_jit
def _joint_gains(tables, listing, requests, capacities, y, load, start, placements, gains):
    """One placement of a set after the other: what they gain together, for types that rank their options."""
    tables, listing = borrowed(tables), borrowed(listing)
    requests, capacities, load, y = borrowed(requests), borrowed(capacities), borrowed(load), y.copy()
    for n in range(len(start) - 1):
        own = placements[start[n] : start[n + 1]]
        before = y[own]
        for p in own:
            gains[n] += marginal_gain(tables, listing, requests, capacities, y, load, p)
            y[p] = 1.0
        for i in range(len(own)):
            y[own[i]] = before[i]


@_jit
def _type_cuts(tables, start, requests, capacities, y, load, first, stop, constant, slope):
    tables, capacities, load, y = borrowed(tables), borrowed(capacities), borrowed(load), borrowed(y)
    options, costs = tables.options, tables.costs
    share = np.empty(options.shape[1])
    for rho in range(first, stop):
        last = tables.option_count[rho] - 1
        groups = first_group(tables, rho)
        for t in range(len(requests)):
            r = requests[t, rho]
            if r == 0.0:
                continue
            capacity = row_of(capacities, t)
            sum_w = 0.0
            star = last
            for k in range(last):
                p = options[rho, k]
                share[k] = share_of(tables, capacity, load[t], p, groups)
                sum_w += share[k] * y[p]
                if sum_w >= 1.0:
                    star = k
                    break
            at_star = costs[rho, star]
            constant[rho] += r * (costs[rho, last] - at_star)
            for k in range(star):
                slope[start[rho] + k] += r * share[k] * (at_star - costs[rho, k])


@_jit
def _marginal_gains(tables, listing, requests, capacities, y, load, candidates, gains):
    tables, listing = borrowed(tables), borrowed(listing)
    requests, capacities, load, y = borrowed(requests), borrowed(capacities), borrowed(load), borrowed(y)
    for n in range(len(candidates)):
        gains[n] = marginal_gain(tables, listing, requests, capacities, y, load, candidates[n])


@_inlined
def marginal_gain(tables, listing, requests, capacities, y, load, added):
    """Gain in ms, summed over the slots, of adding one placement alone; for other kernels."""
    start, types, ranks = listing
    options, costs = tables.options, tables.costs
    gain = 0.0
    for entry in range(start[added], start[added + 1]):
        rho, rank = types[entry], ranks[entry]
        last = tables.option_count[rho] - 1
        here = costs[rho, rank]
        groups = first_group(tables, rho)
        for t in range(len(requests)):
            r = requests[t, rho]
            if r == 0.0:
                continue
            capacity = row_of(capacities, t)
            left = 1.0  # of the batch, what better options leave over
            for k in range(rank):
                p = options[rho, k]
                if y[p] > 0.0:
                    left -= share_of(tables, capacity, load[t], p, groups) * y[p]
                    if left <= 0.0:
                        break
            if left <= 0.0:
                continue
            # what it takes over it takes from the worst options in use, the covering one first
            spare = left - min(left, share_of(tables, capacity, load[t], added, groups) * (1.0 - y[added]))
            saved = 0.0
            for k in range(rank, last):
                p = options[rho, k]
                if y[p] == 0.0:
                    continue
                w = min(left, share_of(tables, capacity, load[t], p, groups) * y[p])
                left -= w
                kept = min(w, spare)
                spare -= kept
                saved += (w - kept) * (costs[rho, k] - here)
                if left <= 0.0:
                    break
            saved += (left - min(left, spare)) * (costs[rho, last] - here)
            gain += r * saved
    return gain
