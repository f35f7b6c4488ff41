"""Following the better of several experts, whose gains are all seen after the slot, without a rate to choose."""

from __future__ import annotations

import numpy as np

from idn_gym.common.arrays import shaped
from idn_gym.common.parameters import whole
from idn_gym.kernels.compiled import compiled
from idn_gym.typing import FloatArray

_NOTHING = 1e-9  # of the largest range of gains: a difference that rounding alone explains


class AdaHedge:
    """Weights over K experts in each of several games, played side by side.

    In each game, the weighted sum of gains falls short of the best expert's by at most S sqrt(T ln K) +
    S (4/3 ln K + 2), S the largest range of a slot's gains, whatever the gains and their unit; where one expert is
    better than the others on average, by a constant.

    Source: de Rooij, van Erven, Grünwald, Koolen, "Follow the Leader If You Can, Hedge If You Must", JMLR 15 (2014),
    theorem 6, with variances of at most S^2/4.
    """

    def __init__(self, experts: int, games: int = 1) -> None:
        whole("experts", experts)
        whole("games", games)
        self.weights: FloatArray = np.full((experts, games), 1.0 / experts)  # (K, games), columns adding up to 1
        self._behind = np.zeros((experts, games))  # how much less each has gained than the best of each slot
        self._gap = np.zeros(games)  # what mixing has cost against the mix loss, so far
        self._range = np.zeros(games)

    def see(self, gains: FloatArray) -> None:
        """See what each expert gained in the slot, (K, games), and move the weights."""
        gains = np.ascontiguousarray(shaped("gains", gains, self.weights.shape))
        _see(gains, self._behind, self._gap, self._range, self.weights)


@compiled(error_model="numpy")
def _see(gains, behind, gap, largest, weights):
    experts, games = gains.shape
    log_experts = np.log(float(experts))
    for game in range(games):
        best, worst = gains[:, game].max(), gains[:, game].min()
        largest[game] = max(largest[game], best - worst)
        mixed, hedged, least, leading = 0.0, 0.0, np.inf, np.inf
        eta = log_experts / gap[game] if gap[game] > 0.0 else np.inf
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
        eta = log_experts / gap[game] if gap[game] > 0.0 else np.inf
        total = 0.0
        for k in range(experts):
            ahead = behind[k, game] - leading
            if eta < np.inf:
                weights[k, game] = np.exp(-eta * ahead)
            else:
                weights[k, game] = 1.0 if ahead <= _NOTHING * largest[game] else 0.0
            total += weights[k, game]
        for k in range(experts):
            weights[k, game] /= total
