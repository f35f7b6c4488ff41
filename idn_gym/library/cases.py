"""Scenarios drawn from a number, to tune agents on one half and to compare them on the other; docs/suite.md.

A case is decided by its split and number alone. Its workload and shape take turns, so that a few cases in a row hold
all of them; whatever else it is made of is drawn: nodes, links, processors, budgets, models, alpha and rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import networkx as nx
import numpy as np

from idn_gym.catalog import PROCESSORS, VARIANTS, detection_models
from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError
from idn_gym.library.packaged import TASKS
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.schema import FORMAT
from idn_gym.topology import nodes_and_links, tiers

SPLITS = ("training", "held-out")
KINDS = ("fixed", "sliding", "bursty", "persistent", "crowds", "local")  # of workloads
SHAPES = ("tree", "mesh")
HELD_OUT = 48  # cases that agents are compared on, unless somebody asks for others
_MOST = 10**6  # cases of a split
_MOST_PLACEMENTS, _MOST_NODES = 1_000, 12  # of a network, as Topology II has; without the cloud
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Case:
    """One scenario of a split.

    Raises
    ------
    IdnError
        If there is no such split or number.
    """

    split: str  # of `SPLITS`
    number: int  # from 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise IdnError(f"split {shown(self.split)}; {allowed(self.split, SPLITS)}")
        if not 0 <= self.number < _MOST:
            raise IdnError(f"case {self.number}; must be from 0 to {_MOST - 1:,}")

    @property
    def name(self) -> str:
        """Of the scenario: ``held-out-07``."""
        return f"{self.split}-{self.number:02d}"

    @property
    def kind(self) -> str:
        """Of its workload, one of `KINDS`."""
        return KINDS[self.number % len(KINDS)]

    @property
    def shape(self) -> str:
        """Of its network, one of `SHAPES`."""
        return SHAPES[self.number // len(KINDS) % len(SHAPES)]

    @cached_property
    def scenario(self) -> Scenario:
        """What is drawn for it."""
        draws = _Draws(np.random.default_rng([SPLITS.index(self.split), self.number]))
        alpha = draws.one_of((0.5, 1.0, 2.0, 4.0))
        scale = draws.one_of((0.5, 1.0, 2.0, 4.0))
        entries = 2 if self.kind in ("crowds", "local") else 1  # at least: they tell entry nodes apart
        graph = (_tree if self.shape == "tree" else _mesh)(draws, scale, entries)
        tasks, models = _models(draws, len(graph) - 1)
        _fit_budgets(graph, models, alpha)
        graph.nodes["cloud"]["repository"] = [model["name"] for model in models]
        rate = draws.spread(30.0, 400.0) * sum(data.get("entry", False) for _, data in graph.nodes(data=True))
        content = {
            "name": self.name,
            "horizon": 240,
            "accuracy_weight": alpha,
            "tasks": tasks,
            "models": models,
            **nodes_and_links(graph),
            "workload": {**_workload(draws, self.kind, len(tasks)), "rate": round(rate, 1)},
            "provenance": {
                "*": f"drawn: number {self.number} of the {self.split} split",
                "models": "drawn: variants of the detection catalog, each task's size and speed times a factor",
                "nodes.*.budget": f"drawn: {scale:g} times those of the packaged networks, and about that",
            },
        }
        return parse({"format": FORMAT, **content}, self.name)


def cases(split: str = "held-out", count: int = HELD_OUT, first: int = 0) -> list[Case]:
    """So many cases of a split, from the first number on.

    Raises
    ------
    IdnError
        If there is no such split, or it has not as many.
    """
    Case(split, first), Case(split, first + count - 1)  # refuses before there are billions
    return [Case(split, number) for number in range(first, first + count)]


class _Draws:
    """Numbers of several laws, each from one uniform number, so that what is drawn does not hang on a library's law."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        """Uniform, to a hundredth."""
        return round(low + (high - low) * self._generator.random(), 2)

    def spread(self, low: float, high: float) -> float:
        """Uniform in its logarithm, to three digits."""
        return float(f"{low * (high / low) ** self._generator.random():.3g}")

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self._generator.random())

    def one_of(self, items: Sequence[_Item]) -> _Item:
        """Each as likely as the others."""
        return items[self.whole(0, len(items) - 1)]

    def some_of(self, items: Sequence[_Item], count: int) -> list[_Item]:
        """So many of them, in their order."""
        ranks = [self._generator.random() for _ in items]
        kept = sorted(range(len(items)), key=ranks.__getitem__)[:count]
        return [items[i] for i in sorted(kept)]


def _tree(draws: _Draws, scale: float, entries: int) -> nx.Graph[str]:
    """The cloud above one to four tiers, each of which branches; requests enter at the last one."""
    depth = draws.whole(1, 4)
    counts = [1]
    for tier in range(depth):
        least = entries if tier == depth - 1 else 1
        room = (_MOST_NODES + 1 - sum(counts)) // (depth - tier)
        counts.append(max(least, min(counts[-1] * draws.whole(1, 3), room)))
    latencies = [draws.between(20.0, 60.0), *(draws.between(2.0, 20.0) for _ in range(depth - 1))]
    fast = draws.whole(1, depth)  # tiers, from the top, of the stronger processor
    budgets = [round(1500.0 * scale * 2.0 ** (depth - tier) * draws.between(0.7, 1.4)) for tier in range(1, depth + 1)]
    return tiers(
        counts,
        latencies,
        names=["cloud", *(f"tier{tier}" for tier in range(1, depth + 1))],
        processors=[PROCESSORS[0], *(PROCESSORS[int(tier >= fast)] for tier in range(depth))],
        budgets=[0.0, *budgets],
    )


def _mesh(draws: _Draws, scale: float, entries: int) -> nx.Graph[str]:
    """Sites that are linked at random, the cloud behind one or two of them; requests enter at some of them."""
    count = draws.whole(3, 9)
    sites = [f"site{n}" for n in range(count)]
    graph: nx.Graph[str] = nx.Graph()
    open_to = draws.some_of(sites, draws.whole(entries, count))
    for site in sites:
        processor, budget = draws.one_of(PROCESSORS), round(3000.0 * scale * draws.spread(0.5, 2.0))
        graph.add_node(site, processor=processor, budget=budget, entry=site in open_to)
    graph.add_node("cloud", processor=PROCESSORS[0], budget=0.0)
    for n in range(1, count):  # a tree, so that all are connected
        graph.add_edge(sites[draws.whole(0, n - 1)], sites[n], latency=draws.between(2.0, 15.0))
    for _ in range(draws.whole(0, count)):
        ends = draws.some_of(sites, 2)
        latency = draws.between(2.0, 15.0)
        if not graph.has_edge(*ends):
            graph.add_edge(*ends, latency=latency)
    for gateway in draws.some_of(sites, draws.whole(1, 2)):
        graph.add_edge(gateway, "cloud", latency=draws.between(20.0, 60.0))
    return graph


def _models(draws: _Draws, nodes: int) -> tuple[list[str], list[dict[str, Any]]]:
    """Tasks, and their variants of the detection catalog, as many as `_MOST_PLACEMENTS` allows on so many nodes."""
    variants = draws.some_of([variant.name for variant in VARIANTS], draws.whole(3, len(VARIANTS)))
    most = min(len(TASKS), _MOST_PLACEMENTS // (nodes * len(variants)))
    tasks = list(TASKS[: math.floor(draws.spread(3.0, most + 0.99))])
    models = [m for m in detection_models(tasks) if m["name"].partition("/")[2] in variants]
    factors = {task: (draws.spread(0.5, 2.0), draws.spread(0.5, 2.0)) for task in tasks}  # of size and speed
    for model in models:
        larger, faster = factors[model["task"]]
        model["profiles"] = {
            processor: {
                "size": round(profile["size"] * larger, 1),
                "delay": round(profile["delay"] / faster, 2),
                "throughput": round(profile["throughput"] * faster, 2),
            }
            for processor, profile in model["profiles"].items()
        }
    return tasks, models


def _fit_budgets(graph: nx.Graph[str], models: Sequence[dict[str, Any]], alpha: float) -> None:
    """Budgets that are drawn for all of `TASKS`, cut to fewer of them, with room for a model and for one worth holding.

    Every path ends with a node next to the cloud, and the cloud. Such a node gets the cloud's processor and room for
    some model that is the best of its task there: to hold it saves the way between the two.
    """
    best: dict[str, tuple[float, float]] = {}  # per task the least cost in ms, and the size in MB of its model
    for model in models:
        profile = model["profiles"][PROCESSORS[0]]
        cost = profile["delay"] - alpha * model["accuracy"]
        best[model["task"]] = min(best.get(model["task"], (math.inf, 0.0)), (cost, profile["size"]))
    smallest = min(model["profiles"][PROCESSORS[0]]["size"] for model in models)  # the same on both processors
    for node in set(graph) - {"cloud"}:
        least = smallest
        if graph.has_edge(node, "cloud"):
            graph.nodes[node]["processor"] = PROCESSORS[0]
            least = min(size for _, size in best.values())
        cut = graph.nodes[node]["budget"] * math.sqrt(len(best) / len(TASKS))
        graph.nodes[node]["budget"] = float(math.ceil(max(cut, least)))


def _workload(draws: _Draws, kind: str, tasks: int) -> dict[str, Any]:
    """The section of a kind of workload, but for its rate."""
    zipf = {"kind": "zipf", "exponent": draws.between(0.6, 1.6)}
    burst = {**zipf, "kind": "burst", "shape": draws.spread(0.2, 1.0), "per": draws.one_of(("type", "task"))}
    match kind:
        case "sliding":
            every = draws.one_of((20, 40, 60))
            return {**zipf, "profile": "sliding", "shift": draws.whole(1, max(1, tasks // 3)), "every": every}
        case "bursty":
            return burst
        case "persistent":
            return {**burst, "persistence": draws.one_of((0.8, 0.9, 0.95))}
        case "crowds":
            flash = {"probability": draws.between(0.02, 0.1), "duration": 10.0, "factor": draws.between(3.0, 15.0)}
            return {**zipf, "flash": flash}
        case "local":
            return {**zipf, "local": {"share": draws.between(0.5, 1.0), "seed": draws.whole(0, 10**6)}}
    return zipf
