"""Environments of scenarios with prices and deadlines: rewards less the price, and what they inform of."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from idn_gym import IDNEnv, IdnError
from idn_gym.scenario import parse
from idn_gym.workload import draw

PROFILE = {"size": 1.0, "delay": 2.0, "throughput": 6.0}
SCENARIO: dict[str, Any] = {
    "format": "idn-gym/scenario-1",
    "name": "priced",
    "slot_seconds": 2.0,
    "horizon": 6,
    "violation_ms": 20.0,
    "price_weight": 2.0,
    "tasks": ["cars"],
    "models": [
        {"name": "small", "task": "cars", "accuracy": 40.0, "profiles": {"gpu": PROFILE | {"price": 3600.0}}},
        {"name": "large", "task": "cars", "accuracy": 60.0, "profiles": {"gpu": PROFILE | {"price": 9000.0}}},
    ],
    "nodes": [
        {"name": "bs", "processor": "gpu", "budget": 2.0},
        {"name": "cloud", "processor": "gpu", "budget": 0.0, "repository": ["large"]},
    ],
    "links": [{"source": "bs", "target": "cloud", "latency": 40.0}],
    "services": [
        {"name": "now", "stages": ["cars"], "deadline_ms": 30.0, "priority": 1},
        {"name": "later", "stages": ["cars"]},
    ],
    "workload": {"kind": "zipf", "rate": 6.0},
}
PRICES = {("bs", "small"): 2.0, ("bs", "large"): 5.0, ("cloud", "small"): 2.0}  # per slot of 2 s
FORMS = ["vector", "tensors", "tensors of PyTorch"]
ROWS = 3


def make(form: str, **how: Any) -> Any:
    """A vector environment, and what its actions are made with."""
    how = {"scenario": SCENARIO, "num_envs": ROWS} | how
    if form == "vector":
        return gym.make_vec("IDN/Scenario-v0", **how), np.asarray
    torch = pytest.importorskip("torch")
    backend = {"backend": "torch"} if form != "tensors" else {}
    return gym.make_vec("IDN/Scenario-v0", device="cpu", **backend, **how), torch.as_tensor


@pytest.mark.parametrize("reward", ["gain", "gain_per_request", lambda outcome: 3.0 * outcome.cost])
def test_each_reward_is_less_the_price_of_the_slot(reward: Any) -> None:
    env = IDNEnv(SCENARIO, reward=reward, update_weight=0.5)
    network, stream = env.network, draw(env.network, 6, seed=2)
    _, start = env.reset(seed=2)
    assert (start["missed"], start["price_per_slot"]) == (0.0, 0.0)
    for t, x in enumerate(([1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0])):
        _, paid, _, _, info = env.step(np.array(x, dtype=np.int8))
        assert {key: type(value) for key, value in info.items()} == {key: type(value) for key, value in start.items()}
        price = sum(PRICES[network.names(p)] * x[p] for p in range(network.P))
        assert info["price_per_slot"] == price
        served = network.service.serve(stream.requests[t], stream.capacities_at(t), np.array(x, dtype=np.float64))
        assert info["gain"] == pytest.approx(served.gain), "the gain itself, not net"
        now = stream.requests[t][[name for name, _ in network.type_names].index("now")]
        assert info["missed"] == pytest.approx(served.missed / now if now else 0.0)
        of = {"gain": info["gain"], "gain_per_request": info["gain"] / max(info["request_count"], 1.0)}
        worth = of[reward] if isinstance(reward, str) else 3.0 * info["cost"]
        each = max(info["request_count"], 1.0) if reward == "gain_per_request" else 1.0
        assert paid == pytest.approx(worth - (0.5 * info["model_update_mb"] + 2.0 * price) / each)


def test_late_requests_are_those_that_go_to_the_cloud() -> None:
    env = IDNEnv(SCENARIO)
    env.reset(seed=0)
    _, _, _, _, info = env.step(np.zeros(3, dtype=np.int8))
    assert info["missed"] == 1.0, "the cloud is 42 ms away"
    _, _, _, _, info = env.step(np.array([0, 1, 0], dtype=np.int8))
    assert info["missed"] < 1.0


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_environment_agrees(form: str) -> None:
    env, array = make(form)
    alone = [gym.make("IDN/Scenario-v0", scenario=SCENARIO) for _ in range(ROWS)]
    env.reset(seed=4)
    for i, one in enumerate(alone):
        one.reset(seed=4 + i)
    exact = 1e-12 if form == "tensors of PyTorch" else 0.0
    for step in np.random.default_rng(0).integers(0, 2, (6, *env.action_space.shape), dtype=np.int8):
        _, rewards, _, _, infos = env.step(array(step))
        for i, one in enumerate(alone):
            _, reward, _, _, info = one.step(step[i])
            assert float(rewards[i]) == pytest.approx(reward, rel=exact, abs=exact)
            for key in ("missed", "price_per_slot", "gain"):
                assert float(infos[key][i]) == pytest.approx(info[key], rel=exact, abs=exact), key


def test_prices_are_reported_where_they_are_not_optimised() -> None:
    env = IDNEnv(SCENARIO, overrides={"price_weight": 0})
    env.reset(seed=1)
    _, reward, _, _, info = env.step(np.array([1, 1, 0], dtype=np.int8))
    assert reward == info["gain"]
    assert info["price_per_slot"] == 7.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("price_weight=3", "changes price_weight"),
        ("models.small.profiles.gpu.price=1", "changes prices"),
        ("services.now.weight=3", "changes costs"),
        ("services.now.deadline_ms=10", "changes deadlines"),
        ("services.now.priority=0", "changes groups"),
        ("services.later.report_deadline_ms=10", "changes"),
    ],
)
def test_variants_share_services_and_prices(change: str, says: str) -> None:
    with pytest.raises(IdnError, match=r"variants\[1\]: .*" + says):
        gym.make_vec("IDN/Scenario-v0", scenario=SCENARIO, num_envs=2, variants=[[], [change]])


def test_a_scenario_with_services_is_written_in_the_spec() -> None:
    env = gym.make("IDN/Scenario-v0", scenario=parse(SCENARIO, "priced"))
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.network.scenario == env.unwrapped.network.scenario  # type: ignore[attr-defined]
