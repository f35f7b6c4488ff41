"""How large the regret bounds are beside what there is to gain: where they say something.

    python benchmarks/bound_sizes.py [--slots 600] [--output FILE.json]

Prints a Markdown table: the bounds after so many slots over the total gain of the best static allocation, seed 0, and
from how many slots on a bound is below that gain, which grows with T where the bound grows with sqrt(T).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from idn_agents.infida.bounds import PSI, paper_regret_bound, regret_bound
from idn_agents.optimum import solve
from stored import markdown, stamp, write

from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

SCENARIOS = (
    "topology-2-fixed",
    "topology-1-fixed",
    "abilene-sliding",
    "geant-sliding",
    "tiny",
    "adversary",
    "greedy-trap",
)


def main() -> None:
    """Print the table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=600)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    for scenario in SCENARIOS:
        network = Network.compile(load_scenario(scenario))
        gain = solve(network, draw(network, options.slots, 0), gap=0.01, time_limit=60.0, leaves=1).gain
        bounds = {"state": regret_bound(network, options.slots), "psi": paper_regret_bound(network, options.slots)}
        rows.append({"scenario": scenario, "slots": options.slots, "gain": gain, **bounds})
    document = {**stamp(), "rows": rows}
    print(tables(document)["sizes"])
    if options.output:
        write(options.output, document)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    lines = []
    for row in document["rows"]:
        ratios = row["state"] / row["gain"], row["psi"] / (PSI * row["gain"])
        cells = [cell for ratio in ratios for cell in (f"{ratio:.3g}", f"{ratio**2 * row['slots']:,.0f}")]
        lines.append([row["scenario"], *cells])
    state, psi = ("state regret / gain", "below the gain from T ="), ("psi-regret / psi gain, the paper's", "from T =")
    return {"sizes": markdown(("scenario", *state, *psi), lines)}


if __name__ == "__main__":
    main()
