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
# # The optimum, and a proof one can check
#
# How good could any *static* allocation have been on a stream? `optimum` searches for the best one, and proves a bound that none exceeds. The
# proof is a certificate: what each request type is charged for the models that may serve it, from which anybody recomputes the bound without a
# solver. Here: find, verify, and try to cheat.

# %%
import os
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from idn_agents.optimum.certificate import certified_bound
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum.search import solve

from idn_gym import load_scenario
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS = {"smoke": 12, "full": 240}[BUDGET]
SEED = 0
print(f"idn_gym {version('idn-gym')}, highspy {version('highspy')}, seed {SEED}, {SLOTS} slots")

# %% [markdown]
# ## Search
# The gain is concave in a fractional allocation, so tangent planes bound it from above. A linear program over such cuts gives a point and a
# bound; new cuts are put where the point promises too much. Rounding and local search give allocations. Where much is open, as here, with a large
# alpha and half the budgets, cuts are made that hold for whole models only; branch and bound closes the gap.

# %%
packaged = load_scenario("topology-2-sliding")
tight = {"accuracy_weight": 4.0, **{f"nodes.{node.name}.budget": 0.5 * node.budget for node in packaged.nodes}}
spec = RunSpec(load_scenario("topology-2-sliding", tight), AgentSpec("optimum"), seed=SEED, slots=SLOTS)
network, trace = spec.stream()
steps = []
solution = solve(
    network, trace, gap=0.001, leaves=1, progress=lambda gain, bound, phase: steps.append((gain, bound, phase))
)
print(f"{solution.status}: gap {solution.gap:.4%} after {len(steps)} steps")

# %%
total = trace.requests.sum()
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
axes.plot([bound / total for _, bound, _ in steps], color="#D55E00", label="bound: none is better")
axes.plot([gain / total for gain, _, _ in steps], color="#0072B2", label="best allocation found")
phases = [phase for _, _, phase in steps]
for phase, colour in (("relax", "#000000"), ("round", "#009E73"), ("branch", "#CC79A7")):
    if phase in phases:
        axes.axvline(phases.index(phase), color=colour, linestyle=":", label=f"from here: {phase}")
axes.set(xlabel="step of the search", ylabel="gain per request (ms)", title=f"alpha 4, half the budgets, {SLOTS} slots")
axes.legend()
plt.show()
assert solution.gain <= solution.bound <= solution.certified_bound * (1 + 1e-9)

# %% [markdown]
# ## Verify
# The certificate goes to a file, as `idn-gym optimum SCENARIO --certificate FILE` does; `idn-gym verify FILE` reads it. What is recomputed: the
# gain of the claimed allocation, by the readable reference, and the bound: the most that each request type can have left of its gain, less what it
# is charged, found exactly over the few models on its path; then one exact knapsack per node. No solver, no tolerance.

# %%
path = Path(tempfile.mkdtemp()) / "certificate.json"
write_certificate(path, spec, network, trace, solution.allocation, solution.certificate)
file = read_certificate(path)
verdict = verify(network, trace, file)
print(f"{path.stat().st_size / 1000:.0f} kB; proven: gain at least {verdict.gain / total:.6f} ms per request,")
print(f"no static allocation above {verdict.certified_bound / total:.6f}")
assert not verdict.faults

# %% [markdown]
# ## Cheat
# A bound that is a little too good, a gain that is a little too high, charges left out, a proof that holds only for allocations without the
# claimed models: each is refused, with the reason. Any charges prove *some* bound, so a changed proof does harm to its own claim only.

# %%
leaf = file.leaves[0]
for changed in (
    {"certified_bound": file.certified_bound * (1 - 1e-6)},
    {"gain": file.gain * (1 + 1e-6)},
    {"leaves": [leaf.model_copy(update={"type_charges": {}})]},
    {"leaves": [leaf.model_copy(update={"left_out": file.allocation})]},
):
    [fault, *_] = verify(network, trace, file.model_copy(update=changed)).faults
    print(fault)

# %% [markdown]
# How much do the charges matter? Take a part of them, or more; the bound stays true, and gets weaker.

# %%
[leaf] = solution.certificate.leaves
assert leaf.charges is not None
taken = np.linspace(0.0, 2.0, 9)
bounds = []
for part in taken:
    changed = replace(solution.certificate, leaves=(replace(leaf, charges=part * leaf.charges),))
    bounds.append(certified_bound(network, trace, changed) / total)
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(taken, bounds, color="#D55E00", marker="o", label="certified bound")
axes.axhline(solution.gain / total, color="#0072B2", linestyle="--", label="best allocation found")
axes.set(
    xlabel="charges, times those of the certificate",
    ylabel="gain per request (ms)",
    title=f"alpha 4, half the budgets, {SLOTS} slots",
)
axes.legend()
plt.show()
assert min(bounds) >= solution.gain / total

# %% [markdown]
# ## Branching, where one set of charges is not enough
# One set may leave a little open: here with popularity fixed. The certificate then branches: in some leaves a model is placed, in others it
# is left out, and each has charges of its own. The largest of their bounds holds for all.

# %%
scenario = load_scenario("topology-2-fixed", tight)
small, few = RunSpec(scenario, AgentSpec("optimum"), seed=SEED, slots=min(SLOTS, 60)).stream()
leaves = [1, 2, 4, 8]
gaps = []
for number in leaves:
    found = solve(small, few, gap=0.0, leaves=number)
    gaps.append(100 * (1 - found.gain / found.certified_bound))
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(leaves, gaps, color="#D55E00", marker="o")
axes.set(
    xlabel="leaves, at most",
    ylabel="certified gap (%)",
    title=f"alpha 4, half the budgets, {few.slots} slots",
    xscale="log",
)
axes.set_xticks(leaves, leaves)
axes.minorticks_off()
axes.set_ylim(bottom=0)
plt.show()
print(f"certified gap {gaps[0]:.3f} % with one leaf, {gaps[-1]:.6f} % with {len(found.certificate.leaves)}")
assert np.all(np.diff(gaps) <= 1e-9)

# %% [markdown]
# ## A yardstick for policies
# Online policies may move with the popularity, a static allocation may not: above the bound is possible.

# %%
for agent in ("random", "load-aware-greedy", "infida", "static-greedy", "last-batch-greedy"):
    result = play(network, trace, AgentSpec(agent), SEED)
    print(f"{agent:18s} {result.summary.gain / solution.certified_bound:7.2%} of the certified bound")
    if result.hindsight:
        assert result.summary.gain <= solution.certified_bound
