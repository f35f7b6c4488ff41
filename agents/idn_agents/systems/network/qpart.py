"""QPART as an agent: where to cut a network between device and server, and in how many bits, per class of devices."""

from __future__ import annotations

from idn_agents.systems.network.halves import HalvesAgent, Route
from idn_gym.common import parameters


class QpartAgent(HalvesAgent):
    """Each slot every class of devices gets the cut and bits that are done first, of heads that lose little enough.

    The bits of a head are those of the catalog, one head for each cut and noise. Energy and the server's time have no
    price in a network, and weights are there once a head is held.

    Parameters
    ----------
    degradation : accuracy that a head may lose, as a share of 1.
    margin, window : of the forecast, which says who chooses first.
    """

    name = "qpart"
    lacks = "heads within the degradation that can run where requests come in"

    def __init__(self, *, degradation: float = 0.01, margin: float = 1.0, window: int = 1) -> None:
        super().__init__(margin=margin, window=window)
        self._degradation = parameters.real("degradation", degradation, highest=1.0)

    def open(self, routes: list[Route]) -> list[Route]:
        """Those whose head is within the degradation."""
        most = 100.0 * self._degradation * (1.0 + 1e-9)
        return [route for route in routes if route[0].inaccuracy <= most]
