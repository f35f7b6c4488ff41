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
# # Your own agent
#
# An agent is any class with `reset`, `act` and `info`. Registered under the entry-point group `idn_gym.agents`, it is found by name
# everywhere: `idn-gym run SCENARIO --agent name:key=value`, sweeps, plots. Here: a smoothed popularity heuristic, step by step.

# %%
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import idn_gym
from idn_gym import Network, load_scenario
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS, SEEDS = {"smoke": (60, 2), "full": (300, 5)}[BUDGET]
print(f"idn_gym {version('idn-gym')}, seeds 0 to {SEEDS - 1}, {SLOTS} slots")

# %% [markdown]
# ## The class
# What a placement is worth: the requests of its task that pass its node, smoothed over time, up to its capacity, times what it saves against
# the repository, per MB. `pack` fills every node in that order. Note what the network offers: placements, their sizes, capacities and
# groups; request types with their options by cost. A wrong parameter raises `IdnError`, which the command line prints in one line.

# %%
SOURCE = '''
import numpy as np
from idn_gym import IdnError, pack


class Popularity:
    """Fill every node by smoothed popularity.

    Parameters
    ----------
    memory : weight of the past in [0, 1).
    """

    def __init__(self, memory: float = 0.8):
        if not 0.0 <= memory < 1.0:
            raise IdnError(f"memory: {memory}; must be in [0, 1)")
        self.memory = memory

    def reset(self, network, seed):
        self.network = network
        self.smoothed = np.zeros(network.R)
        # ms that a placement saves at best, against the repository model of a type that lists it
        saved = network.service.costs[:, -1:] - network.service.costs
        self.saved = np.zeros(network.P + 1)
        np.maximum.at(self.saved, network.service.options, saved)

    def act(self, observation):
        network = self.network
        self.smoothed = self.memory * self.smoothed + (1 - self.memory) * observation["requests"]
        passing = np.zeros(network.V * network.N + 1)
        np.add.at(passing, network.service.path_groups, self.smoothed[:, None])
        served = np.minimum(passing[network.placement_group], observation["capacities"])
        worth = served * self.saved[:-1] / network.sizes
        return pack(network, np.where(worth > 0, worth, -np.inf))

    def info(self):
        return {}
'''

# %% [markdown]
# ## Registering it
# In a package of your own, two lines of `pyproject.toml` do it:
#
# ```toml
# [project.entry-points."idn_gym.agents"]
# popularity = "my_agents:Popularity"
# ```
#
# A notebook has no package, so we lay one out by hand, as `pip install` would.

# %%
site = Path(tempfile.mkdtemp())
(site / "my_agents.py").write_text(SOURCE)
about = site / "my_agents-0.1.dist-info"
about.mkdir()
(about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-agents\nVersion: 0.1\n")
(about / "entry_points.txt").write_text("[idn_gym.agents]\npopularity = my_agents:Popularity\n")
sys.path.insert(0, str(site))

print(AgentSpec.parse("popularity:memory=0.5").make())
try:
    AgentSpec.parse("popularity:memory=2").make()
except idn_gym.IdnError as error:
    print(error)

# %% [markdown]
# ## Comparing it
# Several seeds, and the same stream for every agent of a seed: differences between agents are then far better known than their levels.

# %%
agents = ["popularity", "popularity:memory=0", "load-aware-greedy", "last-batch-greedy", "infida"]
network = Network.compile(load_scenario("topology-2-sliding"))
ntag = {agent: [] for agent in agents}
for seed in range(SEEDS):
    trace = idn_gym.draw(network, SLOTS, seed)
    for agent in agents:
        ntag[agent].append(play(network, trace, AgentSpec.parse(agent), seed).summary.ntag)
for agent, values in ntag.items():
    print(f"{agent:22s} {np.mean(values):6.2f} ± {np.std(values, ddof=1):.2f} ms")

# %%
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
means = [np.mean(values) for values in ntag.values()]
spread = [np.std(values, ddof=1) for values in ntag.values()]
axes.barh(agents, means, xerr=spread, color="#0072B2", capsize=3)
axes.invert_yaxis()
axes.set(
    xlabel="NTAG (ms), mean and standard deviation between seeds",
    title=f"topology-2-sliding, {SLOTS} slots, {SEEDS} seeds",
)
plt.show()

# %% [markdown]
# The heuristic ignores what the nodes above and below hold, and pays for it: the greedy that fills node by node, knowing what is placed,
# is well ahead. That is the claim of this notebook:

# %%
assert min(ntag["last-batch-greedy"]) > max(ntag["popularity"])
