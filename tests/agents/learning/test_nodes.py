"""Nodes that learn: budgets hold, orders have the probabilities of their model, and learning gains."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pettingzoo")

from idn_agents.learning.multi_agent.learner import (  # noqa: E402
    NodePolicy,
    evaluate,
    log_probability,
    train,
)
from idn_agents.learning.multi_agent.nodes import Nodes  # noqa: E402

from idn_gym.errors import IdnError  # noqa: E402
from idn_gym.experiment.play import play  # noqa: E402
from idn_gym.experiment.spec import AgentSpec, RunSpec  # noqa: E402
from idn_gym.library.load import load_scenario  # noqa: E402
from idn_gym.multi_agent import parallel_env  # noqa: E402

STREAMS, SLOTS = (3000, 3001), 60


@pytest.mark.parametrize("name", ["tiny", "topology-2-sliding"])
def test_whatever_the_scores_nodes_are_full_and_within_budget(name: str) -> None:
    nodes = Nodes(parallel_env(name, padded=True, horizon=5, infeasible="raise"))
    network, random = nodes.view.network, np.random.default_rng(0)
    observations, _ = nodes.view.reset(seed=1)
    while nodes.view.agents:
        seen = nodes.see(observations)
        assert np.isfinite(seen).all()
        actions, chosen, _ = nodes.fill(random.normal(size=seen.shape[:2]))
        for agent, order in zip(nodes.agents, chosen, strict=True):
            own = np.array(nodes.view.placements(agent))
            placed = actions[agent][: len(own)] > 0
            assert sorted(order[order >= 0]) == list(np.flatnonzero(actions[agent]))
            left = network.budgets[network.placement_node[own[0]]] - network.sizes[own[placed]].sum()
            assert 0 <= left < network.sizes[own[~placed]].min(initial=np.inf)
        observations, *_ = nodes.view.step(actions)


def test_the_highest_score_that_fits_is_chosen_first() -> None:
    nodes = Nodes(parallel_env("tiny", padded=True))
    observations, _ = nodes.view.reset(seed=1)
    nodes.see(observations)
    scores = np.tile(np.arange(float(nodes.fits.shape[1])), (len(nodes.agents), 1))
    _, chosen, among = nodes.fill(scores)
    assert (chosen[:, 0] == [np.flatnonzero(fits).max() for fits in nodes.fits]).all()
    assert (among[:, 0] == nodes.fits).all()


def test_orders_have_plackett_and_luces_probabilities() -> None:
    """Three placements of which any two fit: a pair has w_i / W x w_j / (W - w_i), and all pairs together have 1."""
    weights = np.array([1.0, 2.0, 5.0])
    scores = torch.log(torch.tensor(weights, dtype=torch.float32))[None, None]
    total = 0.0
    for i, j in permutations(range(3), 2):
        among = torch.ones(1, 1, 3, 3, dtype=torch.bool)
        among[..., 1, i] = False
        found = float(torch.exp(log_probability(scores, torch.tensor([[[i, j, -1]]]), among)))
        assert found == pytest.approx(weights[i] / 8.0 * weights[j] / (8.0 - weights[i]), rel=1e-5)
        total += found
    assert total == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_a_node_decides_by_what_it_sees_alone(shared: bool) -> None:
    policy = NodePolicy(3, 4, shared, seed=0)
    seen = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    other = seen.clone()
    other[1:] += 1.0
    (scores, values), (others, other_values) = policy(seen, torch.ones(3, 5)), policy(other, torch.ones(3, 5))
    assert torch.equal(scores[0], others[0])
    assert torch.equal(values[0], other_values[0])
    same = seen[:1].expand(3, -1, -1, -1)
    alike = policy(same, torch.ones(3, 5))[0]
    assert torch.allclose(alike[0], alike[1]) == shared


@pytest.mark.parametrize("reward", ["local", "gain"])
@pytest.mark.parametrize("shared", [True, False])
def test_learning_gains(shared: bool, reward: str) -> None:
    """On streams of no training, more than the same network untrained and than a filling at random."""
    tiny = load_scenario("tiny")
    drawn = []
    for seed in STREAMS:
        network, trace = RunSpec(tiny, AgentSpec("none"), seed=seed, slots=SLOTS).stream()
        drawn.append(play(network, trace, "random", seed).summary.ntag)
    untrained = evaluate(tiny, train(tiny, shared=shared, steps=0), STREAMS, SLOTS)
    learnt = evaluate(tiny, train(tiny, shared=shared, reward=reward, steps=2000), STREAMS, SLOTS)
    assert np.mean(learnt) > np.mean(untrained)
    assert np.mean(learnt) > np.mean(drawn)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (train("tiny", shared=False, steps=200, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


def test_what_cannot_be_learnt_is_refused_in_a_line() -> None:
    with pytest.raises(IdnError, match="reward: 'fair'"):
        train("tiny", reward="fair")
    with pytest.raises(IdnError, match="steps: -1"):
        train("tiny", steps=-1)
    with pytest.raises(IdnError, match="price"):
        train("autoscale-burst", steps=0)
