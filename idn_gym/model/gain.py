"""Cost, allocation gain and supergradient of one slot, with their arguments checked; the plain reference.

What is computed is the service's: see `idn_gym.model.service`, and `idn_gym.model.ranked` for the formulas.
"""

from __future__ import annotations

import numpy as np

from idn_gym.common.arrays import checked
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.ranked import TOLERANCE, RankedService
from idn_gym.typing import FloatArray


def cost(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    allocation: FloatArray,
    potential: FloatArray | None = None,
) -> float:
    """Serving cost C(r, l, x) in ms summed over requests; arguments as in `allocation_gain`."""
    slot = _checked(network, requests, capacities, allocation)
    if potential is None:
        return float(network.service.serve(*slot).cost)
    service, covering = _covering(network, slot[0], potential)
    return service.cost_of(slot[0], slot[2], covering)


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
        by default those of the sharing rule, `RankedService.potential_capacities`.

    Returns
    -------
    Gain in ms summed over requests, >= 0.

    Raises
    ------
    IdnError
        If a shape differs from the network's, a value is negative or not finite, or an explicit l does not
        cover the requests at the repository model.
    """
    slot = _checked(network, requests, capacities, allocation)
    if potential is None:
        return network.service.gain(*slot)
    service, covering = _covering(network, slot[0], potential)
    return service.gain_of(slot[0], slot[2], covering)


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
    """
    slot = _checked(network, requests, capacities, allocation)
    if potential is None:
        return network.service.gain_and_supergradient(*slot, tolerance)[1]
    service, covering = _covering(network, slot[0], potential)
    return service.supergradient_of(slot[0], slot[2], covering, tolerance)


def _checked(
    network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Requests, capacities and allocation as float64, or an `IdnError` naming the argument."""
    return (
        checked("requests", requests, (network.R,)),
        checked("capacities", capacities, (network.P,)),
        checked("allocation", allocation, (network.P,), highest=1.0),
    )


def _covering(network: Network, requests: FloatArray, potential: FloatArray) -> tuple[RankedService, FloatArray]:
    """The service that explicit potential capacities go with, and these, or an `IdnError`."""
    service = RankedService.of(network.service, "potential")
    potential = checked("potential", potential, (network.R, service.K))
    at_repository = potential[np.arange(network.R), service.option_count - 1]
    if (at_repository < requests).any():
        rho = int((at_repository < requests).argmax())
        raise IdnError(f"potential[{rho}]: {at_repository[rho]} at the repository model; must be >= {requests[rho]}")
    return service, potential
