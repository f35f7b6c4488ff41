"""What an agent is: anything with these methods can be run, compared and registered."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.network import Network
from idn_gym.trace import Trace
from idn_gym.typing import FloatArray, IntArray


@runtime_checkable
class Agent(Protocol):
    """Says what each node holds, slot by slot.

    Register one under the entry-point group ``idn_gym.agents``: ``idn-gym run SCENARIO --agent NAME`` finds it, and
    ``NAME:key=value`` passes keywords to its constructor, which raises `IdnError` for a value that is not allowed.
    An agent in hindsight carries ``hindsight = True`` and a method ``fit(trace)``, called between reset and the first
    act with the very stream it will face. An agent with a fractional state carries it as ``fractional``, (P,): the
    state that the last act was drawn from; its gain is then recorded too.
    """

    def reset(self, network: Network, seed: int) -> None:
        """Start anew on a network; all randomness comes from the seed."""

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """A feasible integral allocation (P,) for the coming slot; the first observation has zero requests."""

    def info(self) -> dict[str, Any]:
        """What is worth keeping beside the result, as JSON values."""


class HindsightAgent(Agent, Protocol):
    """An agent that is shown the trace before it acts; not a policy, a yardstick."""

    hindsight: bool

    def fit(self, trace: Trace) -> None:
        """See the stream that will be served."""


def generator(seed: int) -> np.random.Generator:
    """The generator of an agent: independent of the stream's, which uses the plain seed."""
    return np.random.default_rng([1, seed])


def whole(name: str, value: Any, lowest: int = 1) -> int:
    """Value as a whole number of at least `lowest`, or an `IdnError` that names the parameter."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise IdnError(f"{name}: {value!r}; must be a whole number >= {lowest}")
    return value


def real(name: str, value: Any, lowest: float = 0.0, highest: float = np.inf) -> float:
    """Value as a finite number within bounds, or an `IdnError` that names the parameter."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and lowest <= value <= highest and np.isfinite(value)):
        allowed = f">= {lowest:g}" if np.isinf(highest) else f"in [{lowest:g}, {highest:g}]"
        raise IdnError(f"{name}: {value!r}; must be a number {allowed}")
    return float(value)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Value if it is one of the allowed words, or an `IdnError` that names the parameter."""
    if value not in allowed:
        raise IdnError(f"{name}: {value!r}; allowed: {', '.join(allowed)}")
    return str(value)
