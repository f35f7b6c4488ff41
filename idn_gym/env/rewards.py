"""Rewards: functions of the outcome of slots, by name. A new one is a function here and its line in `REWARDS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
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


def reward_of(reward: str | Reward, check: bool = True) -> Reward:
    """The reward of a name; or a user's function, with a look at what it returns.

    Parameters
    ----------
    check : whether its values are looked at; its shape always is.
    """
    if isinstance(reward, str) and reward in REWARDS:
        return REWARDS[reward]
    if not callable(reward):
        allowed = ", ".join(map(repr, REWARDS))
        raise IdnError(f"reward: {parameters.shown(reward)}; allowed: {allowed}, or a function of the outcome")
    return partial(_checked, reward, check)


def paid(reward: Reward, outcome: Outcome, update_weight: float, price_weight: float) -> Any:
    """(B,) the reward of each slot, less the price of what it loaded and of what it held; of one slot, a number."""
    lost = update_weight * outcome.model_update_mb
    return reward(outcome) - (lost + price_weight * outcome.price_per_slot if price_weight else lost)


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
