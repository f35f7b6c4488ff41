"""Agents on the packaged chains: what each gains, as a share of a certified bound on the best static allocation.

    python benchmarks/chains_agents.py [--scenarios NAME ...] [--seeds 3] [--slots 120] [--time-limit 30]
        [--output FILE.json]
    python benchmarks/chains_agents.py --steps [--scenarios NAME ...] [--seeds 2] [--slots 600] [--output FILE.json]

Fixed popularity. Prints a Markdown table, and says of each scenario whether the best online agent reaches 90 % of the
bound and is above greedy on the last batch, and how much of what it lacks no allocation that was found has either.
With `--steps`: INFIDA's state by the scale of its steps, how far it swings, and what it comes to rounded by whole
routes and node by node, from the same states.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from idn_agents.infida.infida import Infida
from idn_agents.optimum import solve
from idn_agents.rounding.rounding import Dependent
from idn_agents.rounding.whole_routes import WholeRoutes
from stored import markdown, of, store, values

from idn_gym import kernels
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
    solve(network, draw(network, 2, 1), gap=0.5, time_limit=30.0)  # compiles
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


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown of the parts that are there."""
    shown = {"agents": table, "steps": steps_table}
    return {part: show(document[part]["rows"]) for part, show in shown.items() if part in document}


def steps_table(rows: list[Row]) -> str:
    """Markdown: means over seeds."""
    columns = {"state": "state", "routes": "rounded by routes", "nodes": "rounded by nodes", "moved": "moves, % of MB"}
    lines = []
    for name in values(rows, "scenario"):
        for scale in values(rows, "scale"):
            each = of(rows, scenario=name, scale=scale)
            cells = [f"{statistics.mean(row[key] for row in each):.2f}" for key in columns]
            lines.append([name, f"{scale:g}", *cells])
    return markdown(("scenario", "scale", *columns.values()), lines)


def table(rows: list[Row]) -> str:
    """Markdown: share of the certified bound in %, mean over seeds, and its range."""
    scenarios = values(rows, "scenario")
    lines = ["| | " + " | ".join(scenarios) + " |", "|---|" + "---|" * len(scenarios)]
    for agent in (FOUND, *HINDSIGHT, *ONLINE, STATE):
        cells = []
        for name in scenarios:
            each = shares(rows, name, agent)
            cells.append(f"{statistics.mean(each):.1f} ({min(each):.1f} to {max(each):.1f})" if each else "")
        marked = f"{agent} *" if agent in (FOUND, *HINDSIGHT) else agent
        lines.append(f"| {marked} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "\\* in hindsight. The state is fractional, and may be above the best allocation."])


def shares(rows: list[Row], name: str, agent: str) -> list[float]:
    """% of the certified bound, by seed."""
    return [100.0 * row["net"] / row["bound"] for row in of(rows, scenario=name, agent=agent)]


def verdicts(rows: list[Row]) -> str:
    """A line for each scenario."""
    lines = []
    for name in values(rows, "scenario"):
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


def steps(name: str, slots: int, seeds: int) -> list[Row]:
    """Per scale and seed: ms per request of the state, rounded by routes and by nodes; % of its MB it moves a slot."""
    network = Network.compile(load_scenario(name, {"workload.profile": "fixed"}))
    rows = []
    for scale in SCALES:
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
                for which, rounding in enumerate(roundings, 1):
                    held[which, slot] = rounding.round(held[0, slot : slot + 1])
                    rounding.see(trace.requests[slot], network.capacities)
            gains = [kernels.gain(network, trace.requests, trace.capacities, each).sum() for each in held]
            late = held[0, slots // 2 :]
            moved = 50.0 * (np.abs(np.diff(late, axis=0)) @ network.sizes).mean() / (late @ network.sizes).mean()
            per_request = [float(gain / trace.requests.sum()) for gain in gains]
            row = dict(zip(("state", "routes", "nodes"), per_request, strict=True))
            rows.append({"scenario": name, "scale": scale, "seed": seed, **row, "moved": float(moved)})
        print(f"{name}, scale {scale:g}: done", file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--time-limit", type=float, default=30.0, help="seconds for each bound")
    parser.add_argument("--output", type=Path, help="the part that was run is put into it")
    parser.add_argument("--steps", action="store_true")
    chosen = parser.parse_args()
    rows: list[Row] = []
    for name in chosen.scenarios:
        if chosen.steps:
            rows += steps(name, chosen.slots or 600, chosen.seeds or 2)
        else:
            rows += measured(name, chosen.slots or 120, chosen.seeds or 3, chosen.time_limit)
    part = "steps" if chosen.steps else "agents"
    print(*tables({part: {"rows": rows}}).values(), sep="\n\n")
    if not chosen.steps:
        print("", verdicts(rows), sep="\n")
    if chosen.output:
        store(chosen.output, {"rows": rows}, part)


if __name__ == "__main__":
    main()
