"""Fast gain and subgradient in factored form with early exit.

With a the share of a type's class and w = a y, a type's batch is covered at the first option where the running sum of w
reaches 1, however many requests there are; so no (R, K) array is formed and nothing behind the covering option is read.
Sums are in float64 whatever the arrays hold.
"""

from __future__ import annotations

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.kernels.chains import chain_gains
from idn_gym.kernels.classes import gain_of_classes, pairs_of
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import dtype_of, filled, ranked, request_rows, slot_rows
from idn_gym.kernels.shared import add_load, load_width, row_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.chains import ChainTables
from idn_gym.model.network import Network
from idn_gym.model.ranked import TOLERANCE
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray

_jit = compiled(error_model="numpy")


def gain(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    out: FloatArray | None = None,
) -> FloatArray:
    """Gain (B,) in ms; see `gain.allocation_gain`. The dtype of `out`, by default float64, is that of the inputs."""
    requests, capacities, allocation, rows = slot_rows(network, requests, capacities, allocation, dtype_of(out))
    gain = np.empty(rows) if out is None else filled("out", out, (rows,))
    service = ranked(network)
    tables, none = service.tables, gain[:0, None]
    chains, load = chains_of(network, requests)

    def work(first: int, stop: int) -> None:
        if service.classes == 1:
            _gain(tables, requests, capacities, allocation, first, stop, gain)
        else:
            gain_of_classes(tables, pairs_of(service), requests, capacities, allocation, 1.0, first, stop, gain, none)
        if chains is not None:
            chain_gains(tables, chains, requests, capacities, allocation, load, 0.0, first, stop, gain, none)

    over_rows(rows, network.P, work)
    return gain


def gain_and_subgradient(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    tolerance: float = TOLERANCE,
    out: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Gain (B,) and subgradient (B, P), both in ms; see `gain.allocation_gain` and `gain.subgradient`.

    `out`: arrays to fill; their dtype, by default float64, is that of the inputs.
    """
    first_out, second_out = (None, None) if out is None else _pair(out)
    slots = slot_rows(network, requests, capacities, allocation, dtype_of(first_out))
    requests, capacities, allocation, rows = slots
    gain = np.empty(rows) if out is None else filled("out[0]", first_out, (rows,))
    gradient = np.empty((rows, network.P)) if out is None else filled("out[1]", second_out, (rows, network.P))
    service, covered = ranked(network), 1.0 - tolerance
    tables = service.tables
    chains, load = chains_of(network, requests)

    def work(first: int, stop: int) -> None:
        slots = requests, capacities, allocation, covered, first, stop, gain, gradient
        if service.classes == 1:
            _gain_and_subgradient(tables, *slots)
        else:
            gain_of_classes(tables, pairs_of(service), *slots)
        if chains is not None:
            rows = requests, capacities, allocation, load, tolerance, first, stop
            chain_gains(tables, chains, *rows, gain, gradient)

    over_rows(rows, network.P, work)
    return gain, gradient


def loads(network: Network, requests: FloatArray) -> FloatArray:
    """What kernels want to know of requests to share capacities: reciprocals of S by group (B, groups), and more.

    Then come a column of padding and, of several classes, the requests by group of the classes above it.
    """
    requests, service = request_rows(network, requests), ranked(network)
    load = np.empty((len(requests), load_width(service)))
    for b in range(len(requests)):
        add_load(service.tables, requests[b], load[b])
    return load


def chains_of(network: Network, requests: FloatArray) -> tuple[ChainTables | None, FloatArray | None]:
    """What the kernels of chains read, and the `loads` of requests (B, R); None where no request type is a chain."""
    if not isinstance(network.service, RoutedService):
        return None, None
    return network.service.chains.tables, loads(network, requests)


def _pair(out: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise IdnError(f"out: {type(out).__name__}; must be a tuple of two arrays, for gain and subgradient")
    return out


@_jit
def slot_gain(tables, r, capacity, y, covered, load, share, w, saved):
    """Gain of a slot of one class; `share` and `saved` (P,) are filled, whose product is the subgradient.

    `load` (groups + 1,) and `w` (P,) are scratch.
    """
    add_load(tables, r, load)
    for p in range(len(y)):  # apart from the next loop, so that both become vector instructions
        share[p] = load[tables.placement_group[p]]
    for p in range(len(y)):
        share[p] = min(1.0, capacity[p] * share[p])
        w[p] = share[p] * y[p]
        saved[p] = 0.0
    order, total = tables.entry_order, 0.0
    each = np.empty(len(order))
    for i in range(len(r)):
        rho = np.uint64(order[i]) if len(order) else np.uint64(i)
        if r[rho] == 0.0:
            if len(order):
                each[rho] = 0.0
            continue
        options, costs = tables.options[rho], tables.costs[rho]
        last = tables.option_count[rho] - 1
        sum_w = 0.0
        sum_cost = 0.0
        star = last
        for k in range(last):
            here = w[options[k]]
            if sum_w + here >= covered:
                star = k
                break
            sum_w += here
            sum_cost += here * costs[k]
        at_star = costs[star]
        of_type = r[rho] * (costs[last] - sum_cost - (1.0 - sum_w) * at_star)
        for k in range(star):
            saved[options[k]] += r[rho] * (at_star - costs[k])
        if len(order):
            each[rho] = of_type
        else:
            total += of_type
    return in_order(each, total)


@_jit
def in_order(each, total):
    """A total and all of these, added in their order, which the sum depends on."""
    for value in each:
        total += value
    return total


@_jit
def _gain_and_subgradient(tables, requests, capacities, allocation, covered, first, stop, gain, gradient):
    load = np.empty(tables.groups + 1)
    share, w, saved = np.empty_like(allocation[0]), np.empty_like(allocation[0]), np.empty_like(allocation[0])
    for b in range(first, stop):
        slot, g = (row_of(requests, b), row_of(capacities, b), row_of(allocation, b)), gradient[b]
        gain[b] = slot_gain(tables, *slot, covered, load, share, w, saved)
        for p in range(len(g)):
            g[p] = share[p] * saved[p]


@_jit
def _gain(tables, requests, capacities, allocation, first, stop, gain):
    placements = allocation.shape[1]
    load = np.empty(tables.groups + 1)
    w = np.empty(placements)
    order = tables.entry_order
    each = np.empty(len(order))
    for b in range(first, stop):
        r, capacity, y = row_of(requests, b), row_of(capacities, b), row_of(allocation, b)
        add_load(tables, r, load)
        for p in range(placements):  # apart from the next loop, so that both become vector instructions
            w[p] = load[tables.placement_group[p]]
        for p in range(placements):
            w[p] = min(1.0, capacity[p] * w[p]) * y[p]
        options, costs, total = tables.options, tables.costs, 0.0
        for i in range(len(r)):
            rho = np.uint64(order[i]) if len(order) else np.uint64(i)
            if r[rho] == 0.0:
                if len(order):
                    each[rho] = 0.0
                continue
            star = last = tables.option_count[rho] - 1
            sum_w = 0.0
            sum_cost = 0.0
            for k in range(last):
                here = w[options[rho, k]]
                if sum_w + here >= 1.0:
                    star = k
                    break
                sum_w += here
                sum_cost += here * costs[rho, k]
            of_type = r[rho] * (costs[rho, last] - sum_cost - (1.0 - sum_w) * costs[rho, star])
            if len(order):
                each[rho] = of_type
            else:
                total += of_type
        gain[b] = in_order(each, total)
