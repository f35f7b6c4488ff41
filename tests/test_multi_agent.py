"""The multi-agent view: PettingZoo's own tests, one step is the environment's, and rewards that add up."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest

from idn_gym.env import IDNEnv
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.multi_agent import NodesEnv, parallel_env

with warnings.catch_warnings():  # its own deprecated imports
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import parallel_api_test, parallel_seed_test

NAMES = ["tiny", "IDN/TopologyII-Bursty-v0", "sla-sliding"]


def joint(view: NodesEnv, actions: dict[str, Any]) -> np.ndarray:
    action = np.zeros(view.network.P, dtype=np.int8)
    for agent in view.possible_agents:
        own = list(view.placements(agent))
        action[own] = actions[agent][: len(own)]
    return action


def sampled(view: NodesEnv, observations: dict[str, Any]) -> dict[str, Any]:
    return {agent: view.action_space(agent).sample(seen["action_mask"]) for agent, seen in observations.items()}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_pettingzoo(name: str, padded: bool, capsys: pytest.CaptureFixture[str]) -> None:
    parallel_api_test(parallel_env(name, padded=padded, horizon=20), num_cycles=25)
    parallel_seed_test(lambda: parallel_env(name, padded=padded), num_cycles=10)
    assert "Passed" in capsys.readouterr().out


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_joint_action_is_the_environments_step(name: str, padded: bool) -> None:
    view, scalar = (
        parallel_env(name, padded=padded, horizon=6, update_weight=0.5),
        IDNEnv(name, horizon=6, update_weight=0.5),
    )
    shown, _ = view.reset(seed=5)
    alone, _ = scalar.reset(seed=5)
    for agent in view.possible_agents:
        view.action_space(agent).seed(3)
    while view.agents:
        np.testing.assert_array_equal(view.state(), gymnasium.spaces.flatten(scalar.observation_space, alone))
        actions = sampled(view, shown)
        shown, rewards, terminated, truncated, information = view.step(actions)
        alone, reward, _, over, told = scalar.step(joint(view, actions))
        assert rewards == dict.fromkeys(view.possible_agents, reward)
        assert not any(terminated.values())
        assert truncated == dict.fromkeys(view.possible_agents, over)
        for agent in view.possible_agents:
            own = list(view.placements(agent))
            np.testing.assert_array_equal(shown[agent]["allocation"][: len(own)], alone["allocation"][own])
            np.testing.assert_array_equal(shown[agent]["capacities"][: len(own)], alone["capacities"][own])
            assert information[agent]["gain"] == told["gain"]
        for key in ("repaired", "model_update_mb"):
            assert sum(each[key] for each in information.values()) == pytest.approx(told[key], rel=1e-12)


@pytest.mark.parametrize("name", ["tiny", "topology-1-bursty", "sla-sliding", "autoscale-burst"])
def test_local_rewards_add_up(name: str) -> None:
    """The sum law: savings by node are the gain, less what all loaded and hold."""
    local = parallel_env(name, reward="local", horizon=4, update_weight=0.25)
    scalar = IDNEnv(name, horizon=4, update_weight=0.25)
    shown, _ = local.reset(seed=2)
    scalar.reset(seed=2)
    while local.agents:
        actions = sampled(local, shown)
        shown, rewards, _, _, information = local.step(actions)
        _, reward, _, _, told = scalar.step(joint(local, actions))
        assert sum(rewards.values()) == pytest.approx(reward, rel=1e-9, abs=1e-6)
        assert sum(each["saved_ms"] for each in information.values()) == pytest.approx(told["gain"], rel=1e-9)


def test_what_a_node_sees_by_hand() -> None:
    """Two stations under a cloud; counts of one slot, and the small model at the first station."""
    profile = {"size": 2.0, "delay": 1.0, "throughput": 30.0}
    scenario = {
        "format": "idn-gym/scenario-1",
        "name": "pair",
        "slot_seconds": 1.0,
        "horizon": 1,
        "tasks": ["cars"],
        "models": [
            {"name": "cars/small", "task": "cars", "accuracy": 60.0, "profiles": {"gpu": profile}},
            {"name": "cars/large", "task": "cars", "accuracy": 80.0, "profiles": {"gpu": {**profile, "size": 9.0}}},
        ],
        "nodes": [
            {"name": "a", "processor": "gpu", "budget": 2.0},
            {"name": "b", "processor": "gpu", "budget": 2.0},
            {"name": "cloud", "processor": "gpu", "repository": ["cars/large"]},
        ],
        "links": [{"source": node, "target": "cloud", "latency": 50.0} for node in ("a", "b")],
        "workload": {"kind": "zipf", "rate": 100.0},
    }
    view = parallel_env(scenario, reward="local")
    assert view.possible_agents == ["a", "b"]  # the cloud has no budget
    shown, _ = view.reset(seed=0)
    assert shown["a"]["action_mask"].tolist() == [2, 0]  # the large one never fits
    shown, rewards, _, _, information = view.step({"a": np.array([1, 0]), "b": np.array([1, 1])})
    at_a = view.env.last_batch[0][0]
    assert at_a > 30  # of some 50; 30 can be served
    share = 30.0 / at_a
    assert shown["a"]["shares"] == pytest.approx([share, share], rel=1e-6)
    # at the station 1 + 40 ms, at the cloud 50 + 1 + 20: 30 ms saved for each request served
    assert rewards["a"] == pytest.approx(30.0 * 30.0, rel=1e-9)
    # the batch is covered at the cloud: gamma_K* = 71, large here 1 + 20
    assert shown["a"]["gains"] == pytest.approx([30.0 * 30.0, 30.0 * 50.0], rel=1e-6)
    assert (information["a"]["repaired"], information["b"]["repaired"]) == (0, 1)
    assert (information["a"]["model_update_mb"], information["b"]["model_update_mb"]) == (2.0, 2.0)


def test_padding_is_ignored_and_spaces_are_one() -> None:
    view = parallel_env("topology-1-sliding", padded=True)
    assert len({str(view.observation_space(agent)) for agent in view.possible_agents}) == 1
    shown, _ = view.reset(seed=1)
    for agent, seen in shown.items():
        assert not seen["action_mask"][len(view.placements(agent)) :].any()


def test_supersuit_vectorises_it() -> None:
    supersuit = pytest.importorskip("supersuit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vector = supersuit.pettingzoo_env_to_vec_env_v1(parallel_env("tiny", padded=True, horizon=3, reward="local"))
        both = supersuit.concat_vec_envs_v1(vector, 2, num_cpus=0, base_class="gymnasium")
        shown, _ = both.reset(seed=3)
        agents = len(parallel_env("tiny").possible_agents)
        assert shown["gains"].shape[0] == 2 * agents
        actions = np.ones((2 * agents, shown["action_mask"].shape[1]), dtype=np.int8)
        _, rewards, *_ = both.step(actions)
    reference = parallel_env("tiny", padded=True, reward="local")
    reference.reset(seed=3)
    expected = reference.step(dict.fromkeys(reference.possible_agents, actions[0]))[1]
    np.testing.assert_allclose(rewards[:agents], list(expected.values()), rtol=1e-6)


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        ({}, "actions: none for 'bs0'|actions: none for"),
        ({"nobody": np.zeros(3)}, "actions: 'nobody' is no agent; allowed: "),
        ({"co": np.zeros(1)}, r"actions\['co'\]: shape \(1,\); must be"),
        ({"co": 3}, r"actions\['co'\]: shape \(\); must be"),
    ],
)
def test_refuses_actions(actions: dict[str, Any], says: str) -> None:
    view = parallel_env("tiny")
    view.reset(seed=0)
    with pytest.raises(IdnError, match=says):
        view.step(actions)


def test_refuses_values_that_are_no_bits() -> None:
    view = parallel_env("tiny")
    view.reset(seed=0)
    actions = {agent: np.full(len(view.placements(agent)), 0.5) for agent in view.possible_agents}
    with pytest.raises(IdnError, match="must be 0 or 1 each"):
        view.step(actions)


def test_refuses_chains_and_networks_without_budgets() -> None:
    with pytest.raises(IdnError, match="multi-agent view"):
        parallel_env("pipeline-video")
    with pytest.raises(IdnError, match="no node has a budget"):
        parallel_env("tiny", overrides={f"nodes.{node.name}.budget": 0 for node in load_scenario("tiny").nodes})
