"""What the two scenarios built against greedy heuristics do to them, and where the bound on regret says something.

    python benchmarks/hard_instances.py

Static allocations are enumerated: the optimum is by brute force. Gains in units of what holding the task asked for
saves in a slot. The bound is the sharper one of docs/model.md#regret-bounds (psi-regret, psi = 1 - 1/e); without psi it
bounds state regret.
"""

from __future__ import annotations

import itertools

import numpy as np
from idn_agents.infida.bounds import PSI, regret_bound

from idn_gym import kernels
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.hard_instances import adversary, greedy_trap
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.scenario import parse
from idn_gym.scenario.schema import FORMAT
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

SEEDS = range(5)


def main() -> None:
    """Print both tables."""
    print("adversary, mean over seeds 0-4 (optimum: least and most), as shares of T:\n")
    print("| exponent | T | static optimum | last-batch-greedy | infida, state | psi-bound | state-regret bound |")
    print("|---" * 7 + "|")
    for exponent in (1.0, 0.0):
        network = _network(adversary(exponent=exponent))
        unit = float(network.service.costs[0, -1] - network.service.costs[0, 0]) * 600.0
        for slots in (2**k for k in range(8, 15, 2)):
            best, greedy, state = [], [], []
            for seed in SEEDS:
                trace = draw(network, slots, seed)
                best.append(static_optimum(network, trace) / unit / slots)
                greedy.append(play(network, trace, AgentSpec("last-batch-greedy"), seed).summary.gain / unit / slots)
                fractional = play(network, trace, AgentSpec("infida"), seed).table.fractional_gain
                assert fractional is not None
                state.append(fractional.sum() / unit / slots)
            bound = regret_bound(network, slots) / unit / slots
            optimum = f"{np.mean(best):.4f} [{min(best):.4f}, {max(best):.4f}]"
            cells = [f"{x:.4f}" for x in (np.mean(greedy), np.mean(state), PSI * bound, bound)]
            print(f"| {exponent:g} | {slots} | {optimum} | {' | '.join(cells)} |", flush=True)

    print("\ngreedy-trap, 600 slots, share of the static optimum, least and most of seeds 0-4:\n")
    agents = ("static-greedy", "last-batch-greedy", "load-aware-greedy", "infida", "infida, state", "infida-offline")
    print("| size | " + " | ".join(agents) + " |")
    print("|---" * (1 + len(agents)) + "|")
    for size in (3.0, 12.0, 48.0):
        network = _network(greedy_trap(size))
        shares: dict[str, list[float]] = {agent: [] for agent in agents}
        for seed in SEEDS:
            trace = draw(network, 600, seed)
            optimum_gain = static_optimum(network, trace)
            for agent in agents:
                result = play(network, trace, AgentSpec(agent.partition(",")[0]), seed)
                fractional = result.table.fractional_gain
                gain = float(fractional.sum()) if "state" in agent and fractional is not None else result.summary.gain
                shares[agent].append(gain / optimum_gain)
        print(f"| {size:g} | " + " | ".join(f"{min(s):.3f} - {max(s):.3f}" for s in shares.values()) + " |", flush=True)


def static_optimum(network: Network, trace: Trace) -> float:
    """Gain of the best static allocation, by enumeration."""
    held = np.array(list(itertools.product((0.0, 1.0), repeat=network.P)))
    in_use, _ = kernels.memory(network, held, np.zeros_like(held))
    feasible = held[(in_use <= room(network.budgets)).all(axis=1)]
    return max(float(kernels.gain(network, trace.requests, trace.capacities, x).sum()) for x in feasible)


def _network(data: dict[str, object]) -> Network:
    return Network.compile(parse({"format": FORMAT, **data}, str(data["name"])))


if __name__ == "__main__":
    main()
