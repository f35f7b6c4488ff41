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
# # Quickstart
#
# An inference delivery network places machine-learning models on the nodes of a network, from base stations to the cloud. Requests are
# served on the way to a repository by the cheapest model that has capacity left. In this notebook: the environment, one episode, and the
# reference agents side by side on one request stream.

# %%
import os
from importlib.metadata import version

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np

import idn_gym

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS = {"smoke": 70, "full": 600}[BUDGET]
SEED = 0
print(f"idn_gym {version('idn-gym')}, gymnasium {gym.__version__}, seed {SEED}, {SLOTS} slots")

# %% [markdown]
# ## The environment
# What each node of Topology I may hold is one bit of the action; a request type is a task and the path its requests take.

# %%
env = gym.make("IDN/TopologyI-Sliding-v0", render_mode="rgb_array", horizon=SLOTS)
network = env.unwrapped.network
print(network)
print("action", env.action_space)
for key, space in env.observation_space.items():
    print("observation", key, space.shape)

# %% [markdown]
# Filling every node at random is a feasible allocation: `pack` turns any priority over placements into one.

# %%
observation, info = env.reset(seed=SEED)
rng = np.random.default_rng(SEED)
action = idn_gym.pack(network, rng.random(network.P))
observation, reward, terminated, truncated, info = env.step(action)
print(f"{info['request_count']:.0f} requests, {info['gain'] / info['request_count']:.2f} ms saved per request")
print("share served per tier, cloud first:", np.round(info["tier_shares"], 3))

# %%
plt.figure(figsize=(14, 7))
plt.imshow(env.render())
plt.axis("off")
plt.show()

# %% [markdown]
# ## Agents on one stream
# `draw` gives the very stream that the environment faces with that seed; `play` lets an agent face it.

# %%
from idn_gym.experiment.metrics import running_ntag
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.report.look import look

trace = idn_gym.draw(network, SLOTS, SEED)
names = ["random", "static-greedy", "load-aware-greedy", "last-batch-greedy", "infida"]
results = {name: play(network, trace, AgentSpec(name), SEED) for name in names}
for name, result in results.items():
    summary = result.summary
    print(
        f"{name:18s} NTAG {summary.ntag:6.2f} ms   latency {summary.latency_ms:6.2f} ms   "
        f"inaccuracy {summary.inaccuracy:5.2f} points   {summary.model_update_mb / 1000:6.2f} GB loaded per slot"
    )

# %%
figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
for name, result in results.items():
    of = look(name)  # colour and line of this agent in all pictures; readers who see no red or no green can tell them
    axes.plot(running_ntag(result.table.gain, result.table.requests), label=name, color=of.colour, linestyle=of.line)
fractional = results["infida"].table.fractional_gain
state = running_ntag(fractional, results["infida"].table.requests)
axes.plot(state, label="infida, fractional state", color=look("infida").colour, linestyle=":")
axes.set(
    xlabel="time (slots)", ylabel="gain per request, averaged so far (ms)", title=f"topology-1-sliding, seed {SEED}"
)
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# Two things to see. INFIDA's fractional state is about as good as anything here, and its integral allocation is not: nodes round
# independently of each other. And popularity slides slowly beside the slots, so the last batch is nearly the forecast: a greedy on it is
# hard to beat. The assertions below are what this notebook claims.

# %%
ntag = {name: result.summary.ntag for name, result in results.items()}
assert ntag["random"] < ntag["infida"] < ntag["last-batch-greedy"]
assert results["infida"].summary.fractional_ntag > ntag["infida"] + 2
