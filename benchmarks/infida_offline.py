"""What INFIDA offline reaches of the fractional optimum on packaged scenarios: its average state, and that rounded.

python benchmarks/infida_offline.py [--slots 120] [--seed 0] [--scenario S]

Prints a Markdown table; shares are of `fractional_bound`, above which no fractional allocation gains.
"""

from __future__ import annotations

import argparse

from idn_agents.infida.infida import InfidaOffline
from idn_agents.optimum.search import solve

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
    parser.add_argument("--scenario", action="append", help="default: all packaged ones")
    options = parser.parse_args()
    print("| scenario | INFIDA offline, state | rounded |\n|---|---|---|")
    for name in options.scenario or packaged_names():
        network = Network.compile(load_scenario(name))
        trace = draw(network, options.slots, options.seed)
        bound = solve(network, trace, gap=0.0005, time_limit=60.0, leaves=1).fractional_bound
        agent = InfidaOffline()
        agent.reset(network, options.seed)
        agent.fit(trace)
        gains = [
            kernels.gain(network, trace.requests, trace.capacities, held).sum()
            for held in (agent.fractional, agent.act({}))
        ]
        print(f"| {name} | {' | '.join(f'{float(gain) / bound:.2%}' for gain in gains)} |", flush=True)


if __name__ == "__main__":
    main()
