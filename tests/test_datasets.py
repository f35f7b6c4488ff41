"""Offline data: what a dataset holds is what the registered environment gives, and nothing is half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_process

from idn_gym import datasets
from idn_gym.env import IDNEnv
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario

minari = pytest.importorskip("minari")


class Full:
    """An agent that overfills its nodes."""

    def reset(self, network: Any, seed: int) -> None:
        self.network = network

    def act(self, observation: Any) -> Any:
        return np.ones(self.network.P, dtype=np.int8)

    def info(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "store"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    return folder


@pytest.mark.parametrize("name", ["tiny", "sla-sliding", "draft-and-verify"])
def test_episodes_are_those_of_the_environment(store: Path, name: str) -> None:
    written = datasets.write(
        load_scenario(name),
        ["last-batch-greedy", "random"],
        store,
        "idn/mixed-v0",
        episodes=2,
        slots=5,
        seed=7,
        reward="gain",
        update_weight=0.5,
    )
    dataset = minari.load_dataset("idn/mixed-v0")
    assert dataset.total_episodes == 4
    assert [row["agent"] for row in written["agents"]] == ["last-batch-greedy", "random"]
    env = IDNEnv(name, horizon=5, update_weight=0.5)
    means: dict[int, float] = {}
    for episode, seed in zip(dataset.iterate_episodes(), (7, 7, 8, 8), strict=True):  # agents side by side
        seen, told = env.reset(seed=seed)
        for t in range(6):
            for key, values in seen.items():
                np.testing.assert_array_equal(episode.observations[key][t], values)
            for key, values in told.items():
                np.testing.assert_allclose(episode.infos[key][t], values, rtol=1e-12)
            if t < 5:
                seen, reward, _, over, told = env.step(episode.actions[t])
                assert episode.rewards[t] == pytest.approx(reward, rel=1e-12)
                assert (episode.truncations[t], episode.terminations[t]) == (over, False)
        means[episode.id] = float(episode.rewards.mean())
    assert written["agents"][0]["reward"] == pytest.approx((means[0] + means[2]) / 2)
    recovered = dataset.recover_environment()
    assert recovered.unwrapped.network.P == env.network.P
    assert recovered.unwrapped.horizon == 5


def test_the_command(store: Path) -> None:
    arguments = ["dataset", "tiny", "--agent", "optimum", "--episodes", 18, "--slots", 3, "--output", store]
    outcome = in_process(*arguments, "--json", "--set", "workload.rate=50")
    document = json.loads(outcome.stdout)
    assert document["dataset"] == "idn/tiny-optimum-v0"
    assert document["agents"][0]["episodes"] == 18  # more than are played at once
    dataset = minari.load_dataset("idn/tiny-optimum-v0")
    assert [episode.id for episode in dataset.iterate_episodes()] == list(range(18))
    assert dataset.recover_environment().unwrapped.network.scenario.workload.rate == 50
    again = in_process(*arguments)
    assert (again.status, "is there already" in again.stderr) == (2, True)


def test_a_store_may_be_a_relative_path(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    datasets.write(load_scenario("tiny"), ["random"], Path(store.name), "idn/here-v0", episodes=1, slots=2)
    assert minari.load_dataset("idn/here-v0").total_episodes == 1
    assert [path.name for path in store.glob(".part-*")] == []


def test_in_hindsight_an_agent_has_seen_its_episodes_stream(store: Path) -> None:
    """The static optimum of each episode's own stream is above what it is on another's."""
    datasets.write(load_scenario("topology-2-bursty"), ["static-greedy"], store, "idn/g-v0", episodes=2, slots=4)
    first, second = minari.load_dataset("idn/g-v0").iterate_episodes()
    assert (first.actions[0] != second.actions[0]).any()
    assert (first.actions == first.actions[0]).all()


@pytest.mark.parametrize(
    ("agents", "name", "says"),
    [
        (["random"], "no version", "must be namespace/name-vN"),
        (["nobody"], "idn/a-v0", "nobody"),
        (["ppo"], "idn/a-v0", "ppo"),
        ([Full()], "idn/a-v0", r"agent Full, slot 0: actions\[0\]: .*holds|agent Full, slot 0"),
    ],
)
def test_refuses_and_leaves_nothing(store: Path, agents: list[Any], name: str, says: str) -> None:
    scenario = load_scenario("draft-and-verify" if agents == ["ppo"] else "tiny")
    with pytest.raises(IdnError, match=says):
        datasets.write(scenario, agents, store, name, episodes=1, slots=2)
    assert not store.exists() or list(store.iterdir()) == []


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IdnError, match="must be a folder"):
        datasets.write(load_scenario("tiny"), ["random"], tmp_path / "file", "idn/a-v0", episodes=1, slots=2)
