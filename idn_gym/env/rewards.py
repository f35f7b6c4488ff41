"""Rewards: functions of the outcome of slots, by name. A new one is a function here and its line in `REWARDS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from idn_gym.common import parameters
from idn_gym.env.outcome import Outcome
from idn_gym.errors import IdnError
from idn_gym.model.network import Network

Convert = Callable[[Any], Any]
Reward = Callable[[Outcome], Any]  # of B slots, as (B,)


def gain(outcome: Outcome) -> Any:
    """The allocation gain in ms, summed over requests."""
    return outcome.gain


def gain_per_request(outcome: Outcome) -> Any:
    """The same per request; 0 if there were none."""
    return outcome.gain * outcome.per_request


REWARDS: Mapping[str, Reward] = {"gain": gain, "gain_per_request": gain_per_request}


VECTOR = "vector"
COMPONENTS = ("latency", "inaccuracy", "violation", "loading", "price")


class Vector:
    """The vector reward: what a slot saved and what it took, per request, as (B, 5) components.

    Latency, inaccuracy and violation saved against repositories alone, weighted as in the costs: ms, percentage points,
    ms; less MB loaded; less currency. Times (1, accuracy_weight, 1, update_weight, price_weight) they add up to the
    reward ``gain_per_request``.

    Parameters
    ----------
    numbers : turns an array into what outcomes are made of, an array or a tensor.
    host : turns that back.
    """

    def __init__(self, network: Network, numbers: Convert = np.asarray, host: Convert = np.asarray) -> None:
        service = network.service
        alone = service.serve_types(np.ones(network.R), network.capacities, np.zeros(network.P))
        self._service, self._numbers, self._host = service, numbers, host
        self._weights = np.array([service.weight for service in network.scenario.offered])[network.type_service]
        self._alike = bool((self._weights == self._weights[0]).all())
        self._latency = numbers(self._weights * alone.latency)  # (R,) per request, at repositories
        self._inaccuracy = numbers(self._weights * alone.inaccuracy)
        self._accuracy_weight = network.scenario.accuracy_weight
        self._late = network.scenario.violation_ms > 0.0

    def of(self, outcome: Outcome, requests: Any, capacities: Any, allocation: Any) -> tuple[Any, ...]:
        """The components of B slots, (B,) each; of one slot, numbers. Arguments: requests (B, R), and so on."""
        each = outcome.per_request
        if self._alike:
            weight = float(self._weights[0])
            served = weight * outcome.latency_ms, weight * outcome.inaccuracy
        else:
            served = tuple(total * each for total in self._weighted(requests, capacities, allocation))
        latency = (requests * self._latency).sum(-1) * each - served[0]
        inaccuracy = (requests * self._inaccuracy).sum(-1) * each - served[1]
        gain = outcome.gain * each
        violation = gain - latency - self._accuracy_weight * inaccuracy if self._late else 0.0 * gain
        return latency, inaccuracy, violation, -outcome.model_update_mb * each, -outcome.price_per_slot * each

    def _weighted(self, requests: Any, capacities: Any, allocation: Any) -> tuple[Any, Any]:
        """(B,) latency and inaccuracy of all requests, each times its service's weight; by the reference."""
        batch, limits, placed = (np.atleast_2d(self._host(values)) for values in (requests, capacities, allocation))
        rows = [
            self._service.serve_types(
                batch[b].astype(np.float64),
                limits[b if len(limits) > 1 else 0].astype(np.float64),
                placed[b].astype(float),
            )
            for b in range(len(batch))
        ]
        sums = np.array([(self._weights @ row.latency, self._weights @ row.inaccuracy) for row in rows])
        latency, inaccuracy = self._numbers(sums[:, 0]), self._numbers(sums[:, 1])
        return (latency, inaccuracy) if requests.ndim > 1 else (latency[0], inaccuracy[0])


def reward_of(reward: str | Reward, check: bool = True) -> Reward:
    """The reward of a name; or a user's function, with a look at what it returns. That of `VECTOR` is by request.

    Parameters
    ----------
    check : whether its values are looked at; its shape always is.
    """
    if isinstance(reward, str) and reward in (*REWARDS, VECTOR):
        return REWARDS.get(reward, gain_per_request)
    if not callable(reward):
        allowed = ", ".join(map(repr, (*REWARDS, VECTOR)))
        raise IdnError(f"reward: {parameters.shown(reward)}; allowed: {allowed}, or a function of the outcome")
    return partial(_checked, reward, check)


def paid(reward: Reward, outcome: Outcome, update_weight: float, price_weight: float) -> Any:
    """(B,) the reward of each slot, less the price of what it loaded and of what it held; of one slot, a number.

    `gain_per_request` takes both per request, too.
    """
    lost = update_weight * outcome.model_update_mb
    if price_weight:
        lost = lost + price_weight * outcome.price_per_slot
    return reward(outcome) - (lost * outcome.per_request if reward is gain_per_request else lost)


def _checked(reward: Reward, check: bool, outcome: Outcome) -> Any:
    """What a user's function makes of an outcome, which it sees with a leading axis B everywhere.

    Raises
    ------
    IdnError
        If it returns anything but B finite numbers.
    """
    if outcome.gain.ndim == 0:
        return _checked(reward, check, outcome.rows())[0]
    found, kind, shape = reward(outcome), type(outcome.gain), tuple(outcome.gain.shape)
    if not isinstance(found, kind) or tuple(found.shape) != shape:
        returned = type(found).__name__ + (f" of shape {tuple(found.shape)}" if isinstance(found, kind) else "")
        raise IdnError(f"reward: the function returned {returned}; must be {kind.__name__} of shape {shape}")
    found = found * 1.0  # whole numbers and truth values are numbers too
    if check and not (finite := (found > -math.inf) & (found < math.inf)).all():
        raise IdnError(f"reward: the function returned {float(found[~finite][0])}; must be finite numbers")
    return found
