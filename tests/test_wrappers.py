"""The views of the action: their masks and orders by brute force, and SB3's learners over them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers import FlattenObservation
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import allocation, random_network

from idn_gym import IdnError, Network
from idn_gym.env.env import IDNEnv
from idn_gym.wrappers import OnePlacementAtATime, ScoreAction

TINY = "IDN/Tiny-v0"


def placement(network: Network, node: str, model: str) -> int:
    return int(network.placement_index[network.node_names.index(node), network.model_names.index(model)])


def room(network: Network, held: set[int], v: int) -> float:
    """MB left at a node, summed anew."""
    return float(network.budgets[v]) - sum(float(network.sizes[p]) for p in held if network.placement_node[p] == v)


def checked(env: gym.Env) -> None:
    """Gymnasium's checker, which warns of wrappers by principle."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        check_env(env, skip_render_check=True)


class TestScoreAction:
    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 30), scores=st.randoms(use_true_random=False), threshold=st.sampled_from([-1.0, 0.0, 0.5])
    )
    def test_fills_in_order_of_score(self, seed: int, scores: Any, threshold: float) -> None:
        network = random_network(seed, ties=True)
        if network.P == 0:
            return
        env = ScoreAction(IDNEnv(network.scenario, infeasible="raise", trace=None), threshold=threshold)
        values = np.array([scores.randint(-4, 4) / 4 for _ in range(network.P)], dtype=np.float32)
        held: set[int] = set()
        for p in sorted(range(network.P), key=lambda p: (-values[p], p)):  # ties in the order of the file
            v = network.placement_node[p]
            if values[p] >= threshold and network.sizes[p] <= room(network, held, v):
                held.add(p)
        assert set(np.flatnonzero(env.action(values)).tolist()) == held

    def test_by_hand(self) -> None:
        env = ScoreAction(gym.make(TINY))
        network = env.unwrapped.network
        scores = np.full(18, -1.0, dtype=np.float32)
        scores[placement(network, "bs0", "cars/large")] = -0.5
        scores[placement(network, "bs1", "people/large")] = 1.0
        scores[placement(network, "cloud", "cars/small")] = 1.0  # no memory there
        filled = {"co": ["cars/small", "cars/medium", "people/small"], "bs0": ["cars/large"]}
        filled["bs1"] = ["people/large", "cars/small"]
        assert env.action(scores).tolist() == allocation(network, filled).tolist()
        kept_out = ScoreAction(gym.make(TINY), threshold=0.0)
        assert kept_out.action(scores).tolist() == allocation(network, {"bs1": ["people/large"]}).tolist()
        assert not kept_out.action(np.full(18, -0.1)).any()
        env.reset(seed=0)
        observation, _, _, _, info = env.step(scores)
        assert observation["allocation"].tolist() == allocation(network, filled).tolist()
        assert info["repaired"] == 0

    def test_checkers(self) -> None:
        sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
        for env_id in (TINY, "IDN/TopologyII-Fixed-v0"):
            checked(ScoreAction(gym.make(env_id, disable_env_checker=True)))
            sb3.check_env(ScoreAction(gym.make(env_id)))

    def test_errors(self) -> None:
        with pytest.raises(IdnError, match=r"threshold: 1.5; must be in \[-1, 1\]"):
            ScoreAction(gym.make(TINY), threshold=1.5)
        for threshold in (np.nan, "0", True, [0.0], 10**400):
            with pytest.raises(IdnError, match=r"threshold: .*; must be in \[-1, 1\]"):
                ScoreAction(gym.make(TINY), threshold=threshold)
        with pytest.raises(TypeError, match="positional"):
            ScoreAction(gym.make(TINY), 0.0)
        env = ScoreAction(gym.make(TINY))
        for words in (["a"] * 18, [[0.0], [0.0, 1.0]], None):
            with pytest.raises(IdnError, match="action: "):
                env.action(words)
        for scores in (np.zeros(17), np.full(18, np.nan)):
            with pytest.raises(IdnError, match=r"must be \(18,\) scores without NaN"):
                env.action(scores)
        with pytest.raises(IdnError, match="must be an idn_gym environment"):
            ScoreAction(gym.make("CartPole-v1"))
        with pytest.raises(IdnError, match=r"action space Box.*; must be MultiBinary\(18\)"):
            ScoreAction(env)


class TestOnePlacementAtATime:
    def test_an_edit_by_hand(self) -> None:
        env = OnePlacementAtATime(gym.make(TINY))
        plain = gym.make(TINY)
        network = env.unwrapped.network
        P = network.P
        small, medium, large, people = (
            placement(network, "bs0", name) for name in ("cars/small", "cars/medium", "cars/large", "people/small")
        )
        observation, info = env.reset(seed=3)
        plain.reset(seed=3)
        assert info["refused"] == 0
        assert info["action_mask"].dtype == np.int8
        assert info["action_mask"][[medium, large, P]].tolist() == [1, 1, 1]
        assert info["action_mask"][placement(network, "cloud", "cars/small")] == 0  # no memory there

        for p in (medium, small):
            before = observation
            observation, reward, terminated, truncated, info = env.step(p)
            assert (reward, terminated, truncated) == (0.0, False, False)
            assert observation["allocation"][p] == 1.0
            assert before["allocation"][p] == 0.0
            assert observation["requests"].sum() == 0.0  # no slot has been served
        # bs0 is full; what was toggled already may not be toggled again
        assert info["action_mask"][[small, medium, large, people, P]].tolist() == [0, 0, 0, 0, 1]
        for p in (small, large):
            observation, _, _, _, info = env.step(p)
            assert observation["allocation"][[small, medium, large]].tolist() == [1.0, 1.0, 0.0]
        assert info["refused"] == 2

        held = allocation(network, {"bs0": ["cars/small", "cars/medium"]})
        observation, reward, _, _, info = env.step(P)
        expected = plain.step(held)
        assert reward == expected[1]
        assert data_equivalence(observation, expected[0], exact=True)
        assert info.items() >= {"slot": 0, "refused": 2, "repaired": 0, "gain": expected[4]["gain"]}.items()
        # a new slot: what is placed may be removed, and that makes room
        assert info["action_mask"][[small, medium, large, people]].tolist() == [1, 1, 0, 0]
        _, _, _, _, info = env.step(medium)
        assert info["action_mask"][[small, medium, large, people]].tolist() == [1, 0, 0, 1]
        assert info["refused"] == 0

    @settings(max_examples=60)
    @given(seed=st.integers(0, 30), data=st.data())
    def test_masks_are_exact_and_every_edit_is_feasible(self, seed: int, data: st.DataObject) -> None:
        network = random_network(seed, ties=True)
        if network.P == 0:
            return
        rate = {"workload": {"kind": "zipf", "rate": 5.0}}
        scenario = network.scenario.model_validate(network.scenario.to_dict() | rate)
        env = OnePlacementAtATime(IDNEnv(scenario, infeasible="raise", horizon=4))
        _, info = env.reset(seed=0)
        held: set[int] = set()
        touched: set[int] = set()
        slots = 0
        for p in data.draw(st.lists(st.integers(0, network.P), max_size=40)):
            allowed = [
                q not in touched and (q in held or network.sizes[q] <= room(network, held, network.placement_node[q]))
                for q in range(network.P)
            ]
            assert env.action_masks().tolist() == [*allowed, True]
            assert info["action_mask"].tolist() == [*map(int, allowed), 1]
            observation, _, _, truncated, info = env.step(p)
            if p < network.P and allowed[p]:
                held ^= {p}
                touched.add(p)
            assert set(np.flatnonzero(observation["allocation"]).tolist()) == held
            assert all(room(network, held, v) >= 0.0 for v in range(network.V))
            if info["slot"] >= 0:
                assert info["slot"] == slots
                slots, touched = slots + 1, set()
            if truncated:
                break

    def test_serves_by_itself_after_so_many_actions(self) -> None:
        for most, given_up in ((None, 18), (1, 1), (5, 5)):
            env = OnePlacementAtATime(gym.make(TINY, horizon=2), max_toggles=most)
            env.reset(seed=0)
            stubborn = placement(env.unwrapped.network, "cloud", "cars/small")  # never allowed
            served = [env.step(stubborn) for _ in range(2 * given_up)]
            assert [info["slot"] >= 0 for *_, info in served] == ([False] * (given_up - 1) + [True]) * 2
            assert [truncated for _, _, _, truncated, _ in served] == [False] * (2 * given_up - 1) + [True]
            assert served[-1][4]["refused"] == given_up
            with pytest.raises(gym.error.ResetNeeded):
                env.step(stubborn)

    def test_the_toggle_that_reaches_the_limit_still_counts(self) -> None:
        env = OnePlacementAtATime(gym.make(TINY), max_toggles=1)
        env.reset(seed=0)
        p = placement(env.unwrapped.network, "co", "people/large")
        observation, reward, _, _, info = env.step(p)
        assert info["model_update_mb"] == 2.0
        assert observation["allocation"][p] == 1.0
        assert reward == info["gain"]

    def test_observations_are_not_changed_afterwards(self) -> None:
        env = OnePlacementAtATime(gym.make(TINY))
        first, info = env.reset(seed=0)
        mask = info["action_mask"].copy()
        env.step(placement(env.unwrapped.network, "co", "people/large"))
        assert not first["allocation"].any()
        np.testing.assert_array_equal(info["action_mask"], mask)

    def test_checkers(self) -> None:
        sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
        for env_id in (TINY, "IDN/TopologyII-Fixed-v0"):
            checked(OnePlacementAtATime(gym.make(env_id, disable_env_checker=True)))
            sb3.check_env(OnePlacementAtATime(gym.make(env_id)))

    def test_spec_remakes_it(self) -> None:
        spec = OnePlacementAtATime(ScoreAction(gym.make(TINY)).env, max_toggles=3).spec
        env = gym.make(type(spec).from_json(spec.to_json()))
        env.reset(seed=0)
        assert [env.step(0)[4]["slot"] >= 0 for _ in range(3)] == [False, False, True]

    def test_errors(self) -> None:
        for value in (0, 2.0, True):
            with pytest.raises(IdnError, match=f"max_toggles: {value}; must be a whole number >= 1"):
                OnePlacementAtATime(gym.make(TINY), max_toggles=value)
        with pytest.raises(IdnError, match="max_toggles: a whole number of about 401 digits"):
            OnePlacementAtATime(gym.make(TINY), max_toggles=10**400)
        with pytest.raises(TypeError, match="positional"):
            OnePlacementAtATime(gym.make(TINY), 3)
        with pytest.raises(IdnError, match="flatten outside this wrapper"):
            OnePlacementAtATime(FlattenObservation(gym.make(TINY)))
        with pytest.raises(IdnError, match=r"action space Discrete\(19\); must be MultiBinary\(18\)"):
            OnePlacementAtATime(OnePlacementAtATime(gym.make(TINY)))
        env = OnePlacementAtATime(gym.make(TINY))
        with pytest.raises(gym.error.ResetNeeded, match="has not begun"):
            env.step(18)
        env.reset(seed=0)
        for action in (-1, 19, 1.5, "1", None):
            with pytest.raises(IdnError, match=rf"action: {action!r}; must be in 0..18"):
                env.step(action)
        for slot, action in enumerate((18, np.int64(18), np.array(18), np.array([18]))):
            assert env.step(action)[4]["slot"] == slot


class TestLearners:
    """A few hundred steps each: that they run over these spaces, not that they learn."""

    ON_POLICY: ClassVar[dict[str, Any]] = {"n_steps": 128, "batch_size": 64, "n_epochs": 2}
    OFF_POLICY: ClassVar[dict[str, Any]] = {"learning_starts": 50, "train_freq": 10, "buffer_size": 1000}

    @staticmethod
    def learn(algorithm: Any, policy: str, env: gym.Env, **kwargs: Any) -> Any:
        return algorithm(policy, env, seed=0, device="cpu", policy_kwargs={"net_arch": [16]}, **kwargs).learn(256)

    @pytest.fixture(autouse=True)
    def one_thread(self) -> Iterator[None]:
        """Torch's threads fight over the cores with those of other tests."""
        torch = pytest.importorskip("torch")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def test_ppo_over_bits_and_scores(self) -> None:
        sb3 = pytest.importorskip("stable_baselines3")
        for env in (gym.make(TINY), ScoreAction(gym.make(TINY))):
            model = self.learn(sb3.PPO, "MultiInputPolicy", env, **self.ON_POLICY)
            action, _ = model.predict(env.reset(seed=0)[0])
            assert env.action_space.contains(action)

    def test_sac_over_scores(self) -> None:
        sb3 = pytest.importorskip("stable_baselines3")
        env = FlattenObservation(ScoreAction(gym.make(TINY), threshold=0.0))
        self.learn(sb3.SAC, "MlpPolicy", env, **self.OFF_POLICY)

    def test_dqn_over_one_placement_at_a_time(self) -> None:
        sb3 = pytest.importorskip("stable_baselines3")
        env = OnePlacementAtATime(gym.make(TINY), max_toggles=6)
        self.learn(sb3.DQN, "MultiInputPolicy", env, **self.OFF_POLICY)

    def test_maskable_ppo_is_never_refused(self) -> None:
        contrib = pytest.importorskip("sb3_contrib")
        refused = []

        class Watched(gym.Wrapper):  # type: ignore[type-arg]
            def step(self, action: Any) -> Any:
                result = self.env.step(action)
                refused.append(result[4]["refused"])
                return result

        env = Watched(OnePlacementAtATime(gym.make(TINY)))
        self.learn(contrib.MaskablePPO, "MultiInputPolicy", env, **self.ON_POLICY)
        assert len(refused) == 256
        assert not any(refused)
