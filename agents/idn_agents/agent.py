"""What an agent is: anything with these methods can be run, compared and registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from idn_gym.common import parameters
from idn_gym.common.arrays import checked, shaped
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace


@runtime_checkable
class Agent(Protocol):
    """Says what each node holds, slot by slot.

    Register one under the entry-point group ``idn_gym.agents``: ``idn-gym run SCENARIO --agent NAME`` finds it, and
    ``NAME:key=value`` passes keywords to its constructor, which raises `IdnError` for a value that is not allowed.
    An agent in hindsight carries ``hindsight = True`` and a method ``fit(trace)``, called between reset and the first
    act with the very stream it will face. An agent with a fractional state carries it as ``fractional``, (P,): the
    state that the last act was drawn from; its gain is then recorded too. One that does not run on every network has a
    method ``accepts(network)``, which raises an `IdnError` that says what it lacks, before anything runs.
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


def generator(seed: int, purpose: int = 1) -> np.random.Generator:
    """A generator of an agent: independent of the stream's, which uses the plain seed, and of those for other ends.

    Raises
    ------
    IdnError
        If the seed is not a whole number of 64 bits at most.
    """
    return np.random.default_rng([purpose, parameters.seed(seed)])


def observed(network: Network, observation: Mapping[str, FloatArray], *names: str) -> list[FloatArray]:
    """Arrays of an observation, requests (R,) and others (P,), as float64, or an `IdnError`: of another network."""
    seen = []
    for name in names:
        values = shaped(name, observation[name], (network.R if name == "requests" else network.P,))
        seen.append(values.copy() if values is observation[name] else values)
    return seen


def refuse_other(network: Network, trace: Trace) -> None:
    """Raise unless a trace is of this network, and of finite numbers >= 0."""
    checked("requests of the trace", trace.requests, (trace.slots, network.R))
    rows = trace.slots if trace.varying else 1
    checked("capacities of the trace", trace.capacities, (rows, network.P))
