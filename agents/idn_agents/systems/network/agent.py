"""What the agents of systems have in common: a shape of networks, a forecast, and the system's decision placed.

A file of an agent holds its form, which is the system's problem read off a network's arrays, and the agent, which turns
the system's decision into an allocation. What a system decides is its own module's; nothing is decided twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from idn_agents.agent import observed
from idn_gym.common import parameters
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

FormT = TypeVar("FormT")


class SystemAgent(ABC, Generic[FormT]):
    """A system as an agent: slot by slot it decides for a forecast, and holds nothing before the first batch.

    The forecast is the library's own: of the last batches the one with the most requests, times a margin.

    Parameters
    ----------
    margin : factor on the forecast.
    window : batches that the forecast looks back on.
    """

    name: ClassVar[str]

    def __init__(self, *, margin: float = 1.0, window: int = 1) -> None:
        self._margin = parameters.real("margin", margin, lowest=1.0, highest=1e3)
        self._window = parameters.whole("window", window)

    def accepts(self, network: Network) -> None:
        """A network of the system's shape; an `IdnError` says what another lacks."""
        self.form(network)

    def reset(self, network: Network, seed: int) -> None:
        """Begin on a network, with no batch seen; nothing is drawn."""
        self._network, self._form = network, self.form(network)
        self._seen: deque[FloatArray] = deque(maxlen=self._window)
        self._decisions = self._short = 0

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """What the system decides for the forecast; nothing while that is of no requests."""
        requests, held = observed(self._network, observation, "requests", "allocation")
        self._seen.append(requests)
        forecast = self._margin * max(self._seen, key=lambda batch: float(batch.sum()))
        allocation = np.zeros(self._network.P, dtype=np.int8)
        if forecast.any():
            self._decisions += 1
            placements = self.decide(forecast, held)
            allocation[placements] = 1
        return allocation

    def info(self) -> dict[str, Any]:
        """How often it decided, and in how many of these slots its constraints could not be met."""
        return {"decisions": self._decisions, "infeasible": self._short}

    @abstractmethod
    def form(self, network: Network) -> FormT:
        """The system's problem on a network; an `IdnError` where it is not of its shape."""

    @abstractmethod
    def decide(self, requests: FloatArray, held: FloatArray) -> IntArray:
        """Placements to hold, for requests (R,) of a slot, above 0 in sum, where (P,) are held."""

    def refused(self, network: Network, lacks: str) -> IdnError:
        """What to raise for a network of another shape."""
        return IdnError(f"{self.name}: needs {lacks}; scenario {network.scenario.name} is not of that shape")

    def only_node(self, network: Network) -> int:
        """The one node at which anything fits; an `IdnError` where there are others or none."""
        nodes = np.unique(network.placement_node[network.fits])
        if len(nodes) != 1:
            raise self.refused(network, "one node that holds models")
        return int(nodes[0])

    def cores(self, network: Network, placements: IntArray) -> tuple[float, IntArray]:
        """MB that go with a core, the largest of which all sizes are whole multiples, and cores of each placement.

        An `IdnError` where that is below a thousandth of what the nodes hold.
        """
        thousandths = np.rint(1e3 * network.sizes[placements]).astype(np.int64)
        unit = float(np.gcd.reduce(thousandths)) / 1e3
        if (thousandths == 0).any() or unit < 1e-3 * network.budgets.max():
            raise self.refused(network, "sizes that are whole numbers of cores")
        return unit, np.rint(network.sizes[placements] / unit).astype(np.int64)

    def core_cost(self, network: Network, placements: IntArray, cores: IntArray) -> float:
        """Ms that a core of a slot takes off the net gain; an `IdnError` where cores have several prices."""
        each = network.holding[placements] / cores
        if np.ptp(each) > 1e-9 * each.max():
            raise self.refused(network, "one price per core")
        return float(each[0])
