"""Systems of the field as agents: each beside INFIDA, the greedies and a certified bound, on one stream per seed.

    python benchmarks/systems.py [--scenarios NAME ...] [--seeds 5] [--slots 100] [--time-limit 10]
        [--results benchmarks/results/systems.json]
    python benchmarks/systems.py --tables        # Markdown, from what is stored

The tables of docs/systems.md. Scenarios that are not run again keep what is stored of them. Net gain is per request;
the bound is on that of the best static allocation, which is what a star has in hindsight, so that an agent that follows
its requests may be above it. Means over seeds, with 95 % confidence intervals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from idn_agents.optimum import solve
from idn_agents.systems.network import AGENTS
from stored import RESULTS, of, read, store, values

from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

BEST = "optimum"
OTHERS = ("infida-coordinated", "infida", "last-batch-greedy", "load-aware-greedy", "static-greedy", "repository-only")
HINDSIGHT = (BEST, "static-greedy")
VARIANTS = {"infadapter": ("infadapter:alpha=0.05",), "sled": ("sled:target=any",)}  # the system, otherwise set
CHAINS_REFUSED = ("load-aware-greedy",)
Row = dict[str, Any]


def measured(name: str, slots: int, seeds: int, limit: float) -> list[Row]:
    """One row per seed and agent."""
    network = Network.compile(load_scenario(name))
    system = AGENTS[name]
    agents = [system, *VARIANTS.get(system, ()), *OTHERS]
    if not network.service.submodular:
        agents = [agent for agent in agents if agent not in CHAINS_REFUSED]
    rows = []
    for seed in range(seeds):
        trace = draw(network, slots, seed)
        best = solve(network, trace, gap=0.001, time_limit=limit)
        count, bound = float(trace.requests.sum()), best.certified_bound
        found = play(network, trace, _Fixed(best.allocation), seed).summary
        summaries = {BEST: found}
        for agent in agents:
            summaries[agent] = play(network, trace, AgentSpec.parse(agent), seed).summary
        for agent, summary in summaries.items():
            rows.append(
                {
                    "scenario": name,
                    "seed": seed,
                    "agent": agent,
                    "net": summary.worth / count,
                    "share": 100.0 * summary.worth / bound,
                    "latency_ms": summary.latency_ms,
                    "inaccuracy": summary.inaccuracy,
                    "missed": None if summary.missed is None else 100.0 * summary.missed,
                    "price_per_hour": summary.price_per_hour,
                }
            )
        print(f"{name}, seed {seed}: {system} {rows[-len(summaries) + 1]['share']:.1f} % of the bound", file=sys.stderr)
    return rows


class _Fixed:
    """The best static allocation that was found."""

    def __init__(self, allocation: Any) -> None:
        self._allocation = allocation

    def reset(self, network: Network, seed: int) -> None:
        """Nothing to do."""

    def act(self, observation: dict[str, Any]) -> Any:
        return self._allocation

    def info(self) -> dict[str, Any]:
        return {}


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario."""
    found = {}
    for name, part in document.items():
        about = f"**{name}**, {len(values(part['rows'], 'seed'))} seeds of {part['slots']} slots"
        found[name] = f"{about}\n\n{table(part['rows'])}"
    return found


def table(rows: list[Row]) -> str:
    """Markdown of one scenario, the highest net gain first; what no agent has is left out."""
    columns = {
        "net": ("net gain, ms per request", ".2f"),
        "share": ("% of the bound", ".1f"),
        "latency_ms": ("latency, ms", ".1f"),
        "inaccuracy": ("inaccuracy, points", ".2f"),
        "missed": ("missed, %", ".2f"),
        "price_per_hour": ("price per hour", ".3f"),
    }
    columns = {key: column for key, column in columns.items() if any(row[key] for row in rows)}
    by_agent = {agent: of(rows, agent=agent) for agent in values(rows, "agent")}
    ranked = sorted(by_agent, key=lambda agent: -_mean(by_agent[agent], "net"))
    lines = [
        "| agent | " + " | ".join(header for header, _ in columns.values()) + " |",
        "|---|" + "---|" * len(columns),
    ]
    systems = set(AGENTS.values())
    for agent in ranked:
        shown = f"`{agent}`" + " *" * (agent in HINDSIGHT)
        shown = f"**{shown}**" if agent.partition(":")[0] in systems else shown
        cells = []
        for key, (_, form) in columns.items():
            interval = mean_interval([row[key] for row in by_agent[agent]])
            half = f" ± {interval.half:{form}}" if key in ("net", "share") else ""
            cells.append(f"{interval.mean:{form}}{half}")
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(rows: Iterable[Row], key: str) -> float:
    values = [row[key] for row in rows]
    return sum(values) / len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="+", choices=list(AGENTS), default=list(AGENTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds for each bound")
    parser.add_argument("--results", type=Path, default=RESULTS / "systems.json")
    parser.add_argument("--tables", action="store_true")
    chosen = parser.parse_args()
    for name in () if chosen.tables else chosen.scenarios:
        rows = measured(name, chosen.slots, chosen.seeds, chosen.time_limit)
        store(chosen.results, {"slots": chosen.slots, "time_limit": chosen.time_limit, "rows": rows}, name)
    print(*tables(read(chosen.results)).values(), sep="\n\n")


if __name__ == "__main__":
    main()
