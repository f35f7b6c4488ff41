"""Fast serving, gain and subgradient in factored form with early exit.

With a the share of a type's class and w = a y, a type's batch is covered at the first option where the running sum of w
reaches 1, however many requests there are; so no (R, K) array is formed and nothing behind the covering option is read.
Sums are in float64 whatever the arrays hold.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from idn_gym.errors import IdnError
from idn_gym.kernels.chains import chain_gains, chain_serving
from idn_gym.kernels.classes import gain_of_classes, pairs_of
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import dtype_of, filled, ranked, request_rows, slot_rows
from idn_gym.kernels.shared import add_load, empty_load, first_group, load_width, row_of, share_of
from idn_gym.kernels.threads import over_rows
from idn_gym.model.chains import ChainTables
from idn_gym.model.network import Network
from idn_gym.model.ranked import TOLERANCE
from idn_gym.model.routed import RoutedService
from idn_gym.model.service import Served
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


def serve(network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
    """Serve each row of requests with an allocation, integral or fractional; fast where it is sparse."""
    requests, capacities, allocation, rows = slot_rows(network, requests, capacities, allocation, None)
    gain, cost, latency, inaccuracy, missed = np.zeros((5, rows))
    by_node = np.zeros((rows, network.V))
    served = Served(gain=gain, cost=cost, latency=latency, inaccuracy=inaccuracy, missed=missed, by_node=by_node)
    service = ranked(network)
    tables, listing = service.tables, service.listing
    chains, load = chains_of(network, requests)

    def work(first: int, stop: int) -> None:
        _serve(tables, listing, requests, capacities, allocation, first, stop, served)
        if chains is not None:
            chain_serving(tables, chains, requests, capacities, allocation, load, first, stop, served)

    over_rows(rows, network.P, work)
    return served


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


@intrinsic
def _trailing_zeros(typing_context, value):
    """Number of the lowest bit that is set in a uint64 other than 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@_jit
def _gain_and_subgradient(tables, requests, capacities, allocation, covered, first, stop, gain, gradient):
    placements = allocation.shape[1]
    load = np.empty(tables.groups + 1)
    share, w, saved = np.empty_like(allocation[0]), np.empty_like(allocation[0]), np.empty_like(allocation[0])
    for b in range(first, stop):
        r, capacity, y, g = row_of(requests, b), row_of(capacities, b), row_of(allocation, b), gradient[b]
        add_load(tables, r, load)
        for p in range(placements):  # apart from the next loop, so that both become vector instructions
            share[p] = load[tables.placement_group[p]]
        for p in range(placements):
            share[p] = min(1.0, capacity[p] * share[p])
            w[p] = share[p] * y[p]
            saved[p] = 0.0
        total = 0.0
        for rho in range(len(r)):
            if r[rho] == 0.0:
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
            total += r[rho] * (costs[last] - sum_cost - (1.0 - sum_w) * at_star)
            for k in range(star):
                saved[options[k]] += r[rho] * (at_star - costs[k])
        gain[b] = total
        for p in range(placements):
            g[p] = share[p] * saved[p]


@_jit
def _gain(tables, requests, capacities, allocation, first, stop, gain):
    placements = allocation.shape[1]
    load = np.empty(tables.groups + 1)
    w = np.empty(placements)
    for b in range(first, stop):
        r, capacity, y = row_of(requests, b), row_of(capacities, b), row_of(allocation, b)
        add_load(tables, r, load)
        for p in range(placements):
            w[p] = share_of(tables, capacity, load, p, np.uint64(0)) * y[p]
        total = 0.0
        for rho in range(len(r)):
            if r[rho] == 0.0:
                continue
            options, costs = tables.options[rho], tables.costs[rho]
            star = last = tables.option_count[rho] - 1
            sum_w = 0.0
            sum_cost = 0.0
            for k in range(last):
                here = w[options[k]]
                if sum_w + here >= 1.0:
                    star = k
                    break
                sum_w += here
                sum_cost += here * costs[k]
            total += r[rho] * (costs[last] - sum_cost - (1.0 - sum_w) * costs[star])
        gain[b] = total


@_jit
def _latency(tables, rho, k, p):
    """Ms to the k-th option of a type, placement p, and of its delay."""
    return tables.path_latencies[rho, tables.option_positions[rho, k]] + tables.delays[p]


@_jit
def _serve(tables, listing, requests, capacities, allocation, first, stop, served):
    start, listing_type, listing_rank = listing
    options, costs = tables.options, tables.costs
    load = empty_load(tables)
    # per type, a bit for every rank at which something is placed: few are, and only those are visited
    placed = np.zeros((options.shape[0], (options.shape[1] + 63) // 64), dtype=np.uint64)
    for b in range(first, stop):
        r, capacity, y, by_node = row_of(requests, b), row_of(capacities, b), row_of(allocation, b), served.by_node[b]
        add_load(tables, r, load)
        for p in range(len(y)):
            if y[p]:
                for entry in range(start[p], start[p + 1]):
                    rank = np.uint64(listing_rank[entry])
                    placed[listing_type[entry], rank >> np.uint64(6)] |= np.uint64(1) << (rank & np.uint64(63))
        for rho in range(len(r)):
            star = last = tables.option_count[rho] - 1
            groups, deadline, weight = first_group(tables, rho), tables.deadlines[rho], tables.accuracy_weights[rho]
            sum_w = 0.0
            cost = 0.0
            latency = 0.0
            inaccuracy = 0.0
            missed = 0.0
            for word in range(placed.shape[1]):
                waiting = placed[rho, word] if r[rho] > 0.0 else np.uint64(0)
                placed[rho, word] = 0
                while waiting and star == last:
                    k = 64 * word + np.int64(_trailing_zeros(waiting))
                    waiting &= waiting - np.uint64(1)
                    p = options[rho, k]
                    w = share_of(tables, capacity, load, p, groups) * y[p]
                    if sum_w + w >= 1.0:
                        star = k
                    else:
                        sum_w += w
                        cost += w * costs[rho, k]
                        ms = _latency(tables, rho, k, p)
                        latency += w * ms
                        inaccuracy += w * (weight * tables.inaccuracies[p])
                        missed += w if ms > deadline else 0.0
                        by_node[tables.placement_node[p]] += w * r[rho]
            left = 1.0 - sum_w
            cost += left * costs[rho, star]
            if star < last:
                p = options[rho, star]
                ms, points = _latency(tables, rho, star, p), weight * tables.inaccuracies[p]
                node = tables.placement_node[p]
            else:
                ms, points = tables.repository_latency[rho], tables.repository_inaccuracy[rho]
                node = tables.repository_node[rho]
            latency += left * ms
            inaccuracy += left * points
            missed += left if ms > deadline else 0.0
            by_node[node] += left * r[rho]
            served.cost[b] += r[rho] * cost
            served.gain[b] += r[rho] * (costs[rho, last] - cost)
            served.latency[b] += r[rho] * latency
            served.inaccuracy[b] += r[rho] * inaccuracy
            served.missed[b] += r[rho] * missed
