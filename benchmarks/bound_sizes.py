"""How large the regret bounds are beside what there is to gain: where they say something.

    python benchmarks/bound_sizes.py [--slots 600]

Prints a Markdown table: the bounds after so many slots over the total gain of the best static allocation, seed 0, and
from how many slots on a bound is below that gain, which grows with T where the bound grows with sqrt(T).
"""

from __future__ import annotations

import argparse

from idn_agents.infida.bounds import PSI, paper_regret_bound, regret_bound
from idn_agents.optimum import solve

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
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=600)
    slots = parser.parse_args().slots
    head = [
        "scenario",
        "state regret / gain",
        "below the gain from T =",
        "psi-regret / psi gain, the paper's",
        "from T =",
    ]
    print(f"| {' | '.join(head)} |" + "\n" + "|---" * len(head) + "|")
    for scenario in SCENARIOS:
        network = Network.compile(load_scenario(scenario))
        gain = solve(network, draw(network, slots, 0), gap=0.01, time_limit=60.0, leaves=1).gain
        ratios = regret_bound(network, slots) / gain, paper_regret_bound(network, slots) / (PSI * gain)
        cells = [f"{ratio:.3g} | {ratio**2 * slots:,.0f}" for ratio in ratios]
        print(f"| {scenario} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
