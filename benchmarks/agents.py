"""The agents side by side on one stream per seed: the tables of docs/agents.md and docs/regimes.md.

    python benchmarks/agents.py [--scenarios NAME ...] [--seeds 3] [--slots 600] [--output FILE.json]

Prints a Markdown table per scenario: mean over seeds, plus or minus the standard deviation between seeds. Rows `tuned`
have the parameters of `benchmarks/tuning.py`. The file has a part per scenario; of what this commit stored there,
streams of the same agents and slots are not run again: after an interruption the same command goes on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from stored import markdown, of, resumed, store, values
from tuning import GRIDS, SCENARIOS, tuned

from idn_gym.experiment.bounds import bound_shares, telling
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario

Row = dict[str, Any]

STATIC = ("optimum:gap=0.005,time_limit=60", "static-greedy", "infida-offline")
ONLINE = ("last-batch-greedy", "load-aware-greedy", "infida-coordinated", "infida")
LAST = ("random", "repository-only")
YARDSTICKS = {  # by what popularity does
    "sliding": ("dynamic-optimum:gap=0.005,time_limit=120", "law-aware:delay=1,time_limit=120"),
    "fixed": ("law-aware:time_limit=120",),
}
COLUMNS = {"of_bound": "static bound", "of_dynamic_bound": "dynamic bound", "of_law_aware": "law-aware"}


def contenders(scenario: str) -> dict[str, str]:
    """What a row is called -> the agent."""
    workload = load_scenario(scenario).workload
    yardsticks = YARDSTICKS[getattr(workload, "profile", "fixed")]
    settings = tuned(scenario)
    online = [(name, agent) for plain in ONLINE for name, agent in _with_tuned(plain, settings)]
    return {
        **{agent.partition(":")[0]: agent for agent in (*yardsticks, *STATIC)},
        **dict(online),
        **{a: a for a in LAST},
    }


def _with_tuned(plain: str, settings: dict[str, str]) -> list[tuple[str, str]]:
    return [(plain, plain), *([(f"{plain}, tuned", settings[plain])] if plain in GRIDS else [])]


def measured(scenario: str, slots: int, seed: int) -> list[Row]:
    """One row per agent; one that is tuned to its defaults is run once."""
    network, trace = RunSpec(load_scenario(scenario), AgentSpec("none"), seed=seed, slots=slots).stream()
    agents = contenders(scenario)
    results = {}
    for agent in dict.fromkeys(agents.values()):
        results[agent] = play(network, trace, AgentSpec.parse(agent), seed)
        print(f"{scenario}, seed {seed}: {agent}: NTAG {results[agent].summary.ntag:.3f}", file=sys.stderr, flush=True)
    rows = []
    for name, agent in agents.items():
        result = results[agent]
        about = {"scenario": scenario, "seed": seed, "slots": slots, "name": name, "hindsight": result.hindsight}
        proven = {key: result.info[key] for key in ("bound", "certified_bound", "gap", "status") if key in result.info}
        rows.append({**about, **result.row(), **bound_shares(result, list(results.values())), **proven})
    return rows


def rows_of(document: dict[str, Any]) -> list[Row]:
    """The rows of all scenarios."""
    return [row for part in document.values() for row in part["rows"]]


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario, and by agent."""
    rows = rows_of(document)
    found = {name: table(of(rows, scenario=name)) for name in values(rows, "scenario")}
    return found | {f"agent {name}": _of_agent(rows, name) for name in values(rows, "name") if ", tuned" not in name}


def _of_agent(rows: list[Row], name: str) -> str:
    """A line per scenario, of the agent as it comes and, where it was, tuned."""
    lines = []
    for called in (name, f"{name}, tuned"):
        for scenario in values(of(rows, name=called), "scenario"):
            each = of(rows, name=called, scenario=scenario)
            told = telling(of(rows, scenario=scenario))
            key = next((key for key in ("of_dynamic_bound", "of_bound") if key in told and key in each[0]), None)
            share = f"{spread([100.0 * row[key] for row in each], 1)} % of the {COLUMNS[key]}" if key else ""
            cells = [f"{scenario}{called.removeprefix(name)}", spread([row["ntag"] for row in each], 2), share]
            lines.append([*cells, spread([row["model_update_mb"] / 1e3 for row in each], 2)])
    return markdown(("scenario", "NTAG (ms)", "total gain", "GB loaded per slot"), lines)


def table(rows: list[Row]) -> str:
    """Markdown: one line per agent, with its share of what is told of this stream's yardsticks."""
    told = telling(rows)
    head = ["agent", "NTAG (ms)", *(f"total gain, of {COLUMNS[key]}" for key in told)]
    head += ["fractional NTAG", "latency (ms)", "inaccuracy (pp)", "GB loaded per slot"]
    seeds = values(rows, "seed")
    about = f"**{rows[0]['scenario']}**, {rows[0]['slots']} slots, seeds {seeds[0]} to {seeds[-1]}"
    lines = [about, "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in values(rows, "name"):
        of_agent = of(rows, name=name)

        def cell(key: str, digits: int, scale: float = 1.0, of_agent: list[Row] = of_agent, unit: str = "") -> str:
            found = [row[key] * scale for row in of_agent if row.get(key) is not None]
            return f"{spread(found, digits)}{unit}" if found else ""

        plain, comma, word = name.partition(",")
        cells = [
            f"`{plain}`{comma}{word}{' *' * of_agent[0]['hindsight']}",
            cell("ntag", 2),
            *(cell(key, 1, 100.0, unit=" %") for key in told),
            cell("fractional_ntag", 2),
            cell("latency_ms", 2),
            cell("inaccuracy", 2),
            cell("model_update_mb", 2, 1e-3),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    settings = {row["name"]: row["agent"] for row in rows if row["name"].endswith(", tuned")}
    return "\n".join(lines) + "\n\nTuned: " + ", ".join(f"`{agent}`" for agent in settings.values()) + "."


def spread(values: list[float], digits: int) -> str:
    """Mean plus or minus the standard deviation."""
    return f"{statistics.mean(values):.{digits}f}" + (
        f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    )


def main() -> None:
    """Run what is missing, storing it if asked, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=600)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    for scenario in options.scenarios:
        agents = {name: str(AgentSpec.parse(agent)) for name, agent in contenders(scenario).items()}
        known = resumed(options.output, scenario).get("rows", [])
        rows: list[Row] = []
        for seed in range(options.seeds):
            before = of(known, seed=seed, slots=options.slots)
            same = {row["name"]: row["agent"] for row in before} == agents
            rows += before if same else measured(scenario, options.slots, seed)
            if options.output:
                store(options.output, {"rows": rows}, scenario, unfinished=seed + 1 < options.seeds)
        print(f"\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
