"""Numba twins of `gain` and `allocation` over a leading axis B of slots or environments; one slot is B = 1.

Every function takes a `Network` and arrays whose leading axis is B, or 1 where one row serves all of B. Shapes and
whatever says where to read or write (numbers of placements and nodes, uniforms) are checked here, with an `IdnError`
that names the argument; other values are the caller's business.
"""

from idn_gym.kernels.allocation import memory, pack, round_dependent
from idn_gym.kernels.gain import gain, gain_and_subgradient, loads
from idn_gym.kernels.greedy import fill_by_gain
from idn_gym.kernels.marginal import joint_gains, marginal_gains, type_cuts, type_gains
from idn_gym.kernels.mirror import mirror_step, node_maximum, project
from idn_gym.kernels.serving import serve, serve_within
from idn_gym.kernels.states import fractions_of, states_of, step_states
from idn_gym.model.service import Served

__all__ = [
    "Served",
    "fill_by_gain",
    "fractions_of",
    "gain",
    "gain_and_subgradient",
    "joint_gains",
    "loads",
    "marginal_gains",
    "memory",
    "mirror_step",
    "node_maximum",
    "pack",
    "project",
    "round_dependent",
    "serve",
    "serve_within",
    "states_of",
    "step_states",
    "type_cuts",
    "type_gains",
]
