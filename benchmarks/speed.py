"""Speed of the scalar path on one core: environment steps, INFIDA in the run loop, kernels, compiling, importing.

    python benchmarks/speed.py [--output FILE.json] [--repeats 7]

Everything is measured in this one process, pinned to one core, warm: just-in-time compiling is not counted. Each
figure is the median of the repeats, with the range of the middle half. Import times are of fresh processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = "1"

import gymnasium
import numpy as np
from idn_agents.infida.infida import Infida
from stored import markdown, stamp, write

import idn_gym  # noqa: F401 - registers the ids
from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation, gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.topology import nodes_and_links, tree
from idn_gym.workload.stream import draw


def environment_steps() -> float:
    """Seconds per step of IDN/TopologyI-Sliding-v0, cycling through 64 feasible allocations."""
    env = gymnasium.make("IDN/TopologyI-Sliding-v0")
    network = env.unwrapped.network
    actions = kernels.pack(network, np.random.default_rng(0).random((64, network.P)))
    env.reset(seed=0)
    began = time.perf_counter()
    steps = 0
    for _ in range(5):
        env.reset()
        for slot in range(600):
            env.step(actions[slot % 64])
            steps += 1
    return (time.perf_counter() - began) / steps


def run_loop(agent: str) -> Callable[[], float]:
    """Seconds per slot of an agent in the run loop, serving and recording included."""
    network = Network.compile(load_scenario("topology-1-sliding"))
    trace = draw(network, 600, 0)

    def measure() -> float:
        return play(network, trace, AgentSpec(agent), 0).seconds / trace.slots

    return measure


def per_call(function: Callable[[], object], calls: int) -> Callable[[], float]:
    """Seconds per call."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - began) / calls

    return measure


def kernel_calls() -> dict[str, Callable[[], float]]:
    """Kernels beside their references, on Topology I; B = 64 slots a call, reported per slot."""
    network = Network.compile(load_scenario("topology-1-fixed"))
    rng = np.random.default_rng(0)
    requests = draw(network, 64, 0).requests
    loose = rng.random((64, network.P))
    start = kernels.project(network, rng.normal(size=(64, network.P)), network.spendable)
    tight, uniforms = np.exp(start), rng.random((64, network.P))
    capacities = network.capacities

    def batched(function: Callable[..., object], *arguments: object) -> Callable[[], float]:
        measure = per_call(lambda: function(network, *arguments), 5)
        return lambda: measure() / 64

    return {
        "gain + subgradient, loose": batched(kernels.gain_and_subgradient, requests, capacities, loose),
        "gain + subgradient, tight": batched(kernels.gain_and_subgradient, requests, capacities, tight),
        "gain + subgradient, tight, reference": per_call(
            lambda: (
                gain.allocation_gain(network, requests[0], capacities, tight[0]),
                gain.subgradient(network, requests[0], capacities, tight[0]),
            ),
            5,
        ),
        "projection": batched(kernels.project, start + 1.0, network.spendable),
        "projection, reference": per_call(lambda: allocation.project(network, start[0] + 1.0, network.spendable), 2),
        "dependent rounding": batched(kernels.round_dependent, tight, uniforms),
        "dependent rounding, reference": per_call(
            lambda: allocation.round_dependent(network, tight[0], uniforms[0]), 2
        ),
    }


def compile_three_replicas() -> float:
    """Seconds to compile Topology I with 600 models."""
    scenario = load_scenario("topology-1-fixed", ["replicas=3"])
    began = time.perf_counter()
    Network.compile(scenario)
    return time.perf_counter() - began


def tree_data() -> dict[str, Any]:
    """The scenario of a tree of 10,000 nodes with 20 tasks and 200 models: 2 million placements."""
    catalog = load_scenario("topology-1-fixed").to_dict()
    graph = tree(10, 4, [40.0, 15.0, 6.0, 6.0], repository=[model["name"] for model in catalog["models"]])
    graph.remove_nodes_from(list(graph)[10_000:])
    data = {key: catalog[key] for key in ("format", "tasks", "models")}
    return {**data, "name": "tree", **nodes_and_links(graph, processor="rtx-2080-ti", budget=3000.0)}


def compile_tree() -> float:
    """Seconds to validate and compile `tree_data`."""
    data = tree_data()
    began = time.perf_counter()
    network = Network.compile(parse(data, "tree"))
    seconds = time.perf_counter() - began
    print(f"  {network}", file=sys.stderr)
    return seconds


def slots_on_the_tree() -> float:
    """Seconds per slot of INFIDA on `tree_data`: subgradient, step, rounding; after two slots."""
    network = Network.compile(parse(tree_data(), "tree"))
    agent, mean = Infida(), 7500.0 * 60.0 / network.R
    agent.reset(network, 0)
    placed = agent.act(observe(network, np.zeros(network.R), network.capacities, np.zeros(network.P)))
    rng, seconds = np.random.default_rng(0), []
    for _ in range(12):
        requests = rng.poisson(mean, network.R).astype(np.float64)
        observation = observe(network, requests, network.capacities, placed)
        began = time.perf_counter()
        placed = agent.act(observation)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    each = peak * 2**30 / network.P
    print(f"  at most {peak:.2f} GiB in this process so far, {each:.0f} bytes per placement", file=sys.stderr)
    return statistics.median(seconds[2:])


def cases() -> dict[str, Callable[[], float]]:
    """What runs in this process again and again, by name: a call of each gives its seconds."""
    return {
        "environment step": environment_steps,
        "INFIDA slot in the run loop": run_loop("infida"),
        "infida-coordinated slot in the run loop": run_loop("infida-coordinated"),
        "last-batch-greedy slot in the run loop": run_loop("last-batch-greedy"),
        **kernel_calls(),
    }


def import_seconds(module: str) -> Callable[[], float]:
    """Seconds that a fresh process takes to import a module, the interpreter's start not counted."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"

    def measure() -> float:
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    return measure


def main() -> None:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    measured: dict[str, Callable[[], float]] = {
        **cases(),
        "compile Topology I, 600 models": compile_three_replicas,
        "compile a tree of 10,000 nodes": compile_tree,
        "INFIDA slot on that tree": slots_on_the_tree,
        "import idn_gym": import_seconds("idn_gym"),
    }
    rows = {}
    for name, measure in measured.items():
        measure()  # warm
        repeats = 1 if "tree" in name else options.repeats
        seconds = sorted(measure() for _ in range(repeats))
        quartiles = statistics.quantiles(seconds, n=4) if repeats > 1 else [seconds[0]] * 3
        rows[name] = {"median_s": statistics.median(seconds), "low_s": quartiles[0], "high_s": quartiles[2]}
        print(f"{name}: {rows[name]['median_s'] * 1e6:,.1f} us", file=sys.stderr)
    document = {**stamp(), "repeats": options.repeats, "rows": rows}
    print(tables(document)["speed"])
    if options.output:
        write(options.output, document)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    lines = []
    for name, row in document["rows"].items():
        low, middle, high = (f"{row[key] * 1e6:,.1f}" for key in ("low_s", "median_s", "high_s"))
        rate = f"{1.0 / row['median_s']:,.0f}" if row["median_s"] < 0.1 else ""
        lines.append([name, middle, f"{low} to {high}", rate])
    return {"speed": markdown(("what", "microseconds, median", "middle half", "per second"), lines)}


if __name__ == "__main__":
    main()
