"""SLED as an agent: devices draft, a server verifies, and each class of devices has a draft length of its own."""

from __future__ import annotations

from idn_agents.systems.network.halves import HalvesAgent, Route
from idn_gym.common import parameters


class SledAgent(HalvesAgent):
    """Each slot every class of devices gets the draft length and the verifier that give it most tokens per second.

    A request is a token, so that the rate is 1 / latency.

    Parameters
    ----------
    target : which model verifies, `accurate`: the most accurate one, as it would serve without drafts, or `any`.
    margin, window : of the forecast, which says who chooses first.
    """

    name = "sled"

    def __init__(self, *, target: str = "accurate", margin: float = 1.0, window: int = 1) -> None:
        super().__init__(margin=margin, window=window)
        self._target = parameters.one_of("target", target, ("accurate", "any"))

    def open(self, routes: list[Route]) -> list[Route]:
        """Those that the target verifies."""
        if self._target == "any":
            return routes
        best = min((verify.inaccuracy for _, verify in routes), default=0.0)
        return [route for route in routes if route[1].inaccuracy == best]
