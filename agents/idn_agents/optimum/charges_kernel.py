"""Compiled: the most that request types are left with of their gains, over what nodes may hold.

`idn_agents.optimum.charges` is the door: arguments are checked there, and what is proven stands there.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import first_group, row_of, share_of

_PATIENT, _GIVEN_UP = 200, 2e-7  # choices, from which on so much of the ceiling is given up for each
_jit = compiled(error_model="numpy")


@_jit
def shares_of(tables, requests, capacities, load, rho, shares):
    """Fill in (T, n) the shares of a type's n placements; returns the n."""
    count = tables.option_count[rho] - 1
    groups = first_group(tables, rho)
    for t in range(len(requests)):
        capacity = row_of(capacities, t)
        for k in range(count):
            shares[t, k] = share_of(tables, capacity, load[t], tables.options[rho, k], groups)
    return count


@_jit
def gain_of(requests, shares, costs, held, count):
    """Ms that the first `count` of `held`, numbers of options in ascending order, gain over the slots."""
    gain = 0.0
    for t in range(len(requests)):
        covered, saved = 0.0, 0.0
        for i in range(count):
            k = held[i]
            covered += shares[t, k]
            following = costs[held[i + 1]] if i + 1 < count else costs[-1]
            saved += (following - costs[k]) * min(1.0, covered)
            if covered >= 1.0:
                saved += costs[-1] - following
                break
        gain += requests[t] * saved
    return gain


@_jit
def most_of(requests, shares, costs, charges, fixed, sizes, nodes, rooms, limit, chosen):
    """The most of gain less charges that a choice of options may have; `chosen` is filled in with the best one met.

    Depth first, best marginal gain first. What a choice is left with rises by no more than the sum of the net marginal
    gains of all that may be added, since gains are submodular; nor above the fractional knapsack of all requests, which
    no slot can exceed by more than it has. The more choices were looked at, the more above the best may be what is not
    looked into any more, and counts as reached; after `limit` choices, all is that is left.

    Parameters
    ----------
    requests, shares : (T,) and (T, n).
    costs : (n + 1,) ms, ascending, the last one that of the repository.
    charges : (n,) ms >= 0, for every option of a choice.
    fixed : (n,) 1 where an option is in every choice, 0 where it is in none, below 0 where it may be.
    sizes, nodes, rooms : (n,) MB, (n,), MB by node; the rooms are restored.
    limit : choices to look at.
    chosen : (n,) bool.

    Returns
    -------
    An upper bound, and the number of choices looked at.
    """
    n = len(charges)
    total = requests.sum()
    served = np.zeros(n)  # requests that each could serve
    for t in range(len(requests)):
        for k in range(n):
            served[k] += requests[t] * shares[t, k]
    twin = np.zeros(n, dtype=np.bool_)  # no better than the option before it: only chosen together with that
    kink = np.zeros(n)  # ms a request, above which an option does not pay
    for k in range(n):
        if k > 0 and nodes[k] == nodes[k - 1] and sizes[k] == sizes[k - 1] and costs[k] == costs[k - 1]:
            alike = fixed[k] < 0 and fixed[k - 1] < 0 and charges[k] >= charges[k - 1]
            twin[k] = alike and (shares[:, k] == shares[:, k - 1]).all()
        kink[k] = costs[n] - costs[k] - (charges[k] / served[k] if served[k] > 0.0 else np.inf)
    by_kink = np.argsort(-kink)
    held, trial = np.empty(n + 1, dtype=np.int64), np.empty(n + 1, dtype=np.int64)
    at = np.empty(n + 1, dtype=np.int64)  # option added at each depth
    open_ = np.empty((n + 1, n), dtype=np.int64)  # per depth: options that may be added, the best first
    net = np.empty((n + 1, n))
    counts, places = np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    values, rest = np.zeros(n + 1), np.zeros(n + 1)
    free, has = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    marginal, listed = np.zeros(n), np.zeros(n, dtype=np.int64)  # of the choice looked at last, and when that was
    # looked up on the way back, since what is added and subtracted again drifts: what is charged at each depth, ms, and
    # the room before an option was added, MB
    charged, room = np.zeros(n + 1), np.empty(n)
    base = 0  # options that are in every choice
    for k in range(n):
        if fixed[k] == 1:
            held[base] = k
            base += 1
            has[k] = True
            charged[0] += charges[k]
            room[k] = rooms[nodes[k]]
            rooms[nodes[k]] -= sizes[k]
    values[0] = gain_of(requests, shares, costs, held, base) - charged[0]
    best = reached = values[0]  # the bound, and what the best choice met is left with
    looked = 0
    given_up = _GIVEN_UP * total * (costs[n] - costs[0])  # ms, of what may be left out, for each choice looked at
    chosen[:] = has
    entered = True
    depth = 0
    while depth >= 0:
        if entered:  # list what may be added
            entered = False
            looked += 1
            value = values[depth]
            count = 0
            above = open_[max(depth - 1, 0)]
            first = places[depth - 1] if depth else 0
            many = counts[depth - 1] if depth else n
            rest[depth] = 0.0
            for i in range(first, many):
                k = above[i] if depth else i
                if fixed[k] >= 0 or sizes[k] > rooms[nodes[k]]:
                    continue
                if twin[k] and not has[k - 1]:
                    if listed[k - 1] != looked:  # left out, and so is this one
                        continue
                    gain = marginal[k - 1] - (charges[k] - charges[k - 1])
                else:
                    _insert(held, base + depth, k, trial)
                    gain = gain_of(requests, shares, costs, trial, base + depth + 1)
                    gain = gain - charged[depth] - charges[k] - value
                marginal[k], listed[k] = gain, looked
                if gain <= 0.0:
                    continue
                rest[depth] += gain
                j = count
                while j > 0 and net[depth, j - 1] < gain:
                    net[depth, j], open_[depth, j] = net[depth, j - 1], open_[depth, j - 1]
                    j -= 1
                net[depth, j], open_[depth, j] = gain, k
                count += 1
            counts[depth], places[depth] = count, 0
        bound = values[depth] + rest[depth]
        done = places[depth] == counts[depth] or bound <= best
        if not done:
            free[:] = False
            for i in range(places[depth], counts[depth]):
                free[open_[depth, i]] = True
            bound = min(bound, _fractional(total, served, costs, kink, by_kink, free, has) - charged[depth])
            if bound <= reached + max(looked - _PATIENT, 0) * given_up or looked >= limit:
                best = max(best, bound)
            done = bound <= best
        if done:
            depth -= 1
            if depth >= 0:
                k = at[depth]
                rooms[nodes[k]] = room[k]
                has[k] = False
                _remove(held, base + depth + 1, k)
            continue
        i = places[depth]
        k, gain = open_[depth, i], net[depth, i]
        places[depth] += 1
        rest[depth] -= gain
        if twin[k] and not has[k - 1]:
            continue
        value = values[depth] + gain
        if value > reached:
            reached, best = value, max(best, value)
            chosen[:] = has
            chosen[k] = True
        if value + rest[depth] <= best:
            continue
        at[depth] = k
        room[k] = rooms[nodes[k]]
        rooms[nodes[k]] -= sizes[k]
        has[k] = True
        charged[depth + 1] = charged[depth] + charges[k]
        _insert(held, base + depth, k, trial)
        held[: base + depth + 1] = trial[: base + depth + 1]
        depth += 1
        values[depth] = value
        entered = True
    for k in range(n - 1, -1, -1):
        if fixed[k] == 1:
            rooms[nodes[k]] = room[k]
    return best, looked


@_jit
def _insert(held, count, k, into):
    """The options held, in ascending order, and one more."""
    i = 0
    while i < count and held[i] < k:
        into[i] = held[i]
        i += 1
    into[i] = k
    for j in range(i, count):
        into[j + 1] = held[j]


@_jit
def _remove(held, count, k):
    """Take an option out of those held."""
    i = 0
    while held[i] != k:
        i += 1
    for j in range(i, count - 1):
        held[j] = held[j + 1]


@_jit
def _fractional(total, served, costs, kink, by_kink, free, has):
    """The most that all requests can save less charges of what is free, if parts of options could be chosen.

    For any worth of a request, requests are worth that much at most, and an option what it saves above it. The best
    worth is where options that save more can serve all requests.
    """
    n = len(served)
    left, saved = total, 0.0
    i, k = 0, 0
    while left > 0.0:
        while i < n and not free[by_kink[i]]:
            i += 1
        while k < n and not has[k]:
            k += 1
        of_free = kink[by_kink[i]] if i < n else -np.inf
        of_held = costs[n] - costs[k] if k < n else -np.inf
        worth = max(of_free, of_held)
        if worth <= 0.0:
            break
        if of_held >= of_free:
            taken = min(left, served[k])
            k += 1
        else:
            taken = min(left, served[by_kink[i]])
            i += 1
        left -= taken
        saved += taken * worth
    return saved
