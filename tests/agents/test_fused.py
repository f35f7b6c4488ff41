"""INFIDA in one pass: to the last bit what its update, and rounding by itself, come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from idn_agents.agent import generator
from idn_agents.infida.fused import FusedUpdate, suits
from idn_agents.infida.infida import Infida, StepSizes, start, state_mass, update
from instances import random_network

from idn_gym import Network, draw, kernels, load_scenario, play
from idn_gym.env.env import observe
from idn_gym.kernels import threads


@pytest.mark.parametrize("residual", ["drop", "reserve", "fit"])
@pytest.mark.parametrize("rate", ["scale-free", "anytime", 1e-4])
def test_a_pass_is_update_and_rounding(rate: Any, residual: Any) -> None:
    network = Network.compile(load_scenario("topology-2-sliding"))
    trace, rows = draw(network, 60, 0), 3
    capacities = trace.capacities[:1]
    mass, seeds = state_mass(network, residual), range(rows)
    given = [rate] * rows, [1.0] * rows, mass
    own, fused_steps = StepSizes(network, *given), StepSizes(network, *given)
    log_y = start(network, mass)
    states = np.repeat(kernels.states_of(log_y), rows, axis=0)
    fused = FusedUpdate(network, log_y, mass, [generator(seed) for seed in seeds], residual)
    generators, held = [generator(seed) for seed in seeds], np.zeros((rows, network.P), dtype=np.int8)
    for slot in range(58):
        requests = trace.requests[slot : slot + rows]
        due = np.array([True, slot % 2 == 0, slot % 5 == 0])
        y = kernels.fractions_of(states)
        gain, gradient = kernels.gain_and_subgradient(network, requests, capacities, y)
        states = update(states, gradient, own)
        fused.advance((requests, capacities), fused_steps, due)
        assert fused.states.tolist() == states.tolist()
        assert fused.gain == pytest.approx(gain, rel=1e-12)
        for row in np.flatnonzero(due):
            y, uniforms = kernels.fractions_of(states[row : row + 1]), generators[row].random((1, network.P))
            held[row] = kernels.round_dependent(network, y, uniforms, residual)[0]
        assert fused.allocation.tolist() == held.tolist()
    if rate == "scale-free":
        assert (states < 1e-4).sum() > network.P / 4, "no tails: nothing was shown of them"


@pytest.mark.parametrize("seed", range(8))
def test_networks_of_all_shapes(seed: int) -> None:
    """The agent beside its parts, on networks with nodes that hold everything, nothing, or only what is too large."""
    network = random_network(seed, ties=seed % 2 == 0)
    assert suits(network)
    rng = np.random.default_rng(seed)
    agent, mass = Infida(), state_mass(network)
    agent.reset(network, 3)
    steps, states = StepSizes(network, "scale-free", 1.0, mass), kernels.states_of(start(network, mass))
    uniforms, placed = generator(3), np.zeros(network.P, dtype=np.int8)
    observation = observe(network, np.zeros(network.R), network.capacities, placed)
    for slot in range(15):
        placed = agent.act(observation)
        if slot:
            seen = observation["requests"][None], observation["capacities"][None]
            y = kernels.fractions_of(states)
            states = update(states, kernels.gain_and_subgradient(network, *seen, y)[1], steps)
        y = kernels.fractions_of(states)
        assert agent.fractional.tolist() == y[0].tolist()
        assert placed.tolist() == kernels.round_dependent(network, y, uniforms.random((1, network.P)))[0].tolist()
        observation = observe(network, rng.integers(0, 20, network.R).astype(float), network.capacities, placed)


@pytest.mark.parametrize("refresh", [1, 2])
def test_nodes_of_one_row_are_shared_out_without_a_change(monkeypatch: pytest.MonkeyPatch, refresh: int) -> None:
    """What a node does depends on no other, also where threads take turns."""
    network = Network.compile(load_scenario("topology-2-sliding"))
    trace = draw(network, 10, 2)
    alone = play(network, trace, f"infida:refresh={refresh}", 5)
    monkeypatch.setattr(threads.config, "NUMBA_NUM_THREADS", 3)
    monkeypatch.setattr(threads, "_WORTH_SHARING", 1)
    shared = play(network, trace, f"infida:refresh={refresh}", 5)
    assert np.array_equal(alone.fractional, shared.fractional)
    for left, right in zip(alone.placed(), shared.placed(), strict=True):
        assert np.array_equal(left, right)
