"""The scenarios that ship with the package, built here; ``python -m idn_gym.library.packaged`` writes their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from idn_gym.catalog import detection_models, detection_provenance
from idn_gym.library import hard_instances, of_chains, of_services, of_splits, of_systems
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.file import to_yaml
from idn_gym.scenario.schema import FORMAT
from idn_gym.topology import backbone, nodes_and_links, tiers

HEADER = "# Written by: python -m idn_gym.library.packaged\n"

# Twenty classes of COCO, the most popular first.
TASKS = (
    *("person", "car", "bicycle", "truck", "bus", "motorcycle", "traffic-light", "stop-sign", "dog", "cat"),
    *("bird", "horse", "backpack", "umbrella", "handbag", "suitcase", "bottle", "chair", "laptop", "cell-phone"),
)
_MODELS = detection_models(TASKS)
_REPOSITORY = [model["name"] for model in _MODELS]
_RATE_OF_ENTRY = 7500.0 / 24  # requests/s, the share of one base station of Topology I


@dataclass(frozen=True)
class _Topology:
    counts: tuple[int, ...]  # nodes per tier, from the cloud down
    counts_source: str
    rate: float  # requests/s
    rate_source: str


_TOPOLOGIES = {
    1: _Topology(
        (1, 1, 2, 8, 24),
        "unverified: 36 nodes in tiers of 1, 1, 2, 8 and 24 base stations",
        24 * _RATE_OF_ENTRY,
        "unverified: 7500 requests/s",
    ),
    2: _Topology(
        (1, 1, 1, 1, 1),
        "unverified: 5 nodes, one per tier",
        _RATE_OF_ENTRY,
        "chosen: a base station's share of Topology I, 7500/24",
    ),
}

_FIXED = {"kind": "zipf", "exponent": 1.2}
_SLIDING = {**_FIXED, "profile": "sliding", "shift": 5, "every": 60}
_BURSTY = {"kind": "burst", "exponent": 1.2, "shape": 0.3}
_PERSISTENT = {**_BURSTY, "persistence": 0.9}

_FIXED_PROVENANCE = {
    "workload.kind": "chosen: Poisson counts around the mean",
    "workload.exponent": "unverified: Zipf 1.2 over tasks",
    "workload.profile": "unverified: Fixed, constant popularity",
}
_BURSTY_PROVENANCE = {
    **_FIXED_PROVENANCE,
    "workload.kind": "chosen: gamma-Poisson counts, where the last batch is a poor forecast",
    "workload.shape": "chosen: 0.3, a standard deviation of 1.8 times the mean",
}
_WORKLOADS = {
    "fixed": (_FIXED, _FIXED_PROVENANCE),
    "sliding": (
        _SLIDING,
        {
            **_FIXED_PROVENANCE,
            "workload.profile": "unverified: Sliding, popularity that moves on",
            "workload.shift": "unverified: popularity shifts cyclically by 5 tasks",
            "workload.every": "unverified: every hour, 60 slots of a minute",
        },
    ),
    "bursty": (_BURSTY, _BURSTY_PROVENANCE),
    "persistent": (
        _PERSISTENT,
        {
            **_BURSTY_PROVENANCE,
            "workload.kind": "chosen: gamma-Poisson counts, bursts of which last, so that they are worth following",
            "workload.persistence": "chosen: 0.9, so that a burst lasts 10 slots on average",
        },
    ),
}


def _social(nodes: Sequence[str], leaders: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Popularity that spreads over nodes, each but the first two listening to two before it; and where that is from."""
    workload = {
        "kind": "social",
        "exponent": 1.2,
        "influence": [
            {"source": nodes[n // divisor], "target": nodes[n], "weight": weight}
            for n in range(2, len(nodes))
            for divisor, weight in ((2, 2.0), (4, 1.0))
        ],
        "leaders": list(leaders),
        "every": 30,
        "trend": 0.5,
    }
    return workload, {
        "workload.kind": "chosen: Poisson counts around opinions that spread",
        "workload.exponent": "chosen: 1.2, as in the other scenarios",
        "workload.influence": "made up: each node listens to that of half its number, and half as much to a quarter's",
        "workload.leaders": "made up: the two that the others listen to, directly or by others",
        "workload.every": "made up: a trend lasts half an hour",
        "workload.trend": "made up: half of what leaders ask for",
        "workload.conformity": "the library's default",
        "workload.inertia": "the library's default",
    }


_COMMON_PROVENANCE = {
    "slot_seconds": "unverified: slots of 1 minute",
    "horizon": "chosen: 10 hours of slots",
    "replicas": "chosen: 1, for size; the authors are believed to use 3 (unverified)",
    "accuracy_weight": "chosen: 1 ms per percentage point, the library's default",
    "tasks": "unverified: 20 object-detection tasks; their names are chosen, from COCO's classes",
    "models": "unverified: 10 variants of YOLOv4 per task; chosen: these, since public figures exist",
}


def packaged_scenarios() -> dict[str, Scenario]:
    """Every packaged scenario by its name, built from the catalog and the topologies."""
    built = [_tiny()]
    built += [_topology(number, workload) for number in _TOPOLOGIES for workload in _WORKLOADS]
    built += [_at_alpha(_topology(number, "fixed"), alpha) for number in _TOPOLOGIES for alpha in (2.0, 4.0)]
    built += [
        _backbone("abilene", ("washington", "sunnyvale"), "one on each coast"),
        _backbone("geant", ("frankfurt", "london"), "two of its best connected nodes"),
        _backbone("abilene", ("washington", "sunnyvale"), "one on each coast", social=("new-york", "los-angeles")),
        hard_instances.adversary(),
        hard_instances.greedy_trap(),
        of_services.sla_sliding(_topology(2, "sliding")),
        of_services.autoscale_burst(),
        of_services.access_4g(),
        of_chains.pipeline_video(),
        of_chains.partition_resnet(),
        of_chains.draft_and_verify(),
        of_splits.quantised_split(),
        of_systems.variants_cores(),
        of_systems.pipeline_cores(),
        of_systems.uploads_4g(),
        of_systems.partition_priority(of_chains.partition_resnet()),
    ]
    return {data["name"]: parse({"format": FORMAT, **data}, data["name"]) for data in built}


def main(folder: Path = Path(__file__).parent / "scenarios") -> None:
    """Write the file of every packaged scenario into a folder."""
    folder.mkdir(exist_ok=True)
    for name, scenario in packaged_scenarios().items():
        (folder / f"{name}.yaml").write_text(HEADER + to_yaml(scenario), "utf-8")


def _tiny() -> dict[str, Any]:
    """Small enough to compute by hand: two base stations under a central office and a cloud, two tasks."""

    def model(
        task: str, variant: str, accuracy: float, edge: tuple[float, ...], server: tuple[float, ...]
    ) -> dict[str, Any]:
        keys = ("size", "delay", "throughput")
        profiles = {"edge": dict(zip(keys, edge, strict=True)), "server": dict(zip(keys, server, strict=True))}
        return {"name": f"{task}/{variant}", "task": task, "accuracy": accuracy, "profiles": profiles}

    graph = tiers(
        (1, 1, 2),
        (40.0, 5.0),
        names=("cloud", "co", "bs"),
        processors=("server", "server", "edge"),
        budgets=(0.0, 4.0, 3.0),
        repository=("cars/large", "people/large"),
    )
    return {
        "name": "tiny",
        "slot_seconds": 1.0,
        "horizon": 20,
        "tasks": ["cars", "people"],
        "models": [
            model("cars", "small", 40.0, (1.0, 1.0, 6.0), (1.0, 1.0, 12.0)),
            model("cars", "medium", 50.0, (2.0, 2.0, 4.0), (2.0, 1.0, 8.0)),
            model("cars", "large", 60.0, (3.0, 4.0, 2.0), (3.0, 2.0, 4.0)),
            model("people", "small", 50.0, (1.0, 1.0, 5.0), (1.0, 1.0, 10.0)),
            model("people", "large", 70.0, (2.0, 3.0, 3.0), (2.0, 2.0, 6.0)),
        ],
        **nodes_and_links(graph),
        "workload": {"kind": "zipf", "rate": 24.0, "exponent": 1.0},
        "provenance": {
            "*": "made up: round numbers to compute by hand",
            "nodes.*.budget": "made up: next to its best model of cars, a base station has no room for people",
            "workload.rate": "made up: on average 8 cars and 4 people per base station and slot, more than it serves",
        },
    }


def _topology(number: int, kind: str) -> dict[str, Any]:
    """Topology I or II with one of `_WORKLOADS`."""
    topology = _TOPOLOGIES[number]
    graph = tiers(
        topology.counts,
        (40.0, 15.0, 6.0, 6.0),
        processors=("rtx-2080-ti",) * 3 + ("agx-xavier",) * 2,
        budgets=(0.0, 12000.0, 6000.0, 3000.0, 1500.0),
        repository=_REPOSITORY,
    )
    return _detection(
        f"topology-{number}-{kind}",
        graph,
        _WORKLOADS[kind],
        topology.rate,
        {
            "nodes": topology.counts_source,
            "nodes.*.processor": "unverified: two classes of GPU, the higher above; chosen: these two",
            "nodes.*.budget": (
                "chosen: the authors' are not known; 1500 MB at a base station hold 1 to 3 of 200 models, "
                "so that choices are hard, and each tier above holds twice as much"
            ),
            "nodes.cloud.repository": "unverified: the cloud holds all models",
            "links.*.latency": "unverified: round trips of 6, 6, 15 and 40 ms per hop from the base station up",
            "workload.rate": topology.rate_source,
        },
    )


def _at_alpha(scenario: dict[str, Any], alpha: float) -> dict[str, Any]:
    """A scenario with another weight of accuracy against latency."""
    source = f"chosen: {alpha:g} ms per percentage point, where accurate models, which are large, are worth more"
    return {
        **scenario,
        "name": f"{scenario['name']}-alpha{alpha:g}",
        "accuracy_weight": alpha,
        "provenance": {**scenario["provenance"], "accuracy_weight": source},
    }


def _backbone(name: str, gateways: tuple[str, ...], where: str, social: tuple[str, ...] = ()) -> dict[str, Any]:
    """A real backbone whose every node takes in requests, with a cloud behind its gateways; and leaders, or none."""
    graph = backbone(name)
    entries = len(graph)
    kind = "social" if social else "sliding"
    nodes = [*social, *(node for node in graph if node not in social)]
    graph.add_nodes_from(list(graph), entry=True)
    graph.add_node("cloud", budget=0.0, repository=_REPOSITORY)
    graph.add_edges_from(((gateway, "cloud") for gateway in gateways), latency=40.0)
    return _detection(
        f"{name}-{kind}",
        graph,
        _social(nodes, social) if social else _WORKLOADS[kind],
        _RATE_OF_ENTRY * entries,
        {
            "nodes": f"SNDlib 1.0, instance {name}: {entries} nodes; chosen: the cloud",
            "nodes.*.entry": "chosen: requests enter at every node of the backbone",
            "nodes.*.processor": "chosen: the stronger of the catalog's two GPUs, as befits a backbone site",
            "nodes.*.budget": "chosen: 3000 MB hold 1 to 6 of 200 models, so that neighbours gain by differing",
            "nodes.cloud.repository": "chosen: the cloud holds all models",
            "links": f"SNDlib 1.0, instance {name}; chosen: the cloud behind {' and '.join(gateways)}, {where}",
            "links.*.latency": (
                "estimate: 2 x great-circle km / 200 km per ms between SNDlib's coordinates; "
                "chosen: 40 ms to the cloud, as in Topology I"
            ),
            "workload.rate": f"chosen: per node a base station's share of Topology I, {entries} x 7500/24",
        },
        processor="rtx-2080-ti",
        budget=3000.0,
    )


def _detection(
    name: str,
    graph: nx.Graph[str],
    described: tuple[dict[str, Any], dict[str, str]],
    rate: float,
    sources: dict[str, str],
    **defaults: Any,
) -> dict[str, Any]:
    """A scenario of the detection catalog; the workload with its sources; `defaults` are those of `nodes_and_links`."""
    workload, workload_sources = described
    return {
        "name": name,
        "tasks": list(TASKS),
        "models": _MODELS,
        **nodes_and_links(graph, **defaults),
        "workload": {**workload, "rate": rate},
        "provenance": {**_COMMON_PROVENANCE, **sources, **workload_sources, **detection_provenance()},
    }


if __name__ == "__main__":
    main()
