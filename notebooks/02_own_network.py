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
# # Your own topology, catalog and trace
#
# A scenario is one file: nodes, links, models, workload. Here it is built in Python from a NetworkX graph, a catalog of one's own and a
# measured trace, checked, saved, and run.

# %%
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from idn_gym import IdnError, Network
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.report.look import look
from idn_gym.scenario import parse
from idn_gym.scenario.file import to_yaml
from idn_gym.topology import nodes_and_links

BUDGET = os.environ.get("IDN_GYM_BUDGET", "full")
SLOTS = {"smoke": 48, "full": 288}[BUDGET]
SEED = 0
print(f"idn_gym {version('idn-gym')}, networkx {nx.__version__}, seed {SEED}, {SLOTS} slots")
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A topology
# Any NetworkX graph will do; so will GML and GraphML files (`idn_gym.topology.read_graph`), the Internet Topology Zoo's among them. Here: a
# small-world metro network of 15 edge sites, and a cloud behind one of them.

# %%
graph = nx.connected_watts_strogatz_graph(15, 4, 0.3, seed=SEED)
rng = np.random.default_rng(SEED)
for _, _, link in graph.edges(data=True):
    link["latency"] = float(np.round(rng.uniform(2, 8), 1))  # round trip, ms
graph.add_node("cloud", processor="server", budget=0.0)
graph.add_edge("cloud", 0, latency=45.0)

# %% [markdown]
# ## A catalog
# Two speech models and two translation models, sizes in MB, delay in ms, throughput in requests/s per processor; accuracy in percentage
# points. These figures are made up; `idn_gym.catalog` has published ones for object detection, each with its source.

# %%
edge = {"size": 900.0, "delay": 60.0, "throughput": 8.0}
models = [
    {"name": f"{task}/{name}", "task": task, "accuracy": accuracy, "profiles": {"edge": small, "server": small}}
    for task in ("speech", "translation")
    for name, accuracy, small in (
        ("large", 92.0, edge),
        ("distilled", 84.0, {"size": 300.0, "delay": 20.0, "throughput": 25.0}),
    )
]
graph.nodes["cloud"]["repository"] = [model["name"] for model in models]

# %%
values = {
    "format": "idn-gym/scenario-1",
    "name": "metro",
    "slot_seconds": 300.0,
    "tasks": ["speech", "translation"],
    "models": models,
    **nodes_and_links(graph, processor="edge", budget=400.0),
    "workload": {"kind": "zipf", "rate": 200.0, "exponent": 0.8},
    "provenance": {"models.*": "made up for this notebook"},
}
scenario = parse(values, "metro")
network = Network.compile(scenario)
print(network)
print(to_yaml(scenario)[:700])

# %% [markdown]
# Mistakes are found at once, and named:

# %%
for mistake in ({"tasks": ["speech"]}, {"slot_seconds": 0}, {"workload": {"kind": "zipf", "rate": -1.0}}):
    try:
        parse({**values, **mistake}, "metro")
    except IdnError as error:
        print(error)

# %% [markdown]
# ## A trace
# A request file has the columns `slot,task,source,requests`. Here a day of five-minute slots with a morning and an evening peak, and
# translation moving through the city over the day.

# %%
path = folder / "day.csv"
with path.open("w") as file:
    file.write("slot,task,source,requests\n")
    for slot in range(SLOTS):
        hour = 24 * slot / SLOTS
        level = 1.0 + np.exp(-((hour - 8.5) ** 2) / 2) + 1.5 * np.exp(-((hour - 19) ** 2) / 4)
        for site in range(15):
            near = np.exp(-((site - 15 * hour / 24) ** 2) / 8)
            file.write(f"{slot},speech,{site},{rng.poisson(900 * level)}\n")
            file.write(f"{slot},translation,{site},{rng.poisson(3000 * level * near)}\n")

# %%
spec = RunSpec(scenario, AgentSpec("infida"), seed=SEED, trace=path)
network, trace = spec.stream()
agents = ["static-greedy", "load-aware-greedy", "last-batch-greedy", "infida"]
results = {name: play(network, trace, AgentSpec(name), SEED) for name in agents}
for name, result in results.items():
    print(f"{name:18s} NTAG {result.summary.ntag:6.2f} ms, {result.summary.model_update_mb:8.1f} MB loaded per slot")

# %%
figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
hours = 24 * np.arange(SLOTS) / SLOTS
above.plot(hours, trace.requests.sum(axis=1) / 1000, color="black")
above.set(ylabel="requests per slot (thousands)", title="a day of requests, and what each agent saves")
for name, result in results.items():
    gain = result.table.gain / result.table.requests
    below.plot(hours, gain, label=name, color=look(name).colour, linestyle=look(name).line)
below.set(xlabel="time of day (hours)", ylabel="gain per request (ms)")
below.legend(loc="lower right")
plt.show()

# %% [markdown]
# Saved as a file, the scenario goes to the command line: `idn-gym run metro.yaml --trace day.csv --agent infida`.

# %%
(folder / "metro.yaml").write_text(to_yaml(scenario))
assert load_scenario(folder / "metro.yaml") == scenario
assert results["last-batch-greedy"].summary.ntag > results["static-greedy"].summary.ntag, (
    "requests move, so static is weak"
)
