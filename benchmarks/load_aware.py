"""The readings of online load-aware greedy side by side: how much of "INFIDA beats greedy" is the reading.

    python benchmarks/load_aware.py [--seeds 5] [--slots 600] [--output FILE.json]

Prints a Markdown table: NTAG in ms, mean plus or minus the standard deviation between seeds.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import product
from pathlib import Path
from typing import Any

from stored import markdown, of, stamp, values, write

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

SCENARIOS = ("topology-1-fixed", "topology-1-sliding", "topology-1-bursty")
READINGS: list[dict[str, Any]] = [
    {"counting": counting, "sharing": sharing, "decay": decay}
    for counting, sharing, decay in product(("all", "others"), ("proportional", "none"), (0.0, 0.5, 0.9))
]


def main() -> None:
    """Play, print the table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=600)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    for name in SCENARIOS:
        network = Network.compile(load_scenario(name))
        for seed in range(options.seeds):
            trace = draw(network, options.slots, seed)
            for reading in [*READINGS, {}]:
                spec = AgentSpec("load-aware-greedy", reading) if reading else AgentSpec("infida")
                ntag = play(network, trace, spec, seed).summary.ntag
                rows.append({"scenario": name, "seed": seed, "slots": options.slots, "reading": reading, "ntag": ntag})
    document = {**stamp(), "rows": rows}
    print(tables(document)["readings"])
    if options.output:
        write(options.output, document)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    scenarios, lines = values(document["rows"], "scenario"), []
    for reading in [*READINGS, {}]:
        cells = []
        for name in scenarios:
            each = [row["ntag"] for row in of(document["rows"], scenario=name, reading=reading)]
            spread = f" ± {statistics.stdev(each):.2f}" if len(each) > 1 else ""
            cells.append(f"{statistics.mean(each):.2f}{spread}")
        labels = (reading["counting"], reading["sharing"], f"{reading['decay']:g}") if reading else ("INFIDA", "", "")
        lines.append([*map(str, labels), *cells])
    return {"readings": markdown(("counting", "sharing", "decay", *scenarios), lines)}


if __name__ == "__main__":
    main()
