"""Fast serving: a row at a time, looking at what is placed alone, since little is.

Per request type there is a bit for each rank at which something is placed, and of a type for which there
is none the repository model serves all.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.chains import chain_serving
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.gain import chains_of
from idn_gym.kernels.rows import BITS, node_rows, placement_rows, ranked, shaped, slot_rows
from idn_gym.kernels.shared import (
    add_load,
    add_memory,
    borrowed,
    empty_load,
    first_group,
    placed_in,
    reciprocal,
    row_of,
    share_of,
    trailing_zeros,
)
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.model.service import Served
from idn_gym.typing import BoolArray, FloatArray, IntArray

_jit = compiled(error_model="numpy")


def serve(network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray) -> Served:
    """Serve each row of requests with an allocation, integral or fractional; fast where it is sparse."""
    requests, capacities, allocation, rows = slot_rows(network, requests, capacities, allocation, None)
    served, service = _nothing(network, rows), ranked(network)
    reads = service.tables, service.listing, service.visitors
    chains, load = chains_of(network, requests)

    def work(first: int, stop: int) -> None:
        _serve(reads, requests, capacities, allocation, first, stop, served)
        if chains is not None:
            chain_serving(reads[0], chains, requests, capacities, allocation, load, first, stop, served)

    over_rows(rows, network.P, work)
    return served


def serve_within(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: IntArray,
    before: IntArray,
    room: FloatArray,
) -> tuple[Served, FloatArray, BoolArray]:
    """`serve` and `memory` in one pass: what serving came to, (B,) MB newly loaded, and (B,) whether a node is over.

    `room` is (V,) or (B, V) MB; of a row that is over it, what serving came to has no meaning. Allocations, now and
    before, are (B, P) int8.
    """
    requests, capacities, allocation, rows = slot_rows(network, requests, capacities, allocation, None)
    allocation = placement_rows(network, "allocation", allocation, rows, "requests", kept=BITS)
    before = shaped("before", before, rows, network.P, kept=BITS)
    room = node_rows(network, "room", room, rows)
    served, loaded, over = _nothing(network, rows), np.zeros(rows), np.zeros(rows, dtype=np.bool_)
    service = ranked(network)
    reads = service.tables, service.listing, service.visitors
    shelf = network.tables
    chains, load = chains_of(network, requests)

    def work(first: int, stop: int) -> None:
        slots = requests, capacities, allocation
        _serve_within(reads, shelf, slots, before, room, first, stop, served, loaded, over)
        if chains is not None:
            chain_serving(reads[0], chains, *slots, load, first, stop, served)

    over_rows(rows, network.P, work)
    return served, loaded, over


def _nothing(network: Network, rows: int) -> Served:
    gain, cost, latency, inaccuracy, missed = np.zeros((5, rows))
    return Served(gain, cost, latency, inaccuracy, missed, np.zeros((rows, network.V)))


@_jit
def _serve(reads, requests, capacities, allocation, first, stop, served):
    found, scratch = np.empty(allocation.shape[1], dtype=np.uint32), _scratch(reads[0], allocation.shape[1])
    for b in range(first, stop):
        r, capacity, y = row_of(requests, b), row_of(capacities, b), row_of(allocation, b)
        _serve_row(reads, r, capacity, y, found, placed_in(y, found), scratch, b, served)


@_jit
def _serve_within(reads, shelf, slots, before, room, first, stop, served, loaded, over):
    requests, capacities, allocation = slots
    found, scratch = np.empty(allocation.shape[1], dtype=np.uint32), _scratch(reads[0], allocation.shape[1])
    used = np.empty(len(shelf.budgets))
    for b in range(first, stop):
        r, capacity, y = row_of(requests, b), row_of(capacities, b), allocation[b]
        count = placed_in(y, found)
        loaded[b] = add_memory(shelf.sizes, shelf.placement_node, y, before[b], found, count, used)
        over[b] = (used > row_of(room, b)).any()
        if not over[b]:
            _serve_row(reads, r, capacity, y, found, count, scratch, b, served)


@_jit
def _scratch(tables, placements):
    """Loads, shares, and per type a bit for each rank, which is left at 0."""
    ranks = np.zeros((tables.options.shape[0], (tables.options.shape[1] + 63) // 64), dtype=np.uint64)
    return empty_load(tables), np.empty(placements), ranks


@_jit
def _serve_row(reads, r, capacity, y, found, count, scratch, b, served):
    tables, (start, listing_type, listing_rank), (visits, visitor) = borrowed(reads)
    load, share, placed = borrowed(scratch)
    options, costs, by_node = tables.options, tables.costs, served.by_node[b]
    if tables.classes > 1:
        add_load(tables, r, load)
    else:  # where something is placed; in the loop itself, since arrays handed to a function have references counted
        for i in range(count):
            group, passing = np.uint64(tables.placement_group[found[i]]), 0.0
            for n in range(np.uint64(visits[group]), np.uint64(visits[group + np.uint64(1)])):
                passing += r[np.uint64(visitor[n])]
            load[group] = reciprocal(passing)
    for i in range(count):
        p = found[i]
        share[p] = share_of(tables, capacity, load, p, np.uint64(0)) * y[p]
        for entry in range(np.uint64(start[p]), np.uint64(start[np.uint64(p) + np.uint64(1)])):
            rank = np.uint64(listing_rank[entry])
            placed[np.uint64(listing_type[entry]), rank >> np.uint64(6)] |= np.uint64(1) << (rank & np.uint64(63))
    gain, all_cost, all_latency, all_inaccuracy, all_missed = 0.0, 0.0, 0.0, 0.0, 0.0
    for rho in range(len(r)):
        groups, deadline, weight = first_group(tables, rho), tables.deadlines[rho], tables.accuracy_weights[rho]
        # of what serves the rest: the repository model, or the option that covers it
        ms, points = tables.repository_latency[rho], tables.repository_inaccuracy[rho]
        node, at_rest = tables.repository_node[rho], tables.repository_cost[rho]
        sum_w, cost, latency, inaccuracy, missed = 0.0, 0.0, 0.0, 0.0, 0.0
        covered = r[rho] == 0.0
        for word in range(placed.shape[1]):
            waiting = placed[rho, word]
            if waiting == 0:
                continue
            placed[rho, word] = 0
            while waiting and not covered:
                k = 64 * word + np.int64(trailing_zeros(waiting))
                waiting &= waiting - np.uint64(1)
                p = options[rho, k]
                w = share_of(tables, capacity, load, p, groups) * y[p] if groups else share[p]
                here = tables.path_latencies[rho, tables.option_positions[rho, k]] + tables.delays[p]
                if sum_w + w >= 1.0:
                    ms, points = here, weight * tables.inaccuracies[p]
                    node, at_rest = tables.placement_node[p], costs[rho, k]
                    covered = True
                else:
                    sum_w += w
                    cost += w * costs[rho, k]
                    latency += w * here
                    inaccuracy += w * (weight * tables.inaccuracies[p])
                    missed += w if here > deadline else 0.0
                    by_node[tables.placement_node[p]] += w * r[rho]
        left = 1.0 - sum_w
        cost += left * at_rest
        by_node[node] += left * r[rho]
        all_cost += r[rho] * cost
        gain += r[rho] * (tables.repository_cost[rho] - cost)
        all_latency += r[rho] * (latency + left * ms)
        all_inaccuracy += r[rho] * (inaccuracy + left * points)
        all_missed += r[rho] * (missed + (left if ms > deadline else 0.0))
    served.gain[b], served.cost[b] = gain, all_cost
    served.latency[b], served.inaccuracy[b], served.missed[b] = all_latency, all_inaccuracy, all_missed
