"""How far float64 sums of numbers of one sign may be off, for bounds that hold in exact arithmetic."""

from __future__ import annotations

import numpy as np

from idn_gym.model.network import Network
from idn_gym.workload.trace import Trace

UNIT = 2.0**-53  # a float64 operation errs by this much at most, relative to its result
UNDERFLOW = 1e-200  # ms: more than all that can be lost to products below the smallest float64


def operations(network: Network, trace: Trace, points: int) -> int:
    """Upper bound on the roundings on the way from an input to a certified bound or gain.

    Loads sum R requests, shares, slopes and constants take less than 20 operations each, slots, types, options and
    points are summed once and twice over, knapsacks sum V nodes of P placements, class by class. A chain counts its
    placements as options.
    """
    widest = int(np.diff(network.service.terms.start).max(initial=0)) + 1
    summed = network.R + trace.slots + network.R * (points + widest) + points + 3 * network.P + network.V
    return 2 * summed + 100


def rounding(operations: int) -> float:
    """gamma_n = n u / (1 - n u), the relative error of n float64 operations on numbers of one sign; rounded up."""
    return 1.01 * operations * UNIT / (1.0 - operations * UNIT)
