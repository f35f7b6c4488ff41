"""The options of a search for the static optimum, their ranges, and what is taken where they are not given."""

from __future__ import annotations

from idn_agents.optimum.certificate import MOST_LEAVES
from idn_gym.common.parameters import real, whole
from idn_gym.model.network import Network

LONGEST_S = 1e9  # of a search: 31 years
LEAVES = 32  # of a tree, by default
_LARGE = 5000  # placements; on larger networks that few leaves take long for what they prove: 1 is the default


def default_leaves(network: Network) -> int:
    """How many leaves the certificate's tree has at most, unless it is said."""
    return LEAVES if network.P <= _LARGE else 1


def refuse_options(gap: float, time_limit: float | None, leaves: int | None = None) -> None:
    """Raise an `IdnError` unless options of `solve` are in their ranges."""
    real("gap", gap, highest=1.0)
    if time_limit is not None:
        real("time_limit", time_limit, highest=LONGEST_S)
    if leaves is not None:
        whole("leaves", leaves, highest=MOST_LEAVES)
