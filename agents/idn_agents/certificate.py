"""A bound on the gain of every static allocation that is recomputed without a solver.

A cut point gives, per request type, a linear function above the type's gain: its value there plus a supergradient. Any
weights that are nonnegative and sum to 1 per type make of several such functions one more, const + slope.y, and its
maximum over the feasible allocations, a knapsack per node, bounds the gain whatever the points and weights are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.knapsack import Knapsack, knapsacks
from idn_gym import kernels
from idn_gym.network import Network
from idn_gym.trace import Trace
from idn_gym.typing import FloatArray

SUMMING = 1e-12  # of what the types can save: above the rounding error of the sums, so that a bound is one


@dataclass(frozen=True, eq=False)
class Certificate:
    """What it takes to recompute a bound for a network and a trace."""

    points: FloatArray  # (n, P) allocations in [0, 1] at which the gain was cut
    weights: FloatArray  # (n, R) >= 0, summing to at most 1 per type; the rest is on what the type can save at all


def certified_bound(network: Network, trace: Trace, certificate: Certificate) -> float:
    """Upper bound in ms on the gain over the trace of every feasible allocation, integral as they are.

    Weights are made valid first: negative ones count as 0, and a type's are scaled down if they sum to more than 1.
    """
    load = kernels.loads(network, trace.requests)
    weights = convex(certificate.weights)
    ceiling, _ = kernels.type_gains(network, trace.requests, trace.capacities, network.fits.astype(np.float64), load)
    constant = float((1.0 - weights.sum(axis=0)) @ ceiling) + SUMMING * float(ceiling.sum())
    slope = np.zeros(network.P + 1)
    for point, weight in zip(certificate.points, weights, strict=True):
        gain, gradient = kernels.type_gains(network, trace.requests, trace.capacities, point, load)
        weighted = weight[:, None] * gradient
        np.add.at(slope, network.options, weighted)
        constant += float(weight @ gain - (weighted * np.append(point, 0.0)[network.options]).sum())
    return linear_maximum(knapsacks(network), constant, slope[:-1])


def convex(weights: FloatArray) -> FloatArray:
    """Weights (n, R) without negative ones, and per type no more than 1 in all."""
    weights = np.maximum(weights, 0.0)
    return weights / np.maximum(weights.sum(axis=0), 1.0)


def linear_maximum(nodes: list[Knapsack], constant: float, slope: FloatArray) -> float:
    """Maximum of constant + slope.y over the feasible allocations y (P,)."""
    return constant + sum(node.maximum(slope[node.placements]) for node in nodes)
