"""The scalar environment.

Every registered id against Gymnasium's and SB3's checkers and its own contract; then the semantics on `tiny`, with
numbers computed by hand.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from instances import allocation

import idn_gym
from idn_gym import IdnError, Network, draw, load_scenario
from idn_gym.env.env import IDNEnv
from idn_gym.scenario.file import to_yaml
from idn_gym.wrappers import ScoreAction

IDS = sorted(spec.id for spec in gym.registry.values() if spec.namespace == "IDN")
TINY = "IDN/Tiny-v0"


def make(env_id: str, **kwargs: Any) -> gym.Env:
    """An environment of an id; the one that takes any scenario gets `tiny`."""
    if env_id == "IDN/Scenario-v0":
        kwargs.setdefault("scenario", "tiny")
    return gym.make(env_id, **kwargs)


def holds_itself() -> dict[str, Any]:
    scenario: dict[str, Any] = load_scenario("tiny").to_dict()
    scenario["provenance"] = scenario
    return scenario


def actions(env: gym.Env, n: int, seed: int = 0) -> np.ndarray:
    """(n, P) random actions, from one model per hundred placements to most of them."""
    generator = np.random.default_rng(seed)
    shape = (n, env.action_space.n)
    return (generator.random(shape) < generator.choice([0.01, 0.3, 0.9], size=(n, 1))).astype(np.int8)


def rollout(env: gym.Env, steps: np.ndarray) -> list[Any]:
    return [env.step(action) for action in steps]


def test_the_namespace_holds_every_scenario() -> None:
    assert {TINY, "IDN/Scenario-v0", "IDN/TopologyI-Sliding-v0", "IDN/Geant-Sliding-v0"} <= set(IDS)


@pytest.mark.parametrize("env_id", IDS)
class TestEveryId:
    def test_gymnasium_checker(self, env_id: str) -> None:
        check_env(make(env_id).unwrapped)  # a warning is an error

    def test_sb3_checker(self, env_id: str) -> None:
        checker = pytest.importorskip("stable_baselines3.common.env_checker")
        checker.check_env(make(env_id).unwrapped)

    def test_a_seed_gives_one_rollout(self, env_id: str) -> None:
        first, second = (make(env_id, horizon=70) for _ in range(2))
        steps = actions(first, 70)
        assert data_equivalence(first.reset(seed=3), second.reset(seed=3), exact=True)
        played = rollout(first, steps)
        assert data_equivalence(played, rollout(second, steps), exact=True)
        second.reset(seed=4)
        assert not data_equivalence(played, rollout(second, steps), exact=True)
        second.reset(seed=3)
        assert data_equivalence(played, rollout(second, steps), exact=True)

    def test_the_stream_is_that_of_draw(self, env_id: str) -> None:
        env = make(env_id, horizon=70)  # more than one block of draws
        network = env.unwrapped.network
        trace = draw(network, 70, 5)
        env.reset(seed=5)
        idle = np.zeros(network.P, dtype=np.int8)
        for slot, (observation, *_, info) in enumerate(rollout(env, [idle] * 70)):
            np.testing.assert_array_equal(observation["requests"], trace.requests[slot].astype(np.float32))
            np.testing.assert_array_equal(observation["capacities"], trace.capacities_at(slot).astype(np.float32))
            assert info["slot"] == slot
            assert info["request_count"] == trace.requests[slot].sum()

    def test_truncates_at_the_horizon_and_never_terminates(self, env_id: str) -> None:
        env = make(env_id, horizon=7)
        for _ in range(2):
            env.reset(seed=0)
            flags = [(terminated, truncated) for _, _, terminated, truncated, _ in rollout(env, actions(env, 7))]
            assert flags == [(False, False)] * 6 + [(False, True)]
            with pytest.raises(gym.error.ResetNeeded, match="7 slots"):
                env.step(actions(env, 1)[0])

    def test_pickled_in_the_middle_it_goes_on_the_same(self, env_id: str) -> None:
        env = make(env_id, horizon=70)
        env.reset(seed=1)
        rollout(env, actions(env, 62))
        copy = pickle.loads(pickle.dumps(env))
        steps = actions(env, 8, seed=1)  # over the end of a block of draws, where the generator is used again
        assert data_equivalence(rollout(env, steps), rollout(copy, steps), exact=True)

    def test_spec_survives_json(self, env_id: str) -> None:
        env = make(env_id, horizon=3, reward="gain_per_request", overrides={"accuracy_weight": 2.0})
        again = gym.make(EnvSpec.from_json(env.spec.to_json()))
        assert again.unwrapped.network.accuracy_weight == 2.0
        assert env.reset(seed=0)[0].keys() == again.reset(seed=0)[0].keys()
        steps = actions(env, 3)
        assert data_equivalence(rollout(env, steps), rollout(again, steps), exact=True)


class TestSpec:
    """Whatever an argument was given as, the spec is JSON, and what is made from it the same environment."""

    @staticmethod
    def forms(folder: Path) -> dict[str, Any]:
        """One scenario, four times as given."""
        content = load_scenario("tiny", {"workload.rate": 9.0}).to_dict()
        path = folder / "mine.yaml"
        path.write_text(to_yaml(load_scenario("tiny", {"workload.rate": 9.0})))
        tuples = content | {"nodes": tuple(content["nodes"]), "accuracy_weight": np.float64(content["accuracy_weight"])}
        return {
            "object": load_scenario(path),
            "path": path,
            "text": str(path),
            "dict": content,
            "mapping": MappingProxyType(tuples),
        }

    @pytest.mark.parametrize("form", ["object", "path", "text", "dict", "mapping"])
    def test_of_scenarios(self, form: str, tmp_path: Path) -> None:
        scenario = self.forms(tmp_path)[form]
        env = gym.make("IDN/Scenario-v0", scenario=scenario, horizon=np.int64(4), update_weight=np.float32(0.5))
        again = gym.make(EnvSpec.from_json(env.spec.to_json()))
        expected = gym.make(TINY, overrides=["workload.rate=9"], horizon=4, update_weight=0.5)
        steps = actions(env, 4)
        outcome = [expected.reset(seed=6), *rollout(expected, steps)]
        for one in (env, again):
            assert data_equivalence([one.reset(seed=6), *rollout(one, steps)], outcome, exact=True)
        assert json.loads(again.spec.to_json()) == json.loads(env.spec.to_json())

    def test_of_all_arguments(self, trace: str, tmp_path: Path) -> None:
        capacities = tmp_path / "capacities.csv"
        capacities.write_text("slot,node,model,capacity\n2,bs0,cars/medium,1\n")
        env = gym.make(
            TINY,
            max_episode_steps=2,
            trace=Path(trace),
            capacities=capacities,
            overrides=("nodes.bs0.budget=4", "accuracy_weight=2"),
            render_mode="ansi",
        )
        env = ScoreAction(env, threshold=np.float32(0.25))
        again = gym.make(EnvSpec.from_json(env.spec.to_json()))
        assert isinstance(again, ScoreAction)
        scores = np.random.default_rng(0).uniform(-1, 1, (2, 18))
        outcomes = [[one.reset(seed=0), *rollout(one, scores)] for one in (env, again)]
        assert data_equivalence(*outcomes, exact=True)
        assert outcomes[1][-1][3]

    def test_without_gymnasium_there_is_none(self) -> None:
        assert IDNEnv("tiny").spec is None


def test_spawned_processes_make_it_by_its_id() -> None:
    vector = gym.make_vec(f"idn_gym:{TINY}", num_envs=2, vectorization_mode="async", vector_kwargs={"context": "spawn"})
    observations, _ = vector.reset(seed=10)
    steps = np.stack([actions(make(TINY), 3, seed) for seed in range(2)], axis=1)
    played = [vector.step(action)[:2] for action in steps]
    vector.close()
    for i in range(2):
        env = make(TINY)
        env.reset(seed=10 + i)
        for (observation, reward, *_), (all_observations, rewards) in zip(
            rollout(env, steps[:, i]), played, strict=True
        ):
            assert rewards[i] == reward
            for key, value in observation.items():
                np.testing.assert_array_equal(all_observations[key][i], value)
    assert (observations["requests"] == 0).all()


# By hand, on tiny. Latency to the co 5 ms, to the cloud 45; cost = latency + delay + 100 - accuracy:
# cars    bs small 61, medium 52, large 44; co small 66, medium 56, large 47; cloud (repository) 87
# people  bs small 51, large 33; co small 56, large 37; cloud (repository) 77
# Slot 0: 10 cars and 2 people from bs0, 4 people from bs1; slot 1: nobody; slot 2: as slot 0.
TRACE = "slot,task,source,requests\n" + "".join(
    f"{slot},cars,bs0,10\n{slot},people,bs0,2\n{slot},people,bs1,4\n" for slot in (0, 2)
)
HELD = {"co": ["cars/large", "people/small"], "bs0": ["cars/medium", "people/small"], "bs1": ["people/large"]}
# cars from bs0: large at the co has room for 4 of the 10 that pass, medium at bs0 for 4: 4 at 47, 4 at 52, 2 at 87
# people from bs0: small at bs0 has room for all 2 at 51
# people from bs1: large there has room for 3 of the 4 at 33; small at the co takes the last one at 56
COST = (4 * 47 + 4 * 52 + 2 * 87) + 2 * 51 + (3 * 33 + 56)
GAIN = (10 * 87 + 6 * 77) - COST
LATENCY = (4 * 7 + 4 * 2 + 2 * 47) + 2 * 1 + (3 * 3 + 6)
INACCURACY = (4 * 40 + 4 * 50 + 2 * 40) + 2 * 50 + (3 * 30 + 50)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "requests.csv"
    path.write_text(TRACE)
    return str(path)


def started(**kwargs: Any) -> tuple[gym.Env, Network]:
    env = gym.make(TINY, **kwargs)
    env.reset(seed=0)
    return env, env.unwrapped.network


class TestInformationAndReward:
    def test_of_a_slot(self, trace: str) -> None:
        env, network = started(trace=trace)
        observation, reward, _, _, info = env.step(allocation(network, HELD))
        assert (COST, GAIN, LATENCY, INACCURACY) == (827, 505, 147, 680)
        assert reward == pytest.approx(505.0, rel=1e-12)
        expected = {
            "slot": 0,
            "request_count": 16.0,
            "gain": 505.0,
            "cost": 827.0,
            "latency_ms": 147.0 / 16.0,
            "inaccuracy": 42.5,
            "missed": 0.0,
            "model_update_mb": 9.0,
            "price_per_slot": 0.0,
            "repaired": 0,
            "tier_shares": [2 / 16, 5 / 16, 9 / 16],
        }
        assert info.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(info[key], value, rtol=1e-12, err_msg=key)
        assert observation["requests"].tolist() == [10.0, 0.0, 2.0, 4.0]
        assert observation["allocation"].tolist() == allocation(network, HELD).tolist()
        assert observation["budgets"].tolist() == [0.0, 4.0, 3.0, 3.0]

    def test_latency_and_inaccuracy_whatever_the_accuracy_weighs(self, trace: str) -> None:
        env, network = started(trace=trace, overrides={"accuracy_weight": 0.0})  # the same order of options
        info = env.step(allocation(network, HELD))[4]
        found = (info["cost"], info["latency_ms"], info["inaccuracy"])
        assert found == pytest.approx((147.0, 147.0 / 16.0, 42.5))
        assert info["gain"] == pytest.approx(10 * 47 + 6 * 47 - 147)

    def test_of_a_slot_without_requests(self, trace: str) -> None:
        env, network = started(trace=trace, reward="gain_per_request", update_weight=0.5)
        env.step(allocation(network, HELD))
        _, reward, _, _, info = env.step(allocation(network, {}))
        assert reward == 0.0
        assert info["tier_shares"].tolist() == [0.0, 0.0, 0.0]
        assert {info[key] for key in ("request_count", "gain", "cost", "latency_ms", "inaccuracy")} == {0.0}
        _, _, _, truncated, _ = env.step(allocation(network, {}))
        assert truncated  # after the trace's three slots

    def test_per_request_and_priced_updates(self, trace: str) -> None:
        for reward, requests in (("gain", 1.0), ("gain_per_request", 16.0)):
            env, network = started(trace=trace, reward=reward, update_weight=0.5)
            held = allocation(network, HELD)
            assert env.step(held)[1] == pytest.approx((505.0 - 0.5 * 9.0) / requests)
            # one model of 2 MB is given up, which is free, and one of 1 MB is loaded
            other = allocation(network, HELD | {"bs0": ["cars/small", "people/small"]})
            assert env.step(other)[1] == pytest.approx(-0.5 * 1.0)
            assert env.step(other)[4]["model_update_mb"] == 0.0

    def test_nothing_placed_gains_nothing(self, trace: str) -> None:
        env, network = started(trace=trace)
        _, reward, _, _, info = env.step(allocation(network, {}))
        assert (reward, info["cost"], info["tier_shares"].tolist()) == (0.0, 1332.0, [1.0, 0.0, 0.0])

    def test_capacities_of_a_file(self, trace: str, tmp_path: Path) -> None:
        path = tmp_path / "capacities.csv"
        path.write_text("slot,node,model,capacity\n2,bs0,cars/medium,1\n")
        env, network = started(trace=trace, capacities=str(path))
        held = allocation(network, HELD)
        (first, *_), _, (last, _, _, _, info) = rollout(env, [held] * 3)
        p = network.placement_index[network.node_names.index("bs0"), network.model_names.index("cars/medium")]
        assert (first["capacities"][p], last["capacities"][p]) == (4.0, 1.0)
        assert not np.delete(first["capacities"] - last["capacities"], p).any()
        assert info["gain"] == pytest.approx(505.0 - 3 * (87 - 52))  # three cars more go to the cloud


class TestRepair:
    def granted(self, env: gym.Env, asked: dict[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, Any]]:
        network = env.unwrapped.network
        observation, *_, info = env.step(allocation(network, asked))
        held: dict[str, list[str]] = {}
        for p in np.flatnonzero(observation["allocation"]):
            node = network.node_names[network.placement_node[p]]
            held.setdefault(node, []).append(network.model_names[network.placement_model[p]])
        return held, info

    def test_file_order_at_first(self) -> None:
        env, _ = started()
        everything = ["cars/small", "cars/medium", "cars/large", "people/small", "people/large"]
        held, info = self.granted(env, {"bs0": everything, "bs1": ["people/large"]})
        assert held == {"bs0": ["cars/small", "cars/medium"], "bs1": ["people/large"]}
        assert info["repaired"] == 3
        assert info["model_update_mb"] == 5.0

    def test_what_is_placed_and_still_asked_for_stays(self) -> None:
        env, _ = started()
        self.granted(env, {"bs0": ["people/large", "people/small"]})
        asked = ["cars/small", "cars/medium", "cars/large", "people/large"]  # 8 MB for 3
        held, info = self.granted(env, {"bs0": asked})
        assert held == {"bs0": ["cars/small", "people/large"]}  # 1 MB was left, and cars/small is the first in the file
        assert info["repaired"] == 2
        assert info["model_update_mb"] == 1.0

    def test_a_node_within_its_budget_is_left_alone(self) -> None:
        env, _ = started()
        self.granted(env, {"bs1": ["people/large", "cars/small"]})
        held, info = self.granted(env, {"bs0": ["cars/large", "people/large"], "bs1": ["cars/large"]})
        assert held == {"bs0": ["cars/large"], "bs1": ["cars/large"]}
        assert info["repaired"] == 1

    def test_what_fits_nowhere_is_dropped(self) -> None:
        env, _ = started(overrides=["nodes.bs1.budget=1.5"])
        held, info = self.granted(env, {"bs1": ["people/large", "cars/small"], "cloud": ["cars/small"]})
        assert held == {"bs1": ["cars/small"]}
        assert info["repaired"] == 2

    def test_it_knows_nothing_of_the_requests(self) -> None:
        asked = np.ones(18, dtype=np.int8)
        granted = []
        for seed in range(2):
            env = gym.make(TINY)
            env.reset(seed=seed)
            granted.append(env.step(asked)[0]["allocation"].tolist())
        assert granted[0] == granted[1]

    def test_or_an_error(self) -> None:
        env, network = started(infeasible="raise")
        with pytest.raises(IdnError, match=r"node bs0 would hold 5 MB; its budget is 3 MB"):
            env.step(allocation(network, {"bs0": ["cars/large", "people/large"]}))
        _, _, _, _, info = env.step(allocation(network, {"bs0": ["cars/large"]}))
        assert (info["slot"], info["repaired"]) == (0, 0)  # the refused action took no slot

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            (np.zeros(17), r"shape \(17,\); must be \(18,\)"),
            (np.zeros((1, 18)), r"shape \(1, 18\)"),
            (np.full(18, 2), r"action\[0\]: 2; must be 0 or 1"),
            (np.eye(18)[4] * -1.0, r"action\[4\]: -1.0"),
            (np.eye(18)[17] * 0.5, r"action\[17\]: 0.5"),
            (np.eye(18)[1] * np.nan, r"action\[0\]: nan"),
            ([[0], [0, 1]], r"action: .*inhomogeneous"),
            (["0"] * 18, r"action\[0\]: 0; must be 0 or 1"),
            (None, r"shape \(\)"),
        ],
    )
    def test_what_is_no_action_is_refused(self, action: np.ndarray, message: str) -> None:
        env, _ = started()
        with pytest.raises(IdnError, match=message):
            env.unwrapped.step(action)

    def test_booleans_and_floats_of_0_and_1_will_do(self) -> None:
        for kind in (np.bool_, np.float32, np.int64):
            env, network = started()
            observation, *_ = env.step(allocation(network, HELD).astype(kind))
            assert observation["allocation"].tolist() == allocation(network, HELD).tolist()


class TestArguments:
    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"reward": "ntag"}, r"reward: 'ntag'; allowed: 'gain', 'gain_per_request'"),
            ({"infeasible": "drop"}, r"infeasible: 'drop'; allowed: 'repair', 'raise'"),
            ({"render_mode": "human"}, r"render_mode: 'human'; allowed: None, 'rgb_array', 'ansi'"),
            ({"update_weight": -1.0}, r"update_weight: -1.0; must be a finite number >= 0"),
            ({"update_weight": float("nan")}, r"update_weight: nan"),
            ({"update_weight": "1"}, r"update_weight: '1'"),
            ({"horizon": 0}, r"horizon: 0; must be a whole number, at least 1"),
            ({"horizon": 2.5}, r"horizon: 2.5"),
            ({"horizon": "7"}, r"horizon: '7'"),
            ({"overrides": ["workload.rat=3"]}, r"workload.rat: unknown key"),
            ({"overrides": {"accuracy_weight": -1}}, r"accuracy_weight: -1"),
            ({"scenario": "tinny"}, r"no scenario 'tinny'; did you mean 'tiny'\? packaged: "),
            ({"capacities": "capacities.csv"}, r"capacities: .*give trace too"),
            ({"trace": "missing.csv"}, r"missing.csv: cannot be read"),
            ({"scenario": load_scenario("tiny"), "overrides": ["horizon=3"]}, r"overrides: a Scenario object"),
            ({"update_weight": 1e300}, r"update_weight: 1e\+300; must be a finite number >= 0, at most 1e\+09"),
            ({"update_weight": 10**400}, r"update_weight: a whole number of about 401 digits; must be"),
            ({"update_weight": True}, r"update_weight: True"),
            ({"update_weight": [1.0]}, r"update_weight: \[1.0\]"),
            ({"horizon": True}, r"horizon: True"),
            ({"horizon": 10**400}, r"horizon: a whole number of about 401 digits; must be a whole number"),
            ({"horizon": 10**9 + 1}, r"horizon: 1000000001; .* at most 1000000000"),
            ({"horizon": np.array([3])}, r"horizon: array\(\[3\]\)"),
            ({"reward": ["gain"]}, r"reward: \['gain'\]; allowed"),
            ({"reward": np.array(["gain", "gain"])}, r"reward: array.*; allowed"),
            ({"render_mode": 3}, r"render_mode: 3; allowed"),
            ({"overrides": {1: 2}}, r"overrides: \{1: 2\}; must be \{'KEY': VALUE\} or \['KEY=VALUE'\]"),
            ({"overrides": [1]}, r"overrides: \[1\]; must be"),
            ({"overrides": 7}, r"overrides: 7; must be"),
            ({"overrides": ["workload.rate"]}, r"override 'workload.rate': must be KEY=VALUE"),
            ({"overrides": [["workload.rate", 3]]}, r"overrides: \[\['workload.rate', 3\]\]; must be"),
            ({"scenario": 5}, r"scenario: 5; must be a packaged name, an id, the path of a file, its content"),
            ({"scenario": None}, r"scenario: None; must be"),
            ({"scenario": ["tiny"]}, r"scenario: \['tiny'\]; must be"),
            ({"scenario": {}}, r"scenario: format: missing"),
            (
                {"scenario": load_scenario("tiny").to_dict() | {"horizn": 3}},
                r"scenario: horizn: unknown key; did you mean",
            ),
            ({"scenario": load_scenario("tiny").to_dict() | {"horizon": 0}}, r"scenario: horizon: 0"),
            ({"scenario": holds_itself()}, r"scenario: nested too deeply"),
            ({"trace": 3}, r"trace: 3; must be the path of a file"),
            ({"trace": "a\0b.csv"}, r"trace: 'a\\x00b.csv'; must be the path of a file"),
            ({"trace": "\ud800.csv"}, r"trace: .*; must be the path of a file"),
            ({"trace": "requests.csv", "capacities": b"x"}, r"capacities: b'x'; must be the path of a file"),
            ({"horizn": 3}, r"horizn: no argument of the environment; .* allowed: scenario, overrides, horizon"),
            ({"variants": [{}]}, r"variants: no argument of the environment"),
        ],
    )
    def test_bad_ones_are_named(self, kwargs: dict[str, Any], message: str) -> None:
        kwargs = {"scenario": "tiny"} | kwargs
        with pytest.raises(IdnError, match=message) as caught:
            IDNEnv(**kwargs)
        assert len(str(caught.value).splitlines()) == 1
        if "render_mode" not in kwargs:  # of which Gymnasium warns
            with pytest.raises(IdnError, match=message):
                gym.make("IDN/Scenario-v0", **kwargs)

    def test_only_the_scenario_goes_without_its_name(self) -> None:
        with pytest.raises(TypeError, match="positional"):
            IDNEnv("tiny", {"horizon": 3})

    def test_an_unknown_one_is_a_type_error_too(self) -> None:
        # TorchRL asks in this way whether an environment skips frames itself
        with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
            gym.make("IDN/Tiny-v0", frameskip=4)

    @pytest.mark.parametrize("seed", [-1, 2**64, 10**400, 1.5, True, "0", [1]])
    def test_bad_seeds(self, seed: Any) -> None:
        with pytest.raises(IdnError, match=r"seed: .*; must be a whole number >= 0"):
            IDNEnv("tiny").reset(seed=seed)

    @pytest.mark.parametrize("seed", [np.int64(5), np.uint8(5), 2**64 - 1])
    def test_seeds_of_other_kinds(self, seed: Any) -> None:
        env = IDNEnv("tiny")
        env.reset(seed=seed)
        expected = draw(env.network, 1, int(seed)).requests[0]
        np.testing.assert_array_equal(env.step(np.zeros(18, dtype=np.int8))[0]["requests"], expected)

    def test_a_name_an_id_a_file_and_an_object(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(to_yaml(load_scenario("tiny")))
        for scenario in ("tiny", TINY, path, str(path), load_scenario("tiny")):
            assert gym.make("IDN/Scenario-v0", scenario=scenario).unwrapped.network.P == 18

    def test_horizon(self, trace: str, tmp_path: Path) -> None:
        assert IDNEnv("tiny").horizon == load_scenario("tiny").horizon == 20
        assert IDNEnv("tiny", overrides={"horizon": 4}).horizon == 4
        assert IDNEnv("tiny", horizon=np.int64(600)).horizon == 600
        assert IDNEnv("tiny", trace=trace).horizon == 3
        assert IDNEnv("tiny", trace=trace, horizon=2).horizon == 2
        with pytest.raises(IdnError, match=r"horizon: 4; .* at most the trace's 3 slots"):
            IDNEnv("tiny", trace=trace, horizon=4)
        replayed = {"workload": {"kind": "trace", "requests": trace}}
        env = IDNEnv("tiny", overrides=replayed)
        assert env.horizon == 3
        env.reset(seed=0)
        assert env.step(allocation(env.network, HELD))[1] == pytest.approx(505.0)
        with pytest.raises(IdnError, match="at most the trace's 3 slots"):
            IDNEnv("tiny", overrides=replayed, horizon=4)

    def test_outages_show_in_the_observation(self) -> None:
        outages = {"workload.capacity": {"kind": "outages", "probability": 0.4, "duration": 2.0, "remaining": 0.5}}
        env = IDNEnv("tiny", overrides=outages, horizon=70)
        expected = draw(env.network, 70, 2).capacities
        env.reset(seed=2)
        seen = [step[0]["capacities"] for step in rollout(env, np.zeros((70, 18), dtype=np.int8))]
        np.testing.assert_array_equal(np.array(seen), expected.astype(np.float32))
        assert len(np.unique(expected, axis=0)) > 2

    def test_without_a_seed_episodes_differ_and_all_follow_from_the_first_seed(self) -> None:
        def requests() -> list[list[float]]:
            """Of the first slot of three episodes."""
            env = IDNEnv("tiny", horizon=3)
            episodes = []
            for seed in (1, None, None):
                env.reset(seed=seed)
                episodes.append(env.step(np.zeros(18, dtype=np.int8))[0]["requests"].tolist())
            return episodes

        first, second, third = requests()
        assert first != second != third != first
        assert requests() == [first, second, third]


class TestRender:
    def test_modes(self) -> None:
        assert IDNEnv.metadata["render_fps"] > 0
        for mode in IDNEnv.metadata["render_modes"]:
            env, network = started(render_mode=mode)
            env.step(allocation(network, HELD))
            shown = env.render()
            if mode == "ansi":
                assert "after 1 slot" in shown
            else:
                pytest.importorskip("matplotlib")
                assert shown.dtype == np.uint8
                assert shown.shape[2] == 3

    def test_without_a_mode_it_warns(self) -> None:
        env, _ = started()
        with pytest.warns(UserWarning, match="render_mode"):
            assert env.unwrapped.render() is None


def test_the_package_names_the_environment() -> None:
    assert idn_gym.IDNEnv is IDNEnv
