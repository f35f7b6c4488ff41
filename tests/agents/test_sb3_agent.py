"""Models of Stable-Baselines3 as agents: what they do is what they would do in the environment that trained them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation
from idn_agents.sb3 import Sb3Agent
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from idn_gym import IdnError, Network, draw, load_scenario, play
from idn_gym.sb3 import SB3VecEnv
from idn_gym.wrappers import OnePlacementAtATime, ScoreAction

SLOTS, SEED = 6, 3
SMALL = {"n_steps": 16, "batch_size": 16, "seed": 0}
OFF = {"learning_starts": 8, "buffer_size": 32, "seed": 0}


def make(horizon: int = SLOTS) -> Any:
    return gymnasium.make("IDN/Tiny-v0", reward="gain_per_request", horizon=horizon)


def together() -> SB3VecEnv:
    return SB3VecEnv(gymnasium.make_vec("IDN/Tiny-v0", num_envs=2, autoreset_mode="SameStep"))


def few(env: Any) -> Any:
    return OnePlacementAtATime(env, max_toggles=3)


def high(env: Any) -> Any:
    return FlattenObservation(ScoreAction(env, threshold=0.5))


CASES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Any]] = {
    "bits": (lambda: PPO("MultiInputPolicy", make(), **SMALL), lambda env: env, None),
    "bits of a vector environment": (lambda: PPO("MultiInputPolicy", together(), **SMALL), lambda env: env, None),
    "scores": (lambda: SAC("MultiInputPolicy", ScoreAction(make()), **OFF), ScoreAction, None),
    "flat": (lambda: PPO("MlpPolicy", FlattenObservation(make()), **SMALL), FlattenObservation, None),
    "with arguments": (lambda: PPO("MlpPolicy", high(make()), **SMALL), high, high),
    "one by one": (lambda: DQN("MultiInputPolicy", few(make()), **OFF), few, few),
    "masked": (
        lambda: MaskablePPO("MultiInputPolicy", OnePlacementAtATime(make()), **SMALL),
        OnePlacementAtATime,
        None,
    ),
    "recurrent": (
        lambda: RecurrentPPO(
            "MultiInputLstmPolicy", ScoreAction(make()), policy_kwargs={"lstm_hidden_size": 8}, **SMALL
        ),
        ScoreAction,
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("deterministic", [True, False])
def test_it_does_what_the_model_does_in_the_environment(name: str, deterministic: bool) -> None:
    """The same gain in every slot, for actions that are certain; drawn ones depend on the seed alone."""
    build, wrapped, wrap = CASES[name]
    model = build().learn(16)
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, SLOTS, SEED)
    agent = Sb3Agent(model, deterministic, wrap)
    table = play(network, trace, agent, SEED).table
    assert play(network, trace, pickle.loads(pickle.dumps(agent)), SEED).table.gain.tolist() == table.gain.tolist()
    if deterministic:
        env = wrapped(make())
        seen, _ = env.reset(seed=SEED)
        gains: list[float] = []
        state, began, over = None, np.array([True]), False
        while not over:
            how = {"action_masks": env.action_masks()} if name == "masked" else {}
            action, state = model.predict(seen, state, began, deterministic=True, **how)
            seen, _, _, over, info = env.step(action)
            began = np.array([False])
            gains += [float(info["gain"])] * int(info["slot"] >= 0)
        assert table.gain.tolist() == pytest.approx(gains)


def test_what_a_model_was_normalised_by_is_applied() -> None:
    env = VecNormalize(DummyVecEnv([lambda: FlattenObservation(ScoreAction(make()))]))
    model = PPO("MlpPolicy", env, **SMALL).learn(16)
    network = Network.compile(load_scenario("tiny"))
    agent = Sb3Agent(model)
    agent.reset(network, 0)
    observation, _ = gymnasium.make("IDN/Tiny-v0").reset(seed=0)
    flat = FlattenObservation(make()).observation(observation)
    scores, _ = model.predict(env.normalize_obs(flat), deterministic=True)
    expected = ScoreAction(make()).action(scores)
    assert agent.act(observation).tolist() == expected.tolist()


def test_another_network_is_refused_in_a_line() -> None:
    model = PPO("MultiInputPolicy", make(), **SMALL)
    network = Network.compile(load_scenario("topology-2-fixed"))
    with pytest.raises(
        IdnError, match=r"agent Sb3Agent: model: was trained on .*requests \(4,\).* MultiBinary \(18,\)"
    ):
        play(network, draw(network, 2, 0), Sb3Agent(model), 0)
    with pytest.raises(IdnError, match="model: str has no predict; must be a Stable-Baselines3 model"):
        Sb3Agent("model.zip")
