"""Compiled local search over integral allocations; see `idn_agents.search.reference` for what it does, readably.

`idn_agents.search.local_search` is the door: arguments are checked there.
"""

from __future__ import annotations

import numpy as np

from idn_agents.search.moves_kernel import ALL, NONE, renew, value_of
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import borrowed, room_of

BUCKETS = 256  # of the sizes that a node's combinations of moves are told apart by; the sizes themselves stay exact
_PRICES = 16  # of room that are tried, to leave out what cannot be part of the best combination
_CLEARED = 3  # tasks at most that a perturbation clears
_jit = compiled(error_model="numpy")


@_jit
def improve(shelf, tables, ground, rows, desk, limit, least):
    """Nodes in turn, each by its best combination of moves, until none gains more than `least` ms or work is out."""
    shelf, tables, ground = borrowed(shelf), borrowed(tables), borrowed(ground)
    rows, desk = borrowed(rows), borrowed(desk)
    n = len(desk.waiting)
    idle, v = 0, 0
    while idle < n:
        if desk.waiting[v]:
            if desk.work[0] >= limit:
                return
            idle = 0
            renew(shelf, tables, ground, rows, desk, v)
            _improve_node(shelf, ground, desk, v, least)
        else:
            idle += 1
        v = v + 1 if v + 1 < n else 0


@_jit
def iterate(shelf, tables, ground, rows, desk, kept, limit, least, failed, patience, generator):
    """Perturb, repair and keep what gains more, until work is out or `patience` trials in a row have failed.

    `kept` (a `Desk`) is room for what a failed trial goes back to; `failed` are the trials in a row that failed so far.
    Returns how many have at the end.
    """
    shelf, tables, ground = borrowed(shelf), borrowed(tables), borrowed(ground)
    rows, desk = borrowed(rows), borrowed(desk)
    kept = borrowed(kept)
    touched = np.zeros(ground.tasks, dtype=np.bool_)
    saved = np.zeros(len(desk.stale), dtype=np.bool_)
    kept.y[:] = desk.y
    while failed < patience and desk.work[0] < limit:
        touched[:] = False
        saved[:] = False
        before = desk.work[0]
        _perturb(ground, desk, generator)
        v = int(generator.random() * len(desk.waiting))
        while desk.waiting.any():
            while not desk.waiting[v]:
                v = v + 1 if v + 1 < len(desk.waiting) else 0
            for task in range(ground.tasks):
                group = v * ground.tasks + task
                if desk.stale[group]:
                    touched[task] = True  # saved before its moves are looked for again
                    if not saved[group]:
                        saved[group] = True
                        _copy(desk.moves, kept.moves, group)
            renew(shelf, tables, ground, rows, desk, v)
            _improve_node(shelf, ground, desk, v, least)
        change = 0.0
        for task in range(ground.tasks):
            if touched[task]:
                kept.values[task] = value_of(shelf, tables, ground, rows, desk, task)
                change += kept.values[task] - desk.values[task]
        if change > least:
            failed = 0
            kept.y[:] = desk.y
            for task in range(ground.tasks):
                if touched[task]:
                    desk.values[task] = kept.values[task]
        else:
            failed += 1
            desk.y[:] = kept.y
            for group in range(len(saved)):
                if saved[group]:
                    _copy(kept.moves, desk.moves, group)
        desk.work[0] = max(desk.work[0], before + 1)
    return failed


@_jit
def _copy(source, target, group):
    count = source.counts[group]
    target.counts[group] = count
    for j in range(count):
        target.sizes[group, j] = source.sizes[group, j]
        target.gains[group, j] = source.gains[group, j]
        target.dropped[group, j] = source.dropped[group, j]
        target.added[group, j] = source.added[group, j]


@_jit
def touch(ground, desk, v, task):
    """What a task holds at a node has changed: its moves at all nodes on a path with it are stale."""
    for i in range(ground.near_start[v], ground.near_start[v + 1]):
        u = ground.near[i]
        group = u * ground.tasks + task
        if ground.group_start[group] < ground.group_start[group + 1]:
            desk.stale[group] = True
            desk.waiting[u] = True


@_jit
def _clear(ground, desk, v, task):
    group = v * ground.tasks + task
    held = False
    for i in range(ground.group_start[group], ground.group_start[group + 1]):
        p = ground.placements[i]
        if desk.y[p]:
            desk.y[p] = 0
            held = True
    if held:
        touch(ground, desk, v, task)


@_jit
def _perturb(ground, desk, generator):
    """Clear one to `_CLEARED` tasks everywhere."""
    for _ in range(1 + int(generator.random() * _CLEARED)):
        task = int(generator.random() * ground.tasks)
        for v in range(len(desk.waiting)):
            _clear(ground, desk, v, task)


@_jit
def _improve_node(shelf, ground, desk, v, least):
    """Make the best combination of moves of all tasks of a node, if that gains more than `least`.

    As `reference.combination`, but for what cannot end above the best choice by a price of room: that is left out.
    """
    shelf, ground, desk = borrowed(shelf), borrowed(ground), borrowed(desk)
    moves, first = desk.moves, v * ground.tasks
    hope = False
    for task in range(ground.tasks):
        group = first + task
        if ground.group_start[group] < ground.group_start[group + 1]:
            count = moves.counts[group]
            hope = hope or moves.gains[group, count - 1] > least
    if not hope:
        return
    room = room_of(shelf.budgets[v])
    chosen, ahead = np.zeros(ground.tasks, dtype=np.int64), np.empty(ground.tasks + 1)
    most, rate = _choose_by_price(ground, desk, first, room, chosen, ahead)
    most = max(most, least)
    size, value = np.empty(BUCKETS + 1), np.empty(BUCKETS + 1)
    new_size, new_value = np.empty(BUCKETS + 1), np.empty(BUCKETS + 1)
    origin = np.empty((ground.tasks, BUCKETS + 1), dtype=np.int64)
    pick = np.empty((ground.tasks, BUCKETS + 1), dtype=np.int64)
    size[0], value[0] = 0.0, 0.0
    value[1:] = -np.inf
    for task in range(ground.tasks):
        group = first + task
        if ground.group_start[group] == ground.group_start[group + 1]:
            continue
        new_value[:] = -np.inf
        highest = -np.inf
        for bucket in range(BUCKETS + 1):
            if value[bucket] <= highest:  # no more than a smaller one gains
                continue
            highest = value[bucket]
            if highest + rate * (room - size[bucket]) + ahead[task] <= most:  # whatever comes, it is not the best
                continue
            for j in range(moves.counts[group]):
                s = size[bucket] + moves.sizes[group, j]
                if s > room:
                    continue
                to = int(s / room * BUCKETS) if room > 0.0 else 0
                g = value[bucket] + moves.gains[group, j]
                if g > new_value[to] or (g == new_value[to] and s < new_size[to]):
                    new_size[to], new_value[to] = s, g
                    origin[task, to], pick[task, to] = bucket, j
            desk.work[0] += (moves.counts[group] + 3) // 4  # an addition takes a fraction of what an option does
        size, new_size = new_size, size
        value, new_value = new_value, value
    at = int(np.argmax(value))
    if value[at] > most:
        most = value[at]
        for task in range(ground.tasks - 1, -1, -1):
            group = first + task
            if ground.group_start[group] < ground.group_start[group + 1]:
                chosen[task] = pick[task, at]
                at = origin[task, at]
    if most <= least:
        return
    for task in range(ground.tasks):
        group = first + task
        start, stop = ground.group_start[group], ground.group_start[group + 1]
        j = chosen[task]
        if start == stop or j == 0:
            continue
        dropped, added = moves.dropped[group, j], moves.added[group, j]
        if dropped == ALL:
            for i in range(start, stop):
                desk.y[ground.placements[i]] = 0
        elif dropped != NONE:
            desk.y[dropped] = 0
        if added != NONE:
            desk.y[added] = 1
        touch(ground, desk, v, task)


@_jit
def _choose_by_price(ground, desk, first, room, chosen, ahead):
    """Choose for each task of a node the move that gains most net of a price of room, at a price at which they fit.

    Fills in the choice (N,) that gains most of those that were tried, and for each task what all from it on gain at
    most, net of the price, `ahead` (N+1,). Returns what the choice gains, and the price, ms per MB.

    Source: the Lagrangian bound of the multiple-choice knapsack, Kellerer, Pferschy and Pisinger, Knapsack Problems,
    Springer, 2004, chapter 11.
    """
    moves = desk.moves
    trial = np.zeros(ground.tasks, dtype=np.int64)
    low, high, rate = 0.0, np.inf, 0.0
    most = 0.0
    for _ in range(_PRICES):
        taken, gained, options = 0.0, 0.0, 0
        for task in range(ground.tasks):
            group = first + task
            if ground.group_start[group] == ground.group_start[group + 1]:
                continue
            at = 0
            for j in range(1, moves.counts[group]):
                more = moves.gains[group, j] - moves.gains[group, at]
                if more > rate * (moves.sizes[group, j] - moves.sizes[group, at]):
                    at = j
            trial[task] = at
            taken += moves.sizes[group, at]
            gained += moves.gains[group, at]
            options += moves.counts[group]
        desk.work[0] += (options + 3) // 4
        if taken <= room:
            if gained > most:
                most = gained
                chosen[:] = trial
            high = rate
            if rate == 0.0:
                break
        else:
            low = rate
        if rate == 0.0:
            rate = gained / room  # a guess; what fits in no room fits for nothing
        elif high == np.inf:
            rate *= 2.0
        else:
            rate = 0.5 * (low + high)
    ahead[ground.tasks] = 0.0
    for task in range(ground.tasks - 1, -1, -1):
        group = first + task
        net = 0.0
        if ground.group_start[group] < ground.group_start[group + 1]:
            net = -np.inf
            for j in range(moves.counts[group]):
                net = max(net, moves.gains[group, j] - rate * moves.sizes[group, j])
        ahead[task] = ahead[task + 1] + net
    return most, rate
