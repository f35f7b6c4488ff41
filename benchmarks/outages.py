"""How agents recover when a node loses its capacity for some slots.

    python benchmarks/outages.py [--node main-co0] [--picture docs/outages.png] [--seeds 5]

Topology I, fixed popularity, 240 slots; the node has no capacity in slots 80 to 139. Prints a Markdown table of NTAG
before, during and after, the slots an agent takes to come back to 99% of what it had, and draws the gain per request.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np

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
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="main-co0")
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
    print("| agent | NTAG before | during | after | slots to 99% during | slots to 99% after |")
    print("|---|---|---|---|---|---|")
    for agent, each in gains.items():
        spans = [(40, FIRST), (FIRST, LAST), (LAST, SLOTS)]
        cells = [_mean_and_spread([gain[a:b].mean() for gain in each]) for a, b in spans]
        cells += [_mean_and_spread([_recovery(gain[a:b]) for gain in each], 0) for a, b in spans[1:]]
        print(f"| `{agent}` | {' | '.join(cells)} |")
    if options.picture:
        series = {agent: np.mean(each, axis=0) for agent, each in gains.items()}
        title = f"topology-1-fixed: {options.node} without capacity in slots {FIRST} to {LAST - 1}"
        plots.gain_over_time(series, options.picture, hindsight=["static-greedy"], shaded=(FIRST, LAST), title=title)


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
