"""How agents recover when a node loses its capacity for some slots.

    python benchmarks/outages.py [--node main-co0] [--seeds 5] [--output FILE.json] [--picture docs/outages.png]

Topology I, fixed popularity, 240 slots; the node has no capacity in slots 80 to 139. Prints a Markdown table of NTAG
before, during and after, the slots an agent takes to come back to 99% of what it had, and draws the gain per request.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from stored import markdown, of, stamp, values, write

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.report import plots
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

AGENTS = ("static-greedy", "last-batch-greedy", "load-aware-greedy", "infida")
SLOTS, FIRST, LAST = 240, 80, 140


def main() -> None:
    """Print the table, write JSON and draw the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="main-co0")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    network = Network.compile(load_scenario("topology-1-fixed"))
    v = network.node_names.index(options.node)
    capacities = np.repeat(network.capacities[None], SLOTS, axis=0)
    capacities[FIRST:LAST, network.placement_node == v] = 0.0
    gains: dict[str, list[np.ndarray]] = {agent: [] for agent in AGENTS}
    for seed in range(options.seeds):
        requests = draw(network, SLOTS, seed).requests
        # what is fitted in hindsight has seen the outage too
        for agent in AGENTS:
            table = play(network, Trace(requests, capacities), AgentSpec(agent), seed).table
            gains[agent].append(table.gain / table.requests)
    rows = [_row(agent, seed, gain) for agent, each in gains.items() for seed, gain in enumerate(each)]
    document = {**stamp(), "node": options.node, "rows": rows}
    print(tables(document)["outages"])
    if options.output:
        write(options.output, document)
    if options.picture:
        series = {agent: np.mean(each, axis=0) for agent, each in gains.items()}
        title = f"topology-1-fixed: {options.node} without capacity in slots {FIRST} to {LAST - 1}"
        plots.gain_over_time(series, options.picture, hindsight=["static-greedy"], shaded=(FIRST, LAST), title=title)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored: mean plus or minus the standard deviation between seeds."""
    lines = []
    for agent in values(document["rows"], "agent"):
        rows = of(document["rows"], agent=agent)
        cells = [_mean_and_spread([row[span] for row in rows]) for span in ("before", "during", "after")]
        cells += [_mean_and_spread([row[span] for row in rows], 0) for span in ("back_during", "back_after")]
        lines.append([f"`{agent}`", *cells])
    header = ("agent", "NTAG before", "during", "after", "slots to 99% during", "slots to 99% after")
    return {"outages": markdown(header, lines)}


def _row(agent: str, seed: int, gain: np.ndarray) -> dict[str, Any]:
    before, during, after = gain[40:FIRST], gain[FIRST:LAST], gain[LAST:]
    means = {"before": float(before.mean()), "during": float(during.mean()), "after": float(after.mean())}
    return {"agent": agent, "seed": seed, **means, "back_during": _recovery(during), "back_after": _recovery(after)}


def _recovery(gain: np.ndarray) -> float:
    """Slots until the mean of five reaches 99% of the mean of the last twenty."""
    level = 0.99 * gain[-20:].mean()
    smooth = np.convolve(gain, np.ones(5) / 5, mode="valid")
    return float((smooth >= level).argmax())


def _mean_and_spread(values: list[float], digits: int = 2) -> str:
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


if __name__ == "__main__":
    main()
