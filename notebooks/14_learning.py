# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training a policy
#
# A small network scores every placement; nodes are filled in the order of the scores. Here it learns by PPO for a minute on the `tiny`
# scenario, is compared with INFIDA and a greedy on a stream that it has not seen, and is then let loose on a network it has not seen either.

# %%
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from idn_agents.learning.checkpoint import save_policy
from idn_agents.learning.ppo_torch import PPO, Trainer, make_policy

from idn_gym import load_scenario
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
STEPS = {"smoke": 6_400, "full": 96_000}[BUDGET]
SEED = 0
torch.set_num_threads(1)
print(f"idn_gym {version('idn-gym')}, torch {torch.__version__}, seed {SEED}, {STEPS} steps")

# %% [markdown]
# ## What it sees, and how it acts
#
# Each placement has a handful of features, none of which depends on units or on the order of nodes, models or types: what placing it would
# gain per MB, its size, what share of the requests passes its node, whether it is placed already. Embeddings are averaged over group, node
# and task, as in Deep Sets, so that one set of weights runs on any network.

# %%
scenario = load_scenario("tiny")
policy = make_policy("placement", [scenario], hidden=16, seed=SEED)
print(f"{sum(weights.numel() for weights in policy.parameters())} weights")
print(policy)

# %% [markdown]
# ## Training
#
# 64 environments play side by side; after every few slots the policy is improved on what they saw. The same seed gives the same curve.

# %%
options = PPO(steps=STEPS, envs=64, slots=50, rollout=10, learning_rate=3e-3)
untrained = {key: value.clone() for key, value in policy.state_dict().items()}
curve = list(Trainer([scenario], policy, options, SEED).chapters())
for row in curve[:: max(1, len(curve) // 5)]:
    print(
        f"{row['steps']:7.0f} steps: {row['gain_per_request']:.2f} ms saved per request, entropy {row['entropy']:.2f}"
    )

# %% [markdown]
# ## Against INFIDA and a greedy, on a stream that training has not seen
#
# Training draws its streams from seeds above a million; this one has seed 7.

# %%
folder = Path(tempfile.mkdtemp())
network, stream = RunSpec(scenario, AgentSpec("ppo"), seed=7, slots=200).stream()


def ntag(spec):
    """Gain per request of an agent on the stream."""
    return play(network, stream, spec, 7).summary.ntag


def of_policy(weights, name):
    """The same for a policy, as the agent that a checkpoint is."""
    (folder / name).mkdir()
    copy = make_policy("placement", [scenario], hidden=16, seed=SEED)
    copy.load_state_dict(weights)
    save_policy(folder / name, copy, {})
    return ntag(AgentSpec("ppo", {"path": str(folder / name)}))


found = {"learnt": of_policy(policy.state_dict(), "learnt"), "untrained": of_policy(untrained, "untrained")}
found |= {name: ntag(AgentSpec(name)) for name in ("infida", "last-batch-greedy", "static-greedy")}
for name, value in sorted(found.items(), key=lambda item: -item[1]):
    print(f"{name:20} {value:.2f} ms")
assert found["learnt"] > 0.0
if BUDGET == "full":
    assert found["learnt"] > found["untrained"], "it has learnt something"

# %%
figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
steps = np.array([row["steps"] for row in curve]) / 1000.0
axes.plot(steps, [row["gain_per_request"] for row in curve], label="policy, while it explores", color="#0072B2")
axes.plot(steps, [row["reward_without_noise"] for row in curve], label="the same scores without noise", color="#56B4E9")
for (name, value), colour in zip(found.items(), ("#000000", "#888888", "#D55E00", "#009E73", "#CC79A7"), strict=True):
    axes.axhline(value, color=colour, linewidth=0.9, linestyle="--", label=f"{name}, unseen stream")
axes.set(xlabel="slots of training, thousands", ylabel="ms saved per request", title="Learning curve, tiny")
axes.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()

# %% [markdown]
# ## On another network
#
# The weights fit any network: what was learnt on 4 nodes, the untrained weights, and the shipped policy, which was trained on the 5 nodes
# of Topology II, all on Topology II with bursty counts.

# %%
larger = load_scenario("topology-2-bursty")
network, stream = RunSpec(larger, AgentSpec("ppo"), seed=7, slots=40).stream()
print(f"trained on tiny:        {ntag(AgentSpec('ppo', {'path': str(folder / 'learnt')})):.2f} ms")
print(f"untrained:              {ntag(AgentSpec('ppo', {'path': str(folder / 'untrained')})):.2f} ms")
print(f"shipped:                {ntag(AgentSpec('ppo')):.2f} ms")
print(f"last-batch-greedy:      {ntag(AgentSpec('last-batch-greedy')):.2f} ms")

# %% [markdown]
# The same from the command line: `idn-gym train tiny --steps 96000 --output runs/mine`, then
# `idn-gym run tiny --agent infida --agent ppo:path=runs/mine`. Results on the larger scenarios, with seeds and intervals, are in
# `docs/learners.md`.
