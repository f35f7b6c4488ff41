"""Agents on the packaged chains: what each gains, as a share of a certified bound on the best static allocation.

    python benchmarks/chains_agents.py [--scenarios NAME ...] [--seeds 3] [--slots 120] [--time-limit 30]
        [--output FILE.json]
    python benchmarks/chains_agents.py --steps [--scenarios NAME ...] [--seeds 2] [--slots 600]

Fixed popularity. Prints a Markdown table, and says of each scenario whether the best online agent reaches 90 % of the
bound and is above greedy on the last batch, and how much of what it lacks no allocation that was found has either.
With `--steps`: INFIDA's state by the scale of its steps, how far it swings, and what it comes to rounded by whole
routes and node by node, from the same states.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from idn_agents.infida.infida import Infida
from idn_agents.optimum import solve
from idn_agents.rounding.rounding import Dependent
from idn_agents.rounding.whole_routes import WholeRoutes

from idn_gym import kernels
from idn_gym.experiment.folders import versions
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

SCENARIOS = ("pipeline-video", "partition-resnet", "draft-and-verify")
HINDSIGHT = ("static-greedy", "infida-offline")
ONLINE = (
    "infida-coordinated",
    "infida:rounding=coordinated",
    "infida",
    "infida:rounding=dependent",
    "last-batch-greedy",
    "last-batch-greedy:average=0.9",
    "random",
)
STATE, FOUND = "infida, state", "best allocation found"
GREEDY = "last-batch-greedy"
SCALES = (0.25, 0.5, 1.0, 2.0)
Row = dict[str, Any]


def measured(name: str, slots: int, seeds: int, limit: float) -> list[Row]:
    """One row per seed and agent: ms of net gain and of the certified bound."""
    network = Network.compile(load_scenario(name, {"workload.profile": "fixed"}))
    rows = []
    for seed in range(seeds):
        trace = draw(network, slots, seed)
        best = solve(network, trace, gap=0.001, time_limit=limit)
        gains: dict[str, float] = {FOUND: best.gain if best.net is None else best.net}
        for agent in (*HINDSIGHT, *ONLINE):
            result = play(network, trace, AgentSpec.parse(agent), seed)
            gains[agent] = result.summary.worth
            if agent == "infida" and result.table.fractional_gain is not None:
                gains[STATE] = float(result.table.fractional_gain.sum())
            print(f"{name}, seed {seed}: {agent} {gains[agent] / best.certified_bound:.1%}", file=sys.stderr)
        rows += [
            {"scenario": name, "seed": seed, "agent": agent, "net": net, "bound": best.certified_bound}
            for agent, net in gains.items()
        ]
    return rows


def table(rows: list[Row]) -> str:
    """Markdown: share of the certified bound in %, mean over seeds, and its range."""
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    lines = ["| | " + " | ".join(scenarios) + " |", "|---|" + "---|" * len(scenarios)]
    for agent in (FOUND, *HINDSIGHT, *ONLINE, STATE):
        cells = []
        for name in scenarios:
            of = shares(rows, name, agent)
            cells.append(f"{statistics.mean(of):.1f} ({min(of):.1f} to {max(of):.1f})" if of else "")
        marked = f"{agent} *" if agent in (FOUND, *HINDSIGHT) else agent
        lines.append(f"| {marked} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "\\* in hindsight. The state is fractional, and may be above the best allocation."])


def shares(rows: list[Row], name: str, agent: str) -> list[float]:
    """% of the certified bound, by seed."""
    return [100.0 * row["net"] / row["bound"] for row in rows if (row["scenario"], row["agent"]) == (name, agent)]


def verdicts(rows: list[Row]) -> str:
    """A line for each scenario."""
    lines = []
    for name in dict.fromkeys(row["scenario"] for row in rows):
        mean = {agent: statistics.mean(shares(rows, name, agent)) for agent in (FOUND, *ONLINE)}
        best = max(ONLINE, key=lambda agent, mean=mean: mean[agent])
        above = "above" if mean[best] > mean[GREEDY] else "NOT above"
        reached = "" if mean[best] >= 90.0 else ", below 90 %"
        lines.append(
            f"{name}: {best} at {mean[best]:.1f} % of the bound{reached}, {above} {GREEDY} ({mean[GREEDY]:.1f} %); "
            f"of the {100.0 - mean[best]:.1f} points it lacks, no allocation that was found has "
            f"{100.0 - mean[FOUND]:.1f}"
        )
    return "\n".join(lines)


def steps(name: str, slots: int, seeds: int) -> list[list[float]]:
    """Per scale: ms per request of the state, rounded by routes, and by nodes; and MB it moves per slot, in % of it."""
    network = Network.compile(load_scenario(name, {"workload.profile": "fixed"}))
    rows = []
    for scale in SCALES:
        found = []
        for seed in range(seeds):
            trace = draw(network, slots, seed)
            agent = Infida(scale=scale, refresh=slots + 1)
            agent.reset(network, seed)
            roundings = WholeRoutes(network, seed), Dependent(network, seed, "drop")
            held = np.zeros((3, slots, network.P))
            for slot in range(slots):
                requests = trace.requests[slot - 1] if slot else np.zeros(network.R)
                agent.act({"requests": requests, "capacities": network.capacities, "allocation": held[0, slot]})
                held[0, slot] = agent.fractional
                for of, rounding in enumerate(roundings, 1):
                    held[of, slot] = rounding.round(held[0, slot : slot + 1])
                    rounding.see(trace.requests[slot], network.capacities)
            gains = [kernels.gain(network, trace.requests, trace.capacities, of).sum() for of in held]
            late = held[0, slots // 2 :]
            moved = 50.0 * (np.abs(np.diff(late, axis=0)) @ network.sizes).mean() / (late @ network.sizes).mean()
            found.append([*(gain / trace.requests.sum() for gain in gains), moved])
        rows.append([scale, *np.mean(found, axis=0).tolist()])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--time-limit", type=float, default=30.0, help="seconds for each bound")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--steps", action="store_true")
    chosen = parser.parse_args()
    if chosen.steps:
        columns = ("scenario", "scale", "state", "rounded by routes", "rounded by nodes", "moves, % of MB")
        print("| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), sep="\n")
        for name in chosen.scenarios:
            for scale, *values in steps(name, chosen.slots or 600, chosen.seeds or 2):
                print(f"| {name} | {scale:g} | " + " | ".join(f"{value:.2f}" for value in values) + " |", flush=True)
        return
    began, rows = time.time(), []
    for name in chosen.scenarios:
        rows += measured(name, chosen.slots or 120, chosen.seeds or 3, chosen.time_limit)
    if chosen.output:
        stored = {"versions": versions(), "seconds": round(time.time() - began), "rows": rows}
        chosen.output.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    print(table(rows), "", verdicts(rows), sep="\n")


if __name__ == "__main__":
    main()
