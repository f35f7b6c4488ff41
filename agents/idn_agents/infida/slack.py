"""What states of mirror descent are over: the placements, and where holding them has a price, a slack entry per node.

Source: docs/model.md#prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.typing import BoolArray, FloatArray, IntArray


def charges(network: Network) -> FloatArray:
    """(P,) ms per slot that holding each placement costs; inf where it cannot save more, at its nominal capacity."""
    pays = network.holding < network.capacities * network.service.largest_saving
    return np.where(pays | (network.holding == 0.0), network.holding, np.inf)


def with_slack(placements: Placements, mass: FloatArray, out: BoolArray) -> tuple[Placements, IntArray]:
    """Placements (P + V) whose last entry at each node is its slack, and where the P others are among them.

    A slack is as large as all that its node's state spends, `mass` (V,) in MB. It gains and costs nothing: the more of
    it a state holds, the less of its budget it spends, and the projection of all P + V entries on the mass is one on
    all states that spend no more than the mass. What is `out` (P,) fits nowhere.
    """
    nodes = np.arange(placements.V)
    own = np.arange(placements.P) + placements.placement_node
    slack = placements.node_start[1:] + nodes
    node = np.sort(np.concatenate([placements.placement_node, nodes]), kind="stable").astype(np.int32)
    model = np.full(len(node), len(placements.model_names), dtype=np.int32)
    model[own] = placements.placement_model
    sizes, fits = np.ones(len(node)), np.zeros(len(node), dtype=np.bool_)
    too_large = 1.0 + 2.0 * placements.budgets[placements.placement_node]
    sizes[own], fits[own] = np.where(out, too_large, placements.sizes), placements.fits & ~out
    sizes[slack[mass > 0.0]], fits[slack] = mass[mass > 0.0], mass > 0.0
    wider = Placements(
        node_names=placements.node_names,
        model_names=(*placements.model_names, "slack"),
        budgets=placements.budgets.copy(),
        node_start=(placements.node_start + np.arange(placements.V + 1)).astype(np.int32),
        placement_node=node,
        placement_model=model,
        sizes=sizes,
        fits=fits,
    )
    return wider, own


class StateSpace:
    """What a state of mirror descent is over: the P placements; or P + V entries, where something costs to hold.

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
            out = np.isinf(holding)
            self._holding = np.where(out, 0.0, holding)
            self.placements, self._own = with_slack(placements, mass, out)
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
