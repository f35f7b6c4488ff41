"""Local search slot by slot: on a forecast, from what is held, charged for what it would load."""

from __future__ import annotations

import numpy as np

from idn_agents.agent import generator
from idn_agents.search.local_search import LocalSearch
from idn_gym import kernels
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

_WORK = 90_000  # options looked at per slot on average, in four rows at once
_MANY = 8  # times that at most, of many rows: the more of them, the fewer options
_SAVED = 8  # slots' worth of work that may be saved up
_PATIENCE = 64  # trials that fail in a row, after which nothing is expected of more


class OnlineSearch:
    """Keeps an allocation that no node can improve alone on the rows it is given, and perturbs it while there is time.

    Work is counted, not timed, and what one slot takes too much of the next ones lack: results depend on no clock.
    """

    def __init__(self, network: Network, seed: int) -> None:
        self._network, self._search, self._generator = network, LocalSearch(network), generator(seed, 4)
        self._credit = 0

    def look_at(self, requests: FloatArray, capacities: FloatArray, held: IntArray, charge: float, anew: bool) -> None:
        """Go on from what is held (P,), on rows (T, R) and (1, P) and at a charge in ms per MB loaded and slot.

        With `anew` also from nothing, which takes the work of several slots; the better counts.
        """
        self._slots, self._charge = len(requests), charge
        load = kernels.loads(self._network, requests)
        self._search.look_at(requests, capacities, load, self._price(held))
        self._search.start(held)
        before = self._search.work
        self._search.improve()
        if anew:
            self._search.improve_from(np.zeros_like(held))
        self._credit -= self._search.work - before

    def go_on(self) -> IntArray:
        """(P,) int8: the best found, for another slot's work; from now on it is what is held."""
        search = self._search
        work = _WORK * min(-(-self._slots // 4), _MANY)
        self._credit = min(self._credit + work, _SAVED * work)
        before = search.work
        if self._credit > 0:
            search.iterate(self._generator, self._credit, _PATIENCE)
        self._credit -= search.work - before
        held = search.allocation
        search.charge(self._price(held))
        return held

    def _price(self, held: IntArray) -> FloatArray:
        """(P,) ms over all rows that placements take off the gain, with what is held."""
        network = self._network
        return self._slots * (network.holding + self._charge * network.sizes * (held == 0))
