"""The agents side by side on one stream per seed: the tables of results in the README.

    python benchmarks/agents.py [--scenarios NAME ...] [--seeds 5] [--slots 600] [--output FILE.json]

Prints a Markdown table per scenario: mean over seeds, plus or minus the standard deviation between seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from idn_gym.experiment.bounds import static_bound
from idn_gym.experiment.folders import versions
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario

AGENTS = (
    "optimum:gap=0.005,time_limit=60",
    "static-greedy",
    "infida-offline",
    "last-batch-greedy",
    "load-aware-greedy",
    "infida-coordinated",
    "infida",
    "random",
    "repository-only",
)


def measured(scenario: str, slots: int, seeds: int) -> list[dict[str, Any]]:
    """One row per seed and agent."""
    rows = []
    for seed in range(seeds):
        spec = RunSpec(load_scenario(scenario), AgentSpec(AGENTS[0]), seed=seed, slots=slots)
        network, trace = spec.stream()
        results = [play(network, trace, AgentSpec.parse(agent), seed) for agent in AGENTS]
        bound = static_bound(results)
        for result in results:
            share = result.summary.gain / bound if bound else None
            rows.append({"scenario": scenario, "seed": seed, **result.row(), "share_of_bound": share})
            print(f"{scenario}, seed {seed}: {result.agent}: NTAG {result.summary.ntag:.3f}", file=sys.stderr)
        gap = results[0].info
        rows[-len(results)] |= {key: gap[key] for key in ("bound", "certified_bound", "gap", "status")}
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line per agent."""
    lines = [
        "| agent | NTAG (ms) | total gain, of static bound | fractional NTAG "
        "| latency (ms) | inaccuracy (pp) | GB loaded per slot |",
        "|---|---|---|---|---|---|---|",
    ]
    for agent in AGENTS:
        spec = AgentSpec.parse(agent)
        of_agent = [row for row in rows if row["agent"] == str(spec)]
        star = " *" if getattr(spec.make(), "hindsight", False) else ""

        def cell(key: str, digits: int, scale: float = 1.0, of_agent: list[dict[str, Any]] = of_agent) -> str:
            values = [row[key] * scale for row in of_agent if row.get(key) is not None]
            if not values:
                return ""
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            return f"{statistics.mean(values):.{digits}f}{spread}"

        cells = [
            f"`{agent.partition(':')[0]}`{star}",
            cell("ntag", 2),
            cell("share_of_bound", 1, 100.0) + " %",
            cell("fractional_ntag", 2),
            cell("latency_ms", 2),
            cell("inaccuracy", 2),
            cell("model_update_mb", 2, 1e-3),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run, print the tables, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", nargs="+", default=["topology-1-fixed", "topology-1-sliding"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=600)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    for scenario in options.scenarios:
        of_scenario = measured(scenario, options.slots, options.seeds)
        rows += of_scenario
        print(
            f"\n**{scenario}**, {options.slots} slots, seeds 0 to {options.seeds - 1}\n\n{table(of_scenario)}",
            flush=True,
        )
    if options.output:
        about = {
            "command": " ".join(["python", *sys.argv]),
            "date": time.strftime("%Y-%m-%d"),
            "versions": versions(),
            "rows": rows,
        }
        options.output.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
