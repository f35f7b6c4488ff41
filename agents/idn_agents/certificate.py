"""A bound on the gain of every static allocation that is recomputed without a solver, with an allowance for rounding.

A cut point gives, per request type, a linear function above the type's gain. Any weights that are nonnegative and sum
to at least 1 per type make of several such functions one more, const + slope.y, and its maximum over the feasible
allocations, an integral knapsack per node, bounds the gain whatever the points and weights are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.knapsack import Knapsack, knapsacks
from idn_gym import allocation as feasible
from idn_gym import gain, kernels
from idn_gym.network import Network
from idn_gym.trace import Trace
from idn_gym.typing import FloatArray, IntArray

_UNIT = 2.0**-53  # a float64 operation errs by this much at most, relative to its result
_UNDERFLOW = 1e-200  # ms: more than all that can be lost to products below the smallest float64
_SMALLEST = 1e-100  # weights below count as 0, so that their products do not underflow


@dataclass(frozen=True, eq=False)
class Certificate:
    """What it takes to recompute a bound for a network and a trace."""

    points: FloatArray  # (n, P) allocations in [0, 1] at which the gain was cut
    weights: FloatArray  # (n, R) >= 0; what a type's miss to 1 is put on what the type can save at all


def certified_bound(network: Network, trace: Trace, certificate: Certificate) -> float:
    """Upper bound in ms on the gain over the trace of every feasible integral allocation; it holds for any certificate.

    The gain meant is that of the compiled network's float64 figures and the trace's, in exact arithmetic.

    Notes
    -----
    Rounding. A type's functions are those of `kernels.type_cuts`, the knapsacks those of `Knapsack.maximum`. Sums have
    no negative term and no difference is taken but of two given costs, so with u = 2^-53 the relative error of the
    result is within gamma_N = N u / (1 - N u) for N operations on the way from an input to the result (Higham,
    Accuracy and Stability of Numerical Algorithms, 2nd ed., lemmas 3.1 and 3.3). `operations` counts them generously.
    The knapsack compares rounded sums, and rounded sums of the same terms keep their order when a term is added, so
    what it drops is never better than what it keeps; sizes have twice the slack that feasibility has, relative 2e-9,
    which is above their own gamma. A type's weights need not sum to 1 exactly: its gain is not negative, so a sum above
    1 is as good, and the weight on its ceiling is rounded up. Cut points need not be feasible: any will do.
    """
    if not (trace.requests.any() and network.fits.any()):
        return 0.0
    load = kernels.loads(network, trace.requests)
    weights = np.where(certificate.weights >= _SMALLEST, certificate.weights, 0.0)
    slack = rounding(len(weights) + 2)
    rest = np.maximum(0.0, 1.0 + slack - weights.sum(axis=0) * (1.0 - slack))
    fits = network.fits.astype(np.float64)
    ceiling, _ = kernels.type_gains(network, trace.requests, trace.capacities, fits, load)
    total = float(rest @ ceiling)
    slope = np.zeros(network.P + 1)
    for point, weight in zip(certificate.points, weights, strict=True):
        constant, gradient = kernels.type_cuts(network, trace.requests, trace.capacities, point, load)
        slope += np.bincount(network.options.ravel(), (weight[:, None] * gradient).ravel(), minlength=network.P + 1)
        total += float(weight @ constant)
    bound = linear_maximum(knapsacks(network), total, slope[:-1])
    return bound * (1.0 + rounding(operations(network, trace, len(weights)))) + _UNDERFLOW


def certified_gain(network: Network, trace: Trace, allocation: IntArray) -> float:
    """Lower bound in ms on the gain over the trace of an allocation (P,), a rounding error below what it is.

    From the readable reference, whose sums have no negative term either.

    Raises
    ------
    IdnError
        If the allocation is not integral and feasible.
    """
    feasible.check(network, allocation, integral=True)
    held = allocation.astype(np.float64)
    gains = [gain.allocation_gain(network, r, trace.capacities_at(t), held) for t, r in enumerate(trace.requests)]
    return max(0.0, float(sum(gains)) * (1.0 - rounding(operations(network, trace, 0))) - _UNDERFLOW)


def operations(network: Network, trace: Trace, points: int) -> int:
    """Upper bound on the roundings on the way from an input to a certified bound or gain.

    Loads sum R requests, shares, slopes and constants take less than 20 operations each, slots, types, options and
    points are summed once and twice over, knapsacks sum V nodes of P placements, class by class.
    """
    summed = network.R + trace.slots + network.R * (points + network.K) + points + 3 * network.P + network.V
    return 2 * summed + 100


def rounding(operations: int) -> float:
    """gamma_n = n u / (1 - n u), the relative error of n float64 operations on numbers of one sign; rounded up."""
    return 1.01 * operations * _UNIT / (1.0 - operations * _UNIT)


def linear_maximum(nodes: list[Knapsack], constant: float, slope: FloatArray) -> float:
    """Maximum of constant + slope.y over the feasible allocations y (P,)."""
    return constant + sum(node.maximum(slope[node.placements]) for node in nodes)
