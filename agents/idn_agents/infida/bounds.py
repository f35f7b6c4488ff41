"""Bounds on INFIDA's regret, and the learning rate that they ask for. Source: docs/model.md#regret-bounds."""

from __future__ import annotations

import math

import numpy as np

from idn_agents.infida.slack import charges
from idn_gym.common.parameters import whole
from idn_gym.errors import IdnError
from idn_gym.model.network import Network

PSI = 1.0 - 1.0 / math.e


def regret_bound(network: Network, slots: int) -> float:
    """Bound in ms on the state regret after T slots, under the library's capacity rule; psi times it on psi-regret.

    sigma sqrt(2 D T / theta) with sigma = max L_m Delta_C / s_m and theta = 1 / sum_v min{b^v, ||s^v||_1}, which hold
    since the potential capacities of all types at a placement sum to L at most. Where holding has a price it bounds the
    regret of the states' net gain, and nothing of psi-regret: see docs/guarantees.md#with-prices.
    """
    whole("slots", slots)
    return _sigma(network) * math.sqrt(2.0 * _divergence(network) * slots * float(network.spendable.sum()))


def paper_regret_bound(network: Network, slots: int) -> float:
    """The paper's bound in ms on psi-regret after T slots, for any potential capacities up to L.

    psi (R L_max Delta_C / s_min) sqrt(2 s_max |V| |M| D T), with R request types.

    Raises
    ------
    IdnError
        If holding has a price in this network: psi-regret is of a gain that only grows with what is placed.
    """
    whole("slots", slots)
    if network.priced:
        raise IdnError(f"the paper's bound is of a gain without prices; {network.scenario.name} has price_weight > 0")
    sizes, capacities = network.sizes[network.fits], network.capacities[network.fits]
    if not len(sizes):
        return 0.0
    sigma = network.R * float(capacities.max()) * _saved(network) / float(sizes.min())
    scale = float(sizes.max()) * network.V * network.M
    return PSI * sigma * math.sqrt(2.0 * scale * _divergence(network) * slots)


def theory_rate(network: Network, slots: int) -> float:
    """The eta that gives `regret_bound` after T slots, in MB per ms: (1/sigma) sqrt(2 theta D / T).

    0 where there is nothing to choose.
    """
    whole("slots", slots)
    sigma, mass = _sigma(network), float(network.spendable.sum())
    return math.sqrt(2.0 * _divergence(network) / mass / slots) / sigma if sigma > 0.0 and mass > 0.0 else 0.0


def _divergence(network: Network) -> float:
    """D = sum_v min{b^v, ||s^v||_1} log(||s^v||_1 / min{b^v, ||s^v||_1}), over what fits, a slack included."""
    total = network.fitting_mb
    if network.priced:
        paying = network.sizes * network.fits * (charges(network) < np.inf)
        total = np.bincount(network.placement_node, paying, minlength=network.V) + network.spendable
    used = network.spendable > 0
    return float((network.spendable[used] * np.log(total[used] / network.spendable[used])).sum())


def _sigma(network: Network) -> float:
    """Largest |g_p| / s_p: g is in [0, L Delta_C], less what holding costs, of what may pay for it."""
    if network.priced:
        costs = charges(network)
        steepest = np.where(costs < np.inf, np.maximum(network.capacities * _saved(network) - costs, costs), 0.0)
        return float((steepest * network.fits / network.sizes).max(initial=0.0))
    return float((network.capacities * network.fits / network.sizes).max(initial=0.0)) * _saved(network)


def _saved(network: Network) -> float:
    """Delta_C: ms that a request saves at most."""
    return network.service.largest_saving
