"""The environments on scenarios with chains: scalar, vector and evaluation are one, and stages count as parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from chain_instances import chain_scenario
from command_line import in_process

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import IdnError, kernels

ROWS, SLOTS = 2, 6


def ok(*arguments: object) -> str:
    """What a command prints that succeeds."""
    done = in_process(*arguments)
    assert done.status == 0, done.stderr
    return done.stdout


@pytest.fixture(params=[1, 2])
def file(request: Any, tmp_path: Path) -> str:
    data = chain_scenario(request.param) | {"workload": {"kind": "zipf", "rate": 60.0}}
    path = tmp_path / "chains.json"
    path.write_text(json.dumps(data))
    return str(path)


def test_scalar_vector_and_kernels_say_the_same_bit_for_bit(file: str) -> None:
    scalars = [gym.make("IDN/Scenario-v0", scenario=file, horizon=SLOTS).unwrapped for _ in range(ROWS)]
    vector = gym.make_vec("IDN/Scenario-v0", num_envs=ROWS, scenario=file, horizon=SLOTS)
    network = scalars[0].network  # type: ignore[attr-defined]
    vector.reset(seed=3)
    for row, env in enumerate(scalars):
        env.reset(seed=3 + row)
    draws = np.random.default_rng(0)
    for _ in range(SLOTS):
        actions = kernels.pack(network, draws.random((ROWS, network.P)))
        seen, rewards, _, _, infos = vector.step(actions)
        for row, env in enumerate(scalars):
            observation, reward, _, _, info = env.step(actions[row])
            assert reward == rewards[row]
            for name in ("gain", "cost", "latency_ms", "inaccuracy", "tier_shares"):
                assert np.array_equal(info[name], infos[name][row])
            requests = np.asarray(observation["requests"], dtype=np.float64)
            assert np.array_equal(observation["requests"], seen["requests"][row])
            served = kernels.serve(network, requests, network.capacities, actions[row])
            assert info["gain"] == served.gain[0]
            assert info["tier_shares"].sum() == pytest.approx(1.0 if requests.any() else 0.0)
            reference = network.service.serve(requests, network.capacities, actions[row].astype(np.float64))
            assert info["gain"] == pytest.approx(reference.gain, rel=1e-9, abs=1e-7)


def test_the_command_line_runs_shows_and_evaluates_chains(file: str, tmp_path: Path) -> None:
    assert "options" in ok("show", file)
    records = tmp_path / "out"
    agents = ["--agent", "last-batch-greedy", "--agent", "infida"]
    run = json.loads(ok("run", file, *agents, "--slots", "4", "--output", str(records), "--json"))
    held = records / "last-batch-greedy" / "allocations.csv"
    assert held.is_file()
    last = [line.split(",") for line in held.read_text().splitlines()[1:]]
    allocation: dict[str, list[str]] = {}
    for _, node, model in [row for row in last if row[0] == last[-1][0]]:
        if node:
            allocation.setdefault(node, []).append(model)
    (tmp_path / "held.json").write_text(json.dumps(allocation))
    files = ["--allocation", str(tmp_path / "held.json"), "--requests", str(records / "requests.csv")]
    evaluated = json.loads(ok("evaluate", file, *files, "--json"))
    recorded = [line.split(",") for line in (records / "last-batch-greedy" / "slots.csv").read_text().splitlines()]
    column = recorded[0].index("gain")
    since = int(last[-1][0])
    for slot, row in zip(evaluated["slots"][since:], recorded[1 + since :], strict=True):
        assert slot["gain"] == pytest.approx(float(row[column]), rel=1e-12)
    assert {each["agent"] for each in run["agents"]} == {"last-batch-greedy", "infida"}


def test_tensors_refuse_chains_in_a_line(file: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(IdnError, match=r"^idn_gym.batched: takes services of one stage; this scenario has chains$"):
        gym.make_vec("IDN/Scenario-v0", num_envs=ROWS, scenario=file, device="cpu")
