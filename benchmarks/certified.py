"""How tight certified bounds are, and what INFIDA offline reaches of the fractional optimum, on packaged scenarios.

    python benchmarks/certified.py [--slots 120] [--seed 0] [--time-limit 60] [--leaves 32] [--scenario S]
        [--budgets 0.5]

Gaps are relative to the gain of the best allocation found. The plain LP has fractional placements within the budgets;
the certified bound has an exact knapsack per node, the hull of what the node can hold, and leaves that fix placements,
one or up to --leaves. "closed" is the part of the plain LP's gap to that gain that the last bound does without; less
than all is missing if the gain is not optimal.
"""

from __future__ import annotations

import argparse

import numpy as np
from idn_agents.infida.infida import InfidaOffline
from idn_agents.optimum.search import LEAVES, solve

from idn_gym import kernels
from idn_gym.library.load import load_scenario
from idn_gym.library.names import packaged_names
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--scenario", action="append", help="default: all packaged ones")
    parser.add_argument("--budgets", type=float, default=1.0, help="factor on every node's budget")
    parser.add_argument("--leaves", type=int, default=LEAVES)
    options = parser.parse_args()
    columns = (
        "scenario",
        "solver",
        "plain LP",
        "1 leaf",
        "leaves",
        "certified",
        "closed",
        "INFIDA offline, state",
        "rounded",
    )
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for name in options.scenario or packaged_names():
        scaled = [f"nodes.{node.name}.budget={options.budgets * node.budget}" for node in load_scenario(name).nodes]
        network = Network.compile(load_scenario(name, scaled))
        trace = draw(network, options.slots, options.seed)
        one, best = (
            solve(network, trace, gap=0.0005, time_limit=options.time_limit, leaves=n) for n in (1, options.leaves)
        )
        plain, certified = best.fractional_bound, best.certified_bound
        closed = (plain - certified) / (plain - best.gain) if plain > best.gain * (1 + 1e-6) else np.nan
        agent = InfidaOffline()
        agent.reset(network, options.seed)
        agent.fit(trace)
        shares = [
            float(kernels.gain(network, trace.requests, trace.capacities, held).sum()) / plain
            for held in (agent.fractional, agent.act({}))
        ]
        cells = [f"{(bound - best.gain) / bound:.3%}" for bound in (best.bound, plain, one.certified_bound, certified)]
        cells.insert(3, str(len(best.certificate.leaves)))
        cells.append(f"{closed:.0%}" if np.isfinite(closed) else "-")
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(f'{share:.2%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
