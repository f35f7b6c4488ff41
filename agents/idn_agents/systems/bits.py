"""Bits per layer for a budget of noise: the relaxation, the rounding of it, and the exact choice.

Payload z . b over integers least <= b <= most with sum_l k_l 4^-b_l <= budget: a multiple-choice knapsack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from idn_agents.systems.frame import Infeasible
from idn_gym.typing import FloatArray

_EDGE = 1e-12  # of a bit, that rounding up forgives
MOST_STATES = 300_000  # of the exact search, before it is given up


@dataclass(frozen=True)
class Problem:
    """Bits of each layer as configurations, payload as the objective, noise as the constraint.

    Parameters
    ----------
    sensitivities, sizes : (L,) k and z.
    """

    sensitivities: FloatArray
    sizes: FloatArray
    budget: float
    least: int = 2
    most: int = 16
    _noises: FloatArray = field(init=False, repr=False)  # (L, most - least + 1)

    def __post_init__(self) -> None:
        bits = np.arange(self.least, self.most + 1)
        object.__setattr__(self, "_noises", self.sensitivities[:, None] * 4.0**-bits)
        if (least := self._noises[:, -1].sum()) > self.budget:
            raise Infeasible(
                f"the budget binds: {self.most} bits in every layer leave a noise of {least:.4g}, above {self.budget:g}"
            )

    def noise(self, bits: FloatArray) -> float:
        """What a choice of bits, (L,), costs in accuracy."""
        return float((self.sensitivities * 4.0**-bits).sum())

    @cached_property
    def price(self) -> float:
        """Bits of payload per unit of noise where the relaxation is at its optimum; 0 where the budget is slack.

        For a price q the relaxed bits are log_4(k q / z), clipped; their noise falls in q, and is found by bisection
        over the logarithm.
        """
        if self._noises[:, 0].sum() <= self.budget:
            return 0.0
        matter = self.sensitivities > 0.0
        per_noise = self.sizes[matter] / self.sensitivities[matter]
        positive = per_noise[per_noise > 0.0]
        if not positive.size or self.noise(self._relaxed(0.0)) <= self.budget:
            return 0.0
        low = np.log(positive.min()) + self.least * np.log(4.0) - 1.0
        high = np.log(positive.max()) + self.most * np.log(4.0) + 1.0
        for _ in range(100):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.noise(self._relaxed(np.exp(middle))) > self.budget else (low, middle)
        return float(np.exp(high))

    def continuous(self) -> FloatArray:
        """(L,) bits of the relaxation, which is convex: its optimum, a lower bound of every choice."""
        return self._relaxed(self.price)

    def greedy(self) -> FloatArray:
        """(L,) bits: the relaxation's rounded up, then taken back where the budget lets, the largest layers first."""
        bits = np.clip(np.ceil(self.continuous() - _EDGE), self.least, self.most)
        for layer in np.argsort(-self.sizes, kind="stable"):
            while bits[layer] > self.least:
                bits[layer] -= 1.0
                if self.noise(bits) > self.budget:
                    bits[layer] += 1.0
                    break
        return bits

    def exact(self) -> FloatArray | None:
        """(L,) bits of the least payload, or None where the search outgrows `MOST_STATES`.

        Layer by layer, all choices are extended by all bits. One goes where its noise cannot be made good by the
        layers to come, where another has neither more payload nor more noise, and where its payload and the
        Lagrangian bound of the layers to come exceed the greedy choice.
        """
        layers, bits = len(self.sizes), np.arange(self.least, self.most + 1)
        price = self.price
        best = self.greedy()
        limit = float(self.sizes @ best)
        costs = self.sizes[:, None] * bits
        bound = np.append(np.cumsum((costs + price * self._noises).min(axis=1)[::-1])[::-1], 0.0)
        quietest = np.append(np.cumsum(self._noises[::-1, -1])[::-1], 0.0)
        payload, noise = np.zeros(1), np.zeros(1)
        chosen: list[tuple[FloatArray, FloatArray]] = []  # of each layer: the state before, its bits
        for layer in range(layers):
            payload = (payload[:, None] + costs[layer]).ravel()
            noise = (noise[:, None] + self._noises[layer]).ravel()
            promise = payload + bound[layer + 1] + price * (noise - self.budget)
            fits = noise + quietest[layer + 1] <= self.budget * (1.0 + _EDGE)
            kept = np.flatnonzero(fits & (promise <= limit * (1.0 + _EDGE)))
            kept = kept[np.lexsort((noise[kept], payload[kept]))]
            before = np.minimum.accumulate(np.append(np.inf, noise[kept]))[:-1]
            kept = kept[noise[kept] < before]
            if kept.size > MOST_STATES // bits.size:
                return None
            payload, noise = payload[kept], noise[kept]
            chosen.append((kept // bits.size, kept % bits.size))
        for state in range(payload.size):  # by payload; the first that keeps to the budget as `noise` adds it up
            found, at = np.zeros(layers), state
            for layer in reversed(range(layers)):
                came, index = chosen[layer]
                found[layer], at = bits[index[at]], came[at]
            if self.noise(found) <= self.budget:
                return found if self.sizes @ found < limit else best
        return best

    def _relaxed(self, price: float) -> FloatArray:
        gain = self.sensitivities * price
        with np.errstate(divide="ignore", invalid="ignore"):
            bits = np.log(gain / self.sizes) / np.log(4.0)
        free = (self.sizes == 0.0) & (self.sensitivities > 0.0)  # layers whose bits cost nothing
        return np.clip(np.where(free, np.inf, np.where(gain > 0.0, bits, -np.inf)), self.least, self.most)
