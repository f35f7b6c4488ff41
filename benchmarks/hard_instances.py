"""What the two scenarios built against greedy heuristics do to them, and where the bound on regret says something.

    python benchmarks/hard_instances.py [--output FILE.json]

Static allocations are enumerated: the optimum is by brute force. Gains in units of what holding the task asked for
saves in a slot. The bound is the sharper one of docs/model.md#regret-bounds (psi-regret, psi = 1 - 1/e); without psi it
bounds state regret.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from idn_agents.infida.bounds import PSI, regret_bound
from stored import markdown, of, stamp, values, write

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
AGENTS = ("static-greedy", "last-batch-greedy", "load-aware-greedy", "infida", "infida, state", "infida-offline")


def main() -> None:
    """Print both tables, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    document = {**stamp(), "rows": regrets(), "shares": shares()}
    print(*tables(document).values(), sep="\n\n")
    if options.output:
        write(options.output, document)


def regrets() -> list[dict[str, Any]]:
    """On `adversary`, by seed: what is gained, and the bound on regret, in units of T slots' worth."""
    rows = []
    for exponent in (1.0, 0.0):
        network = _network(adversary(exponent=exponent))
        unit = float(network.service.costs[0, -1] - network.service.costs[0, 0]) * 600.0
        for slots in (2**k for k in range(8, 15, 2)):
            for seed in SEEDS:
                trace = draw(network, slots, seed)
                fractional = play(network, trace, AgentSpec("infida"), seed).table.fractional_gain
                assert fractional is not None
                gains = {
                    "optimum": static_optimum(network, trace),
                    "greedy": play(network, trace, AgentSpec("last-batch-greedy"), seed).summary.gain,
                    "state": float(fractional.sum()),
                    "bound": regret_bound(network, slots),
                }
                shares = {key: gain / unit / slots for key, gain in gains.items()}
                rows.append({"exponent": exponent, "slots": slots, "seed": seed, **shares})
    return rows


def shares() -> list[dict[str, Any]]:
    """On `greedy-trap`, by size, seed and agent: the share of the static optimum."""
    rows = []
    for size in (3.0, 12.0, 48.0):
        network = _network(greedy_trap(size))
        for seed in SEEDS:
            trace = draw(network, 600, seed)
            optimum = static_optimum(network, trace)
            for agent in AGENTS:
                result = play(network, trace, AgentSpec(agent.partition(",")[0]), seed)
                fractional = result.table.fractional_gain
                gain = float(fractional.sum()) if "state" in agent and fractional is not None else result.summary.gain
                rows.append({"size": size, "seed": seed, "agent": agent, "share": gain / optimum})
    return rows


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown: means over seeds (of the optimum also least and most), and shares, least and most of seeds."""
    lines = []
    for exponent in values(document["rows"], "exponent"):
        for slots in values(document["rows"], "slots"):
            rows = of(document["rows"], exponent=exponent, slots=slots)
            optimum = [row["optimum"] for row in rows]
            means = [float(np.mean([row[key] for row in rows])) for key in ("greedy", "state", "bound")]
            cells = [f"{np.mean(optimum):.4f} [{min(optimum):.4f}, {max(optimum):.4f}]"]
            cells += [f"{share:.4f}" for share in (*means[:2], PSI * means[2], means[2])]
            lines.append([f"{exponent:g}", str(slots), *cells])
    header = (
        "exponent",
        "T",
        "static optimum",
        "last-batch-greedy",
        "infida, state",
        "psi-bound",
        "state-regret bound",
    )
    sizes = []
    for size in values(document["shares"], "size"):
        each = [[row["share"] for row in of(document["shares"], size=size, agent=agent)] for agent in AGENTS]
        sizes.append([f"{size:g}", *(f"{min(share):.3f} - {max(share):.3f}" for share in each)])
    return {"adversary": markdown(header, lines), "greedy-trap": markdown(("size", *AGENTS), sizes)}


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
