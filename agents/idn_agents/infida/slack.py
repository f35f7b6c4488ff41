"""What states of mirror descent are over: the placements, and at nodes where holding them has a price, a slack.

Source: docs/model.md#agents-and-prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray, IntArray


def charges(network: Network) -> FloatArray:
    """(P,) ms per slot that holding each placement costs; inf where it cannot save more, at its nominal capacity."""
    pays = network.holding < network.capacities * network.service.largest_saving
    return np.where(pays | (network.holding == 0.0), network.holding, np.inf)


def with_slack(placements: Placements, mass: FloatArray, holding: FloatArray) -> tuple[Placements, IntArray]:
    """Placements with a slack after those of each node where one costs to hold; and where they are among them, (P,).

    A slack is as large as all that its node's state spends, `mass` (V,) in MB. It gains and costs nothing: the more of
    it a state holds, the less of its budget it spends, and the projection of all entries on the mass is one on all
    states that spend no more than the mass. What `holding` (P,) is inf for fits nowhere.
    """
    costly = np.bincount(placements.placement_node, holding > 0.0, minlength=placements.V) > 0
    nodes = np.flatnonzero(costly)
    before = np.concatenate([[0], np.cumsum(costly)])
    start = placements.node_start + before
    own = np.arange(placements.P) + before[placements.placement_node]
    slack = start[nodes + 1] - 1
    entries = placements.P + len(nodes)
    node, model = np.empty((2, entries), dtype=np.int32)
    node[own], node[slack] = placements.placement_node, nodes
    model[own], model[slack] = placements.placement_model, len(placements.model_names)
    too_large = 1.0 + 2.0 * placements.budgets
    sizes, out = np.empty(entries), np.isinf(holding)
    sizes[own] = np.where(out, too_large[placements.placement_node], placements.sizes)
    sizes[slack] = np.where(mass > 0.0, mass, too_large)[nodes]
    fits = np.empty(entries, dtype=np.bool_)
    fits[own], fits[slack] = placements.fits & ~out, mass[nodes] > 0.0
    wider = Placements(
        node_names=placements.node_names,
        model_names=(*placements.model_names, "slack"),
        budgets=placements.budgets.copy(),
        node_start=start.astype(np.int32),
        placement_node=node,
        placement_model=model,
        sizes=sizes,
        fits=fits,
    )
    return wider, own


class StateSpace:
    """What a state of mirror descent is over: its entries, the P placements and the slacks, see `with_slack`.

    Parameters
    ----------
    holding : (P,) ms that holding each placement takes off the gain that gradients are of; inf keeps one out.
    mass : (V,) MB that a state spends at each node, its slack included.
    array : makes what states are made of from an array.
    """

    def __init__(
        self,
        placements: Placements,
        holding: FloatArray,
        mass: FloatArray,
        array: Callable[[FloatArray], Any] = np.asarray,
    ) -> None:
        self.priced, self.placements = bool(holding.any()), placements
        if self.priced:
            self._holding = np.where(np.isinf(holding), 0.0, holding)
            self.placements, self._own = with_slack(placements, mass, holding)
            entries = self.placements.P
            self._placement = np.zeros(entries, dtype=np.int64)
            self._placement[self._own] = np.arange(placements.P)
            real, costs = np.zeros((2, entries))
            real[self._own], costs[self._own] = 1.0, self._holding
            self._real, self._costs = array(real), array(costs)
        self.sizes = array(self.placements.sizes)

    def ascent(self, gradient: Any) -> Any:
        """Net gain in ms per MB (B, entries) from the gradient (B, P) of the gain; 0 for a slack."""
        if not self.priced:
            return gradient / self.sizes
        return (gradient[:, self._placement] * self._real - self._costs) / self.sizes

    def steepness(self, ascent: Any) -> Any:
        """What a scale-free rate is in proportion to one over, (B, entries): with prices, gains fall below 0 too."""
        return abs(ascent) if self.priced else ascent

    def held(self, states: Any) -> Any:
        """(B, P) what states say of the placements."""
        return states[:, self._own] if self.priced else states

    def net(self, gradient: FloatArray) -> FloatArray:
        """(P,) gradient of the net gain from that of the gain, of what is not out."""
        return gradient - self._holding if self.priced else gradient
