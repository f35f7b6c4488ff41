"""What request types are left with of their gains, at most, where each pays charges for the placements that serve it.

With charges c_i >= 0 of type i for what is on its path, and the price h, for every feasible x

    sum of G_i(x) - h.x   =   sum over types of (G_i(x) - c_i.x)  +  (sum of c_i - h).x ,

so that the sum of the types' maxima, plus a knapsack per node, bounds the net gain, whatever the charges are. A type
has few placements, so its maximum over what nodes may hold is found exactly, by branch and bound without a solver.

Source: Guignard and Kim, Lagrangean decomposition, Mathematical Programming 39(2), 1987.
"""

from __future__ import annotations

import numpy as np

from idn_agents.optimum.charges_kernel import gain_of, most_of, shares_of
from idn_agents.optimum.rounding import UNIT, rounding
from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

CHOICES = 1000  # of a type's placements, looked at; what is not settled by then is bounded
_ALL_WORK = 1e12  # over the types of all leaves: groups of slots x options^2 x choices, minutes of one core
_GROUPS, _SHARES = 16, 500_000  # groups of like slots stand for all where there are more shares of types than so many


class TypeOptions:
    """The placements that may serve a request type, over groups of like slots that stand for all.

    A type's gain is concave in its shares, so that it is no less with the mean of them in place of each.
    """

    def __init__(
        self, network: Network, requests: FloatArray, capacities: FloatArray, load: FloatArray, rho: int
    ) -> None:
        service = RankedService.of(network.service, "charges of request types")
        terms = service.terms
        shares = np.empty((len(requests), service.K))
        count = shares_of(service.tables, requests, capacities, load, rho, shares)
        self.terms = slice(terms.start[rho], terms.start[rho + 1])
        self.placements = terms.placement[self.terms].astype(np.int64)
        self._requests, self._shares = grouped(requests[:, rho], shares[:, :count], _groups(len(terms)))
        self._costs = service.costs[rho, : count + 1]
        self.ceiling = float(self._costs[-1] - self._costs[0]) * float(self._requests.sum())  # ms, with room for all
        nodes, self._nodes = np.unique(network.placement_node[self.placements], return_inverse=True)
        self._sizes, self._rooms = network.sizes[self.placements], network.budgets[nodes] * (1.0 + 2.0 * BUDGET_SLACK)

    def gain(self, held: IntArray) -> float:
        """Ms that options gain, by ascending numbers."""
        return float(gain_of(self._requests, self._shares, self._costs, held, len(held)))

    def left(self, charges: FloatArray, fixed: IntArray, limit: int) -> tuple[float, IntArray]:
        """The most in ms of gain less charges (n,), options fixed (n,) as in a leaf, and the best choice met."""
        chosen = np.zeros(len(charges), dtype=np.bool_)
        of_slots, of_options = (self._requests, self._shares, self._costs), (self._sizes, self._nodes, self._rooms)
        most, _ = most_of(*of_slots, charges, fixed, *of_options, limit, chosen)
        return float(most), np.flatnonzero(chosen)


def _groups(terms: int) -> int:
    """Of like slots, at most."""
    return max(_GROUPS, _SHARES // terms)


def grouped(requests: FloatArray, shares: FloatArray, groups: int) -> tuple[FloatArray, FloatArray]:
    """Requests (G,) and mean shares (G, n) of groups of like slots, from those of all slots (T,), (T, n)."""
    slots = np.flatnonzero(requests > 0.0)
    slots = slots[np.argsort(shares[slots].sum(axis=1), kind="stable")]
    like = np.array_split(slots, max(1, min(groups, len(slots))))
    summed = np.array([requests[each].sum() for each in like])
    mean = [requests[each] @ shares[each] / max(requests[each].sum(), 1e-300) for each in like]
    return summed, np.array(mean).reshape(len(like), shares.shape[1])


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
    Rounding. Shares err by no more than their loads, products and means do, relatively, and so then does a gain. A gain
    is a sum of T n numbers and at most the type's ceiling, charges of a choice are n numbers and at most what all
    options gain alone; what is compared in the search is made of at most four n gains and as many sums of charges.
    """
    service = RankedService.of(network.service, "charges of request types")
    slots = len(requests)
    _, alone = kernels.type_cuts(network, requests, capacities, np.zeros(network.P), load)
    charges = np.clip(np.nan_to_num(charges), 0.0, alone)
    left = np.zeros(network.R)
    groups = min(slots, _groups(max(len(service.terms), 1)))
    work_of_choice = leaves * groups * float((service.option_count.astype(np.float64) ** 2).sum())
    limit = int(min(CHOICES, max(1.0, _ALL_WORK // max(work_of_choice, 1.0))))
    for rho in np.flatnonzero(service.terms.by_type(alone, np.ones(network.P)) > 0.0):
        of_type = TypeOptions(network, requests, capacities, load, int(rho))
        left[rho] = of_type.left(charges[of_type.terms], fixed[of_type.placements], limit)[0]
    wide, summed = service.option_count.astype(np.float64), service.terms.by_type(alone, np.ones(network.P))
    ceiling = np.minimum(requests.sum(axis=0) * (service.costs[:, -1] - service.costs[:, 0]), summed)
    of_gains = (rounding(network.R + 2 * slots + 20) + 4.0 * wide * rounding(slots * service.K + slots + 100)) * ceiling
    return left + 1.01 * (of_gains + 4.0 * wide**2 * UNIT * summed), charges
