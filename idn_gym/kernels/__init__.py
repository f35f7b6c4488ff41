"""Numba twins of `gain` and `allocation` over a leading axis B of slots or environments; one slot is B = 1.

Every function takes a `Network` and arrays whose leading axis is B, or 1 where one row serves all of B. Values are
not checked here: shapes are, values are the caller's business.
"""

from idn_gym.kernels.allocation import memory, pack, round_dependent
from idn_gym.kernels.gain import Served, gain, gain_and_subgradient, loads, serve
from idn_gym.kernels.greedy import fill_by_gain
from idn_gym.kernels.marginal import cut_slopes, marginal_gains, placement_slopes, type_cuts, type_gains
from idn_gym.kernels.mirror import mirror_step, node_maximum, project

__all__ = [
    "Served",
    "cut_slopes",
    "fill_by_gain",
    "gain",
    "gain_and_subgradient",
    "loads",
    "marginal_gains",
    "memory",
    "mirror_step",
    "node_maximum",
    "pack",
    "placement_slopes",
    "project",
    "round_dependent",
    "serve",
    "type_cuts",
    "type_gains",
]
