"""Fast serving: a row at a time, looking at what is placed alone, since little is.

Per request type there is a bit for each rank at which something is placed, and of a type for which there
is none the repository model serves all.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.chains import chain_serving
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.gain import chains_of
from idn_gym.kernels.rows import ranked, slot_rows
from idn_gym.kernels.shared import add_load, empty_load, first_group, placed_in, row_of, share_of, trailing_zeros
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.model.service import Served
from idn_gym.typing import FloatArray

_jit = compiled(error_model="numpy")


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


@_jit
def _serve(tables, listing, requests, capacities, allocation, first, stop, served):
    start, listing_type, listing_rank = listing
    options, costs = tables.options, tables.costs
    load = empty_load(tables)
    found, share = np.empty(allocation.shape[1], dtype=np.uint32), np.empty(allocation.shape[1])
    placed = np.zeros((options.shape[0], (options.shape[1] + 63) // 64), dtype=np.uint64)  # a bit for every rank
    for b in range(first, stop):
        r, capacity, y, by_node = row_of(requests, b), row_of(capacities, b), row_of(allocation, b), served.by_node[b]
        add_load(tables, r, load)
        for i in range(placed_in(y, found)):
            p = found[i]
            share[p] = share_of(tables, capacity, load, p, np.uint64(0)) * y[p]
            for entry in range(start[p], start[np.uint64(p) + np.uint64(1)]):
                rank = np.uint64(listing_rank[entry])
                placed[listing_type[entry], rank >> np.uint64(6)] |= np.uint64(1) << (rank & np.uint64(63))
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
