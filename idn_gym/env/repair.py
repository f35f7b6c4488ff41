"""What is granted of an action that may ask for more than fits: the rule of repair, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements, refuse_over_budget, room
from idn_gym.model.service import Served
from idn_gym.typing import FloatArray, IntArray


class Granted(NamedTuple):
    """Feasible allocations for B actions."""

    allocation: Any  # (B, P) int8
    repaired: Any  # (B,) int64, placements asked for and not granted
    loaded: Any  # (B,) MB newly loaded


def priority(asked: Any, before: Any, where: Any = np.where) -> Any:
    """(B, P) by which over-full nodes are packed: what they held and are still asked to hold, then file order."""
    return where(asked > 0, 1.0 + before, -np.inf)


def grant(
    placements: Placements,
    asked: IntArray,
    before: IntArray,
    budgets: FloatArray | None = None,
    refused: Callable[[int], str] | None = None,
) -> Granted:
    """What is granted of actions (B, P) int8, from allocations before (B, P) int8.

    Parameters
    ----------
    budgets : (1, V) or (B, V) MB; None: the placements'.
    refused : name of a row's action in the error about the first one over its budget; without it all are repaired.
    """
    in_use, loaded = kernels.memory(placements, asked, before)
    over = in_use > (placements.room if budgets is None else room(budgets))
    repaired = np.zeros(len(asked), dtype=np.int64)
    if not np.count_nonzero(over):
        return Granted(asked, repaired, loaded)
    budgets = placements.budgets[None] if budgets is None else budgets
    if refused is not None:
        b = int(over.any(axis=1).argmax())
        limits = np.broadcast_to(budgets, in_use.shape)[b]
        refuse_over_budget(placements, in_use[b], refused(b), "would hold", limits)
    rows = slice(None) if len(asked) == 1 else np.flatnonzero(over.any(axis=1))
    budgets = budgets if len(budgets) == 1 else budgets[rows]
    wanted, held = asked[rows], before[rows]
    granted = kernels.pack(placements, priority(wanted, held), budgets)
    repaired[rows] = (wanted - granted).sum(axis=1, dtype=np.int64)
    loaded[rows] = kernels.memory(placements, granted, held)[1]
    feasible = asked.copy()
    feasible[rows] = granted
    return Granted(feasible, repaired, loaded)


def serve_granted(
    network: Network,
    asked: IntArray,
    before: IntArray,
    requests: FloatArray,
    capacities: FloatArray,
    budgets: FloatArray | None = None,
) -> tuple[Granted, Served]:
    """`grant`, refusing none, and serving what is granted, in one pass over what is within its budgets."""
    limits = network.room if budgets is None else room(budgets)
    served, loaded, over = kernels.serve_within(network, requests, capacities, asked, before, limits)
    repaired = np.zeros(len(asked), dtype=np.int64)
    if not np.count_nonzero(over):
        return Granted(asked, repaired, loaded), served
    rows = np.flatnonzero(over)
    some, capable = (values if len(values) == 1 else values[rows] for values in (requests, capacities))
    limited = budgets if budgets is None or len(budgets) == 1 else budgets[rows]
    granted = grant(network, asked[rows], before[rows], limited)
    allocation = asked.copy()
    allocation[rows], repaired[rows], loaded[rows] = granted
    again = kernels.serve(network, some, capable, granted.allocation)
    for whole, part in zip(served, again, strict=True):
        whole[rows] = part
    return Granted(allocation, repaired, loaded), served
