"""How the comparison of agents depends on what is not known of the set-up: budgets, rate, alpha, slot length, catalog.

    python benchmarks/sensitivity.py [--scenario topology-1-sliding] [--slots 240] [--seed 0] [--bound-seconds 20]

Prints a Markdown table: one line per setting, NTAG in ms per agent, and the bound on the best static allocation per
request. The packaged setting is the line that says so; every other line changes one thing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from idn_gym.experiment import AgentSpec, RunSpec, play, static_bound
from idn_gym.scenario import parse
from idn_gym.scenario_file import load_scenario

AGENTS = ("random", "static-greedy", "last-batch-greedy", "load-aware-greedy", "infida")
CATALOGS = {
    "YOLOv4 at four sizes only": ("yolov4-608", "yolov4-512", "yolov4-416", "yolov4-320"),
    "pruned models only": ("yolobile-4x", "yolobile-8x", "yolobile-10x", "yolobile-14x"),
    "two variants": ("yolov4-416", "yolobile-14x"),
}
Change = Callable[[dict[str, Any]], None]


def settings() -> Iterator[tuple[str, Change]]:
    """Name of each setting, and what it changes in the values of a scenario file."""
    yield "as packaged", lambda values: None
    for factor in (0.5, 2.0, 4.0):
        yield f"budgets x {factor:g}", lambda values, factor=factor: _scale_budgets(values, factor)
    for rate in (300, 1500, 3000, 15000):
        yield f"rate of Topology I {rate}/s", lambda values, rate=rate: _scale_rate(values, rate / 7500)
    for alpha in (0.5, 2.0, 4.0):
        yield f"alpha {alpha:g}", lambda values, alpha=alpha: values.update(accuracy_weight=alpha)
    for seconds in (1.0, 10.0, 600.0):
        yield f"slots of {seconds:g} s", lambda values, seconds=seconds: values.update(slot_seconds=seconds)
    yield "3 replicas", lambda values: values.update(replicas=3)
    yield (
        "YOLOv4 at four sizes only",
        lambda values: _keep_variants(values, "yolov4-608 yolov4-512 yolov4-416 yolov4-320"),
    )
    yield (
        "pruned models only",
        lambda values: _keep_variants(values, "yolobile-4x yolobile-8x yolobile-10x yolobile-14x"),
    )
    yield "two variants", lambda values: _keep_variants(values, "yolov4-416 yolobile-14x")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="topology-1-sliding")
    parser.add_argument("--slots", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bound-seconds", type=float, default=20.0)
    options = parser.parse_args()
    optimum = AgentSpec("optimum", {"time_limit": options.bound_seconds})
    columns = ("setting", *AGENTS, "infida, fractional", "optimum", "static bound")
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for name, change in settings():
        values = load_scenario(options.scenario).to_dict()
        change(values)
        network, trace = RunSpec(parse(values, name), optimum, options.seed, options.slots).stream()
        results = {spec: play(network, trace, AgentSpec(spec), options.seed) for spec in AGENTS}
        best = play(network, trace, optimum, options.seed)
        bound = (static_bound([best]) or 0.0) / trace.requests.sum()
        figures = [results[spec].summary.ntag for spec in AGENTS]
        figures += [results["infida"].summary.fractional_ntag or 0.0, best.summary.ntag, bound]
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |", flush=True)


def _scale_budgets(values: dict[str, Any], factor: float) -> None:
    for node in values["nodes"]:
        node["budget"] *= factor


def _scale_rate(values: dict[str, Any], factor: float) -> None:
    values["workload"]["rate"] *= factor


def _keep_variants(values: dict[str, Any], variants: tuple[str, ...]) -> None:
    kept = {model["name"] for model in values["models"] if model["name"].rpartition("/")[2] in variants}
    values["models"] = [model for model in values["models"] if model["name"] in kept]
    for node in values["nodes"]:
        if "repository" in node:
            node["repository"] = [name for name in node["repository"] if name in kept]


if __name__ == "__main__":
    main()
