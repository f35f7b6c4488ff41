"""The readings of online load-aware greedy side by side: how much of "INFIDA beats greedy" is the reading.

    python benchmarks/load_aware.py [--seeds 5] [--slots 600]

Prints a Markdown table: NTAG in ms, mean plus or minus the standard deviation between seeds.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import product

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

SCENARIOS = ("topology-1-fixed", "topology-1-sliding", "topology-1-bursty")
READINGS = [
    {"counting": counting, "sharing": sharing, "decay": decay}
    for counting, sharing, decay in product(("all", "others"), ("proportional", "none"), (0.0, 0.5, 0.9))
]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=600)
    options = parser.parse_args()
    networks = {name: Network.compile(load_scenario(name)) for name in SCENARIOS}
    traces = {
        (name, seed): draw(networks[name], options.slots, seed) for name in SCENARIOS for seed in range(options.seeds)
    }
    print("| counting | sharing | decay | " + " | ".join(SCENARIOS) + " |")
    print("|---" * (3 + len(SCENARIOS)) + "|")
    for spec in [*(AgentSpec("load-aware-greedy", reading) for reading in READINGS), AgentSpec("infida")]:
        cells = []
        for name in SCENARIOS:
            each = [play(networks[name], traces[name, seed], spec, seed).summary.ntag for seed in range(options.seeds)]
            spread = f" ± {statistics.stdev(each):.2f}" if len(each) > 1 else ""
            cells.append(f"{statistics.mean(each):.2f}{spread}")
        given = spec.parameters
        labels = (given["counting"], given["sharing"], f"{given['decay']:g}") if given else ("INFIDA", "", "")
        print(f"| {' | '.join((*labels, *cells))} |", flush=True)


if __name__ == "__main__":
    main()
