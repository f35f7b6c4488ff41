"""Bits of the tensors that QPART sends at a fixed cut: over real numbers, by its heuristic, and exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idn_agents.systems.frame import Infeasible
from idn_gym.library.splits import quantisers_noise
from idn_gym.typing import FloatArray, IntArray

_MOST_LABELS = 300_000  # of the exact search
_SLACK = 1e-12  # relative, of a budget


@dataclass(frozen=True)
class Problem:
    """Bits of each tensor that is sent: payload z . b, if sum_l k_l 4^-b_l is within the budget."""

    sensitivities: FloatArray  # (L,)
    sizes: FloatArray  # (L,)
    budget: float
    least: int = 2
    most: int = 16

    def noise(self, bits: FloatArray | IntArray) -> float:
        """sum_l k_l 4^-b_l."""
        return quantisers_noise(self.sensitivities, bits)

    def feasible(self, bits: FloatArray | IntArray) -> bool:
        """Whether the noise is within the budget."""
        return self.noise(bits) <= self.budget * (1.0 + _SLACK)

    def refuse_infeasible(self) -> None:
        """Raise an `Infeasible` unless the most bits are enough."""
        least = self.noise(np.full(len(self.sizes), float(self.most)))
        if least > self.budget:
            raise Infeasible(f"budget {self.budget:g}: the noise binds: {self.most} bits leave {least:.6g}")

    def continuous(self) -> FloatArray:
        """(L,) optimum over real numbers: b_l = log4(nu k_l / z_l) within its limits, nu the least that is feasible."""
        with np.errstate(divide="ignore", over="ignore"):
            steep = np.log(self.sensitivities / self.sizes) / np.log(4.0)
        low, high = (
            self.least - steep[np.isfinite(steep)].max(initial=0.0),
            self.most - steep.min(where=np.isfinite(steep), initial=0.0),
        )
        if self.feasible(np.clip(steep + low, self.least, self.most)):
            return np.clip(steep + low, self.least, self.most)
        for _ in range(200):  # as many halvings as a float has bits, and more
            middle = 0.5 * (low + high)
            if self.feasible(np.clip(steep + middle, self.least, self.most)):
                high = middle
            else:
                low = middle
        return np.clip(steep + high, self.least, self.most)

    def greedy(self) -> IntArray:
        """(L,) the continuous optimum rounded up, then bits taken back, the largest tensor first."""
        bits = np.clip(np.ceil(self.continuous() - 1e-9), self.least, self.most).astype(np.int64)
        for tensor in np.argsort(-self.sizes, kind="stable"):
            while bits[tensor] > self.least:
                bits[tensor] -= 1
                if not self.feasible(bits):
                    bits[tensor] += 1
                    break
        return bits

    def exact(self) -> IntArray | None:
        """(L,) the optimum by dynamic programming over tensors; None where too many states would have to be kept.

        Of the bits of the first tensors those are kept than which none has as little payload and as little noise, and
        that can still come within the budget, and below the greedy's payload.
        """
        bits = np.arange(self.least, self.most + 1)
        incumbent = self.greedy()
        ceiling = float(self.sizes @ incumbent) * (1.0 + _SLACK)
        payload, noise, history = np.zeros(1), np.zeros(1), list[tuple[IntArray, IntArray]]()
        for n, (k, z) in enumerate(zip(self.sensitivities, self.sizes, strict=True)):
            more = np.add.outer(payload, z * bits).ravel()
            loud = np.add.outer(noise, k * 4.0**-bits).ravel()
            rest_noise = self.sensitivities[n + 1 :].sum() * 4.0**-self.most
            rest_payload = self.sizes[n + 1 :].sum() * self.least
            open_ = (loud + rest_noise <= self.budget * (1.0 + _SLACK)) & (more + rest_payload <= ceiling)
            at = np.flatnonzero(open_)
            at = at[np.lexsort((loud[at], more[at]))]
            quieter = np.minimum.accumulate(loud[at])
            at = at[np.concatenate([[True], loud[at][1:] < quieter[:-1]])] if len(at) else at
            if len(at) > _MOST_LABELS:
                return None
            history.append((at // len(bits), bits[at % len(bits)]))
            payload, noise = more[at], loud[at]
        if not len(payload):  # rounding, at most: the greedy's bits are feasible
            return incumbent
        chosen, label = [], int(np.argmin(payload))
        for before, taken in reversed(history):
            chosen.append(int(taken[label]))
            label = int(before[label])
        return np.array(chosen[::-1])
