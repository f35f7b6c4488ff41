"""The small compiled functions that kernels share: a row of a batch, a share of capacity, the room at a node."""

from __future__ import annotations

from idn_gym.kernels.compiled import compiled
from idn_gym.model.placements import room

_jit = compiled(error_model="numpy")

room_of = _jit(room)  # MB, of a budget: the one test of room, compiled


@_jit
def row_of(array, b):
    """Row b of as many as there are, or the one that serves all."""
    return array[b] if len(array) > 1 else array[0]


@_jit
def share_of(tables, capacities, load, p):
    """What part of a type's requests placement p has capacity for; `load` as of `loads`."""
    return min(1.0, capacities[p] * load[tables.placement_group[p]])
