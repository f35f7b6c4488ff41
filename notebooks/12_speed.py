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
# # Speed: slow and readable, fast and equal
#
# Every computation has one readable reference in NumPy, `idn_gym.model.gain` and `idn_gym.model.allocation`. Where that is too slow there is a compiled
# twin in `idn_gym.kernels`, tested equal to it, that works on a batch. And many INFIDAs can share one run. Times here are of CPU, of a machine
# that others may use; `python benchmarks/speed.py` and `benchmarks/batched.py` are where speed is measured with care.

# %%
import os
import time
from importlib.metadata import version

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
from idn_agents.infida.batch import InfidaBatch

from idn_gym import Network, draw, kernels, load_scenario
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.model import allocation, gain

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS, REPEATS = {"smoke": (20, 3), "full": (300, 15)}[BUDGET]
print(f"idn_gym {version('idn-gym')}, numba {version('numba')}, {SLOTS} slots, medians of {REPEATS}, seed 0")


def measure(work):
    """Median CPU time of a call in microseconds; the first call compiles and does not count."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - began) / 1000)
    return np.median(times)


# %% [markdown]
# ## Reference and twin
# Topology I, one slot: the gain of a fractional state and its subgradient; the projection onto the budgets; rounding.

# %%
network = Network.compile(load_scenario("topology-1-sliding"))
print(network)
rng = np.random.default_rng(0)
[requests] = draw(network, 1, 0).requests
capacities, weights = network.capacities, rng.normal(size=network.P)
state = np.exp(kernels.project(network, weights[None], network.spendable)[0])
uniforms = rng.random((1, network.P))
pairs = {
    "gain and subgradient": (
        lambda: gain.subgradient(network, requests, capacities, state),
        lambda: kernels.gain_and_subgradient(network, requests, capacities, state),
    ),
    "projection": (
        lambda: allocation.project(network, weights, network.spendable),
        lambda: kernels.project(network, weights[None], network.spendable),
    ),
    "dependent rounding": (
        lambda: allocation.round_dependent(network, state, uniforms[0]),
        lambda: kernels.round_dependent(network, state[None], uniforms),
    ),
}
times = {name: [measure(work) for work in pair] for name, pair in pairs.items()}
for name, (slow, fast) in times.items():
    print(f"{name:22s} reference {slow:9,.0f} us   kernel {fast:7,.1f} us   {slow / fast:6,.0f} times")

# %% [markdown]
# They are the same numbers:

# %%
np.testing.assert_allclose(
    pairs["gain and subgradient"][1]()[1][0], pairs["gain and subgradient"][0](), rtol=1e-9, atol=1e-6
)
np.testing.assert_allclose(pairs["projection"][1]()[0], pairs["projection"][0](), rtol=1e-9, atol=1e-9)
np.testing.assert_array_equal(pairs["dependent rounding"][1]()[0], pairs["dependent rounding"][0]())

# %%
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
place = np.arange(len(times))
for offset, column, colour, label in ((-0.19, 0, "#D55E00", "reference"), (0.19, 1, "#0072B2", "kernel")):
    axes.barh(place + offset, [pair[column] for pair in times.values()], 0.36, color=colour, label=label)
axes.set_yticks(place, list(times))
axes.invert_yaxis()
axes.set(xscale="log", xlabel="CPU time per call (microseconds)", title="Topology I, one slot")
axes.legend()
plt.show()

# %% [markdown]
# ## Many agents in one run
# Sixteen INFIDAs that differ in their learning rate, one after the other and as one batch. Their slots are served by a vector environment.

# %%
scales = np.geomspace(0.1, 10, 16)
trace = draw(network, SLOTS, 0)
began = time.process_time()
single = [play(network, trace, AgentSpec("infida", {"scale": float(scale)}), 0).summary.ntag for scale in scales]
one_by_one = time.process_time() - began

env = gymnasium.make_vec("IDN/TopologyI-Sliding-v0", num_envs=16, device="cpu", horizon=SLOTS)
agents = InfidaBatch([{"scale": float(scale)} for scale in scales])
began = time.process_time()
agents.reset(env.unwrapped.network, [0] * 16)
observation, _ = env.reset(seed=[0] * 16)
total = np.zeros(16)
for _ in range(SLOTS):
    observation, _, _, _, info = env.step(agents.act(observation))
    total += (info["gain"] / info["request_count"]).numpy()
together = time.process_time() - began
print(
    f"one by one {one_by_one / SLOTS / 16 * 1e6:,.0f} us of CPU per slot, together {together / SLOTS / 16 * 1e6:,.0f}, drawing included"
)

# %%
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(scales, single, color="#D55E00", marker="o", label="one by one")
axes.plot(scales, total / SLOTS, color="#0072B2", linestyle="--", marker="x", label="one batch")
axes.set(
    xscale="log",
    xlabel="scale of the learning rate",
    ylabel="NTAG (ms)",
    title=f"INFIDA on Topology I, sliding, {SLOTS} slots",
)
axes.legend()
plt.show()
# the environment's observations are float32, so that the last bits may round otherwise now and then
np.testing.assert_allclose(total / SLOTS, single, rtol=0.02)
