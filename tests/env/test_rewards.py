"""Rewards: by name, and a user's own function of the outcome, in every form of the environment."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from idn_gym import IdnError
from idn_gym.env.outcome import Outcome
from idn_gym.env.rewards import REWARDS

TINY = "IDN/Tiny-v0"
ROWS, STEPS = 3, 7
FORMS = ["vector", "tensors", "tensors of PyTorch"]


def quick_and_good(outcome: Outcome) -> Any:
    """Of everything that there is: sums, means, whole numbers and shares of tiers."""
    served_at_the_edge = outcome.tier_shares[:, -1]
    return outcome.gain - outcome.latency_ms - 3.0 * outcome.repaired + served_at_the_edge + outcome.slot


def make(form: str, **kwargs: Any) -> Any:
    """A vector environment, and what its actions are made with."""
    if form == "vector":
        return gym.make_vec(TINY, num_envs=ROWS, **kwargs), np.asarray
    torch = pytest.importorskip("torch")
    backend = {"backend": "torch"} if form != "tensors" else {}
    return gym.make_vec(TINY, num_envs=ROWS, device="cpu", **backend, **kwargs), torch.as_tensor


@pytest.mark.parametrize("form", FORMS)
def test_a_function_of_ones_own(form: str) -> None:
    how = {"reward": quick_and_good, "update_weight": 0.25, "horizon": 5}
    env, array = make(form, **how)
    alone = [gym.make(TINY, **how) for _ in range(ROWS)]
    env.reset(seed=4)
    for i, one in enumerate(alone):
        one.reset(seed=4 + i)
    for t, step in enumerate(np.random.default_rng(0).integers(0, 2, (5, *env.action_space.shape), dtype=np.int8)):
        _, rewards, _, _, infos = env.step(array(step))
        for i, one in enumerate(alone):
            _, reward, _, _, info = one.step(step[i])
            expected = info["gain"] - info["latency_ms"] - 3.0 * info["repaired"] + info["tier_shares"][-1] + t
            assert type(reward) is float
            assert reward == expected - 0.25 * info["model_update_mb"]
            exact = 1e-12 if form == "tensors of PyTorch" else 0.0
            assert float(rewards[i]) == pytest.approx(reward, rel=exact, abs=0.0)
            assert float(infos["gain"][i]) == pytest.approx(info["gain"], rel=exact, abs=0.0)


@pytest.mark.parametrize("name", REWARDS)
def test_a_name_is_its_function(name: str) -> None:
    rewards = []
    for reward in (name, REWARDS[name]):
        env = gym.make(TINY, reward=reward)
        env.reset(seed=0)
        rewards.append([env.step(np.ones(env.action_space.n, dtype=np.int8))[1] for _ in range(STEPS)])
    assert rewards[0] == rewards[1]


def test_truth_values_are_numbers() -> None:
    env = gym.make(TINY, reward=lambda outcome: outcome.request_count > 0)
    env.reset(seed=0)
    assert env.step(np.zeros(env.action_space.n, dtype=np.int8))[1] == 1.0


@pytest.mark.parametrize("form", ["scalar", *FORMS])
@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lambda _: 1.0, r"reward: the function returned float; must be (ndarray|Tensor) of shape \({rows},\)"),
        (lambda outcome: outcome.tier_shares, r"returned \w+ of shape \({rows}, 3\); must be \w+ of shape \({rows},\)"),
        (lambda outcome: outcome.gain.sum(), r"reward: the function returned .*; must be"),
        (lambda outcome: outcome.gain + math.nan, "reward: the function returned nan; must be finite numbers"),
        (lambda outcome: outcome.gain - math.inf, "reward: the function returned -inf; must be finite numbers"),
    ],
)
def test_what_a_function_may_not_return(form: str, reward: Any, message: str) -> None:
    env, array = (gym.make(TINY, reward=reward), np.asarray) if form == "scalar" else make(form, reward=reward)
    env.reset(seed=0)
    with pytest.raises(IdnError, match=message.replace("{rows}", "1" if form == "scalar" else str(ROWS))):
        env.step(array(np.zeros(env.action_space.shape, dtype=np.int8)))


@pytest.mark.parametrize("make_it", [gym.make, gym.make_vec])
def test_a_function_cannot_be_written(make_it: Any) -> None:
    env = make_it(TINY, reward=quick_and_good)
    with pytest.raises(IdnError, match=r"^reward: a function cannot be written as JSON; make the environment"):
        env.spec.to_json()
    assert make_it(env.spec).reset(seed=0)[0].keys() == env.reset(seed=0)[0].keys()
    assert isinstance(make_it(TINY, reward="gain").spec, EnvSpec)


def test_what_is_neither_is_named() -> None:
    with pytest.raises(
        IdnError, match=r"^reward: 3; allowed: 'gain', 'gain_per_request', 'vector', or a function of the outcome$"
    ):
        gym.make(TINY, reward=3)
