"""Nodes that learn: PPO over the multi-agent view, with weights that all nodes share or that each node has for itself.

A node scores its own placements from what it knows, and is filled from the highest score down with what still fits; in
training the scores are blurred, so that the order is drawn as Plackett and Luce have it. No node sees another's
observation, neither in training nor in use. An action has influence on its own slot and on what is seen in the next,
no more: the discount is 0, and a rollout is a batch of contextual bandits.

Sources: Schulman et al., Proximal Policy Optimization, 2017; de Witt et al., Is Independent Learning All You Need in
the StarCraft Multi-Agent Challenge?, 2020; Zaheer et al., Deep Sets, 2017.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from idn_agents.learning.multi_agent.nodes import Nodes
from idn_agents.learning.threads import one_thread
from idn_gym.common import parameters
from idn_gym.common.parameters import one_of, whole
from idn_gym.multi_agent import parallel_env
from idn_gym.scenario import Scenario
from idn_gym.typing import FloatArray

Tensor = torch.Tensor
AnyScenario = str | os.PathLike[str] | Mapping[str, Any] | Scenario

REWARDS = ("local", "gain")
SLOTS = 100  # of a rollout: one episode, from an empty network on
_STREAMS = 1_000_001  # the first seed of training streams: evaluation uses lower ones
_EPOCHS, _BATCH, _CLIP, _LEARNING_RATE, _HIDDEN = 4, 25, 0.2, 3e-3, 16


class NodePolicy(nn.Module):
    """A score for every placement of every node, and an expected reward of every node.

    A placement's features are embedded and averaged over its node; its score comes of its own embedding and that
    average. The layers are matrices with a leading axis of one, or of one per node.

    Parameters
    ----------
    agents : number of nodes A.
    features : of a placement, F.
    shared : one set of weights for all nodes, or one each.
    seed : of the weights.
    """

    def __init__(self, agents: int, features: int, shared: bool = True, seed: int = 0) -> None:
        super().__init__()
        self.shared = shared
        owners = 1 if shared else agents
        random = torch.Generator().manual_seed(seed)

        def layer(inputs: int, outputs: int, size: float = 1.0) -> nn.Parameter:
            """(owners, inputs + 1, outputs): the last row is the bias."""
            weights = torch.randn(owners, inputs + 1, outputs, generator=random) * (size / inputs**0.5)
            weights[:, -1] = 0.0
            return nn.Parameter(weights)

        self.embed = layer(features, _HIDDEN)
        self.mixed = layer(2 * _HIDDEN, _HIDDEN)
        self.score = layer(_HIDDEN, 1, 0.1)
        self.critic = layer(_HIDDEN, 1, 0.1)

    def forward(self, seen: Tensor, fits: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (A, T, n) and values (A, T) from features (A, T, n, F) and what ever fits (A, n)."""
        embedded = torch.tanh(_through(self.embed, seen))
        weights = fits / fits.sum(1, keepdim=True).clamp(min=1.0)
        pooled = (embedded * weights[:, None, :, None]).sum(2, keepdim=True)
        hidden = torch.tanh(_through(self.mixed, torch.cat([embedded, pooled.expand_as(embedded)], dim=-1)))
        return _through(self.score, hidden).squeeze(-1), _through(self.critic, pooled)[..., 0, 0]


def _through(layer: Tensor, values: Tensor) -> Tensor:
    """Values (A, T, n, inputs) through a layer of each node, or of all."""
    found: Tensor = values @ layer[:, None, :-1] + layer[:, None, None, -1]
    return found


def train(
    scenario: AnyScenario,
    *,
    shared: bool = True,
    reward: str = "local",
    steps: int = 10_000,
    seed: int = 0,
) -> NodePolicy:
    """A policy that the nodes of a scenario have learnt, from nothing but their observations and rewards.

    Parameters
    ----------
    shared : one set of weights for all nodes, trained on what all see; or one each, trained on what that node sees.
    reward : ``local``, what the node's own placements saved, or ``gain``, that of the network for every node. Either
        is taken per request of the slot.
    steps : slots to learn from, in episodes of `SLOTS`; what is over is left out, and 0 gives the untrained policy.
    seed : of the weights and the draws. The same seed gives the same weights.

    Raises
    ------
    IdnError
        As `parallel_env`, if an argument is out of range, or where the scenario has prices.
    """
    one_of("reward", reward, REWARDS)
    whole("steps", steps, 0, 10**9)
    nodes = Nodes(parallel_env(scenario, reward=reward, padded=True, horizon=SLOTS))
    parameters.seed(seed)
    random = np.random.default_rng(seed)
    observations, _ = nodes.view.reset(seed=0)
    policy = NodePolicy(len(nodes.agents), nodes.see(observations).shape[-1], shared, seed)
    optimiser = torch.optim.Adam(policy.parameters(), lr=_LEARNING_RATE, eps=1e-5)
    level = spread = None
    with one_thread():
        for episode in range(steps // SLOTS):
            for group in optimiser.param_groups:
                group["lr"] = _LEARNING_RATE * (1.0 - episode * SLOTS / steps)
            batch, rewards = _rollout(policy, nodes, int(random.integers(_STREAMS, 2**31)), random)
            mean = rewards.mean(1, keepdim=True)
            level = mean if level is None else level + 0.2 * (mean - level)
            spread = _spread(rewards - level, shared) if spread is None else spread
            _improve(policy, optimiser, batch, (rewards - level) / spread, random)
    return policy


def _spread(values: Tensor, shared: bool) -> Tensor:
    """Root mean square of values (A, T): (1, 1) of all nodes, or (A, 1) of each."""
    return (values**2).mean((0, 1) if shared else 1, keepdim=True).sqrt() + 1e-8


def _rollout(
    policy: NodePolicy, nodes: Nodes, stream: int, random: np.random.Generator
) -> tuple[tuple[Tensor, ...], Tensor]:
    """One episode: what was seen, would fit, was chosen and among what (A, T, ...); and rewards per request (A, T)."""
    observations, _ = nodes.view.reset(seed=stream)
    nodes.reset()
    kept, rewards = [], []
    while nodes.view.agents:
        seen = nodes.see(observations)
        scores = _scores(policy, nodes, seen)
        actions, chosen, among = nodes.fill(scores + random.gumbel(size=scores.shape))
        kept.append((seen.astype(np.float32), chosen, among))
        observations, paid, _, _, information = nodes.view.step(actions)
        count = max(1.0, information[nodes.agents[0]]["request_count"])
        rewards.append([paid[agent] / count for agent in nodes.agents])
    seen_all, chosen_all, among_all = (torch.from_numpy(np.stack(each, axis=1)) for each in zip(*kept, strict=True))
    most = max(1, int((chosen_all >= 0).sum(-1).max()))
    fits = torch.from_numpy(nodes.fits.astype(np.float32))
    return (seen_all, fits, chosen_all[..., :most], among_all[:, :, :most]), torch.tensor(
        rewards, dtype=torch.float32
    ).t()


def _scores(policy: NodePolicy, nodes: Nodes, seen: FloatArray) -> FloatArray:
    """(A, n) of one slot."""
    fits = torch.from_numpy(nodes.fits.astype(np.float32))
    with torch.no_grad():
        scores, _ = policy(torch.from_numpy(seen.astype(np.float32))[:, None], fits)
    return np.asarray(scores[:, 0].double())


def log_probability(scores: Tensor, chosen: Tensor, among: Tensor) -> Tensor:
    """(A, T) of having chosen (A, T, K) one after the other, each among (A, T, K, n), from scores (A, T, n)."""
    open_scores = torch.where(among, scores[:, :, None, :], torch.tensor(-1e9))
    each = torch.gather(scores, 2, chosen.clamp(min=0)) - torch.logsumexp(open_scores, dim=-1)
    return torch.where(chosen >= 0, each, torch.tensor(0.0)).sum(-1)


def _improve(
    policy: NodePolicy,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Tensor, ...],
    rewards: Tensor,
    random: np.random.Generator,
) -> None:
    """A few passes over a rollout: the clipped objective of PPO, and the squared error of the values.

    Losses are sums over nodes, and gradients are not clipped by a norm of all: own weights learn as if they were alone.
    """
    seen, fits, chosen, among = batch
    with torch.no_grad():
        scores, values = policy(seen, fits)
        before = log_probability(scores, chosen, among)
        advantages = (rewards - values) / _spread(rewards - values, policy.shared)
    for _ in range(_EPOCHS):
        for rows in torch.split(torch.from_numpy(random.permutation(seen.shape[1])), _BATCH):
            scores, values = policy(seen[:, rows], fits)
            ratio = torch.exp(log_probability(scores, chosen[:, rows], among[:, rows]) - before[:, rows])
            clipped = ratio.clamp(1.0 - _CLIP, 1.0 + _CLIP)
            gained = torch.minimum(ratio * advantages[:, rows], clipped * advantages[:, rows])
            loss = (0.5 * (rewards[:, rows] - values) ** 2 - gained).mean(1).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def evaluate(scenario: AnyScenario, policy: NodePolicy, seeds: Iterable[int], slots: int = SLOTS) -> list[float]:
    """The gain per request (ms), a mean over slots, of a policy without noise on the stream of each seed."""
    nodes = Nodes(parallel_env(scenario, padded=True, horizon=slots))
    found = []
    with one_thread():
        for seed in seeds:
            observations, _ = nodes.view.reset(seed=seed)
            nodes.reset()
            gains = []
            while nodes.view.agents:
                actions, _, _ = nodes.fill(_scores(policy, nodes, nodes.see(observations)))
                observations, _, _, _, information = nodes.view.step(actions)
                slot = information[nodes.agents[0]]
                gains.append(slot["gain"] / max(1.0, slot["request_count"]))
            found.append(float(np.mean(gains)))
    return found
