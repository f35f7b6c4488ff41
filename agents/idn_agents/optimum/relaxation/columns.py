"""The variables of the optimum's master problem: placements, with identical replicas as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.agent import refuse_other
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace


@dataclass(frozen=True, eq=False)
class Columns:
    """C kinds of placements that fit, each standing for identical replicas at a node.

    A gain depends on replicas only through how many are placed, since they share a cost and a capacity; one variable
    that counts them leaves branch and bound no symmetry to drown in.
    """

    first: IntArray  # (C,) placement
    counts: FloatArray  # (C,) replicas
    column: IntArray  # (P,) -1 for what does not fit
    rank: IntArray  # (P,) among the replicas of its column

    @classmethod
    def of(cls, network: Network, trace: Trace) -> Columns:
        """Replicas of a model at a node are identical where their capacities are, in every slot."""
        refuse_other(network, trace)
        model = network.model_base[network.placement_model]
        again = np.zeros(network.P, dtype=np.bool_)  # identical to the placement before
        again[1:] = (np.diff(network.placement_node) == 0) & (np.diff(model) == 0)
        again[1:] &= (trace.capacities[:, 1:] == trace.capacities[:, :-1]).all(axis=0)
        leads = network.fits & ~again
        first = np.flatnonzero(leads)
        column = np.where(network.fits, np.cumsum(leads) - 1, -1)
        counts = np.bincount(column[network.fits], minlength=len(first)).astype(np.float64)
        rank = np.where(network.fits, np.arange(network.P) - np.append(first, 0)[column], -1)
        return cls(first, counts, column, rank)

    def gather(self, allocation: FloatArray) -> FloatArray:
        """(C,) counts from an allocation (P,)."""
        fitting = self.column >= 0
        return np.bincount(self.column[fitting], allocation[fitting], minlength=len(self.first))

    def spread(self, counts: FloatArray) -> FloatArray:
        """(P,) allocation from counts (C,): one replica is full before the next one starts."""
        fitting = self.column >= 0
        allocation = np.zeros(len(self.column))
        allocation[fitting] = np.clip(counts[self.column[fitting]] - self.rank[fitting], 0.0, 1.0)
        return allocation

    def at_placements(self, values: FloatArray) -> FloatArray:
        """(P,) each column's value (C,) at all its replicas; 0 for what does not fit."""
        return np.append(values, 0.0)[self.column]
