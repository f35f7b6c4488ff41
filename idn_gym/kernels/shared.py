"""The small compiled functions that kernels share: a row of a batch, a share of capacity, the room at a node."""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.model.placements import room

_jit = compiled(error_model="numpy")

room_of = _jit(room)  # MB, of a budget: the one test of room, compiled


@_jit
def row_of(array, b):
    """Row b of as many as there are, or the one that serves all."""
    return array[b] if len(array) > 1 else array[0]


@_jit
def first_group(tables, rho):
    """Of the groups of a type's class: those of the classes above it come before."""
    c = np.uint64(tables.type_class[rho])
    return c * np.uint64(tables.groups // tables.classes) if c else c


@_jit
def share_of(tables, capacities, load, p, first):
    """What part of a type's requests placement p has capacity for; `load` as of `loads`, `first` as of `first_group`.

    Classes above the type's have what they need before it.
    """
    if first:
        return share_in_group(tables, capacities[p], load, tables.placement_group[p] + first)
    return min(1.0, capacities[p] * load[tables.placement_group[p]])


@_jit
def share_in_group(tables, capacity, load, group):
    """What part of the requests of a group a placement of this capacity serves, once the classes above are served."""
    above = load[np.uint64(tables.groups + 1) + group]
    return min(1.0, max(0.0, capacity - above) * load[group])
