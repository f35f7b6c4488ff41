"""Rewards: functions of the outcome of slots, by name. A new one is a function here and its line in `REWARDS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from idn_gym.common import parameters
from idn_gym.env.outcome import Outcome
from idn_gym.errors import IdnError

Reward = Callable[[Outcome], Any]  # of B slots, as (B,)


def gain(outcome: Outcome) -> Any:
    """The allocation gain in ms, summed over requests."""
    return outcome.gain


def gain_per_request(outcome: Outcome) -> Any:
    """The same per request; 0 if there were none."""
    return outcome.gain * outcome.per_request


REWARDS: Mapping[str, Reward] = {"gain": gain, "gain_per_request": gain_per_request}


def reward_of(reward: str | Reward) -> Reward:
    """The reward of a name; a function is its own."""
    if isinstance(reward, str) and reward in REWARDS:
        return REWARDS[reward]
    if not callable(reward):
        allowed = ", ".join(map(repr, REWARDS))
        raise IdnError(f"reward: {parameters.shown(reward)}; allowed: {allowed}, or a function of the outcome")
    return reward


def paid(reward: Reward, outcome: Outcome, update_weight: float, check: bool = True) -> Any:
    """(B,) the reward of each slot, less the price of what it loaded.

    Parameters
    ----------
    check : whether the values of a user's function are looked at; its shape always is.

    Raises
    ------
    IdnError
        If a user's function returns anything but B finite numbers.
    """
    found = reward(outcome)
    if reward not in REWARDS.values():
        found = _numbers(found, outcome.gain, check)
    return found - update_weight * outcome.model_update_mb


def _numbers(found: Any, like: Any, check: bool) -> Any:
    kind, shape = type(like), tuple(like.shape)
    if not isinstance(found, kind) or tuple(found.shape) != shape:
        of_shape = f" of shape {tuple(found.shape)}" if isinstance(found, kind) else ""
        returned = f"{type(found).__name__}{of_shape}"
        raise IdnError(f"reward: the function returned {returned}; must be {kind.__name__} of shape {shape}")
    found = found * 1.0  # whole numbers and truth values are numbers too
    if check and not (finite := (found > -math.inf) & (found < math.inf)).all():
        raise IdnError(f"reward: the function returned {float(found[~finite][0])}; must be finite numbers")
    return found
