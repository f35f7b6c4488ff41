"""The two ends of the scale: placing nothing, and placing at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_agents.agent import generator
from idn_gym import kernels
from idn_gym.common.parameters import whole
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray


class RepositoryOnly:
    """Places nothing: every request goes to its repository, and the gain is 0."""

    def reset(self, network: Network, seed: int) -> None:
        self._allocation = np.zeros(network.P, dtype=np.int8)

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        return self._allocation

    def info(self) -> dict[str, Any]:
        return {}


class Random:
    """Fills every node in random order, anew every `refresh` slots.

    Parameters
    ----------
    refresh : slots between draws; None (the default) draws once and keeps it.
    """

    def __init__(self, *, refresh: int | None = None) -> None:
        self._refresh = None if refresh is None else whole("refresh", refresh)

    def reset(self, network: Network, seed: int) -> None:
        self._network, self._generator, self._slot = network, generator(seed), 0

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        if self._slot == 0 or (self._refresh and self._slot % self._refresh == 0):
            self._allocation = kernels.pack(self._network, self._generator.random((1, self._network.P)))[0]
        self._slot += 1
        return self._allocation

    def info(self) -> dict[str, Any]:
        return {}
