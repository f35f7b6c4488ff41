"""What a node that learns knows of its placements, and how it is filled in the order of their scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from idn_agents.learning.limits import refuse_priced
from idn_gym.multi_agent import NodesEnv, Observation
from idn_gym.typing import FloatArray, IntArray

_RATES = (1.0, 0.2, 0.02)  # of the averages of gains that a node keeps


class Nodes:
    """What the nodes of a padded `NodesEnv` keep from slot to slot, and how a score becomes an action."""

    def __init__(self, view: NodesEnv) -> None:
        refuse_priced(view.network, "nodes that learn")
        self.view, self.agents = view, list(view.possible_agents)
        self._width = max(len(view.placements(agent)) for agent in self.agents)
        self._sizes = np.zeros((len(self.agents), self._width))
        for row, agent in zip(self._sizes, self.agents, strict=True):
            own = view.placements(agent)
            row[: len(own)] = view.network.sizes[list(own)]
        self.reset()

    def reset(self) -> None:
        """Forget the gains of another stream."""
        self._averages: list[FloatArray] | None = None

    def see(self, observations: Mapping[str, Observation]) -> FloatArray:
        """(A, n, F) features of every node's placements, from what that node observed and remembers; 0 as padding."""
        seen = {key: self._stacked(observations, key) for key in observations[self.agents[0]]}
        self.budgets, self.fits = seen["budget"], seen["action_mask"] > 0
        gains = seen["gains"]
        if self._averages is None:
            self._averages = [gains for _ in _RATES]
        self._averages = [old + rate * (gains - old) for old, rate in zip(self._averages, _RATES, strict=True)]
        sizes = np.where(self.fits, self._sizes, 1.0)
        columns = [seen["allocation"], np.log1p(seen["capacities"]) / 10.0, self._sizes / self.budgets]
        columns += np.split(seen["shares"], seen["shares"].shape[1] // self._width, axis=1)
        for average in self._averages:
            columns += [_of_largest(average), _of_largest(average / sizes)]
        return np.stack(columns, axis=-1) * self.fits[:, :, None]

    def fill(self, scores: FloatArray) -> tuple[dict[str, IntArray], IntArray, FloatArray]:
        """Fill every node from the highest of its scores (A, n) down with what still fits.

        Returns the actions; what was chosen (A, n), the k-th at k, -1 behind the last; and among what (A, n, n).
        """
        rows = np.arange(len(self.agents))
        left, placed = self.budgets[:, 0].copy(), np.zeros(scores.shape, dtype=np.int8)
        chosen, among = np.full(scores.shape, -1), np.zeros((*scores.shape, self._width), dtype=bool)
        for k in range(self._width):
            among[:, k] = self.fits & (placed == 0) & (self._sizes <= left[:, None])
            if not among[:, k].any():
                break
            best = np.where(among[:, k], scores, -np.inf).argmax(1)
            some = among[:, k].any(1)
            chosen[some, k] = best[some]
            placed[rows[some], best[some]] = 1
            left[some] -= self._sizes[rows[some], best[some]]
        return dict(zip(self.agents, placed, strict=True)), chosen, among

    def _stacked(self, observations: Mapping[str, Observation], key: str) -> FloatArray:
        return np.stack([observations[agent][key] for agent in self.agents]).astype(np.float64)


def _of_largest(values: FloatArray) -> FloatArray:
    """(A, n) as shares of the largest of each row; 0 where that is 0."""
    return values / np.maximum(values.max(1, keepdims=True), 1e-9)
