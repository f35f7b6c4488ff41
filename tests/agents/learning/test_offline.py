"""Learning from datasets: a clone gains what its teacher does, better slots weigh more, bad datasets are one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_process

torch = pytest.importorskip("torch")
minari = pytest.importorskip("minari")

from idn_agents.learning.offline.learners import (  # noqa: E402
    Offline,
    OfflineTrainer,
    advantage_weights,
    gained,
)
from idn_agents.learning.ppo_torch import make_policy  # noqa: E402

from idn_gym import datasets, kernels  # noqa: E402
from idn_gym.experiment.play import play  # noqa: E402
from idn_gym.experiment.spec import AgentSpec, RunSpec  # noqa: E402
from idn_gym.library.load import load_scenario  # noqa: E402
from idn_gym.model.network import Network  # noqa: E402

NAME = "idn/mixture-v0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with episodes of a teacher on tiny, and with those of it and of `random`."""
    folder = tmp_path_factory.mktemp("store")
    tiny = load_scenario("tiny")
    datasets.write(tiny, ["infida-coordinated"], folder, "idn/teacher-v0", episodes=4, slots=60)
    datasets.write(tiny, ["infida-coordinated", "random"], folder, NAME, episodes=2, slots=20, reward="gain")
    return folder


def gain(agent: str) -> float:
    """Mean gain per request on two streams that are in no dataset."""
    found = []
    for seed in (2000, 2001):
        network, trace = RunSpec(load_scenario("tiny"), AgentSpec("none"), seed=seed, slots=80).stream()
        found.append(play(network, trace, agent, seed).summary.ntag or 0.0)
    return float(np.mean(found))


@pytest.mark.parametrize("algo", ["bc", "awr"])
def test_a_clone_gains_most_of_what_its_teacher_does(algo: str, store: Path, tmp_path: Path) -> None:
    arguments = ["train-offline", "idn/teacher-v0", "--store", store, "--algo", algo, "--output", tmp_path / "clone"]
    outcome = in_process(*arguments, "--policy", "flat", "--epochs", 30, "--json")
    assert outcome.status == 0, outcome.stderr
    curve = json.loads(outcome.stdout)["curve"]
    assert curve[-1]["loss"] < 0.5 * curve[0]["loss"]
    assert curve[-1]["steps"] == 30 * 4 * 60
    assert curve[-1]["agreement"] > curve[0]["agreement"]
    teacher, nothing = gain("infida-coordinated"), gain("random")
    assert gain(f"ppo:path={tmp_path / 'clone'}") > nothing + 0.5 * (teacher - nothing)


def test_resumed_it_ends_as_if_it_had_not_been_interrupted(store: Path) -> None:
    episodes = datasets.read(store, NAME)
    ends = []
    for stop in (None, 1):
        policy = make_policy("placement", [episodes.scenario], 4, 0)
        trainer = OfflineTrainer(episodes, policy, Offline(algo="awr", epochs=2), 3)
        rows = trainer.chapters()
        next(rows)
        if stop:
            state = trainer.state()
            policy = make_policy("placement", [episodes.scenario], 4, 1)
            trainer = OfflineTrainer(episodes, policy, Offline(algo="awr", epochs=2), 3)
            trainer.restore(state)
            rows = trainer.chapters()
        next(rows)
        ends.append(policy.state_dict())
    for key, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][key], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["placement", "flat"])
def test_a_policy_learns_to_ignore_what_is_held(kind: str, store: Path) -> None:
    episodes = datasets.read(store, NAME)
    policy = make_policy(kind, [episodes.scenario], 4, 0)
    list(OfflineTrainer(episodes, policy, Offline(epochs=1)).chapters())
    network = Network.compile(episodes.scenario)
    last = {key: torch.as_tensor(each[-1:]) for key, each in episodes.observations[0].items()}
    scores = []
    for held in (torch.zeros(1, network.P), torch.tensor(network.fits.tolist())[None].float()):
        view = policy.view(network, 1)
        scores.append(policy(view.see(last | {"allocation": held}), view))
    torch.testing.assert_close(scores[0], scores[1])


def test_rewards_are_per_request_whatever_the_dataset_has(store: Path) -> None:
    episodes = datasets.read(store, NAME)
    network = Network.compile(episodes.scenario)
    assert episodes.reward == "gain"
    found = gained(network, episodes)
    served = {key: each[1:] for key, each in episodes.observations[0].items()}
    requests, capacities = served["requests"].astype(np.float64), served["capacities"].astype(np.float64)
    own = kernels.gain(network, requests, capacities, served["allocation"].astype(np.float64))
    np.testing.assert_allclose(found[:20, 0], own / requests.sum(1), rtol=1e-5)


def test_weights_rise_with_what_chance_does_not_explain() -> None:
    even = np.array([1.0, 1.0, 2.0, 2.0])
    weights = advantage_weights(np.stack([3.0 * even + [1.0, -1.0, 1.0, -1.0], even], axis=1), 0.5)
    expected = np.exp([2.0, -2.0, 2.0, -2.0])  # advantages of one standard deviation, over 0.5
    np.testing.assert_allclose(weights, expected / expected.mean())
    np.testing.assert_array_equal(advantage_weights(np.stack([even, even], axis=1), 0.5), 1.0)


def spoilt(store: Path, change: Any) -> None:
    """Change what Minari's metadata say of the dataset."""
    path = store / NAME / "data" / "metadata.json"
    values = json.loads(path.read_text())
    spec = json.loads(values["env_spec"])
    change(spec)
    path.write_text(json.dumps(values | {"env_spec": json.dumps(spec)}))


def other_network(spec: dict[str, Any]) -> None:
    spec["kwargs"]["scenario"] = "topology-2-sliding"


def other_reward(spec: dict[str, Any]) -> None:
    spec["kwargs"]["reward"] = "vector"


def other_environment(spec: dict[str, Any]) -> None:
    spec["id"] = "CartPole-v1"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_network, "requests: shape (21, 4); of topology-2-sliding must be (21, 20)"),
        (other_reward, "reward 'vector'; allowed: gain, gain_per_request"),
        (other_environment, "of environment 'CartPole-v1'"),
    ],
)
def test_a_dataset_of_something_else_is_one_line(change: Any, says: str, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    datasets.write(load_scenario("tiny"), ["random"], folder, NAME, episodes=1, slots=20)
    spoilt(folder, change)
    outcome = in_process("train-offline", NAME, "--store", folder, "--output", tmp_path / "out")
    assert outcome.status == 2
    assert says in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["idn/none-v0"], "is not there"),
        (["nothing"], "must be namespace/name-vN"),
        ([NAME, "--algo", "cql"], "--algo: 'cql'; allowed: bc, awr"),
        ([NAME, "--epochs", "0"], "--epochs: 0"),
        ([NAME, "--temperature", "0"], "--temperature: 0; must be 0.001 to 1000000"),
        ([NAME, "--policy", "deep"], "--policy: 'deep'"),
    ],
)
def test_what_does_not_go_is_one_line(arguments: list[str], says: str, store: Path, tmp_path: Path) -> None:
    outcome = in_process("train-offline", *arguments, "--store", store, "--output", tmp_path / "out")
    assert outcome.status == 2
    assert says in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_episodes_of_other_lengths(store: Path) -> None:
    whole = datasets.read(store, NAME)
    shorter = {key: each[:4] for key, each in whole.observations[1].items()}
    episodes = replace(
        whole, observations=[whole.observations[0], shorter], rewards=[whole.rewards[0], whole.rewards[1][:3]]
    )
    row = next(OfflineTrainer(episodes, make_policy("placement", [whole.scenario], 4, 0), Offline()).chapters())
    assert row["steps"] == 20 + 3
