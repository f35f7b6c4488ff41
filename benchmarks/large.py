"""A run of INFIDA on 10,000 nodes and 2 million placements: memory by slot, processor time by part.

    python benchmarks/large.py [--slots 100] [--output benchmarks/results/large.json]

The run writes its records, into a temporary folder. Memory is what the process holds (resident) when so many slots have
been played, and at most so far. A slot's parts are timed apart, in the processor's time of one thread, after ten slots.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np
from idn_agents.infida.infida import Infida
from speed import tree_data
from stored import markdown, stamp, write

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.experiment import records
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, parse

RATE = 7500.0
SHOWN = 5  # moments at which memory is noted


def scenario() -> Scenario:
    """The tree of `speed.tree_data`, and what is asked for there."""
    workload = {"kind": "zipf", "rate": RATE, "exponent": 1.2}
    return parse({**tree_data(), "workload": workload}, "tree")


def resident() -> float:
    """MiB that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def most() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # KiB on Linux


def memory(slots: int) -> list[dict[str, Any]]:
    """A row per moment of a run: slots played, and MiB held."""
    rows: list[dict[str, Any]] = []

    def note(_: str, played: int, of: int) -> None:
        if not rows or played >= rows[-1]["slots"] + of // SHOWN or played == of > rows[-1]["slots"]:
            rows.append({"slots": played, "resident_mib": resident(), "most_mib": most()})
            print(rows[-1], file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        records.run([RunSpec(scenario(), AgentSpec("infida"), slots=slots)], Path(folder) / "run", progress=note)
    return rows


def parts() -> list[dict[str, Any]]:
    """A row per part of a slot: processor milliseconds, the median of 20 slots and the least."""
    network = Network.compile(scenario())
    agent, rng = Infida(), np.random.default_rng(0)
    agent.reset(network, 0)
    spent: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        began = time.process_time()
        found = work(*arguments)
        spent.setdefault(name, []).append((time.process_time() - began) * 1e3)
        return found

    placed = agent.act(observe(network, np.zeros(network.R), network.capacities, np.zeros(network.P)))
    for _ in range(30):
        requests = rng.poisson(RATE * 60.0 / network.R, network.R).astype(np.float64)
        seen = timed("observation", observe, network, requests, network.capacities, placed)
        placed = timed("INFIDA: subgradient, step, rounding", agent.act, seen)
        timed("serving", kernels.serve, network, requests, network.capacities, placed)
        timed("gain of the state", kernels.gain, network, requests, network.capacities, agent.fractional)
    return [{"part": name, "ms": statistics.median(ms[10:]), "least_ms": min(ms[10:])} for name, ms in spent.items()]


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Memory by slot, and parts of a slot."""
    held = [[str(row["slots"]), f"{row['resident_mib']:,.0f}", f"{row['most_mib']:,.0f}"] for row in document["rows"]]
    spent = [[row["part"], f"{row['ms']:.1f}", f"{row['least_ms']:.1f}"] for row in document["parts"]]
    return {
        "memory": markdown(("slots played", "MiB held", "MiB held at most so far"), held),
        "parts": markdown(("part of a slot", "ms of one core, median", "least"), spent),
    }


def main() -> None:
    """Measure, print, and store if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    about = stamp()
    document = {**about, "rows": memory(options.slots), "parts": parts()}
    print("\n\n".join(tables(document).values()))
    if options.output:
        write(options.output, document)


if __name__ == "__main__":
    main()
