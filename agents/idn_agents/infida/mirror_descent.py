"""What the forms of INFIDA share: the parameters of its steps, and a state that moves in every slot and is rounded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from idn_agents.agent import observed
from idn_gym.common.parameters import one_of, real, whole
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

LARGEST_SCALE = 1e6  # of a scale-free rate
_RATES = ("scale-free", "theory", "anytime", "adaptive")


def default_scale(network: Network) -> float:
    """Of a scale-free rate: 1, and half of it where requests need several models."""
    return 1.0 if network.service.submodular else 0.5


@dataclass(kw_only=True, eq=False)
class MirrorDescent(ABC):
    """A fractional state that steps along the subgradient of each slot's gain; where a refresh is due it is rounded.

    Parameters
    ----------
    learning_rate : ``scale-free`` (default): per node, `scale` over the running mean of max_m g_m/s_m, so that no
        unit and no request rate matters. ``theory``: the constant of the regret bound under the library's capacity
        rule, for the scenario's horizon T. ``anytime``: that of slot t with t in place of T, for a horizon not known.
        ``adaptive``: four states, at the rate of ``theory`` and at scale-free ones of scales 0.5, 1 and 2, which step
        along one and the same subgradient; each node weighs its own by what they would have gained along it.
        Or a number, the eta of every node in MB per ms.
    scale : of the scale-free rate: 0.5 to 2 work about alike, 0.3 is slow, 10 unstable (`benchmarks/scale.py`). By
        default 1, and 0.5 where requests need several models: the supergradient jumps more there, from one cheapest
        route to another, and a state swings half as far (docs/chains.md#step-sizes).
    refresh : slots between roundings; the state moves in every slot. ``dynamic`` starts at 1 and waits one slot
        longer after each rounding, up to `target`.
    target : the period that a dynamic refresh ends at.
    residual : what becomes of the entry per node that rounding leaves fractional, ``drop`` or ``reserve``;
        see `idn_gym.model.allocation.round_dependent`. ``reserve`` keeps the guarantee, against a smaller budget. Where
        holding has a price, ``drop`` packs nothing: it is the ``fit`` of that function.
    """

    learning_rate: str | float = "scale-free"
    scale: float | None = None
    refresh: int | str = 1
    target: int = 32
    residual: Any = "drop"

    def __post_init__(self) -> None:
        """Refuse what is not allowed."""
        named = isinstance(self.learning_rate, str)
        self.rate: str | float = (
            one_of("learning_rate", self.learning_rate, _RATES) if named else real("learning_rate", self.learning_rate)
        )
        self.scale = None if self.scale is None else real("scale", self.scale, highest=LARGEST_SCALE)
        period, target = whole("refresh", self.refresh, words=("dynamic",)), whole("target", self.target)
        self.first_period: int = 1 if period == "dynamic" else period
        self.longest_period: int = target if period == "dynamic" else period
        one_of("residual", self.residual, ("drop", "reserve"))

    def scale_on(self, network: Network) -> float:
        """The scale, or what it is by default on a network."""
        return default_scale(network) if self.scale is None else self.scale

    def reset(self, network: Network, seed: int) -> None:
        """Start anew."""
        self._network = network
        self._slot, self._next_refresh, self._period = 0, 0, self.first_period

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8: step along the subgradient of the last slot; round the state anew where a refresh is due."""
        batch = observed(self._network, observation, "requests", "capacities") if self._slot > 0 else None
        due = self._slot == self._next_refresh
        self._advance(batch, due)
        if due:
            self._next_refresh += self._period
            self._period = min(self._period + 1, self.longest_period)
        self._slot += 1
        return self._allocation

    def _advance(self, batch: list[FloatArray] | None, due: bool) -> None:
        """Take in the requests and capacities of the last slot, if there was one; round if it is due."""
        if batch is not None:
            self._see(*batch)
        if due:
            self._allocation = self._round()

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """What is worth keeping beside the result, as JSON values."""

    @abstractmethod
    def _see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """Take in the batch of the last slot, and step along the subgradient of its gain."""

    @abstractmethod
    def _round(self) -> IntArray:
        """(P,) int8 from the state."""
