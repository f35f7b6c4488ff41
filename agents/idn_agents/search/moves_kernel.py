"""What a local search knows, compiled: net gains of tasks, and the moves of a task at a node.

`idn_agents.search.reference` is the plain form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import borrowed, room_of, row_of, share_of
from idn_gym.typing import BoolArray, FloatArray, IntArray

NONE, ALL = -1, -2  # what a move drops, or adds: nothing; or drops: all of the task
_jit = compiled(error_model="numpy")
_inlined = compiled(error_model="numpy", inline="always")


class Ground(NamedTuple):
    """What never changes: who passes where. Groups are those of node v and task i, v * N + i."""

    group_start: IntArray  # (V*N+1,) of `placements`
    placements: IntArray  # (n,) that fit, by group
    type_start: IntArray  # (V*N+1,) of `types`
    types: IntArray  # (m,) request types of every class that pass by, by group
    rank_start: IntArray  # (V*N,) of `ranks`
    ranks: IntArray  # ranks of a group's placements among the options of each of its types, or -1
    task_start: IntArray  # (N+1,) of `of_task`
    of_task: IntArray  # (R,) request types by task
    near_start: IntArray  # (V+1,) of `near`
    near: IntArray  # nodes on a path with each node, itself included
    tasks: int  # N
    most: int  # placements of a group at most


class Rows(NamedTuple):
    """What the net gain is of: T slots, which count alike, and what holding each placement takes off it."""

    requests: FloatArray  # (R, T)
    shares: FloatArray  # (C, P, T) of the requests of each class that come by
    price: FloatArray  # (P,) ms, over all slots
    again: BoolArray  # (P,) identical to the placement before


class Moves(NamedTuple):
    """Per group: what the task may hold at the node, first of all what it does, the others ascending in size and gain.

    M entries at most.
    """

    counts: IntArray  # (V*N,)
    sizes: FloatArray  # (V*N, M) MB in all
    gains: FloatArray  # (V*N, M) ms, over what it holds
    dropped: IntArray  # (V*N, M) a placement, `NONE` or `ALL`
    added: IntArray  # (V*N, M) a placement or `NONE`


class Desk(NamedTuple):
    """What a search changes."""

    y: IntArray  # (P,) int8
    moves: Moves
    stale: BoolArray  # (V*N,) moves that are to be looked for again
    waiting: BoolArray  # (V,) nodes with stale moves
    values: FloatArray  # (N,) net gain of each task, ms over all slots
    work: IntArray  # (1,) options looked at, in four slots at once


def new_moves(groups: int, most: int) -> Moves:
    """Room for the moves of each group."""
    shape = groups, 3 * most + 8
    ints: Any = (np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))
    return Moves(np.zeros(groups, dtype=np.int64), np.zeros(shape), np.zeros(shape), *ints)


@_jit
def values(shelf, tables, ground, rows, desk):
    """Fill in the net gain of every task."""
    for task in range(ground.tasks):
        desk.values[task] = value_of(shelf, tables, ground, rows, desk, task)


@_jit
def shares_of(tables, requests, capacities, load, shares):
    """Fill in the shares (C, P, T) of slots: what part of a class's requests each placement has capacity for."""
    for c in range(len(shares)):
        first = c * (tables.groups // tables.classes)
        for t in range(len(requests)):
            capacity = row_of(capacities, t)
            for p in range(shares.shape[1]):
                shares[c, p, t] = share_of(tables, capacity, load[t], p, first)


@_jit
def value_of(shelf, tables, ground, rows, desk, task):
    """Net gain of a task, ms over all slots."""
    shelf, tables, ground = borrowed(shelf), borrowed(tables), borrowed(ground)
    rows, desk = borrowed(rows), borrowed(desk)
    total = 0.0
    slots = rows.requests.shape[1]
    rest = np.empty(slots)
    for i in range(ground.task_start[task], ground.task_start[task + 1]):
        rho = ground.of_task[i]
        last, shares = np.int64(tables.option_count[rho]) - 1, rows.shares[np.int64(tables.type_class[rho])]
        rest[:] = 1.0
        for k in range(last):
            p = tables.options[rho, k]
            if desk.y[p]:
                saved = _serve(rows.requests[rho], shares[p], rest)
                total += saved * (tables.costs[rho, last] - tables.costs[rho, k])
                desk.work[0] += (slots + 3) // 4
        desk.work[0] += last
    for v in range(len(desk.waiting)):
        group = v * ground.tasks + task
        for i in range(ground.group_start[group], ground.group_start[group + 1]):
            p = ground.placements[i]
            if desk.y[p]:
                total -= rows.price[p]
    return total


@_inlined
def _serve(requests, share, rest):
    """Requests that a share of what is left serves, over all slots; `rest` (T,) is what it leaves."""
    total = 0.0
    for t in range(len(rest)):
        w = share[t] if share[t] < rest[t] else rest[t]
        rest[t] -= w
        total += requests[t] * w
    return total


@_jit
def renew(shelf, tables, ground, rows, desk, v):
    """Look for the stale moves of a node again."""
    n = ground.most
    held, free = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)  # places within the group
    gains = np.empty((n + 2, n + 1))  # by what is dropped: nothing, each of what is held, all; and what is added
    width, slots = tables.options.shape[1], rows.requests.shape[1]
    scratch = (np.empty(width, dtype=np.int64), np.empty((width, slots)), np.empty(slots), np.empty(slots))
    size, gain = np.empty((n + 2) * (n + 1)), np.empty((n + 2) * (n + 1))
    out, into = np.empty(len(size), dtype=np.int64), np.empty(len(size), dtype=np.int64)
    room = room_of(shelf.budgets[v])
    for task in range(ground.tasks):
        group = v * ground.tasks + task
        if desk.stale[group]:
            desk.stale[group] = False
            _find_moves(
                shelf, tables, ground, rows, desk, group, room, held, free, gains, scratch, size, gain, out, into
            )
    desk.waiting[v] = False


@_jit
def _find_moves(shelf, tables, ground, rows, desk, group, room, held, free, gains, scratch, size, gain, out, into):
    shelf, tables, ground = borrowed(shelf), borrowed(tables), borrowed(ground)
    rows, desk = borrowed(rows), borrowed(desk)
    held, free, gains, scratch = borrowed(held), borrowed(free), borrowed(gains), borrowed(scratch)
    start = ground.group_start[group]
    here = ground.placements[start : ground.group_start[group + 1]]
    y, price = desk.y, rows.price
    h, f = 0, 0
    own_size, own_price = 0.0, 0.0
    for c in range(len(here)):
        p = here[c]
        if y[p]:
            held[h] = c
            h += 1
            own_size += shelf.sizes[p]
            own_price += price[p]
        elif not (rows.again[p] and y[p - 1] == 0 and price[p] == price[p - 1]):
            free[f] = c
            f += 1
    bases = h + 1 + (h > 1)
    gains[:bases, : len(here) + 1] = 0.0
    _add_gains(tables, ground, rows, desk, group, here, held[:h], free[:f], bases, gains, scratch)
    count = 0
    own = gains[0, len(here)]
    for base in range(bases):
        left_size, left_price = own_size, own_price
        dropped = NONE
        if base > h:
            left_size, left_price, dropped = 0.0, 0.0, ALL
        elif base > 0:
            dropped = here[held[base - 1]]
            left_size -= shelf.sizes[dropped]
            left_price -= price[dropped]
        value = gains[base, len(here)] - own - (left_price - own_price)
        if base > 0:
            size[count], gain[count], out[count], into[count] = left_size, value, dropped, NONE
            count += 1
        for j in range(f + (h if base > h else 0)):
            c = free[j] if j < f else held[j - f]
            p = here[c]
            total = left_size + shelf.sizes[p]
            if total <= room:
                size[count], gain[count] = total, value + gains[base, c] - price[p]
                out[count], into[count] = dropped, p
                count += 1
    moves = desk.moves
    moves.counts[group] = 1
    moves.sizes[group, 0], moves.gains[group, 0] = own_size, 0.0
    moves.dropped[group, 0], moves.added[group, 0] = NONE, NONE
    # the others as far as none is as small and gains as much
    for j in range(1, count):  # insertion sort: they are few
        s, g, o, a = size[j], gain[j], out[j], into[j]
        i = j
        while i > 0 and (size[i - 1] > s or (size[i - 1] == s and gain[i - 1] < g)):
            size[i], gain[i], out[i], into[i] = size[i - 1], gain[i - 1], out[i - 1], into[i - 1]
            i -= 1
        size[i], gain[i], out[i], into[i] = s, g, o, a
    highest = -np.inf
    kept = 0
    for j in range(count):
        if gain[j] > highest and (size[j] < own_size or gain[j] > 0.0):
            highest = gain[j]
            size[kept], gain[kept], out[kept], into[kept] = size[j], gain[j], out[j], into[j]
            kept += 1
    first = max(0, kept - (moves.sizes.shape[1] - 1))  # those that gain most, if there are very many
    for j in range(first, kept):
        n = moves.counts[group]
        moves.sizes[group, n], moves.gains[group, n] = size[j], gain[j]
        moves.dropped[group, n], moves.added[group, n] = out[j], into[j]
        moves.counts[group] = n + 1


@_jit
def _add_gains(tables, ground, rows, desk, group, here, held, free, bases, gains, scratch):
    """Per base: what the types that pass by gain with it (last column), and with one more placement on top."""
    tables, ground, rows, desk = borrowed(tables), borrowed(ground), borrowed(rows), borrowed(desk)
    here, held, free, gains = borrowed(here), borrowed(held), borrowed(free), borrowed(gains)
    present, mass, rest, take = borrowed(scratch)
    n, h, f = len(here), len(held), len(free)
    slots = len(rest)
    at = ground.rank_start[group]
    for i in range(ground.type_start[group], ground.type_start[group + 1]):
        rho = ground.types[i]
        ranks = ground.ranks[at : at + n]
        at += n
        options, costs, requests = tables.options[rho], tables.costs[rho], rows.requests[rho]
        last, shares = np.int64(tables.option_count[rho]) - 1, rows.shares[np.int64(tables.type_class[rho])]
        repository = costs[last]
        m = 0
        for k in range(last):
            if desk.y[options[k]]:
                present[m] = k
                m += 1
        desk.work[0] += last + (slots + 3) // 4 * bases * (f + m)
        for base in range(bases):
            out = ranks[held[base - 1]] if 0 < base <= h else np.int64(-1)
            rest[:] = 1.0
            for j in range(m):
                k = present[j]
                gone = k == out
                for c in held:
                    gone = gone or (base > h and ranks[c] == k)
                if gone:
                    for t in range(slots):
                        mass[j, t] = 0.0
                    continue
                for t in range(slots):
                    mass[j, t] = rest[t]
                gains[base, n] += _serve(requests, shares[options[k]], rest) * (repository - costs[k])
                for t in range(slots):
                    mass[j, t] -= rest[t]
            for j in range(f + (h if base > h else 0)):
                c = free[j] if j < f else held[j - f]
                k = ranks[c]
                if k < 0:
                    continue
                # it takes what is left from the worst options in use on, down to its own rank
                share = shares[here[c]]
                saved = 0.0
                for t in range(slots):
                    moved = share[t] if share[t] < rest[t] else rest[t]
                    take[t] = share[t] - moved
                    saved += requests[t] * moved
                saved *= repository - costs[k]
                q = m - 1
                while q >= 0 and present[q] > k:
                    total = 0.0
                    for t in range(slots):
                        moved = mass[q, t] if mass[q, t] < take[t] else take[t]
                        take[t] -= moved
                        total += requests[t] * moved
                    saved += total * (costs[present[q]] - costs[k])
                    q -= 1
                gains[base, c] += saved
