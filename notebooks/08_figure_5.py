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
# # Figure 5: the trade-off
#
# Each policy, for each alpha, ends somewhere in the plane of inaccuracy and latency. Lower left is better; the optimum in hindsight traces a
# frontier, and the question is how close to it a policy comes that learns as it goes.

# %%
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import Image, display

from idn_gym.report.look import look
from idn_gym.reproduce import fig5
from idn_gym.reproduce.reproduction import reproduce
from idn_gym.reproduce.runs import Budget

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
budget = {"smoke": Budget(12, 1), "full": Budget(240, 5)}[BUDGET]
print(f"idn_gym {version('idn-gym')}, {budget.slots} slots, seeds 0 to {budget.seeds - 1}")

# %% [markdown]
# ## Latency against inaccuracy
# Topology II is a path of five nodes, small enough for an optimum at every alpha.

# %%
folder = Path(tempfile.mkdtemp())
done = reproduce("fig5", budget, folder)
runs = done.runs
display(Image(folder / "fig5.png"))

# %% [markdown]
# ## How far from the frontier?
# Cost above that of the optimum, in percent. Rounding is what INFIDA loses most by: where few models fit, one wrong one is a large part.


# %%
def cost(agent, alpha):
    latency, points = (runs.values(c, agent, accuracy_weight=alpha).mean() for c in ("latency_ms", "inaccuracy"))
    return latency + alpha * points


figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
rivals = ("infida", "load-aware-greedy", "last-batch-greedy", "static-greedy")
for agent in rivals:
    of = look(agent)
    excess = [100 * (cost(agent, alpha) / cost(fig5.OPTIMUM, alpha) - 1) for alpha in fig5.ALPHAS]
    axes.plot(fig5.ALPHAS, excess, color=of.colour, marker=of.marker, linestyle=of.line, label=agent)
axes.set(xlabel="alpha (ms per percentage point)", ylabel="cost above the optimum's (%)", title="topology-2-fixed")
axes.legend()
plt.show()
assert all(cost(agent, alpha) > cost(fig5.OPTIMUM, alpha) for agent in rivals for alpha in fig5.ALPHAS)

# %% [markdown]
# ## The claims, decided
# Each is decided with 95% confidence over seeds, paired since all policies of a seed face one stream. With fewer than five seeds, as on the
# smoke budget, nothing is decided. `docs/reproduction.md` has the outcomes at full budget, from more seeds; here a claim that is documented to
# hold must not fail.

# %%
for check in done.checks:
    print(f"{check.verdict.outcome.value:14s} {check.claim}\n{'':14s} {check.verdict.evidence}")
assert not [check.claim for check in done.checks if check.broken]
