"""The feasible set: check, pack, Bregman projection and dependent rounding, as plain references.

An allocation is feasible if at every node the sizes of what is placed stay within the budget. `kernels` holds
the fast twins; `pack` is the one routine that turns a priority into a feasible integral allocation.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from idn_gym.common.arrays import checked, shaped
from idn_gym.common.parameters import one_of
from idn_gym.errors import IdnError
from idn_gym.model.placements import Placements, refuse_over_budget, room
from idn_gym.typing import BoolArray, FloatArray, IntArray

Residual = Literal["coin", "drop", "fit", "reserve"]


def check(placements: Placements, allocation: FloatArray, integral: bool = False) -> None:
    """Raise unless an allocation (P,) is feasible.

    Raises
    ------
    IdnError
        Naming the first entry outside [0, 1] (or fractional, where it must be integral), or the node over its budget.
    """
    allocation = checked("allocation", allocation, (placements.P,), highest=1.0)
    if integral and (fractional := (allocation > 0) & (allocation < 1)).any():
        p = int(fractional.argmax())
        raise IdnError(f"allocation[{p}] ({_named(placements, p)}): {allocation[p]}; must be 0 or 1")
    refuse_over_budget(placements, placements.memory_in_use(allocation), "allocation", "holds")


def pack(placements: Placements, priority: FloatArray) -> IntArray:
    """(P,) int8, feasible: at each node, in descending order of priority, what still fits.

    Ties go to the order in the file. A priority of -inf keeps a placement out.
    """
    priority = shaped("priority", priority, (placements.P,))
    if np.isnan(priority).any():
        raise IdnError("priority: holds NaN; must be numbers, or -inf to keep a placement out")
    allocation = np.zeros(placements.P, dtype=np.int8)
    for v in range(placements.V):
        left = room(placements.budgets[v])
        start, stop = placements.node_start[v], placements.node_start[v + 1]
        for p in start + np.argsort(-priority[start:stop], kind="stable"):
            if priority[p] > -np.inf and placements.sizes[p] <= left:
                allocation[p] = 1
                left -= placements.sizes[p]
    return allocation


def project(placements: Placements, log_h: FloatArray, mass: FloatArray) -> FloatArray:
    """Logarithm (P,) of the Bregman projection of h on {y in [0, 1]^P : at each node s.y = mass}.

    The projection under the weighted negative entropy is y = min(1, c h), with one c per node, found by sorting h.

    Parameters
    ----------
    log_h : (P,) logarithm of h; what does not fit is ignored and stays out.
    mass : (V,) MB each node's state sums to; more than the node's models weigh in all means all of them.

    Source: docs/model.md#mirror-descent.
    """
    log_h, mass = shaped("log_h", log_h, (placements.P,)), shaped("mass", mass, (placements.V,))
    log_y = np.full(placements.P, -np.inf)
    for v in range(placements.V):
        p = placements.node_start[v] + np.flatnonzero(
            placements.fits[placements.node_start[v] : placements.node_start[v + 1]]
        )
        sizes = placements.sizes[p]
        if sizes.sum() <= mass[v]:
            log_y[p] = 0.0
            continue
        if mass[v] <= 0.0:
            continue
        order = p[np.argsort(-log_h[p], kind="stable")]
        left = mass[v] - np.concatenate(([0.0], np.cumsum(placements.sizes[order])))  # once the first n are at 1
        left = np.maximum(left, 1e-12 * mass[v])  # those may fill the node up to rounding; the others keep a trace
        for n in range(len(order)):
            free = order[n:]
            top = log_h[free[0]]
            log_c = np.log(left[n]) - top - np.log((placements.sizes[free] * np.exp(log_h[free] - top)).sum())
            if top + log_c <= 0.0:  # the largest of the free ones stays below 1, so n are clipped
                log_y[order[:n]] = 0.0
                log_y[free] = log_h[free] + log_c
                break
    return log_y


def refuse_residual(residual: str) -> None:
    """Raise unless it is one of `Residual`."""
    one_of("residual", residual, get_args(Residual), quoted=True)


def refuse_no_uniform(values: FloatArray, first: int = 0) -> None:
    """Raise unless all are in [0, 1), naming the entry; rows count from `first`."""
    outside = ~((values >= 0.0) & (values < 1.0))
    if outside.any():
        where = [int(i) for i in np.argwhere(outside)[0]]
        value = values[tuple(where)]
        where[0] += first
        raise IdnError(f"uniforms{where}: {value}; must be in [0, 1)")


def round_dependent(
    placements: Placements, allocation: FloatArray, uniforms: FloatArray, residual: Residual = "drop"
) -> IntArray:
    """Round a fractional allocation (P,) to an integral one (P,) int8, keeping each node's memory in use.

    Pairs of fractional entries are moved along s_i y_i + s_j y_j = const until one of them is 0 or 1; in random
    order, since a fixed one puts all the bias on a node's last entries. At most one entry per node stays fractional.
    Entries below `Placements.tail` come first. Together they are less than the smallest size, so among them a pair's
    winner takes all, and one of them ends up with the MB of all: drawn at once, in proportion to what each has.

    Parameters
    ----------
    uniforms : (P,) independent draws from [0, 1), of which a node takes the first of its own. Of its n entries from the
        tail on, each takes one, n to 1, which draws the next entry with its leading digits and decides the pair with
        the rest; the first has no pair to decide, so its rest is the last entry's coin. Where there is a tail, that
        coin is the next draw, and of several entries in it the one after draws which has their MB.
    residual : what becomes of that last entry. ``coin``: 1 with its probability, which keeps E[x] = y but may
        exceed the budget by less than the largest size. ``drop``: 0, then `pack` by y/s what still fits: always
        feasible. ``fit``: 1 with its probability if there is room for it then, and nothing else: always feasible, and
        E[x] <= y, so that nothing is paid for beyond what the allocation says. ``reserve``: as ``coin``, for a state
        that leaves the largest size of each node free.

    Raises
    ------
    IdnError
        If `residual` is none of these, a shape differs, or a uniform is not in [0, 1).

    Source: docs/model.md#dependent-rounding.
    """
    refuse_residual(residual)
    allocation = shaped("allocation", allocation, (placements.P,))
    uniforms = shaped("uniforms", uniforms, (placements.P,))
    refuse_no_uniform(uniforms)
    mb = placements.sizes * np.asarray(allocation, dtype=np.float64)
    rounded = np.asarray(allocation) >= 1.0
    for v in range(placements.V):
        start, stop = int(placements.node_start[v]), int(placements.node_start[v + 1])
        waiting = [p for p in range(start, stop) if placements.tail[v] <= allocation[p] < 1.0]
        tail = [p for p in range(start, stop) if mb[p] > 0.0 and allocation[p] < placements.tail[v]]
        first_coin = 0.0
        unsettled: list[int] = []  # still fractional: at most one is carried from pair to pair
        if tail:
            first_coin = uniforms[start + len(waiting)]
            unsettled.append(_gathered(mb, tail, uniforms[start + len(waiting) + 1] if len(tail) > 1 else 0.0))
        for k in range(len(waiting) - 1, -1, -1):
            draw = uniforms[start + k] * (k + 1)  # its whole part draws the next entry, its fraction decides the pair
            coin = draw - int(draw)
            waiting[int(draw)], p = waiting[k], waiting[int(draw)]
            first_coin = coin if not tail and k == len(waiting) - 1 else first_coin
            unsettled.append(p)
            if len(unsettled) == 2:
                unsettled = _move_pair(placements, mb, rounded, unsettled[0], unsettled[1], coin)
        for p in unsettled:
            fits = residual != "fit" or placements.sizes[p] <= _left(placements, rounded, v)
            rounded[p] = residual != "drop" and first_coin * placements.sizes[p] < mb[p] and fits
    if residual != "drop":
        return rounded.astype(np.int8)
    return pack(placements, np.where(rounded, np.inf, np.asarray(allocation) / placements.sizes))


def _left(placements: Placements, rounded: BoolArray, v: int) -> float:
    """MB of room at a node beside what is placed there."""
    own = slice(int(placements.node_start[v]), int(placements.node_start[v + 1]))
    return float(placements.room[v] - placements.sizes[own] @ rounded[own])


def _gathered(mb: FloatArray, tail: list[int], uniform: float) -> int:
    """Give the MB of a tail to one of its entries, which is returned: each with the share of them that it has."""
    up_to = np.cumsum(mb[tail])
    winner = tail[min(int(np.searchsorted(up_to, uniform * up_to[-1], side="right")), len(tail) - 1)]
    mb[tail] = 0.0
    mb[winner] = up_to[-1]
    return winner


def _move_pair(placements: Placements, mb: FloatArray, rounded: BoolArray, i: int, j: int, uniform: float) -> list[int]:
    """Move MB between i and j until one is full or empty; E[mb] stays. Returns those still fractional."""
    up = min(placements.sizes[i] - mb[i], mb[j])
    down = min(mb[i], placements.sizes[j] - mb[j])
    gains, loses, moved = (i, j, up) if uniform * (up + down) < down else (j, i, down)
    full, empty = moved == placements.sizes[gains] - mb[gains], moved == mb[loses]
    mb[gains] += moved
    mb[loses] -= moved
    rounded[gains] = full
    settled = {gains} if full else set()
    if empty:
        settled.add(loses)
    return [p for p in (i, j) if p not in settled]


def _named(placements: Placements, p: int) -> str:
    node, model = placements.names(p)
    return f"{model} at {node}"
