"""Scenarios of services, deadlines and prices: the content of their files, to be read by `parse`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from idn_gym.catalog import CPU_RULE, RESNETS, configurations, cpu_table
from idn_gym.topology import nodes_and_links, tiers

# what a request of each class may ask for, and the words that say so
_CLASSES: dict[str, dict[str, Any]] = {
    "interactive": {"weight": 2.0, "priority": 2, "deadline_ms": 40.0},
    "standard": {"priority": 1, "report_deadline_ms": 100.0},
    "background": {"weight": 0.25, "accuracy_weights": [2.0]},
}
_CORE_PRICE = 0.04  # currency per hour


def sla_sliding(topology: dict[str, Any]) -> dict[str, Any]:
    """Topology II with sliding popularity, each task in three classes of service.

    Parameters
    ----------
    topology : the content of the scenario without them.
    """
    services = [
        {"name": f"{task}/{name}", "stages": [task], **keys}
        for task in topology["tasks"]
        for name, keys in _CLASSES.items()
    ]
    workload = {**topology["workload"], "shift": topology["workload"]["shift"] * len(_CLASSES)}
    return {
        **topology,
        "name": "sla-sliding",
        "violation_ms": 100.0,
        "services": services,
        "workload": workload,
        "provenance": {
            **topology["provenance"],
            "services": (
                "chosen: each task for users who wait, for users who do not mind, and in the background, which asks "
                "for twice the accuracy"
            ),
            "services.*.deadline_ms": (
                "chosen: 40 ms, which the cloud never keeps and slow models keep at the base station alone"
            ),
            "services.*.report_deadline_ms": "chosen: 100 ms, for the record",
            "services.*.weight": "chosen: a request of a waiting user counts eight times one of the background",
            "violation_ms": "chosen: 100 ms, more than a late answer saves in latency",
            "workload.exponent": "chosen: Zipf 1.2 over services, three to a task",
            "workload.shift": "chosen: popularity shifts cyclically by 15 services, which are 5 tasks",
        },
    }


def autoscale_burst() -> dict[str, Any]:
    """A cluster that rents cores by the slot for three tasks of bursty demand, before an elastic cloud."""
    tasks = ("classify", "moderate", "tag")
    graph = tiers(
        (1, 1),
        40.0,
        names=("cloud", "cluster"),
        processors=("serverless", "cpu"),
        budgets=(0.0, 16 * 2048.0),
        repository=[f"{task}/resnet152-elastic" for task in tasks],
    )
    return {
        "name": "autoscale-burst",
        "slot_seconds": 10.0,
        "replicas": 4,
        "accuracy_weight": 3.0,
        "price_weight": 4.5e7,
        "tasks": list(tasks),
        "models": _resnets(tasks, cores=(1, 2, 4, 8), batches=(1, 4)),
        **nodes_and_links(graph),
        "workload": {
            "kind": "burst",
            "rate": 240.0,
            "exponent": 1.0,
            "shape": 1.0,
            "persistence": 0.95,
            "diurnal": {"amplitude": 0.6, "period": 360},
        },
        "provenance": {
            **_RESNET_PROVENANCE,
            "slot_seconds": "chosen: 10 s, about what a change of cores takes to be worth it",
            "replicas": "chosen: up to four of each configuration, which scale out where cores scale up",
            "accuracy_weight": "chosen: 3 ms per percentage point, so that variants differ by about as much as delays",
            "price_weight": (
                "chosen: 4.5e7 ms per unit of currency make a core cost 500 ms of gain a second, "
                "about a third of what its best configuration saves at full load"
            ),
            "tasks": "made up: three uses of an image classifier",
            "nodes.cluster.budget": "chosen: 16 cores; at the mean rate less would do, in a burst more would be used",
            "nodes.cloud": "made up: an elastic service that is always there",
            "links.*.latency": "chosen: 40 ms to the cloud, as in Topology I",
            "workload": (
                "made up: a day of an hour, and counts whose mean is off by a factor that lasts some 20 slots, "
                "of standard deviation 1"
            ),
        },
    }


def access_4g() -> dict[str, Any]:
    """Users on three qualities of 4G: what the upload takes of the deadline leaves some of them little time."""
    qualities = {"poor": 0.8, "fair": 2.0, "good": 8.0}  # MB/s
    task, cells = "classify", [f"cell-{name}" for name in qualities]
    models = _resnets((task,), cores=(1, 2, 4, 8), batches=(1, 4))
    nodes: list[dict[str, Any]] = [{"name": cell, "processor": "none", "tier": 2, "entry": True} for cell in cells]
    nodes += [
        {"name": "edge", "processor": "cpu", "budget": 16 * 2048.0, "tier": 1},
        {"name": "cloud", "processor": "serverless", "tier": 0, "repository": [f"{task}/resnet152-elastic"]},
    ]
    return {
        "name": "access-4g",
        "slot_seconds": 10.0,
        "replicas": 4,
        "accuracy_weight": 3.0,
        "price_weight": 2.25e7,
        "violation_ms": 200.0,
        "tasks": [task],
        "models": models,
        "nodes": nodes,
        "links": [
            *(
                {"source": cell, "target": "edge", "latency": 30.0, "bandwidth": bandwidth}
                for cell, bandwidth in zip(cells, qualities.values(), strict=True)
            ),
            {"source": "edge", "target": "cloud", "latency": 40.0},
        ],
        "services": [
            {"name": name, "stages": [task], "input_mb": 0.2, "priority": len(qualities) - n, "deadline_ms": 310.0}
            for n, name in enumerate(qualities)
        ],
        "requests": [
            {"service": name, "path": [cell, "edge", "cloud"]} for name, cell in zip(qualities, cells, strict=True)
        ],
        "workload": {"kind": "burst", "rate": 150.0, "exponent": 0.0, "shape": 1.0, "persistence": 0.9},
        "provenance": {
            **_RESNET_PROVENANCE,
            "slot_seconds": "chosen: 10 s",
            "replicas": "chosen: up to four of each configuration",
            "accuracy_weight": "chosen: 3 ms per percentage point",
            "price_weight": "chosen: half that of autoscale-burst, since being late costs more",
            "violation_ms": "chosen: 200 ms, several times what serving at the edge saves",
            "nodes": "made up: cells without memory in front of an edge server of 16 cores",
            "links.*.bandwidth": "made up: uploads of 0.2 MB take 250, 100 and 25 ms",
            "links.*.latency": "made up: 30 ms over the air; chosen: 40 ms to the cloud, as in Topology I",
            "services": (
                "made up: one deadline of 310 ms for all, of which a poor upload leaves 30 ms, a fair one 180 and "
                "a good one 255; chosen: who has least time left goes first"
            ),
            "workload": "made up: as many requests of each quality, in bursts that come apart",
        },
    }


def _resnets(tasks: Sequence[str], cores: Sequence[int], batches: Sequence[int]) -> list[dict[str, Any]]:
    """Configurations on CPU cores of a cluster, and per task the largest as an elastic service."""
    models = []
    for task in tasks:
        for variant, (accuracy, gflops) in RESNETS.items():
            table = cpu_table(gflops, cores, batches)
            models += configurations(task, variant, accuracy, table, "cpu", core_mb=2048.0, core_price=_CORE_PRICE)
        elastic = {"size": 1.0, "delay": 60.0, "throughput": 1.0}
        accuracy, _ = RESNETS["resnet152"]
        name = f"{task}/resnet152-elastic"
        models.append({"name": name, "task": task, "accuracy": accuracy, "profiles": {"serverless": elastic}})
    return models


_RESNET_PROVENANCE = {
    "models.*.accuracy": "torchvision documentation, weights IMAGENET1K_V1: top-1 on ImageNet",
    "models.*.profiles.cpu.size": "chosen: 2048 MB go with each core, as machines are rented",
    "models.*.profiles.cpu.delay": CPU_RULE,
    "models.*.profiles.cpu.throughput": CPU_RULE,
    "models.*.profiles.cpu.price": f"made up: {_CORE_PRICE} per core and hour",
    "models.*.profiles.serverless": "made up: 60 ms; it is elastic, so size and throughput are nominal",
}
