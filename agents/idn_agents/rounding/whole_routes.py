"""Rounding that keeps routes whole: routes are drawn by the flow of the state, and all that they need is placed.

Source: docs/chains.md#rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_agents.agent import generator
from idn_agents.rounding.whole_routes_kernel import draw_by_flow
from idn_agents.search.forecast import Forecast
from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.typing import FloatArray, IntArray

_DRAWS = 8  # routes drawn per placement that fits


class WholeRoutes:
    """Draws routes by the flow of the state, for the batch that is forecast; see `draw_routes`."""

    def __init__(self, network: Network, seed: int) -> None:
        routed(network)
        self._network, self._generator, self._forecast = network, generator(seed), Forecast(network, seed)

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """Take the batch into the window."""
        self._forecast.see(requests, capacities)

    def round(self, state: FloatArray) -> IntArray:
        """(P,) int8; before any batch, for as many requests of every type."""
        requests, capacities = np.ones(self._network.R), self._network.capacities
        if self._forecast.length:
            requests, capacities = self._forecast.mean, self._forecast.capacities
        return draw_routes(self._network, requests, capacities, state, self._generator)

    def info(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def draw_routes(
    network: Network, requests: FloatArray, capacities: FloatArray, state: FloatArray, generator: np.random.Generator
) -> IntArray:
    """(P,) int8, feasible: routes drawn one after the other, each placed if all that it lacks has room.

    A type is drawn by what it gains at the state, and its route by the flow there. The room that is left goes to what
    the state holds most of per MB, unless holding has a price. Nothing is proven of its gain.

    Parameters
    ----------
    requests, capacities : (R,), (P,) of a slot.
    state : (1, P) in [0, 1].
    """
    service = routed(network)
    load = kernels.loads(network, requests)[0]
    uniforms = generator.random((_DRAWS * max(1, int(network.fits.sum())), 2))
    drawn = np.zeros(network.P, dtype=np.int8)
    y = np.ascontiguousarray(state[0])
    tables: Any = service.tables
    arrays = requests, np.ascontiguousarray(capacities), load, y, uniforms, drawn
    draw_by_flow(network.tables, tables, service.chains.tables, *arrays)
    if network.priced:
        return drawn
    density = y / network.sizes
    return kernels.pack(network, (density + 2.0 * density.max(initial=1.0) * drawn)[None])[0]


def routed(network: Network) -> RoutedService:
    """The service of a network with chains.

    Raises
    ------
    IdnError
        If no request of the network needs several models.
    """
    if not isinstance(network.service, RoutedService):
        raise IdnError("rounding: 'routes' is for services of several stages; this scenario has none")
    return network.service
