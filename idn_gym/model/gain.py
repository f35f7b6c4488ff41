"""Serving, cost, allocation gain and subgradient in plain NumPy float64: the readable reference.

One slot at a time. `kernels` holds the fast twins over many slots or environments, tested equal to this.
Source of every formula: paper.md section 1; of the capacity rule: design, semantics.
"""

from __future__ import annotations

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

TOLERANCE = 1e-9  # relative, of the covering test; bounds and certificates use 0


def shares(network: Network, requests: FloatArray, capacities: FloatArray) -> FloatArray:
    """(P,) a = min(1, L/S): the part of the requests that come by that a placement has capacity for.

    S sums the requests of the types of the model's task whose path visits the node. Without requests it is 1.
    """
    load = np.zeros(network.V * network.N + 1)
    np.add.at(load, network.path_groups, requests[:, None])
    load[-1] = 0.0  # the padding of the paths
    passing = load[network.placement_group]
    return np.minimum(1.0, np.divide(capacities, passing, out=np.ones(network.P), where=passing > 0))


def potential_capacities(network: Network, requests: FloatArray, capacities: FloatArray) -> FloatArray:
    """(R, K) l: requests of each type that each of its options could serve; the repository model serves them all."""
    by_option = np.append(shares(network, requests, capacities), 1.0)
    return requests[:, None] * by_option[network.options]


def cost(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    potential: FloatArray | None = None,
) -> float:
    """Serving cost C(r, l, x) in ms summed over requests; arguments as in `allocation_gain`."""
    served = requests_served(network, *_checked(network, requests, capacities, allocation, potential))
    return float((network.costs * served).sum())


def allocation_gain(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    potential: FloatArray | None = None,
) -> float:
    """Cost saved in one slot against serving from repositories alone.

    Parameters
    ----------
    requests : (R,) requests per type in the slot.
    capacities : (P,) requests each placement can serve in the slot.
    allocation : (P,) in [0, 1]; fractional values extend the gain concavely.
    potential : (R, K) explicit potential capacities l, which must cover the requests at the repository model;
        by default those of the sharing rule, `potential_capacities`.

    Returns
    -------
    Gain in ms summed over requests, >= 0.

    Raises
    ------
    IdnError
        If a shape differs from the network's, a value is negative or not finite, or an explicit l does not
        cover the requests at the repository model.

    Source: paper.md section 1, G(r, l, x). The minimal allocation omega serves from the last rank on, so Z(omega)
    vanishes in every term of the sum.
    """
    requests, allocation, potential = _checked(network, requests, capacities, allocation, potential)
    covered = np.minimum(requests[:, None], _effective(network, allocation, potential).cumsum(axis=1))
    return float((np.diff(network.costs, axis=1) * covered[:, :-1]).sum())


def subgradient(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    potential: FloatArray | None = None,
    tolerance: float = TOLERANCE,
) -> FloatArray:
    """(P,) a supergradient of the gain at the allocation, in ms; arguments as in `allocation_gain`.

    `tolerance` is the relative slack of the covering test; the supergradient is set-valued where it decides.
    Source: paper.md section 2, g_m^v.
    """
    requests, allocation, potential = _checked(network, requests, capacities, allocation, potential)
    star = covering_rank(network, requests, allocation, potential, tolerance)
    saved = np.maximum(np.take_along_axis(network.costs, star[:, None], axis=1) - network.costs, 0.0)
    summed = np.bincount(network.options.ravel(), (potential * saved).ravel(), minlength=network.P + 1)
    return summed[: network.P]


def requests_served(
    network: Network, requests: FloatArray, allocation: FloatArray, potential: FloatArray
) -> FloatArray:
    """(R, K) requests each option serves: in rank order, each up to its effective capacity, until none is left."""
    covered = np.minimum(requests[:, None], _effective(network, allocation, potential).cumsum(axis=1))
    return np.diff(covered, axis=1, prepend=0.0)


def covering_rank(
    network: Network, requests: FloatArray, allocation: FloatArray, potential: FloatArray, tolerance: float = TOLERANCE
) -> IntArray:
    """(R,) K*: the first rank, counted from 0, at which the batch is covered; the repository model's if none before."""
    total = _effective(network, allocation, potential).cumsum(axis=1)
    covers = total >= requests[:, None] * (1.0 - tolerance)
    covers[np.arange(network.R), network.option_count - 1] = True
    return covers.argmax(axis=1)


def _effective(network: Network, allocation: FloatArray, potential: FloatArray) -> FloatArray:
    """(R, K) z = x l; a repository model is always there."""
    return np.append(allocation, 1.0)[network.options] * potential


def _checked(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    potential: FloatArray | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Requests, allocation and potential capacities as float64, or an `IdnError` naming the argument."""
    requests = checked("requests", requests, (network.R,))
    capacities = checked("capacities", capacities, (network.P,))
    allocation = checked("allocation", allocation, (network.P,), highest=1.0)
    if potential is None:
        return requests, allocation, potential_capacities(network, requests, capacities)
    potential = checked("potential", potential, (network.R, network.K))
    at_repository = potential[np.arange(network.R), network.option_count - 1]
    if (at_repository < requests).any():
        rho = int((at_repository < requests).argmax())
        raise IdnError(f"potential[{rho}]: {at_repository[rho]} at the repository model; must be >= {requests[rho]}")
    return requests, allocation, potential


def checked(name: str, values: FloatArray, shape: tuple[int, ...], highest: float = np.inf) -> FloatArray:
    """Values as float64 of exactly this shape, finite, >= 0 and <= highest, or an `IdnError` naming the argument."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise IdnError(f"{name}: shape {array.shape}; must be {shape}")
    bad = ~((array >= 0.0) & (array <= highest) & np.isfinite(array))
    if bad.any():
        where = tuple(int(i) for i in np.unravel_index(bad.argmax(), shape))
        allowed = "finite and >= 0" if np.isinf(highest) else f"in [0, {highest:g}]"
        raise IdnError(f"{name}{list(where)}: {array[where]}; must be {allowed}")
    return array
