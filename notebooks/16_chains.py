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
# # Chains: where the parts of a network run
#
# `partition-resnet`: pictures come in at four devices, whose links to the edge carry 8, 4, 2 and 1 MB/s. ResNets are cut behind their first,
# second or third layer; the deeper the cut, the less there is to send, and the more the slow device has to compute. Each tail follows only the
# head of its own cut, so neither gains much without the other. What is best to place, and where does each stage run then?

# %%
import os
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
from idn_agents.optimum.search import solve

from idn_gym import Network, draw, load_scenario, play
from idn_gym.common.figures import PALETTE

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS = {"smoke": 5, "full": 60}[BUDGET]
SEED = 0
print(f"idn_gym {version('idn-gym')}, seed {SEED}, {SLOTS} slots")

# %% [markdown]
# ## The best placement
# Within a tenth of a percent, certified: no placement whatever gains more than the bound.

# %%
network = Network.compile(load_scenario("partition-resnet"))
trace = draw(network, SLOTS, SEED)
best = solve(network, trace, gap=0.001, time_limit=60)
print(f"gain {best.gain:.4g} ms, certified bound {best.certified_bound:.4g} ms, gap {best.gap:.3%}")
for v, node in enumerate(network.node_names):
    held = [network.names(p)[1] for p in np.flatnonzero(best.allocation) if network.placement_node[p] == v]
    if held:
        print(f"{node:8} {', '.join(held)}")

# %% [markdown]
# ## Where stages run
# Requests are split over routes at least cost. The kinds of nodes that serve their stages, in order: for the mean batch, and in a rush of three
# times as many.

# %%
KINDS = ("device", "edge", "cloud")


def places(nodes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(network.node_names[v].rstrip("0123456789") for v in nodes)


def routed(allocation: np.ndarray, requests: np.ndarray) -> dict[tuple[str, str], dict[tuple[str, ...], float]]:
    """(service, device) -> kinds of nodes of the stages -> share of the requests."""
    service = network.service
    shares = service.shares(requests, network.capacities)
    found = {}
    for c, rho in enumerate(service.chains.types):
        mine = found[network.type_names[rho]] = {}
        for route in service.flow(c, shares, allocation.astype(float)).routes:
            where = places(route.nodes)
            mine[where] = mine.get(where, 0.0) + route.share
    return found


mean = trace.requests.mean(axis=0)
loads = {"mean batch": routed(best.allocation, mean), "rush, three times that": routed(best.allocation, 3.0 * mean)}
patterns = {where for by_type in loads.values() for mine in by_type.values() for where in mine}
patterns = sorted(patterns, key=lambda where: (len(where), [KINDS.index(kind) for kind in where]))
for where in patterns:
    shares = [np.mean([mine.get(where, 0.0) for mine in by_type.values()]) for by_type in loads.values()]
    print(f"{' > '.join(where):24} {shares[0]:6.1%} {shares[1]:6.1%}")

# %% [markdown]
# The picture: a bar per service and device, from the best link to the worst. Each piece is the requests whose stages are served at these kinds
# of nodes, in order.

# %%
services = {name: max(len(where) for where in mine) for (name, _), mine in loads["mean batch"].items()}
devices = [node for node in network.node_names if node.startswith("device")]
figure, grid = plt.subplots(2, len(services), figsize=(11, 5.4), sharex=True, sharey=True, layout="constrained")
for axes, (load, by_type) in zip(grid, loads.items(), strict=True):
    for axis, (name, stages) in zip(axes, services.items(), strict=True):
        left = np.zeros(len(devices))
        for n, where in enumerate(where for where in patterns if len(where) == stages):
            share = np.array([by_type[name, device].get(where, 0.0) for device in devices])
            axis.barh(
                devices, share, left=left, color=PALETTE[n % len(PALETTE)], edgecolor="white", label=" > ".join(where)
            )
            left += share
        axis.set_title(f"{name}: {load}", loc="left", fontsize=10)
        axis.set_xlim(0, 1)
        axis.xaxis.set_major_formatter("{x:.0%}")
        axis.spines[["top", "right"]].set_visible(False)
for axis in (grid[1, 1], grid[1, 2]):
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False, fontsize=8)
grid[0, 0].invert_yaxis()
plt.show()

# %% [markdown]
# ## A lone stage
# What each placement of the best gains by itself, and what is lost without it: the second is what it is there for. A head that gains alone
# shortens the transfer, with its tail in the cloud; a tail at the edge gains nothing until its head is placed.

# %%
everything = network.service.gain(mean, network.capacities, best.allocation.astype(float))
print(f"{'':32}{'alone':>10}{'missed':>10}   of the gain of all")
for p in np.flatnonzero(best.allocation):
    lone = np.eye(network.P)[p]
    alone = network.service.gain(mean, network.capacities, lone) / everything
    missed = 1.0 - network.service.gain(mean, network.capacities, best.allocation * (1.0 - lone)) / everything
    if missed > 0.01:
        print(f"{' '.join(network.names(p)):32}{alone:10.1%}{missed:10.1%}")

# %% [markdown]
# ## Agents that see the past alone
# On the same stream: INFIDA, its coordinated form, and last-batch greedy, which all add whole routes here.

# %%
for agent in ("infida-coordinated", "infida", "last-batch-greedy", "random"):
    played = play(network, trace, agent, SEED)
    print(f"{agent:20} {played.summary.gain / best.certified_bound:6.1%} of the certified bound")
