"""What request types are left with of their gains, at most, where each pays charges for the placements that serve it.

With charges c_i >= 0 of type i for what is on its path, and the price h, for every feasible x

    sum of G_i(x) - h.x   =   sum over types of (G_i(x) - c_i.x)  +  (sum of c_i - h).x ,

so that the sum of the types' maxima, plus a knapsack per node, bounds the net gain, whatever the charges are. A type
has few placements, so its maximum over what nodes may hold is found exactly, by branch and bound without a solver.

Source: Guignard and Kim, Lagrangean decomposition, Mathematical Programming 39(2), 1987.
"""

from __future__ import annotations

import numpy as np

from idn_agents.optimum.charges_kernel import types_left
from idn_agents.optimum.rounding import UNIT, rounding
from idn_gym import kernels
from idn_gym.kernels.threads import over_rows
from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

CHOICES = 20_000  # of a type's placements, looked at; what is not settled by then is bounded
_ALL_WORK = 1e12  # over the types of all leaves: slots x options^2 x choices, minutes of one core


def most_left(
    network: Network,
    requests: FloatArray,
    capacities: FloatArray,
    load: FloatArray,
    charges: FloatArray,
    fixed: IntArray,
    leaves: int = 1,
) -> tuple[FloatArray, FloatArray]:
    """(R,) ms, the most of each type's gain less its charges (n,) per term over a leaf's allocations, rounded up.

    Also the charges that are meant: at least 0, and none above what its placement gains the type alone, which is
    reason enough to leave it out; so what is charged for no more is not worth more to the node either.

    Parameters
    ----------
    fixed : (P,) as a `Leaf` has it.
    leaves : that share the work, which bounds the time taken: the longer the stream, the fewer choices are looked at.

    Raises
    ------
    IdnError
        If the service has chains.

    Notes
    -----
    Rounding. Shares err by no more than their loads and their product do, relatively, and so then does a gain. A gain
    is a sum of T n numbers and at most the type's ceiling, charges of a choice are n numbers and at most what all
    options gain alone; what is compared in the search is made of at most four n gains and as many sums of charges.
    """
    service = RankedService.of(network.service, "charges of request types")
    start, slots = service.terms.start, len(requests)
    _, alone = kernels.type_cuts(network, requests, capacities, np.zeros(network.P), load)
    charges = np.clip(np.nan_to_num(charges), 0.0, alone)
    left = np.zeros(network.R)
    rooms = network.budgets * (1.0 + 2.0 * BUDGET_SLACK)
    work_of_choice = leaves * slots * float((service.option_count.astype(np.float64) ** 2).sum())
    limit = int(min(CHOICES, max(1.0, _ALL_WORK // max(work_of_choice, 1.0))))
    slot_rows = service.tables, start, requests, capacities, load

    def work(first: int, stop: int) -> None:
        types_left(*slot_rows, charges, fixed, network.sizes, rooms, limit, first, stop, left)

    over_rows(network.R, slots * service.K, work)
    wide, summed = service.option_count.astype(np.float64), service.terms.by_type(alone, np.ones(network.P))
    ceiling = np.minimum(requests.sum(axis=0) * (service.costs[:, -1] - service.costs[:, 0]), summed)
    of_gains = (rounding(network.R + 20) + 4.0 * wide * rounding(slots * service.K + slots + 100)) * ceiling
    return left + 1.01 * (of_gains + 4.0 * wide**2 * UNIT * summed), charges
