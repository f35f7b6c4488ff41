"""Systems of the field as scenarios: the content of their files, to be read by `parse`.

Each is the part of a system's problem that fits a network: configurations of models as placements, cores as the budget,
its weights as prices. What cannot be served in time is answered late, by an elastic model that is always there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_gym.catalog import CPU_RULE, RESNETS, Row, configurations, cpu_table
from idn_gym.library import profiles

_CORE_PRICE = 0.04  # currency per hour

# --- variants-cores ---------------------------------------------------------------------------------------------

_ALPHA, _CORES = 0.05, 20  # InfAdapter's weight of all cores against accuracy, and how many there are
_RATE = 96.6  # requests/s, mean of the segment of the Twitter stream that InfAdapter is evaluated on

# --- pipeline-cores ---------------------------------------------------------------------------------------------

_YOLOV5 = {"yolov5n": (45.7, 4.5), "yolov5s": (56.8, 16.5), "yolov5m": (64.1, 49.0)}  # mAP@0.5, GFLOPs at 640 x 640
_SUSTAINED = 4.0  # requests/s, by which IPA sizes an instance of a variant
_SLACK = 5.0  # of a stage's SLA over its mean latency at batch 1

# --- uploads-4g -------------------------------------------------------------------------------------------------

_QUALITIES = {"poor": 1.328, "fair": 2.598, "good": 3.355, "best": 4.284}  # MB/s
_SERVER_CORES = (1, 2, 3, 4, 6, 8, 12, 16)

# --- partition-priority -----------------------------------------------------------------------------------------

_SOURCES: dict[str, dict[str, Any]] = {  # of a kind of request
    "urgent": {"weight": 4.0, "priority": 2},
    "usual": {"weight": 2.0, "priority": 1},
    "background": {},
}
_PARTITIONS = {"head": "resnet50-1-1", "middle": "resnet50-2-3", "tail": "resnet50-4-4"}


def variants_cores() -> dict[str, Any]:
    """InfAdapter's: variants of a classifier share the cores of a node, which are paid for."""
    task, slot_seconds, weight = "classify", 30.0, 10.0
    models = []
    for variant, accuracy, (slope, at) in zip(
        profiles.RESNETS, profiles.RESNET_ACCURACY, profiles.capacity_fits(), strict=True
    ):
        for n in range(2, _CORES + 1):
            rate = round(profiles.CAPACITY_SHARE * (slope * n + at), 4)
            profile = {"size": float(n), "delay": profiles.RESNET_SLO_MS, "throughput": rate}
            models.append(
                {
                    "name": f"{task}/{variant}-c{n}",
                    "task": task,
                    "accuracy": round(100.0 * float(accuracy), 3),
                    "profiles": {"cpu": profile | {"price": round(n * _CORE_PRICE, 4)}},
                }
            )
    models.append(_late(task, 69.758, profiles.RESNET_SLO_MS + 1000.0))
    return {
        "name": "variants-cores",
        "slot_seconds": slot_seconds,
        "accuracy_weight": weight,
        # a core of a slot costs what alpha / B of the accuracy of the mean rate is worth
        "price_weight": _weight(_ALPHA / _CORES * 100.0 * weight * _RATE * slot_seconds, slot_seconds),
        "tasks": [task],
        "models": models,
        "nodes": _cluster(_CORES, [f"{task}/late"]),
        "links": [{"source": "cluster", "target": "overflow", "latency": 0.0}],
        "services": [{"name": task, "stages": [task], "report_deadline_ms": profiles.RESNET_SLO_MS}],
        "workload": {"kind": "burst", "rate": _RATE, "exponent": 0.0, "shape": 1.7, "persistence": 0.95},
        "provenance": {
            **_OVERFLOW,
            "slot_seconds": "InfAdapter's interval between decisions",
            "accuracy_weight": "chosen: 10 ms per percentage point",
            "price_weight": (
                "InfAdapter's alpha of 0.05 over 20 cores: a core costs 0.25 points of the accuracy of all requests, "
                "at the mean rate"
            ),
            "models.*.accuracy": "reconfigurable-ml-pipeline/InfAdapter",
            "models.*.profiles.cpu.size": "one per core: the budget counts cores",
            "models.*.profiles.cpu.delay": "the SLO, which is what the capacities are profiled for",
            "models.*.profiles.cpu.throughput": (
                "reconfigurable-ml-pipeline/InfAdapter: 0.8 of a line fitted to the requests/s at which the 99th "
                "percentile of latency is within 750 ms, at 1, 2, 4, 8 and 16 cores"
            ),
            "nodes.cluster.budget": "InfAdapter: 20 cores",
            "services": "InfAdapter: an SLO of 750 ms",
            "workload": (
                "mean and deviation as of the 21 minutes of the Twitter stream that InfAdapter is evaluated on; "
                "chosen: a gamma law of shape 1.7, and bursts of some 20 slots"
            ),
        },
    }


def pipeline_cores() -> dict[str, Any]:
    """IPA's: detect, then classify; each stage has variants, batches and replicas, on cores that are paid for."""
    slot_seconds, weight, rate, batches = 10.0, 1000.0, 20.0, (1, 4)
    stages = {"detect": _YOLOV5, "classify": RESNETS}
    models, sla = [], 0.0
    for task, variants in stages.items():
        alone = []
        for variant, (accuracy, gflops) in variants.items():
            table = cpu_table(gflops, (1, 2, 4, 8, 16), batches)
            cores = next(row.cores for row in table if row.batch == 1 and row.throughput >= _SUSTAINED)
            own = [row for row in table if row.cores == cores]
            alone.append(own[0].latency)
            models += configurations(task, variant, accuracy, own, "cpu", core_price=_CORE_PRICE)
        sla += _SLACK * sum(alone) / len(alone)
    late = [_late(task, 0.0, 1500.0) for task in stages]
    return {
        "name": "pipeline-cores",
        "slot_seconds": slot_seconds,
        "replicas": 8,
        "accuracy_weight": weight,
        # half a percentage point of all requests for a core of a slot: beta / alpha
        "price_weight": _weight(0.5 * weight * rate * slot_seconds, slot_seconds),
        "tasks": list(stages),
        "models": models + late,
        "nodes": _cluster(24, [model["name"] for model in late]),
        "links": [{"source": "cluster", "target": "overflow", "latency": 0.0}],
        "services": [{"name": "video", "stages": list(stages), "report_deadline_ms": round(sla, 1)}],
        "workload": {"kind": "burst", "rate": rate, "exponent": 0.0, "shape": 2.0, "persistence": 0.9},
        "provenance": {
            **_OVERFLOW,
            "slot_seconds": "IPA's interval between decisions",
            "replicas": "chosen: up to eight of each configuration",
            "accuracy_weight": (
                "chosen: 1,000 ms per percentage point, so that latency within the SLA hardly counts, as for IPA"
            ),
            "price_weight": "IPA's beta over alpha for video: a core costs half a point of the accuracy of all",
            "models.detect/*.accuracy": "ultralytics/yolov5 README: mAP@0.5 at 640 x 640",
            "models.classify/*.accuracy": "torchvision documentation, weights IMAGENET1K_V1: top-1 on ImageNet",
            "models.*.profiles.cpu.size": (
                "IPA's rule: the fewest cores, of 1, 2, 4, ..., that sustain 4 requests/s; the budget counts cores"
            ),
            "models.*.profiles.cpu.delay": f"{CPU_RULE}; of YOLOv5 ultralytics/yolov5 README",
            "models.*.profiles.cpu.throughput": f"{CPU_RULE}; of YOLOv5 ultralytics/yolov5 README",
            "models.*/late": "made up: what there is no room for in time is answered late, and worth nothing",
            "nodes.cluster.budget": "chosen: 24 cores, too few for the best variants in a burst",
            "services": "IPA's rule: an SLA of 5 times the mean latency at batch 1, stage by stage",
            "workload": "made up: 20 requests/s, in bursts of some 10 slots",
        },
    }


def uploads_4g() -> dict[str, Any]:
    """Sponge's: cores and batch of one server, for uploads that take more or less of one deadline."""
    task, slot_seconds, rate, core_ms = "infer", 1.0, 40.0, 2000.0
    g, d, e, h = profiles.latency_fit()
    table = []
    for c in _SERVER_CORES:
        for b in profiles.BATCHES:
            latency = g * b / c + d * b + e / c + h
            table.append(Row(c, b, round(latency, 3), round(1000.0 * b / latency, 3)))
    cells = [f"cell-{name}" for name in _QUALITIES]
    nodes: list[dict[str, Any]] = [{"name": cell, "processor": "none", "tier": 2, "entry": True} for cell in cells]
    nodes += [
        {"name": "server", "processor": "cpu", "budget": float(_SERVER_CORES[-1]), "tier": 1},
        {"name": "overflow", "processor": "late", "tier": 0, "repository": [f"{task}/late"]},
    ]
    return {
        "name": "uploads-4g",
        "slot_seconds": slot_seconds,
        "price_weight": _weight(core_ms, slot_seconds),
        "violation_ms": 1000.0,
        "tasks": [task],
        "models": [
            *configurations(task, "model", 100.0, table, "cpu", core_price=_CORE_PRICE),
            _late(task, 100.0, 1000.0),
        ],
        "nodes": nodes,
        "links": [
            *(
                {"source": cell, "target": "server", "latency": 0.0, "bandwidth": bandwidth}
                for cell, bandwidth in zip(cells, _QUALITIES.values(), strict=True)
            ),
            {"source": "server", "target": "overflow", "latency": 0.0},
        ],
        "services": [
            {"name": name, "stages": [task], "input_mb": 0.5, "priority": len(cells) - n, "deadline_ms": 1000.0}
            for n, name in enumerate(_QUALITIES)
        ],
        "requests": [
            {"service": name, "path": [cell, "server", "overflow"]}
            for name, cell in zip(_QUALITIES, cells, strict=True)
        ],
        "workload": {"kind": "burst", "rate": rate, "exponent": 0.0, "shape": 1.0, "persistence": 0.9},
        "provenance": {
            **_OVERFLOW,
            "slot_seconds": "Sponge's interval between decisions",
            "price_weight": "chosen: a core of a second costs what one late request does",
            "violation_ms": "chosen: 1,000 ms, the deadline once more",
            "models.*.accuracy": "one model, so that accuracy says nothing",
            "models.*.profiles.cpu.size": "one per core: the budget counts cores",
            "models.*.profiles.cpu.delay": (
                "saeid93/sponge, l_data: least squares of g b/c + d b + e/c + h on 30 points of batch b and cores c"
            ),
            "models.*.profiles.cpu.throughput": "arithmetic: 1000 b / delay",
            "nodes.server.budget": "Sponge: 16 cores at most",
            "links.*.bandwidth": (
                "Ghent's logs of a bus over 4G, as saeid93/sponge has them: quantiles 0.05, 0.25, 0.5 and 0.75"
            ),
            "services": (
                "Sponge: 500 KB and an SLO of 1,000 ms, of which the upload takes 377, 192, 149 or 117; chosen: who "
                "has least time left goes first"
            ),
            "workload": "Sponge: 40 requests/s; made up: as many of each quality, in bursts that come apart",
        },
    }


def partition_priority(partitions: dict[str, Any]) -> dict[str, Any]:
    """PA-MDI's: a network in given partitions over devices, edge and cloud, for sources of different priority.

    Parameters
    ----------
    partitions : the content of `partition-resnet`, of which one network and one cut is kept.
    """
    app = "scenes"
    tasks = [f"{app}-{part}" for part in _PARTITIONS]
    kept = [f"{app}/{layers}" for layers in _PARTITIONS.values()]
    models = [model for model in partitions["models"] if model["name"] in kept]
    models = [
        model | ({"after": [name for name in model["after"] if name in kept]} if "after" in model else {})
        for model in models
    ]
    nodes = [node | ({"repository": kept} if node.get("repository") else {}) for node in partitions["nodes"]]
    of_partitions = {
        key: source for key, source in partitions["provenance"].items() if key.startswith(("models", "links", "slot"))
    }
    return {
        **partitions,
        "name": "partition-priority",
        "replicas": 2,
        "tasks": tasks,
        "models": models,
        "nodes": nodes,
        "services": [
            {"name": name, "stages": tasks, "input_mb": 0.6, **keys, "report_deadline_ms": 400.0}
            for name, keys in _SOURCES.items()
        ],
        "workload": {"kind": "burst", "rate": 1200.0, "exponent": 0.0, "shape": 4.0, "persistence": 0.9},
        "provenance": {
            **of_partitions,
            "horizon": "the library's default",
            "replicas": "chosen: a worker may run two of each partition side by side",
            "accuracy_weight": "as in partition-resnet; there is one network, so that it says nothing",
            "tasks": "arithmetic: ResNet-50 in three partitions, cut behind layers 1 and 3, as in partition-resnet",
            "nodes": "made up: four devices under two edge servers, as in partition-resnet",
            "nodes.*.budget": (
                "chosen: a device holds the first partition, the largest two; an edge server two of each, or three"
            ),
            "services.*.input_mb": "as in partition-resnet: a picture of 448 x 448",
            "services.*.weight": "chosen: an urgent request counts four times one of the background",
            "services.*.priority": "chosen: urgent ones first, then usual ones",
            "services.*.report_deadline_ms": "chosen: 400 ms, for the record",
            "workload": "made up: 600 requests/s at an edge server, which one of each partition does not serve",
        },
    }


def _weight(core_ms: float, slot_seconds: float) -> float:
    """The price weight at which a core of a slot takes so many ms off the net gain."""
    return float(np.round(core_ms / (_CORE_PRICE * slot_seconds / 3600.0), 4))


def _late(task: str, accuracy: float, delay: float) -> dict[str, Any]:
    profile = {"size": 1.0, "delay": delay, "throughput": 1.0}
    return {"name": f"{task}/late", "task": task, "accuracy": accuracy, "profiles": {"late": profile}}


def _cluster(cores: int, repository: list[str]) -> list[dict[str, Any]]:
    return [
        {"name": "cluster", "processor": "cpu", "budget": float(cores), "tier": 1, "entry": True},
        {"name": "overflow", "processor": "late", "tier": 0, "repository": repository},
    ]


_OVERFLOW = {
    "horizon": "the library's default",
    "models.*.profiles.cpu.price": f"made up: {_CORE_PRICE} per core and hour",
    "models.*/late": "made up: what there is no room for in time is answered late, as well as by the lightest variant",
    "nodes.overflow": "made up: where late answers come from; it is elastic, so size and throughput are nominal",
}
