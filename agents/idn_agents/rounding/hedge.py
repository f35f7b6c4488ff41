"""Following the better of several experts, whose gains are all seen after the slot, without a rate to choose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from idn_gym.common.arrays import shaped
from idn_gym.common.parameters import whole
from idn_gym.errors import IdnError
from idn_gym.kernels.compiled import compiled
from idn_gym.typing import FloatArray

_NOTHING = 1e-9  # of the largest range of gains: a difference that rounding alone explains


class AdaHedge:
    """Weights over K experts in each of several games, played side by side.

    With c = ln(1 / least prior weight), which is ln K where all are equal, the weighted sum of gains in each game falls
    short of expert k's by at most (1 + ln(1 / prior_k) / c) (S/2 sqrt(c T) + S (2/3 c + 1)), S the largest range of a
    slot's gains, whatever the gains and their unit.

    Parameters
    ----------
    prior : (K,) weights > 0 to begin with, which add up to 1; by default equal ones.

    Source: de Rooij, van Erven, Grünwald, Koolen, "Follow the Leader If You Can, Hedge If You Must", JMLR 15 (2014),
    theorem 6, with variances of at most S^2/4; with a prior: docs/coordinated-proofs.md#what-is-proven.
    """

    def __init__(self, experts: int, games: int = 1, prior: Sequence[float] | None = None) -> None:
        whole("experts", experts)
        whole("games", games)
        given = np.full(experts, 1.0 / experts) if prior is None else np.array(prior, dtype=np.float64)
        self._prior = shaped("prior", given, (experts,))
        if not (self._prior > 0.0).all() or abs(float(self._prior.sum()) - 1.0) > 1e-9:
            raise IdnError(f"prior: {self._prior.tolist()}; must be weights above 0 that add up to 1")
        self._rate = -math.log(float(self._prior.min()))  # c
        self.weights: FloatArray = np.repeat(self._prior[:, None], games, axis=1)  # (K, games), columns adding up to 1
        self._behind = np.zeros((experts, games))  # how much less each has gained than the best of each slot
        self._gap = np.zeros(games)  # what mixing has cost against the mix loss, so far
        self._range = np.zeros(games)

    def see(self, gains: FloatArray) -> None:
        """See what each expert gained in the slot, (K, games), and move the weights."""
        gains = np.ascontiguousarray(shaped("gains", gains, self.weights.shape))
        _see(gains, self._prior, self._rate, self._behind, self._gap, self._range, self.weights)


@compiled(error_model="numpy")
def _see(gains, prior, rate, behind, gap, largest, weights):
    experts, games = gains.shape
    for game in range(games):
        best, worst = gains[:, game].max(), gains[:, game].min()
        largest[game] = max(largest[game], best - worst)
        mixed, hedged, least, leading = 0.0, 0.0, np.inf, np.inf
        eta = rate / gap[game] if gap[game] > 0.0 else np.inf
        for k in range(experts):
            loss = best - gains[k, game]
            hedged += weights[k, game] * loss
            mixed += weights[k, game] * np.exp(-eta * loss) if eta < np.inf else 0.0
            if weights[k, game] > 0.0:
                least = min(least, loss)
            behind[k, game] += loss
            leading = min(leading, behind[k, game])
        # the mix loss; at an infinite rate, which starts the game, that of the best of those in the lead
        mix_loss = -np.log(mixed) / eta if mixed > 0.0 else least
        cost = hedged - mix_loss
        if cost > _NOTHING * largest[game]:
            gap[game] += cost
        eta = rate / gap[game] if gap[game] > 0.0 else np.inf
        total = 0.0
        for k in range(experts):
            ahead = behind[k, game] - leading
            if eta < np.inf:
                weights[k, game] = prior[k] * np.exp(-eta * ahead)
            else:
                weights[k, game] = prior[k] if ahead <= _NOTHING * largest[game] else 0.0
            total += weights[k, game]
        for k in range(experts):
            weights[k, game] /= total
