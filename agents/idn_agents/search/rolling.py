"""A rival that learns nothing: local search on the last batches, slot by slot."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from idn_agents.agent import observed
from idn_agents.search.local_search import LocalSearch
from idn_gym import kernels
from idn_gym.common.parameters import whole
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray


class RollingLocalSearch:
    """In each slot, what local search makes of the last batches, from what is held on; no forecast and no guard.

    No node can do better alone on these batches. Loading is not charged, and nothing is held before the first batch.

    Parameters
    ----------
    window : last batches that count alike.
    """

    def __init__(self, *, window: int = 16) -> None:
        self._window = whole("window", window, highest=10_000)

    def accepts(self, network: Network) -> None:
        """Services of one stage: with chains a move of a single model gains nothing."""
        RankedService.of(network.service, "rolling-local-search")

    def reset(self, network: Network, seed: int) -> None:
        self._network, self._search = network, LocalSearch(network)
        self._batches: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=self._window)
        self._held = np.zeros(network.P, dtype=np.int8)

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8."""
        requests, capacities = observed(self._network, observation, "requests", "capacities")
        if not self._batches and not requests.any():
            return self._held.copy()
        self._batches.append((requests, capacities))
        rows, limits = (np.stack(each) for each in zip(*self._batches, strict=True))
        limits = limits[:1] if (limits == limits[0]).all() else limits
        self._search.look_at(rows, limits, kernels.loads(self._network, rows), len(rows) * self._network.holding)
        self._search.start(self._held)
        self._search.improve()
        self._held = self._search.allocation
        return self._held.copy()

    def info(self) -> dict[str, Any]:
        """Nothing."""
        return {}
