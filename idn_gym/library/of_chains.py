"""Scenarios of chains, requests that need several models in turn: the content of their files, to be read by `parse`."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

from idn_gym.catalog import PROCESSORS, RESNETS, detection_models, detection_provenance
from idn_gym.topology import nodes_and_links, tiers

# --- pipeline-video ---------------------------------------------------------------------------------------------

_RESNET_MB = {"resnet18": 44.7, "resnet50": 97.8, "resnet152": 230.4}  # torchvision documentation, weights
_WORKING_MB = 100.0
_CLASSIFYING_MS = {"rtx-2080-ti": (2.0, 0.5), "agx-xavier": (4.0, 3.0)}  # ms, ms per GFLOP

# --- partition-resnet -------------------------------------------------------------------------------------------

_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet152": (3, 8, 36, 3)}  # bottlenecks of each layer
_GFLOPS_PER_MS = {"device": 0.05, "edge": 1.0, "server": 4.0}
_START_MS = 1.0
_MB_PER_S = {"device0": 8.0, "device1": 4.0, "device2": 2.0, "device3": 1.0}
_BOTTLENECK = 8  # times fewer bytes than the feature map has

# --- draft-and-verify -------------------------------------------------------------------------------------------

_DRAFTING_MS = {"phone": 9.0, "laptop": 6.0, "edge": 3.0, "server": 2.0}  # a token
_TARGETS: dict[str, dict[str, Any]] = {
    "7b": {"size": 4000.0, "ms": {"edge": 25.0, "server": 15.0}, "accuracy": {"chat": 62.0, "code": 55.0}},
    "13b": {"size": 7500.0, "ms": {"edge": 40.0, "server": 24.0}, "accuracy": {"chat": 74.0, "code": 70.0}},
}
_ACCEPTED = {"chat": 0.6, "code": 0.8}
_AT_ONCE = 8  # sequences that a server verifies, or a cell's devices draft for, at a time
_DRAFTS = (0, 2, 4, 6)  # tokens a draft is long

_FIXED = {
    "workload.kind": "chosen: Poisson counts around the mean",
    "workload.exponent": "chosen: popularity over services, in the order of the file",
}


def pipeline_video() -> dict[str, Any]:
    """Video of four sites: detect, then classify what was found; one detector may serve all that follow."""
    kinds = ("vehicle", "person", "plate", "product")
    models = [model | {"output_mb": 0.05} for model in detection_models(["detect"])]
    for kind in kinds:
        for variant, (accuracy, gflops) in RESNETS.items():
            profiles = {}
            for processor in PROCESSORS:
                start, per_gflop = _CLASSIFYING_MS[processor]
                delay = round(start + per_gflop * gflops, 2)
                size = round(_RESNET_MB[variant] + _WORKING_MB, 1)
                profiles[processor] = {"size": size, "delay": delay, "throughput": round(1000.0 / delay, 2)}
            models.append({"name": f"{kind}/{variant}", "task": kind, "accuracy": accuracy, "profiles": profiles})
    graph = tiers(
        (1, 1, 2, 4),
        (40.0, 15.0, 6.0),
        names=("cloud", "dc", "co", "site"),
        processors=("rtx-2080-ti", "rtx-2080-ti", "agx-xavier", "agx-xavier"),
        budgets=(0.0, 3000.0, 2000.0, 1000.0),
        repository=[model["name"] for model in models],
    )
    for node, budget in {"co1": 1600.0, "site0": 600.0, "site1": 800.0, "site3": 1400.0}.items():
        graph.nodes[node]["budget"] = budget
    network = nodes_and_links(graph)
    for link in network["links"]:
        link["bandwidth"] = {40.0: 100.0, 15.0: 50.0, 6.0: 25.0}[link["latency"]]
    chains = [{"name": f"{kind}-watch", "stages": ["detect", kind], "input_mb": 0.2} for kind in kinds]
    return {
        "name": "pipeline-video",
        "tasks": ["detect", *kinds],
        "models": models,
        **network,
        "services": [*chains, {"name": "count", "stages": ["detect"], "input_mb": 0.2}],
        "workload": {"kind": "zipf", "rate": 320.0, "exponent": 0.8},
        "provenance": {
            "slot_seconds": "chosen: slots of 1 minute",
            "horizon": "chosen: 10 hours of slots",
            "accuracy_weight": "chosen: 1 ms per percentage point, the library's default",
            "tasks": "made up: one detector for all, and a classifier per kind of object",
            "nodes": "made up: four sites under two central offices and a data centre",
            "nodes.*.processor": "chosen: the catalog's two GPUs, the stronger above",
            "nodes.*.budget": (
                "chosen: 600 to 1400 MB at a site hold a small detector and one to four classifiers, or fewer better "
                "ones, so that a chain's stages contend for one node or spread over several"
            ),
            "nodes.cloud.repository": "chosen: the cloud holds all models",
            "links.*.latency": "chosen: 6, 15 and 40 ms per hop up, as in Topology I",
            "links.*.bandwidth": "made up: a picture of 0.2 MB takes 8, 4 and 2 ms per hop, cut-outs a quarter of that",
            "services": "made up: four pipelines of two stages, and counting, which needs the detector alone",
            "workload.rate": "made up: 80 pictures/s at a site, more than most detectors serve there",
            **_FIXED,
            **detection_provenance(),
            "models.detect/*.output_mb": "made up: cut-outs of 0.05 MB, a quarter of the picture",
            "models.*/resnet*.accuracy": (
                "torchvision documentation, weights IMAGENET1K_V1: top-1 on ImageNet; stands for that of each kind"
            ),
            "models.*/resnet*.profiles.*.size": (
                f"estimate: weights of torchvision's documentation, and {_WORKING_MB:g} MB to work in"
            ),
            "models.*/resnet*.profiles.rtx-2080-ti.delay": "made up: 2 ms + 0.5 ms per GFLOP",
            "models.*/resnet*.profiles.agx-xavier.delay": "made up: 4 ms + 3 ms per GFLOP",
            "models.*/resnet*.profiles.*.throughput": "estimate: 1000 / delay",
        },
    }


def partition_resnet() -> dict[str, Any]:
    """Two networks, cut in two or three over devices, edge and cloud: a tail follows only the head of its own cut."""
    models = [*_partitions("faces", 2), *_partitions("signs", 2), *_partitions("scenes", 3)]
    graph = tiers(
        (1, 2, 4),
        (30.0, 8.0),
        names=("cloud", "edge", "device"),
        processors=("server", "edge", "device"),
        budgets=(0.0, 260.0, 40.0),
        repository=[model["name"] for model in models],
    )
    for node, budget in {"edge1": 350.0, "device0": 12.0, "device1": 25.0, "device3": 80.0}.items():
        graph.nodes[node]["budget"] = budget
    network = nodes_and_links(graph)
    for link in network["links"]:
        link["bandwidth"] = _MB_PER_S.get(link["target"], 25.0)
    stages = {app: [f"{app}-{part}" for part in _parts(2)] for app in ("faces", "signs")}
    stages["scenes"] = [f"scenes-{part}" for part in _parts(3)]
    return {
        "name": "partition-resnet",
        "slot_seconds": 10.0,
        "accuracy_weight": 5.0,
        "tasks": [task for own in stages.values() for task in own],
        "models": models,
        **network,
        "services": [{"name": app, "stages": own, "input_mb": 0.6} for app, own in stages.items()],
        "workload": {"kind": "zipf", "rate": 200.0, "exponent": 0.6},
        "provenance": {
            "slot_seconds": "chosen: 10 s",
            "horizon": "the library's default",
            "accuracy_weight": "chosen: 5 ms per percentage point, so that depth is worth its time at the edge",
            "tasks": "made up: three uses of a classifier, each with weights of its own",
            "models": (
                "arithmetic on He et al., Deep residual learning, 2015, table 1: ResNet-50 and ResNet-152 cut behind "
                "their first, second or third layer of bottlenecks; the head has the stem, the tail the last layer"
            ),
            "models.*.accuracy": (
                "of tails torchvision documentation, weights IMAGENET1K_V1: top-1 on ImageNet; of the others 100, as "
                "the network loses nothing before its end"
            ),
            "models.*.output_mb": (
                f"estimate: the feature map at 224 x 224, a byte a value; made up: a learnt bottleneck sends one in "
                f"{_BOTTLENECK}, at no loss"
            ),
            "models.*.profiles.*.size": "arithmetic: weights of 4 bytes; made up: 4 MB to work in",
            "models.*.profiles.*.delay": (
                "arithmetic: GFLOPs as weights times positions; made up: 1 ms, and 0.05, 1 and 4 GFLOPs per ms on "
                "devices, edge and servers"
            ),
            "models.*.profiles.*.throughput": "estimate: 1000 / delay",
            "nodes": "made up: four devices under two edge servers",
            "nodes.*.budget": (
                "chosen: 12 to 80 MB at a device hold a head or a few, but no ResNet; 260 and 350 MB at an edge server "
                "three tails or one deep one"
            ),
            "links.*.latency": "made up: 8 ms from a device to the edge, 30 ms on to the cloud",
            "links.*.bandwidth": (
                "made up: 8, 4, 2 and 1 MB/s from the devices, over which a picture takes 75 to 600 ms, so that each "
                "has a cut of its own; 25 MB/s to the cloud"
            ),
            "services.*.input_mb": "made up: a picture of 448 x 448 as it comes, 3 bytes a pixel, scaled by the head",
            "workload.rate": "made up: 50 pictures/s at a device, more than most heads serve there",
            **_FIXED,
        },
    }


def draft_and_verify() -> dict[str, Any]:
    """Speculative decoding: a draft of k tokens near the user, verified at once by a large model farther along."""
    domains = tuple(_ACCEPTED)
    models = [model for domain in domains for model in _speculative(domain)]
    undrafted = [f"{domain}/draft-0" for domain in domains]
    everything = [model["name"] for model in models]
    nodes: list[dict[str, Any]] = [
        {"name": "cloud", "processor": "server", "budget": 0.0, "tier": 0, "repository": everything},
        *({"name": f"edge{e}", "processor": "edge", "budget": mb, "tier": 1} for e, mb in enumerate((13000.0, 9000.0))),
        *({"name": f"phones{c}", "processor": "phone", "budget": 800.0, "tier": 2, "entry": True} for c in range(2)),
        *({"name": f"laptops{c}", "processor": "laptop", "budget": 1400.0, "tier": 2, "entry": True} for c in range(2)),
    ]
    for node in nodes[1:]:
        node["repository"] = undrafted
    links = [{"source": "cloud", "target": f"edge{e}", "latency": 40.0} for e in range(2)]
    links += [
        {"source": f"edge{e}", "target": f"{cell}{e}", "latency": 8.0}
        for e in range(2)
        for cell in ("phones", "laptops")
    ]
    return {
        "name": "draft-and-verify",
        "slot_seconds": 10.0,
        "tasks": [task for domain in domains for task in (f"{domain}-draft", f"{domain}-verify")],
        "models": models,
        "nodes": nodes,
        "links": links,
        "services": [
            {
                "name": domain,
                "stages": [f"{domain}-draft", f"{domain}-verify"],
                "weight": 1.0 if domain == "chat" else 2.0,
            }
            for domain in domains
        ],
        "workload": {"kind": "zipf", "rate": 2000.0, "exponent": 0.5},
        "provenance": {
            "slot_seconds": "chosen: 10 s",
            "horizon": "the library's default",
            "accuracy_weight": "chosen: 1 ms per percentage point, the library's default",
            "tasks": "made up: two domains, in which a draft is believed more or less often; a request is a token",
            "models": (
                "the textbook model of speculative decoding: of a draft of k tokens, each accepted with probability a, "
                "a verification yields E = (1 - a^(k+1)) / (1 - a) tokens; a token takes 1/E of a draft, of a trip and "
                "of a verification; k = 0 is decoding by the large model alone"
            ),
            "models.*.accuracy": "made up: of the large models; of drafts 100, as all they get wrong is corrected",
            "models.*.trips": "1/E, with a of 0.6 in chat and of 0.8 in code: made up, within what is published",
            "models.*.profiles.*.size": "made up: 600 MB to draft, 4000 and 7500 MB for the large models, in 4 bits",
            "models.*.profiles.*.delay": (
                "made up: 9, 6, 3 and 2 ms to draft a token on a phone, a laptop, at the edge and in the cloud; 25 and "
                "40 ms to decode at the edge, 15 and 24 in the cloud, and a twentieth more per token verified"
            ),
            "models.*.profiles.*.throughput": f"estimate: 1000 / delay; made up: {_AT_ONCE} at a time",
            "nodes": "made up: cells of phones and of laptops under two edge servers",
            "nodes.*.budget": (
                "chosen: a phone's 800 MB hold one draft model, a laptop's 1400 MB two; an edge server's 13000 MB "
                "a 13b model and a 7b one, the other's 9000 MB one or the other"
            ),
            "nodes.*.repository": "chosen: to draft nothing is possible everywhere",
            "links.*.latency": "made up: 8 ms over the air, 40 ms on to the cloud",
            "services.*.weight": "chosen: code counts twice",
            "workload.rate": "made up: 500 tokens/s from a cell, more than one verifier serves",
            **_FIXED,
        },
    }


def _parts(count: int) -> tuple[str, ...]:
    return ("head", "tail") if count == 2 else ("head", "middle", "tail")


def _partitions(app: str, count: int) -> list[dict[str, Any]]:
    """All ways to cut each network in so many parts, behind layers 1 to 3, each part once; heads first."""
    found: list[dict[str, Any]] = []
    for n, part in enumerate(_parts(count)):
        of_task: dict[str, dict[str, Any]] = {}
        for network in _BLOCKS:
            for cuts in combinations((1, 2, 3), count - 1):
                begins = (1, *(cut + 1 for cut in cuts), 5)
                layers = [f"{app}/{network}-{first}-{then - 1}" for first, then in pairwise(begins)]
                model = of_task.setdefault(layers[n], _part(layers[n], f"{app}-{part}", network, *begins[n : n + 2]))
                if n and layers[n - 1] not in model.setdefault("after", []):
                    model["after"].append(layers[n - 1])
        found += of_task.values()
    return found


def _part(name: str, task: str, network: str, first: int, then: int) -> dict[str, Any]:
    """Layers `first` to before `then` of a network."""
    weights, gflops = 0, 0.0
    for layer in range(first, then):
        own = _weights(layer, _BLOCKS[network][layer - 1])
        weights += own
        gflops += own * _positions(layer) * 1e-9
    if first == 1:
        stem = 7 * 7 * 3 * 64
        weights += stem
        gflops += stem * 112**2 * 1e-9
    last = then == 5
    if last:
        weights += 2048 * 1000
    profiles = {}
    for processor, speed in _GFLOPS_PER_MS.items():
        delay = round(_START_MS + gflops / speed, 2)
        size = round(4e-6 * weights + 4.0, 1)
        profiles[processor] = {"size": size, "delay": delay, "throughput": round(1000.0 / delay, 2)}
    model = {"name": name, "task": task, "accuracy": RESNETS[network][0] if last else 100.0, "profiles": profiles}
    if not last:
        channels = 256 * 2 ** (then - 2)
        model["output_mb"] = round(1e-6 * channels * _positions(then - 1) / _BOTTLENECK, 4)
    return model


def _weights(layer: int, blocks: int) -> int:
    """Of a layer of bottlenecks, without biases and normalisation."""
    width = 64 * 2 ** (layer - 1)
    came = 64 if layer == 1 else 2 * width
    return width * (came + 9 * width + 4 * width) + 4 * width * came + (blocks - 1) * 17 * width**2


def _positions(layer: int) -> int:
    """Of a layer's feature map, for a picture of 224 x 224."""
    return (56 // 2 ** (layer - 1)) ** 2


def _speculative(domain: str) -> list[dict[str, Any]]:
    """Drafts of each length, and the large models that verify each of them."""
    drafts, verifiers = [], []
    for k in _DRAFTS:
        accepted = _ACCEPTED[domain]
        tokens = (1.0 - accepted ** (k + 1)) / (1.0 - accepted)
        drafting = {
            processor: _profile(600.0, k * ms / tokens) if k else {"size": 1.0, "delay": 0.0, "throughput": 1e6}
            for processor, ms in _DRAFTING_MS.items()
        }
        draft = {"name": f"{domain}/draft-{k}", "task": f"{domain}-draft", "accuracy": 100.0}
        drafts.append(draft | {"trips": round(1.0 / tokens, 4), "profiles": drafting})
        for target, figures in _TARGETS.items():
            verifying = {
                processor: _profile(figures["size"], ms * (1.0 + 0.05 * k) / tokens)
                for processor, ms in figures["ms"].items()
            }
            model = {"name": f"{domain}/{target}-{k}", "task": f"{domain}-verify"}
            accuracy = figures["accuracy"][domain]
            verifiers.append(model | {"accuracy": accuracy, "after": [draft["name"]], "profiles": verifying})
    return drafts + verifiers


def _profile(size: float, delay: float) -> dict[str, float]:
    return {"size": size, "delay": round(delay, 2), "throughput": round(_AT_ONCE * 1000.0 / delay, 1)}
