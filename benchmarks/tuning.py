"""The parameters with which each heuristic is strongest, so that no rival is left at its defaults: the `tuned` rows.

    python benchmarks/tuning.py [--scenarios NAME ...]     # goes on with what this commit has not stored yet

The rule: per scenario and heuristic, the setting of `GRIDS` with the largest total net gain on the streams of seeds
3000 and 3001, 240 slots; no table reports those. Ties go to the setting that is listed first, and lists begin with the
defaults. Stored with the gain of every setting, per request.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from stored import RESULTS as FOLDER
from stored import read, resumed, store

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

RESULTS = FOLDER / "tuning.json"
SCENARIOS = (
    *(f"topology-{number}-{profile}" for number in (2, 1) for profile in ("fixed", "sliding", "bursty")),
    *("abilene-sliding", "geant-sliding"),
)
SEEDS, SLOTS = (3000, 3001), 240
GRIDS: dict[str, dict[str, Sequence[Any]]] = {  # every combination; each list begins with the default
    "last-batch-greedy": {"keep": (0.5, 0.0, 0.1, 0.25, 1.0), "average": (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)},
    "load-aware-greedy": {
        "decay": (0.0, 0.5, 0.8, 0.9, 0.95),
        "counting": ("all", "others"),
        "sharing": ("proportional", "none"),
    },
    "infida": {"scale": (1.0, 0.25, 0.5, 2.0, 4.0)},
}


def settings(heuristic: str) -> list[AgentSpec]:
    """Every setting of a heuristic, the defaults first; a value that is the default is left out."""
    grid = GRIDS[heuristic]
    return [
        AgentSpec(heuristic, {key: value for key, value in zip(grid, values, strict=True) if value != grid[key][0]})
        for values in product(*grid.values())
    ]


def tried(network: Network, traces: Mapping[int, Trace], specs: Sequence[AgentSpec]) -> dict[str, float]:
    """Setting -> net gain per request in ms over the streams, by seed."""
    requests = sum(float(trace.requests.sum()) for trace in traces.values())
    return {
        str(spec): sum(play(network, trace, spec, seed).summary.worth for seed, trace in traces.items()) / requests
        for spec in specs
    }


def best(gains: Mapping[str, float]) -> str:
    """The setting that gained most, of equals the first."""
    return max(gains, key=lambda setting: gains[setting])


def tuned(scenario: str, heuristics: Sequence[str] = tuple(GRIDS)) -> dict[str, str]:
    """Heuristic -> its tuned setting for a scenario, as stored."""
    known = read(RESULTS) if RESULTS.exists() else {}
    if scenario not in known or "unfinished" in known[scenario]:
        raise SystemExit(f"{scenario} is not tuned yet: python benchmarks/tuning.py")
    return {heuristic: best(known[scenario]["gains"][heuristic]) for heuristic in heuristics}


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    return {"tuned": table({scenario: part["gains"] for scenario, part in document.items()})}


def table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Markdown: per scenario and heuristic the tuned setting, and what it gains beside the defaults."""
    lines = ["| scenario | tuned | ms per request | defaults |", "|---|---|---|---|"]
    for scenario, heuristics in found.items():
        for heuristic, gains in heuristics.items():
            setting = best(gains)
            lines.append(f"| {scenario} | `{setting}` | {gains[setting]:.2f} | {gains[heuristic]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Try what is missing, storing it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS)
    options = parser.parse_args()
    for scenario in options.scenarios:
        gains: dict[str, dict[str, float]] = resumed(RESULTS, scenario).get("gains", {})
        network = Network.compile(load_scenario(scenario))
        traces = {seed: draw(network, SLOTS, seed) for seed in SEEDS}
        for heuristic in GRIDS:
            if list(gains.get(heuristic, ())) != [str(spec) for spec in settings(heuristic)]:
                gains[heuristic] = tried(network, traces, settings(heuristic))
                print(f"{scenario}: {best(gains[heuristic])}", file=sys.stderr, flush=True)
                store(RESULTS, {"gains": gains}, scenario, unfinished=len(gains) < len(GRIDS))
    print(tables(read(RESULTS))["tuned"])


if __name__ == "__main__":
    main()
