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
# # Services: deadlines, priorities and prices on a network of one's own
#
# Two bus stops, a depot and a cloud. Cameras at the stops ask for one and the same task, *people*, with three aims: doors must close in time
# (`door`), a display shows how full the bus is (`display`), and a planner counts passengers for the timetable (`count`). What changes when
# requests have deadlines and priorities, and when holding a model costs money? All figures here are made up.

# %%
import os
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
from idn_agents.optimum.search import solve

from idn_gym import Network, draw, play
from idn_gym.experiment.evaluation import by_service
from idn_gym.report.look import looks
from idn_gym.scenario import parse

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS = {"smoke": 20, "full": 240}[BUDGET]
SEED = 0
print(f"idn_gym {version('idn-gym')}, seed {SEED}, {SLOTS} slots")

# %% [markdown]
# ## The network
# Three variants of the model, on two kinds of processor. `price` is what holding one costs per hour; `price_weight` turns currency into ms of
# gain, and 0 means that prices are reported and not optimised.


# %%
def variant(name: str, accuracy: float, size: float, delay: float, throughput: float) -> dict:
    board = {"size": size, "delay": delay, "throughput": throughput, "price": size / 2000}
    server = {"size": size, "delay": delay / 4, "throughput": 4 * throughput, "price": size / 1000}
    return {
        "name": f"people/{name}",
        "task": "people",
        "accuracy": accuracy,
        "profiles": {"board": board, "server": server},
    }


def buses(services: list[dict], **changes) -> Network:
    stops = [{"name": stop, "processor": "board", "budget": 500.0, "entry": True} for stop in ("stop-a", "stop-b")]
    depot = {"name": "depot", "processor": "server", "budget": 900.0}
    cloud = {"name": "cloud", "processor": "server", "repository": ["people/small", "people/middle", "people/large"]}
    scenario = {
        "format": "idn-gym/scenario-1",
        "name": "buses",
        "slot_seconds": 10.0,
        "violation_ms": 100.0,
        "tasks": ["people"],
        "models": [
            variant("small", 52.0, 150.0, 12.0, 60.0),
            variant("middle", 64.0, 350.0, 30.0, 25.0),
            variant("large", 71.0, 800.0, 60.0, 10.0),
        ],
        "nodes": [*stops, depot, cloud],
        "links": [
            {"source": "stop-a", "target": "depot", "latency": 18.0, "bandwidth": 20.0},
            {"source": "stop-b", "target": "depot", "latency": 25.0, "bandwidth": 8.0},
            {"source": "depot", "target": "cloud", "latency": 60.0, "bandwidth": 100.0},
        ],
        "services": services,
        "workload": {"kind": "burst", "rate": 600.0, "exponent": 0.5, "shape": 4.0},
    }
    return Network.compile(parse(scenario | changes, "buses"))


def one(name: str, **keys) -> dict:
    return {"name": name, "stages": ["people"], "input_mb": 0.2} | keys


alike = [one("door", report_deadline_ms=60.0), one("display", report_deadline_ms=150.0), one("count")]
apart = [
    one("door", deadline_ms=60.0, priority=2, weight=2.0),
    one("display", deadline_ms=150.0, priority=1),
    one("count", accuracy_weights=[2.0]),
]

# %% [markdown]
# ## What deadlines and priorities change
# The best static allocation in hindsight, for both descriptions and one and the same stream: `report_deadline_ms` counts late requests without
# any cost, `deadline_ms` makes an option that is slower cost `violation_ms` more. The higher priority has its share of a model's capacity first.

# %%
for title, services in (("alike", alike), ("apart", apart)):
    network = buses(services)
    trace = draw(network, SLOTS, SEED)
    best = solve(network, trace, gap=0.001)
    held = {node: [] for node in network.node_names}
    for p in np.flatnonzero(best.allocation):
        node, model = network.names(p)
        held[node].append(model.removeprefix("people/"))
    print(f"{title}: { ({node: models for node, models in held.items() if models}) }, gap {best.gap:.2%}")
    for row in by_service(network, trace, [best.allocation] * SLOTS):
        late = f", late {row['missed']:7.2%}" if "missed" in row else ""
        print(f"   {row['service']:8} {row['latency_ms']:6.1f} ms, inaccuracy {row['inaccuracy']:5.1f}{late}")
    assert best.gap <= 0.001 + 1e-9

# %% [markdown]
# ## The front of gain against price
# With a price weight, agents and optimum are about the *net* gain, the gain less what holding costs: a node may leave memory unspent. Each agent
# plays the same stream for a range of weights; up and to the left is better. The optimum's bound is certified, and also about the net gain.

# %%
WEIGHTS = (0.0, 3e6, 1e7, 3e7, 1e8, 3e8)
AGENTS = ("infida-coordinated", "infida", "last-batch-greedy", "static-greedy", "optimum:gap=0.005")
front = {agent: [] for agent in AGENTS}
for weight in WEIGHTS:
    network = buses(apart, price_weight=weight)
    trace = draw(network, SLOTS, SEED)
    total = trace.requests.sum()
    for agent in AGENTS:
        summary = play(network, trace, agent, SEED).summary
        front[agent].append((summary.price_per_hour, summary.gain / total, summary.worth / total))

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for agent, look in looks(AGENTS).items():
    price, gain, _ = np.array(front[agent]).T
    axes.plot(price, gain, color=look.colour, marker=look.marker, linestyle=look.line, label=agent)
axes.set(
    xlabel="currency per hour", ylabel="gain per request (ms)", title="gain against price, a point per price weight"
)
axes.legend()
plt.show()

# %% [markdown]
# Who is ahead depends on the weight, so each column below is a contest of its own: the net gain per request.

# %%
print("price weight        " + "".join(f"{weight:9.0e}" for weight in WEIGHTS))
for agent in AGENTS:
    print(f"{agent:20}" + "".join(f"{worth:9.2f}" for _, _, worth in front[agent]))
for n in range(len(WEIGHTS)):  # nothing that does not pay is held by the optimum
    assert front["optimum:gap=0.005"][n][2] >= -1e-9
