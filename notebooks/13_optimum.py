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
# proof is a certificate: a few cut points and weights, from which anybody recomputes the bound without a solver. Here: find, verify, and try
# to cheat.

# %%
import os
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from idn_agents.certificate import certified_bound
from idn_agents.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum import solve

from idn_gym import load_scenario
from idn_gym.experiment import AgentSpec, RunSpec, play

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS = {"smoke": 12, "full": 240}[BUDGET]
SEED = 0
print(f"idn_gym {version('idn-gym')}, highspy {version('highspy')}, seed {SEED}, {SLOTS} slots")

# %% [markdown]
# ## Search
# The gain is concave in a fractional allocation, so tangent planes bound it from above. A linear program over such cuts gives a point and a
# bound; new cuts are put where the point promises too much. Rounding and local search give allocations; branch and bound closes the gap.

# %%
spec = RunSpec(load_scenario("topology-2-sliding"), AgentSpec("optimum"), SEED, SLOTS)
network, trace = spec.stream()
steps = []
solution = solve(network, trace, gap=0.001, progress=lambda gain, bound, phase: steps.append((gain, bound, phase)))
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
axes.set(xlabel="step of the search", ylabel="gain per request (ms)", title=f"topology-2-sliding, {SLOTS} slots")
axes.legend()
plt.show()
assert solution.gain <= solution.bound <= solution.certified_bound * (1 + 1e-9)

# %% [markdown]
# ## Verify
# The certificate goes to a file, as `idn-gym optimum SCENARIO --certificate FILE` does; `idn-gym verify FILE` reads it. What is recomputed: the
# gain of the claimed allocation, by the readable reference, and the bound: per request type a mix of tangent planes, then one exact knapsack
# per node. No solver, no tolerance.

# %%
path = Path(tempfile.mkdtemp()) / "certificate.json"
write_certificate(path, spec, network, trace, solution.allocation, solution.certificate)
file = read_certificate(path)
verdict = verify(network, trace, file)
print(
    f"{path.stat().st_size / 1000:.0f} kB, {len(file.cuts)} cuts; proven: gain at least {verdict.gain / total:.6f} ms per request,"
)
print(f"no static allocation above {verdict.certified_bound / total:.6f}")
assert not verdict.faults

# %% [markdown]
# ## Cheat
# A bound that is a little too good, a gain that is a little too high, a cut left out: each is refused, with the numbers. Any weights
# prove *some* bound, so a changed proof does harm to its own claim only.

# %%
for changed in (
    {"certified_bound": file.certified_bound * (1 - 1e-6)},
    {"gain": file.gain * (1 + 1e-6)},
    {"cuts": file.cuts[1:]},
):
    [fault, *_] = verify(network, trace, file.model_copy(update=changed)).faults
    print(fault)

# %% [markdown]
# How much does each cut matter? Keep only the first few; the bound stays true, and gets weaker.

# %%
points, weights = solution.certificate.points, solution.certificate.weights
order = np.argsort(-weights.sum(axis=1), kind="stable")
kept = sorted({*range(1, min(12, len(order)) + 1), len(order)})
bounds = [
    certified_bound(network, trace, replace(solution.certificate, points=points[order[:n]], weights=weights[order[:n]]))
    / total
    for n in kept
]
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(kept, bounds, color="#D55E00", marker="o", label="certified bound")
axes.axhline(solution.gain / total, color="#0072B2", linestyle="--", label="best allocation found")
axes.set(xlabel="cut points kept, the heaviest first", ylabel="gain per request (ms)", title="topology-2-sliding")
axes.legend()
plt.show()
assert min(bounds) >= solution.gain / total

# %% [markdown]
# ## A yardstick for policies
# Online policies may move with the popularity, a static allocation may not: above the bound is possible.

# %%
for agent in ("random", "load-aware-greedy", "infida", "static-greedy", "last-batch-greedy"):
    result = play(network, trace, AgentSpec(agent), SEED)
    print(f"{agent:18s} {result.summary.gain / solution.certified_bound:7.2%} of the certified bound")
    if result.hindsight:
        assert result.summary.gain <= solution.certified_bound
