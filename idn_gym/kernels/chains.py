"""Fast twins of `idn_gym.model.routed` for the chains among the request types: what they add to gains and to serving.

Chain by chain and row by row: a chain that finds the same capacity as in the row before is not routed again.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.routing import lift, prices, route, scratch
from idn_gym.kernels.shared import first_group, row_of, share_of

_jit = compiled(error_model="numpy")
_CLOSED = 1e-12  # share of a flow that is rounding


@_jit
def chain_gains(service, chains, requests, capacities, allocation, load, tolerance, first, stop, gain, gradient):
    """Add the chains' gain (B,) and, where `gradient` has rows, their supergradient (B, P), for rows first to stop."""
    s = scratch(chains)
    w, last, share, slope = np.empty((4, _widest(chains)))
    for c in range(len(chains.types)):
        rho = chains.types[c]
        terms = _terms(chains, c)
        last[: len(terms)] = -1.0
        saved, known = 0.0, False
        for b in range(first, stop):
            r = row_of(requests, b)[rho]
            if r == 0.0:
                continue
            y = row_of(allocation, b)
            if _shares(service, rho, terms, row_of(capacities, b), row_of(load, b), y, share, w, last) or not known:
                saved, _ = route(chains, c, w, tolerance, False, s)
                known = True
                if len(gradient):
                    lift(chains, c, s)
                    prices(chains, c, s)
                    _slopes(chains, c, s, slope)
            gain[b] += r * saved
            if len(gradient):
                for n in range(len(terms)):
                    gradient[b, terms[n]] += r * share[n] * slope[n]


@_jit
def chain_cuts(service, chains, start, requests, capacities, y, load, first, stop, constant, slope):
    """Add constants (R,) and slopes (n,) per term of functions above the gains of chains first to stop; tolerance 0."""
    s = scratch(chains)
    w, last, share, price = np.empty((4, _widest(chains)))
    for c in range(first, stop):
        rho = chains.types[c]
        terms = _terms(chains, c)
        last[: len(terms)] = -1.0
        end, known = 0.0, False
        for t in range(len(requests)):
            r = requests[t, rho]
            if r == 0.0:
                continue
            if _shares(service, rho, terms, row_of(capacities, t), load[t], y, share, w, last) or not known:
                _, end = route(chains, c, w, 0.0, False, s)
                known = True
                lift(chains, c, s)
                prices(chains, c, s)
                _slopes(chains, c, s, price)
            constant[rho] += r * (chains.repository_cost[c] - end)
            for n in range(len(terms)):
                slope[start[rho] + n] += r * share[n] * price[n]


@_jit
def chain_marginal_gains(service, chains, listing, requests, capacities, y, load, candidates, gains):
    """Add what chains gain (n,), over the slots, by each candidate placement alone."""
    s = scratch(chains)
    w, last, share, before = np.empty((4, _widest(chains)))
    start, listed = listing
    for n in range(len(candidates)):
        p = candidates[n]
        for entry in range(start[p], start[p + 1]):
            c = listed[entry]
            rho = chains.types[c]
            terms = _terms(chains, c)
            own = np.searchsorted(terms, p)
            last[: len(terms)] = -1.0
            more, known, own_share = 0.0, False, -1.0
            for t in range(len(requests)):
                r = requests[t, rho]
                if r == 0.0:
                    continue
                changed = _shares(service, rho, terms, row_of(capacities, t), load[t], y, share, w, last)
                if changed or share[own] != own_share or not known:
                    known, own_share = True, share[own]
                    more = 0.0
                    if share[own] > 0.0 and y[p] < 1.0:
                        before[: len(terms)] = w[: len(terms)]
                        here, _ = route(chains, c, w, 0.0, False, s)
                        w[own] = share[own]
                        more = route(chains, c, w, 0.0, False, s)[0] - here
                        w[: len(terms)] = before[: len(terms)]
                gains[n] += r * more


@_jit
def chain_joint_gains(service, chains, listing, requests, capacities, y, load, start, placements, gains):
    """Add what chains gain (n,), over the slots, by each set of placements, placed together."""
    s = scratch(chains)
    room = np.empty((3, _widest(chains)))
    first, listed = listing
    here = np.full(len(chains.types), -1.0)
    met = np.full(len(chains.types), -1)
    y = y.copy()
    for n in range(len(start) - 1):
        own = placements[start[n] : start[n + 1]]
        before = y[own]
        for placed in range(2):
            for p in own:
                for entry in range(first[p], first[p + 1]):
                    c = listed[entry]
                    if placed and met[c] != n:
                        met[c] = n
                        gains[n] += _chain_gain(service, chains, c, requests, capacities, y, load, s, room) - here[c]
                    elif here[c] < 0.0 and not placed:
                        here[c] = _chain_gain(service, chains, c, requests, capacities, y, load, s, room)
            for i in range(len(own)):
                y[own[i]] = before[i] if placed else 1.0


@_jit
def _chain_gain(service, chains, c, requests, capacities, y, load, s, room):
    """Gain of one chain over the slots, in ms."""
    share, w, last = room
    rho = chains.types[c]
    terms = _terms(chains, c)
    last[: len(terms)] = -1.0
    saved, known, gain = 0.0, False, 0.0
    for t in range(len(requests)):
        r = requests[t, rho]
        if r == 0.0:
            continue
        if _shares(service, rho, terms, row_of(capacities, t), load[t], y, share, w, last) or not known:
            saved, _ = route(chains, c, w, 0.0, False, s)
            known = True
        gain += r * saved
    return gain


@_jit
def chain_serving(service, chains, requests, capacities, allocation, load, first, stop, served):
    """Add what serving the chains of rows first to stop comes to; `served` as of `idn_gym.model.service.Served`."""
    s = scratch(chains)
    w, last, share, _ = np.empty((4, _widest(chains)))
    for c in range(len(chains.types)):
        rho = chains.types[c]
        terms = _terms(chains, c)
        last[: len(terms)] = -1.0
        members = chains.member_start[chains.edge_start[c]], chains.member_start[chains.edge_start[c + 1]]
        saved, latency, inaccuracy, missed, known = 0.0, 0.0, 0.0, 0.0, False
        for b in range(first, stop):
            r = row_of(requests, b)[rho]
            if r == 0.0:
                continue
            y = row_of(allocation, b)
            if _shares(service, rho, terms, row_of(capacities, b), row_of(load, b), y, share, w, last) or not known:
                saved, _ = route(chains, c, w, 0.0, True, s)
                known = True
                latency, inaccuracy = _measures(chains, c, s)
                for k in range(members[0], members[1]):  # kept: finding the routes takes the flow apart
                    s.price[k - members[0]] = s.flow[k - members[0]] / chains.stages[c]
                missed = _late(chains, c, s) if chains.deadlines[c] < np.inf else 0.0
            served.gain[b] += r * saved
            served.cost[b] += r * (chains.repository_cost[c] - saved)
            served.latency[b] += r * latency
            served.inaccuracy[b] += r * inaccuracy
            served.missed[b] += r * missed
            served.by_node[b, service.repository_node[rho]] -= r  # where the ranked part has them
            for k in range(members[0], members[1]):
                served.by_node[b, chains.member_node[k]] += r * s.price[k - members[0]]


@_jit
def _widest(chains):
    """Terms of the chain with the most, and one for repository models."""
    most = 0
    for c in range(len(chains.types)):
        most = max(most, chains.term_start[c + 1] - chains.term_start[c])
    return most + 1


@_jit
def _terms(chains, c):
    return chains.term_placement[chains.term_start[c] : chains.term_start[c + 1]]


@_jit
def _shares(service, rho, terms, capacity, load, y, share, w, last):
    """Fill shares a and w = a y of a chain's terms, repository models behind them; whether w is another than `last`."""
    groups = first_group(service, rho)
    changed = False
    for n in range(len(terms)):
        p = terms[n]
        share[n] = share_of(service, capacity, load, p, groups)
        w[n] = share[n] * y[p]
        changed = changed or w[n] != last[n]
        last[n] = w[n]
    w[len(terms)] = np.inf
    return changed


@_jit
def _slopes(chains, c, s, slope):
    """Fill the prices of a chain's terms (n,): of all stages that a placement may serve, summed."""
    slope[: chains.term_start[c + 1] - chains.term_start[c] + 1] = 0.0
    start = chains.member_start[chains.edge_start[c]]
    for k in range(start, chains.member_start[chains.edge_start[c + 1]]):
        slope[chains.member_term[k]] += s.price[k - start]


@_jit
def _measures(chains, c, s):
    """Latency and inaccuracy of a unit that flows as `s` says."""
    latency, inaccuracy = 0.0, 0.0
    start = chains.member_start[chains.edge_start[c]]
    for e in range(chains.edge_start[c], chains.edge_start[c + 1]):
        latency += s.carried[e - chains.edge_start[c]] * chains.edge_latency[e]
        for k in range(chains.member_start[e], chains.member_start[e + 1]):
            latency += s.flow[k - start] * chains.member_latency[k]
            inaccuracy += s.flow[k - start] * chains.member_inaccuracy[k]
    return latency, inaccuracy


@_jit
def _late(chains, c, s):
    """Share of a unit on routes slower than the deadline; takes the flow apart, route by route, in order of edges."""
    first, stop = chains.edge_start[c], chains.edge_start[c + 1]
    base = chains.member_start[first]
    end = chains.state_start[c + 1] - chains.state_start[c] - 1
    left, late = 1.0, 0.0
    path = np.empty(stop - first, dtype=np.int64)
    used = np.empty(stop - first, dtype=np.int64)
    while left > _CLOSED:
        state, share, latency, length = 0, left, 0.0, 0
        for e in range(first, stop):
            if chains.edge_tail[e] != state or s.carried[e - first] <= 0.0:
                continue
            member = -1
            for k in range(chains.member_start[e], chains.member_start[e + 1]):
                if s.flow[k - base] > 0.0:
                    member = k
                    break
            serves = chains.member_start[e] != chains.member_start[e + 1]
            if serves and member < 0:
                continue
            share = min(share, s.flow[member - base] if serves else s.carried[e - first])
            latency += chains.edge_latency[e] + (chains.member_latency[member] if serves else 0.0)
            path[length], used[length] = e - first, member - base if serves else -1
            length += 1
            state = chains.edge_head[e]
        if state != end or share <= 0.0:
            break  # rounding is all that is left
        for n in range(length):
            s.carried[path[n]] = max(0.0, s.carried[path[n]] - share)
            if used[n] >= 0:
                s.flow[used[n]] = max(0.0, s.flow[used[n]] - share)
        left -= share
        if latency > chains.deadlines[c]:
            late += share
    return late
