"""The vector reward: components by hand, their sum, and the same in every form of the environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from idn_gym.env import IDNEnv
from idn_gym.library.load import load_scenario

SLOTS = 5
NAMES = ["tiny", "topology-2-bursty", "sla-sliding", "autoscale-burst", "access-4g", "draft-and-verify"]


def weights(env: IDNEnv) -> np.ndarray:
    scenario = env.network.scenario
    return np.array([1.0, scenario.accuracy_weight, 1.0, env.update_weight, scenario.price_weight])


def actions(env: IDNEnv, rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (SLOTS, rows, env.network.P), dtype=np.int8)


@pytest.mark.parametrize("name", NAMES)
def test_components_add_up_to_gain_per_request(name: str) -> None:
    how: dict[str, Any] = {"horizon": SLOTS, "update_weight": 0.02}
    vector, scalar = IDNEnv(name, reward="vector", **how), IDNEnv(name, reward="gain_per_request", **how)
    vector.reset(seed=4)
    scalar.reset(seed=4)
    for action in actions(vector, 1)[:, 0]:
        _, components, _, _, info = vector.step(action)
        _, reward, _, _, _ = scalar.step(action)
        assert vector.reward_space.contains(components)
        size = info["cost"] / info["request_count"]  # what the sum of large numbers is exact to
        assert components @ weights(vector) == pytest.approx(reward, rel=1e-9, abs=1e-9 * size)
        assert components[3] == pytest.approx(-info["model_update_mb"] / info["request_count"], rel=1e-12)
        assert components[4] == pytest.approx(-info["price_per_slot"] / info["request_count"], rel=1e-12)
        if not vector.network.scenario.violation_ms:
            assert components[2] == 0.0


def test_by_hand() -> None:
    """Weights 2 and 1, one deadline: the station serves both at 3 ms and 60 %, the cloud at 53 ms and 90 %."""
    small = {"size": 4.0, "delay": 3.0, "throughput": 1e6, "price": 3600.0}
    scenario = {
        "format": "idn-gym/scenario-1",
        "name": "pair",
        "slot_seconds": 1.0,
        "accuracy_weight": 0.5,
        "violation_ms": 7.0,
        "price_weight": 2.0,
        "tasks": ["cars"],
        "models": [
            {"name": "cars/small", "task": "cars", "accuracy": 60.0, "profiles": {"gpu": small}},
            {"name": "cars/large", "task": "cars", "accuracy": 90.0, "profiles": {"cpu": {**small, "size": 1.0}}},
        ],
        "nodes": [
            {"name": "bs", "processor": "gpu", "budget": 4.0},
            {"name": "cloud", "processor": "cpu", "repository": ["cars/large"]},
        ],
        "links": [{"source": "bs", "target": "cloud", "latency": 50.0}],
        "services": [
            {"name": "now", "stages": ["cars"], "weight": 2.0, "deadline_ms": 10.0},
            {"name": "later", "stages": ["cars"]},
        ],
        "workload": {"kind": "zipf", "rate": 100.0, "exponent": 0.5},
    }
    env = IDNEnv(scenario, reward="vector", horizon=2)
    env.reset(seed=1)
    _, components, _, _, info = env.step(np.array([1]))
    now, later = env.last_batch[0]
    assert now > 0
    assert later > 0
    weighted, count = 2.0 * now + later, now + later
    expected = [50.0 * weighted / count, -30.0 * weighted / count, 7.0 * 2.0 * now / count, -4.0 / count, -1.0 / count]
    np.testing.assert_allclose(components, expected, rtol=1e-12)
    assert info["missed"] == 0.0
    _, components, _, _, _ = env.step(np.array([0]))
    np.testing.assert_allclose(components, 0.0, atol=1e-12)


@pytest.mark.parametrize("form", ["numpy", "tensors", "torch"])
@pytest.mark.parametrize("name", ["tiny", "sla-sliding", "autoscale-burst"])
def test_every_form_is_the_scalar_environment(name: str, form: str) -> None:
    """Mixed horizons and resets within: what begins an episode pays nothing."""
    how: dict[str, Any] = {"scenario": name, "reward": "vector", "horizon": 3, "update_weight": 0.1}
    device = {"numpy": {}, "tensors": {"device": "cpu"}, "torch": {"device": "cpu", "backend": "torch"}}[form]
    if device:
        torch = pytest.importorskip("torch")
    envs = gym.make_vec("IDN/Scenario-v0", num_envs=2, **how, **device)
    envs.reset(seed=9)
    alone = [IDNEnv(**how) for _ in range(2)]
    for i, env in enumerate(alone):
        env.reset(seed=9 + i)
    assert envs.unwrapped.reward_space.shape == (5,)
    for action in actions(alone[0], 2):
        over = [env._slot >= env.horizon for env in alone]
        _, rewards, *_ = envs.step(torch.as_tensor(action) if device else action)
        assert rewards.shape == (2, 5)
        for i, env in enumerate(alone):
            if over[i]:
                env.reset()
                expected = np.zeros(5)
            else:
                expected = env.step(action[i])[1]
            np.testing.assert_allclose(np.asarray(rewards[i]), expected, rtol=1e-9, atol=1e-9)


def test_other_rewards_have_no_reward_space() -> None:
    assert not hasattr(IDNEnv(load_scenario("tiny")), "reward_space")
