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
# # Fronts: gain against price, latency against inaccuracy
#
# One number per slot hides what was traded for what. `reward="vector"` keeps the parts, and a weight for each says what they are worth. Here
# two of these weights go from one end to the other, that of prices and that of inaccuracy: what do agents make of each, and what could no
# static allocation do, whatever it is?

# %%
import os
from importlib.metadata import version

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from idn_agents.infida import Infida
from idn_agents.optimum.search import solve

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import Network, draw, evaluate, load_scenario, play
from idn_gym.report.look import looks

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
PRICED_SLOTS, FIXED_SLOTS = {"smoke": (20, 5), "full": (200, 60)}[BUDGET]
SEED, GAP = 0, 0.001
PRICED, FIXED = "autoscale-burst", "topology-2-fixed"
print(f"idn_gym {version('idn-gym')}, highspy {version('highspy')}, seed {SEED}")
print(f"{PRICED_SLOTS} slots of {PRICED}, {FIXED_SLOTS} of {FIXED}")

# %% [markdown]
# ## The parts of an episode
# Per request of the slot: latency (ms), inaccuracy (percentage points) and violations of deadlines (ms) saved against repositories alone, less
# MB loaded, less currency paid. `autoscale-burst` is one cluster with priced cores, under load that comes in bursts; it has no deadlines.

# %%
env = gym.make("IDN/Autoscale-Burst-v0", reward="vector", horizon=PRICED_SLOTS, disable_env_checker=True)
network, agent = env.unwrapped.network, Infida()
observation, info = env.reset(seed=SEED)
agent.reset(network, SEED)
parts, requests, over = [], [], False
while not over:
    observation, reward, terminated, over, info = env.step(agent.act(observation))
    parts.append(reward)
    requests.append(info["request_count"])
mean = np.average(parts, axis=0, weights=requests)
scenario = network.scenario
weights = np.array([1.0, scenario.accuracy_weight, 1.0, 0.0, scenario.price_weight])
names = ("latency, ms", "inaccuracy, pp", "violation, ms", "loading, MB", "price, currency")
for name, part, weight in zip(names, mean, weights, strict=True):
    print(f"{name:16}{part:12.4g}  x {weight:7.2g}  = {part * weight:8.3f} ms per request")
print(f"{'sum':40} = {mean @ weights:8.3f} ms per request")

# %% [markdown]
# The sum is the net gain of a run on the same stream, as tables of agents have it. They show loading beside it, so its weight is 0 here; with
# `update_weight` it counts too.

# %%
trace = draw(network, PRICED_SLOTS, SEED)
net = play(network, trace, "infida", SEED).summary.net / trace.requests.sum()
print(f"net gain of the run: {net:.3f} ms per request")
assert np.isclose(net, mean @ weights)

# %% [markdown]
# ## Agents and the optimum, weight by weight
# All play the same stream for each value of a weight. `solve` finds the best static allocation in hindsight for each, and a bound that none
# exceeds. Where both agree to within 0.1 % that point of the front is exact to so much.

# %%
AGENTS = ("infida-coordinated", "infida", "last-batch-greedy", "load-aware-greedy", "static-greedy")


def swept(name: str, key: str, values: tuple[float, ...], slots: int) -> tuple[dict, list]:
    """Per agent its measures, a row per value; and per value the bound and what repositories alone cost, ms per request."""
    rows = {agent: [] for agent in (*AGENTS, "optimum")}
    proven = []
    for value in values:
        network = Network.compile(load_scenario(name, {key: value}))
        trace = draw(network, slots, SEED)
        total = trace.requests.sum()
        best = solve(network, trace, gap=GAP)
        found = evaluate(network, trace, best.allocation)
        proven.append((best.bound / total, (found["cost"] + found["gain"]) / total))
        print(f"{key} {value:8.3g}: best static allocation within {best.gap:.3%} of its bound")
        assert best.gap <= GAP + 1e-9
        rows["optimum"].append(found | {"gain": found["gain"] / total})
        for agent in AGENTS:
            summary = vars(play(network, trace, agent, SEED).summary)
            rows[agent].append(summary | {"gain": summary["gain"] / total})
    return rows, proven


def front(rows: list[dict], x: str, y: str) -> np.ndarray:
    return np.array([[row[x], row[y]] for row in rows])


def draw_fronts(axes: plt.Axes, fronts: dict[str, np.ndarray]) -> None:
    for agent, look in looks(fronts).items():
        axes.plot(
            *fronts[agent].T, color=look.colour, marker=look.marker, markersize=5, linestyle=look.line, label=agent
        )


# %% [markdown]
# ## Gain against price
# A price weight *w* with bound *b* proves for every static allocation: gain - *w* x price ≤ *b*. So none is above the lowest of the lines
# *b* + *w* x price, one for each weight: the edge of the grey area. Agents that change what they hold may be.

# %%
PRICES = (0.0, 1e7, 2e7, 3e7, 4.5e7, 6e7, 7.5e7, 9e7, 1.2e8)
rows, proven = swept(PRICED, "price_weight", PRICES, PRICED_SLOTS)
per_request = PRICED_SLOTS * scenario.slot_seconds / 3600.0 / trace.requests.sum()  # hours of the run, per request
slopes, bounds = np.array(PRICES) * per_request, np.array([bound for bound, _ in proven])


def most_gain(price: np.ndarray) -> np.ndarray:
    """Ms per request that no static allocation exceeds which costs so much per hour."""
    return (bounds + np.multiply.outer(price, slopes)).min(axis=-1)


fronts = {agent: front(rows[agent], "price_per_hour", "gain") for agent in rows}
figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
dearest, most = np.concatenate(list(fronts.values())).max(axis=0)
price = np.linspace(0.0, 1.03 * dearest, 400)
axes.fill_between(price, most_gain(price), 1.05 * most, color="#ececec", label="no static allocation is here")
draw_fronts(axes, fronts)
axes.set(xlabel="price of what is held (currency per hour)", ylabel="gain per request (ms)")
axes.margins(0.0)
axes.set_title(f"{PRICED}, {PRICED_SLOTS} slots: a point per price weight, up and to the left is better")
axes.legend(loc="lower right")
plt.show()

# %%
print("ms per request above the edge   " + "".join(f"{weight:9.3g}" for weight in PRICES))
for agent, points in fronts.items():
    print(f"{agent:32}" + "".join(f"{above:+9.2f}" for above in points[:, 1] - most_gain(points[:, 0])))
for agent in ("optimum", "static-greedy"):
    assert (fronts[agent][:, 1] <= most_gain(fronts[agent][:, 0]) + 1e-6).all()
below = most_gain(fronts["optimum"][:, 0]) - fronts["optimum"][:, 1]
assert (below <= GAP * bounds + 1e-6).all()  # the optimum's points are the line's corners, within the gap

# %% [markdown]
# ## Latency against inaccuracy
# Topology II without prices: α is what a percentage point of inaccuracy is worth, in ms. An α with bound *b* proves for every static allocation:
# latency + α x inaccuracy is at least what repositories alone cost, less *b*. That holds for whatever order requests are served in: at α, the
# order by cost at α is the cheapest. So none is below the highest of the lines, the edge.

# %%
ALPHAS = (0.1, 0.2, 0.3, 0.5, 1.0, 1.75, 3.0, 5.0, 10.0)
rows, proven = swept(FIXED, "accuracy_weight", ALPHAS, FIXED_SLOTS)
least_costs = np.array([alone - bound for bound, alone in proven])


def least_latency(inaccuracy: np.ndarray) -> np.ndarray:
    """Ms per request that no static allocation falls below which is so inaccurate."""
    return (least_costs - np.multiply.outer(inaccuracy, np.array(ALPHAS))).max(axis=-1)


fronts = {agent: front(rows[agent], "inaccuracy", "latency_ms") for agent in rows}
figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
ends = np.concatenate(list(fronts.values()))[:, 0]
inaccuracy = np.linspace(0.98 * ends.min(), 1.02 * ends.max(), 400)
axes.fill_between(inaccuracy, least_latency(inaccuracy), color="#ececec", label="no static allocation is here")
draw_fronts(axes, fronts)
axes.set(xlabel="inaccuracy per request (percentage points)", ylabel="latency per request (ms)")
axes.margins(x=0.0)
axes.set_ylim(bottom=0.0)
axes.set_title(f"{FIXED}, {FIXED_SLOTS} slots: a point per α, down and to the left is better")
axes.legend()
plt.show()

# %%
print("ms per request above the edge   " + "".join(f"{alpha:9g}" for alpha in ALPHAS))
for agent, points in fronts.items():
    print(f"{agent:32}" + "".join(f"{above:+9.2f}" for above in points[:, 1] - least_latency(points[:, 0])))
lost = [row["fractional_ntag"] - row["ntag"] for row in rows["infida"]]
print(f"{'what rounding takes from infida':32}" + "".join(f"{ms:9.2f}" for ms in lost))
for agent in ("optimum", "static-greedy"):
    assert (fronts[agent][:, 1] >= least_latency(fronts[agent][:, 0]) - 1e-6).all()
above = fronts["optimum"][:, 1] - least_latency(fronts["optimum"][:, 0])
assert (above <= GAP * np.array([bound for bound, _ in proven]) + 1e-6).all()

# %% [markdown]
# ## What the fronts say
# - **Exact at corners.** The optimum's points lie on the edge of what is proven impossible, within 0.1 % of the bound. Weights find the corners of
#   a front; a static allocation in a dent between two of them is best at no weight, and is not ruled out up to the edge.
# - **Bursts: moving pays.** Coordination and last-batch greedy are beyond what any static allocation does, at every price weight: they hold cores
#   while a burst lasts. INFIDA stays close to the static front, on either side of it.
# - **Load-aware greedy hardly answers to prices** until they are high: at the sixth it pays a ninth less than without
#   any, coordination half as much.
# - **Fixed popularity: standing still is best.** On Topology II no agent is beyond the static front. Coordination is within 0.7 ms of it at every
#   α, the first slots included, in which it has seen nothing yet. INFIDA is 8 to 12 ms off, most of it lost
#   in rounding: its fractional state gains 5 to 9 ms more.
# - One seed, few slots: what agents do on more is in [services and prices](../docs/services.md) and in
#   [regimes](../docs/regimes.md).
