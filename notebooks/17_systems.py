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
# # Nine systems of the field
#
# How InfAdapter, IPA, Sponge, HEET, influence centrality, JellyBean, PA-MDI, QPART and SLED decide: a picture each, of what changes when the
# world does. What each paper claims, and what came of it, is on [the page of the systems](../docs/systems.md); streams here are synthetic.

# %%
import os
from importlib.metadata import version
from itertools import pairwise

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from idn_agents.systems import system_class
from idn_agents.systems.frame import Infeasible, by_policy

from idn_gym import load_scenario
from idn_gym.common.figures import PALETTE
from idn_gym.model.heterogeneity import heterogeneity

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
POINTS = {"smoke": 4, "full": 40}[BUDGET]  # of a sweep
print(f"idn_gym {version('idn-gym')}, {POINTS} points a sweep")


def decide(name: str, state: dict, **settings) -> dict | None:
    """One state's decision; None where nothing meets its constraints."""
    kind = system_class(name)
    try:
        return kind(kind.settings_kind(**settings)).decide(kind.state_kind.model_validate(state)).values
    except Infeasible:
        return None


def axes_of(x: str, y: str, width: float = 6.0):
    """A small picture with labels."""
    axis = plt.subplots(figsize=(width, 3.2), layout="constrained")[1]
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.spines[["top", "right"]].set_visible(False)
    return axis


# %% [markdown]
# ## InfAdapter: variants and cores
# 20 cores for five ResNets under an SLO of 750 ms. At low rates the deepest serves alone; as the rate rises, cores move to smaller variants,
# which serve more per core, until nothing is enough.

# %%
VARIANTS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
rates = np.linspace(10, 400, POINTS)
found = [decide("infadapter", {"rate": float(rate)}) for rate in rates]
served = [(rate, answer) for rate, answer in zip(rates, found, strict=True) if answer]
cores = np.array([[answer["cores"].get(name, 0) for name in VARIANTS] for _, answer in served])
accuracy = [answer["accuracy"] for _, answer in served]
assert accuracy[0] > accuracy[-1]
print(f"up to {served[-1][0]:.0f} requests/s, at accuracies from {accuracy[0]:.3f} to {accuracy[-1]:.3f}")
axis = axes_of("requests/s", "cores")
axis.stackplot([rate for rate, _ in served], cores.T, labels=VARIANTS, colors=PALETTE, step="mid")
axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## IPA: variants, batches and replicas of a pipeline
# The weight of accuracy decides how many cores it may cost. Baselines have their variants fixed, and cannot move along the curve.

# %%
kind = system_class("ipa")
weights = [0.1, 16.0] if BUDGET == "smoke" else [0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 4.0, 16.0]
curve = []
for alpha in weights:
    ipa = kind(kind.settings_kind(alpha=alpha, window="steady-high"))
    curve.append(ipa.evaluate("ipa", ipa.stream()).values)
assert all(a["accuracy"] <= b["accuracy"] + 1e-9 for a, b in pairwise(curve))
axis = axes_of("mean cores", "mean accuracy %")
axis.plot(
    [values["cores"] for values in curve], [values["accuracy"] for values in curve], "o-", color=PALETTE[0], label="IPA"
)
for n, policy in enumerate(ipa.policies()[1:], 1):
    values = ipa.evaluate(policy, ipa.stream()).values
    axis.plot(values["cores"], values["accuracy"], "s", color=PALETTE[n], label=policy)
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## Sponge: what the network leaves of an SLO
# The longer a request was under way, the less time is left to serve a second's requests, and the more cores it takes, until 16 are not enough.

# %%
ways = np.linspace(0, 990, POINTS)
plans = [decide("sponge", {"rate": 100, "communication_ms": float(way), "slo_ms": 1000.0}) for way in ways]
left = [(way, plan["cores"], plan["batch"]) for way, plan in zip(ways, plans, strict=True) if plan]
assert decide("sponge", {"rate": 100, "communication_ms": 50.0, "slo_ms": 1000.0}) == {"cores": 5, "batch": 10}
axis = axes_of("communication ms, of an SLO of 1,000", "cores, batch")
axis.step([way for way, _, _ in left], [c for _, c, _ in left], where="mid", color=PALETTE[0], label="cores")
axis.step([way for way, _, _ in left], [b for _, _, b in left], where="mid", color=PALETTE[1], label="batch")
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## HEET: one number for machines that differ
# Mixes of machines with one score, 10 ms, so one predicted makespan. It is right where machines are fast or slow for all tasks alike, and not
# where some suit some tasks. The same measure of packaged scenarios is `idn-gym show SCENARIO --heet`.

# %%
kind = system_class("heet")
axis = axes_of("deviation of the pairs' logarithms", "error of the makespan %")
tasks = 100 if BUDGET == "smoke" else 1000
for n, scheduler in enumerate(("first-free", "first-done")):
    heet = kind(kind.settings_kind(mixes="same-score", scheduler=scheduler, tasks=tasks))
    result = heet.evaluate("HEET", heet.stream())
    pairs = np.array([float(label.rsplit(" ", 1)[1]) for label in result.labels])
    axis.plot(
        pairs + (n - 0.5) * 0.04, result.steps["error"], "os"[n], color=PALETTE[n], label=f"each task {scheduler}"
    )
axis.axhline(0, color="#888", linewidth=0.8)
axis.legend(frameon=False, fontsize=8)
plt.show()
for name in ("tiny", "topology-1-sliding", "abilene-sliding", "quantised-split"):
    measured = heterogeneity(load_scenario(name))
    print(f"{name:20} HEET {measured.heet:8.3f} ms over {len(measured.nodes)} nodes")

# %% [markdown]
# ## Influence and conformity: who should lead
# A scale-free graph; nodes as large as they are influential, the four leaders in colour. Then whom most follow, by what leaders are chosen
# for: with leaders that listen as well, reversed PageRank is ahead.

# %%
kind = system_class("influence")
made = kind(kind.settings_kind(nodes=40, graphs=1 if BUDGET == "smoke" else 4, leaders=4))
graphs = made.stream()
edges = [[str(u), str(v), float(graphs[0][u, v])] for u, v in np.argwhere(graphs[0] > 0)]
answer = decide("influence", {"edges": edges, "leaders": 4})
values = np.array([answer["centrality"].get(str(v), 0.0) for v in range(40)])
results = [made.evaluate(policy, graphs) for policy in made.policies()]
figure, (left_axis, right_axis) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
graph = nx.from_numpy_array(graphs[0], create_using=nx.DiGraph)
colours = [PALETTE[1] if str(v) in answer["leaders"] else PALETTE[0] for v in graph]
sizes = 20 + 380 * (values - values.min()) / np.ptp(values)
nx.draw_networkx(
    graph, nx.spring_layout(graph, seed=1), ax=left_axis, node_color=colours, node_size=sizes, with_labels=False,
    edge_color="#bbb", arrowsize=6, width=0.6,
)  # fmt: skip
left_axis.axis("off")
places = np.arange(len(results))
right_axis.barh(
    places - 0.2, [r.values["pinned"] for r in results], 0.4, color=PALETTE[0], label="leaders keep their opinion"
)
right_axis.barh(places + 0.2, [r.values["free"] for r in results], 0.4, color=PALETTE[1], label="leaders listen")
right_axis.set_yticks(places, [r.policy for r in results])
right_axis.invert_yaxis()
right_axis.set_xlabel("nodes that follow, of 40")
right_axis.spines[["top", "right"]].set_visible(False)
right_axis.legend(frameon=False, fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# ## JellyBean: a workflow over tiers
# Visual question answering at an accuracy of 56 %: the authors' beam search and the exact optimum.

# %%
loads = [20.0, 40.0] if BUDGET == "smoke" else [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
plans = [decide("jellybean", {"rate": rate, "accuracy": 56.0}) for rate in loads]
exact, beam = [plan["total"] for plan in plans], [plan["beam"]["total"] for plan in plans]
assert all(a <= b + 1e-9 for a, b in zip(exact, beam, strict=True))
print(f"at 40 requests/s: optimum {exact[loads.index(40.0)]:.5f}, beam search {beam[loads.index(40.0)]:.5f} per hour")
axis = axes_of("requests/s", "cost per hour")
axis.plot(loads, beam, "s-", color=PALETTE[1], label="beam search")
axis.plot(loads, exact, "o-", color=PALETTE[0], label="exact optimum")
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## PA-MDI: priorities at a worker
# Waits by Cobham's formulas, with a simulation beside them: what the first priority gains is what the second loses, weighted by load.

# %%
loads = np.linspace(0.1, 0.9, max(POINTS // 5, 4))
answers = []
for load in loads:
    sources = [{"rate": 100.0 * load * 0.375, "priority": 2.0}, {"rate": 100.0 * load * 0.625, "priority": 1.0}]
    answers.append(
        decide("pamdi", {"sources": sources, "service_rate": 100.0}, seconds=20.0 if BUDGET == "smoke" else 200.0)
    )
axis = axes_of("load", "wait ms")
axis.plot(loads, [answer["fifo_ms"] for answer in answers], color="#888", label="first in first out")
for n in range(2):
    axis.plot(loads, [answer["waits_ms"][n] for answer in answers], color=PALETTE[n], label=f"priority {2 - n}")
    axis.plot(loads, [answer["simulated_ms"][n] for answer in answers], "o", color=PALETTE[n])
axis.set_yscale("log")
axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## QPART: a cut and bits
# On a slow link the whole network runs on the device, on a fast one at the server; fewer bits move the change to slower links. With these
# layers no cut in between is best. `quantised-split` has these heads and tails as models of a scenario, where memory is short and some are.

# %%
kind = system_class("qpart")
qpart = kind()
links = np.geomspace(0.1, 1e4, POINTS)
results = {policy: qpart.evaluate(policy, links) for policy in ("qpart", "float32")}
assert (np.diff(results["qpart"].steps["cut"]) <= 0).all()
figure, (cut_axis, payload_axis) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for n, (policy, result) in enumerate(results.items()):
    cut_axis.step(links, result.steps["cut"], where="mid", color=PALETTE[n], label=policy)
    payload_axis.step(links, result.steps["payload_kb"], where="mid", color=PALETTE[n], label=policy)
for axis, label in ((cut_axis, "layers on the device"), (payload_axis, "payload KB")):
    axis.set_xscale("log")
    axis.set_xlabel("link, Mbit/s")
    axis.set_ylabel(label)
    axis.spines[["top", "right"]].set_visible(False)
payload_axis.set_yscale("log")
cut_axis.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## SLED: how long a draft
# The farther the server, the longer the draft that is worth sending; length 0 is decoding at the server alone.

# %%
trips = np.linspace(0, 320, POINTS)
axis = axes_of("round trip ms", "tokens/s of a device")
second = axis.twinx()
for n, acceptance in enumerate((0.5, 0.7, 0.9)):
    state = {"acceptance": acceptance, "draft_ms": 10.0, "verify_ms": 40.0}
    answers = [decide("sled", state | {"rtt_ms": float(trip)}) for trip in trips]
    assert all(a["length"] <= b["length"] for a, b in pairwise(answers))
    axis.plot(trips, [answer["rate"] for answer in answers], color=PALETTE[n], label=f"acceptance {acceptance:g}")
    second.step(trips, [answer["length"] for answer in answers], where="mid", color=PALETTE[n], linestyle=":")
second.set_ylabel("tokens of a draft (dotted)")
axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.12, 0.5))
plt.show()

# %% [markdown]
# ## All of them
# Golden numbers of those that take no time; `idn-gym system check all` has every one.

# %%
for name in ("sponge", "heet", "qpart", "sled"):
    checks = list(system_class(name)().checks())
    assert all(check.holds for check in checks), name
    print(f"{name:8} {len(checks):2} golden numbers hold")
values = by_policy(results.values())
print(
    f"QPART's payload is {1 - values['qpart']['payload_kb'] / values['float32']['payload_kb']:.0%} below float32's, each at its best cut"
)
