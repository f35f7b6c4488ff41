"""Batched INFIDA: the scalar agent, many times over."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from idn_agents.infida.infida import Infida

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import IdnError, Network, load_scenario

torch = pytest.importorskip("torch")
InfidaBatch = pytest.importorskip("idn_agents.infida.batch").InfidaBatch

RUNS: list[dict[str, Any]] = [
    {},
    {"scale": 2.0},
    {"learning_rate": "theory"},
    {"learning_rate": "anytime"},
    {"learning_rate": 1e-3},
    {"refresh": 4},
    {"refresh": "dynamic", "target": 3},
    {"rounding": "coordinated"},
    {"rounding": "guarded", "window": 2},
    {"rounding": "guarded", "refresh": 3, "update_weight": 0.1},
]
SEEDS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("residual", ["drop", "reserve"])
@pytest.mark.parametrize("env_id", ["IDN/Tiny-v0", "IDN/TopologyII-Bursty-v0"])
def test_a_batch_is_the_scalar_agents(env_id: str, residual: str) -> None:
    runs = [run | {"residual": residual} for run in RUNS]
    arrays = gym.make_vec(env_id, num_envs=len(runs), horizon=20)
    tensors = gym.make_vec(env_id, num_envs=len(runs), horizon=20, device="cpu")
    network = arrays.unwrapped.network
    alone = [Infida(**run) for run in runs]
    for agent, seed in zip(alone, SEEDS, strict=True):
        agent.reset(network, seed)
    batch = InfidaBatch(runs)
    batch.reset(network, SEEDS)
    seen, observed = arrays.reset(seed=SEEDS)[0], tensors.reset(seed=SEEDS)[0]
    for _ in range(20):
        expected = np.stack([agent.act({key: seen[key][i] for key in seen}) for i, agent in enumerate(alone)])
        found = batch.act(observed)
        assert found.numpy().tolist() == expected.tolist()
        fractional = np.stack([agent.fractional for agent in alone])
        assert batch.fractional.numpy() == pytest.approx(fractional, rel=1e-12, abs=1e-15)
        seen, observed = arrays.step(expected)[0], tensors.step(found)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", [None, "torch"])
def test_draws_on_the_device_are_feasible_and_repeat(dtype: Any, backend: str | None) -> None:
    env = gym.make_vec(
        "IDN/Tiny-v0", num_envs=len(RUNS), device="cpu", streams="device", infeasible="raise", backend=backend
    )
    allocations = []
    for _ in range(2):
        batch = InfidaBatch(RUNS, dtype=dtype, draws="device", backend=backend)
        batch.reset(env.unwrapped.network, SEEDS)
        observation, _ = env.reset(seed=0)
        played = []
        for _ in range(8):
            played.append(batch.act(observation))
            observation = env.step(played[-1])[0]  # refuses what is over budget
        allocations.append(torch.stack(played))
    assert torch.equal(allocations[0], allocations[1])
    assert allocations[0].any()


def test_bad_input() -> None:
    network = Network.compile(load_scenario("tiny"))
    with pytest.raises(IdnError, match="runs: empty"):
        InfidaBatch([])
    with pytest.raises(IdnError, match="runs: residual differs"):
        InfidaBatch([{}, {"residual": "reserve"}])
    with pytest.raises(IdnError, match="runs: learning_rate 'adaptive'"):
        InfidaBatch([{"learning_rate": "adaptive"}])
    with pytest.raises(IdnError, match="draws: 'dice'; allowed"):
        InfidaBatch([{}], draws="dice")
    with pytest.raises(IdnError, match="refresh: 0"):
        InfidaBatch([{"refresh": 0}])
    with pytest.raises(IdnError, match="seeds: 1 of them; must be 2"):
        InfidaBatch([{}, {}]).reset(network, [0])


@pytest.mark.parametrize("rounding", ["dependent", "coordinated"])
def test_nothing_moves_between_refreshes(rounding: str) -> None:
    network = Network.compile(load_scenario("tiny"))
    batch = InfidaBatch([{"refresh": 3, "rounding": rounding}] * 2)
    batch.reset(network, [0, 1])
    rng = np.random.default_rng(0)
    capacities = torch.tensor(network.capacities).expand(2, -1)
    seen = [
        batch.act(
            {"requests": torch.from_numpy(rng.poisson(50.0, (2, network.R)) * (slot > 0.0)), "capacities": capacities}
        )
        for slot in range(6)
    ]
    for slot in (1, 2, 4, 5):
        assert torch.equal(seen[slot], seen[slot - 1])
    assert not torch.equal(seen[3], seen[2])
