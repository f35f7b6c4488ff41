"""Several states at once, fast: what each would gain along a gradient at each node, and their mixture.

The plain reference is one matrix product per node, in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.rows import FLOATS, placement_rows, shaped, single
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray

_jit = compiled(error_model="numpy")


def node_products(placements: Placements, states: FloatArray, gradient: FloatArray) -> FloatArray:
    """(K, V) products of states (K, P) with a gradient (P,), node by node."""
    states = placement_rows(placements, "states", states, kept=FLOATS)
    gradient = single("gradient", gradient, placements.P, kept=FLOATS)
    products = np.zeros((len(states), placements.V))
    tables: Any = placements.tables
    _node_products(tables, states, gradient, products)
    return products


def mix(placements: Placements, states: FloatArray, weights: FloatArray) -> FloatArray:
    """(1, P) the states (K, P) mixed by the weights (K, V) of each node, which add up to 1."""
    states = placement_rows(placements, "states", states, kept=FLOATS)
    weights = shaped("weights", weights, len(states), placements.V, kept=FLOATS)
    mixed = np.empty((1, placements.P))
    tables: Any = placements.tables
    _mix(tables, states, weights, mixed[0])
    return mixed


@_jit
def _node_products(tables, states, gradient, products):
    for k in range(len(states)):
        for v in range(products.shape[1]):
            for p in range(tables.node_start[v], tables.node_start[v + 1]):
                products[k, v] += states[k, p] * gradient[p]


@_jit
def _mix(tables, states, weights, mixed):
    for v in range(weights.shape[1]):
        for p in range(tables.node_start[v], tables.node_start[v + 1]):
            total = 0.0
            for k in range(len(states)):
                total += weights[k, v] * states[k, p]
            mixed[p] = min(1.0, total)  # the weights add up to 1 but for rounding
