"""Scenarios of networks cut in a head of few bits and a tail: the content of their files, to be read by `parse`."""

from __future__ import annotations

from typing import Any

from idn_gym.library.splits import FLOAT_BITS, MOBILE_INPUTS, MOBILE_LAYERS, Head, Machine, split_models
from idn_gym.topology import nodes_and_links, tiers

# What `system decide qpart` says of the layers at each cut, by the noise it may leave: bits of the weights of each
# layer on the device, and last of what crosses the cut. Cuts behind the first three parts send more than the input.
_CUTS = (0, 4, 5, 6, 7)
_BITS: dict[str, tuple[tuple[int, ...], ...]] = {
    "0.2%": ((5,), (8, 8, 8, 5, 5), (10, 8, 8, 8, 5, 5), (12, 10, 8, 8, 8, 5, 5), (8, 8, 8, 6, 6, 5, 6, 6)),
    "1%": ((4,), (7, 5, 5, 4, 4), (7, 7, 5, 5, 4, 4), (7, 7, 7, 5, 5, 4, 4), (8, 7, 7, 7, 4, 4, 5, 5)),
    "5%": ((3,), (5, 5, 3, 3, 3), (5, 5, 5, 3, 3, 3), (7, 5, 5, 5, 3, 3, 3), (5, 5, 4, 4, 3, 3, 4, 4)),
    "float": tuple((FLOAT_BITS,) * (cut + 1) for cut in _CUTS),
}
_MACHINES = {
    "camera": Machine(gmacs=2.0, start_ms=2.0),
    "phone": Machine(gmacs=8.0, start_ms=1.0),
    "edge": Machine(gmacs=50.0, start_ms=1.0, at_once=2),
    "server": Machine(gmacs=500.0, start_ms=1.0, at_once=8),
}
_MB_PER_S = {"device0": 6.0, "device1": 0.4, "device2": 1.5, "device3": 0.1}
_ACCURACY = 72.0


def quantised_heads() -> list[Head]:
    """The heads of `quantised_split`: each noise at each cut, and each cut in 32 bits."""
    return [Head(noise, bits) for noise, row in _BITS.items() for bits in row]


def quantised_split() -> dict[str, Any]:
    """A mobile classifier in two uses, cut between devices of slow links and the edge, its heads in few bits."""
    apps = ("faces", "signs")
    models = [
        model
        for app in apps
        for model in split_models(app, MOBILE_LAYERS, MOBILE_INPUTS, _ACCURACY, quantised_heads(), _MACHINES)
    ]
    graph = tiers(
        (1, 2, 4),
        (30.0, 8.0),
        names=("cloud", "edge", "device"),
        processors=("server", "edge", "camera"),
        budgets=(0.0, 24.0, 4.0),
        repository=[model["name"] for model in models],
    )
    graph.nodes["edge1"]["budget"] = 36.0
    for node, budget in {"device2": 3.0, "device3": 4.5}.items():
        graph.nodes[node].update(processor="phone", budget=budget)
    network = nodes_and_links(graph)
    for link in network["links"]:
        link["bandwidth"] = _MB_PER_S.get(link["target"], 25.0)
    return {
        "name": "quantised-split",
        "slot_seconds": 10.0,
        "accuracy_weight": 10.0,
        "tasks": [f"{app}-{part}" for app in apps for part in ("head", "tail")],
        "models": models,
        **network,
        "services": [
            {"name": app, "stages": [f"{app}-head", f"{app}-tail"], "input_mb": round(MOBILE_INPUTS / 1e6, 4)}
            for app in apps
        ],
        "workload": {"kind": "zipf", "rate": 32.0, "exponent": 0.6},
        "provenance": {
            "slot_seconds": "chosen: 10 s",
            "horizon": "the library's default",
            "accuracy_weight": "chosen: 10 ms per percentage point, so that bits are worth their time on slow links",
            "tasks": "made up: two uses of one classifier, each with weights of its own",
            "models": (
                "library.splits: a mobile classifier of seven parts, made up after networks of its kind, cut before "
                "its first and behind its last four; bits by the method of arXiv 2506.23934 at a noise of 0.2, 1 and "
                "5 %, and 32"
            ),
            "models.*.accuracy": (
                f"made up: {_ACCURACY:g} of the network; heads have 100 less their quantisers' noise, the sum of 4^-b "
                "over what is sent, which is this library's model: nothing was trained"
            ),
            "models.*.output_mb": "arithmetic: the values that cross the cut times their bits",
            "models.*.profiles.*.size": "arithmetic: weights times their bits; made up: 1 MB to work in",
            "models.*.profiles.*.delay": (
                "arithmetic: multiplications; made up: 2, 8, 50 and 500 thousand million a second on cameras, phones, "
                "edge and servers, and 2 ms on cameras and 1 ms elsewhere to start"
            ),
            "models.*.profiles.*.throughput": "estimate: 1000 / delay; made up: 2 at once at the edge, 8 in the cloud",
            "nodes": "made up: two cameras and two phones under an edge server each",
            "nodes.*.budget": (
                "chosen: 3 to 4.5 MB on a device hold one or two heads in few bits, and of those in 32 only the short "
                "ones; 24 and 36 MB at an edge server one or two tails"
            ),
            "links.*.latency": "made up: 8 ms from a device to the edge, 30 ms on to the cloud",
            "links.*.bandwidth": (
                "made up: 6, 0.4, 1.5 and 0.1 MB/s from the devices, over which an input takes 25 to 1500 ms, so that "
                "each has a cut of its own; 25 MB/s to the cloud"
            ),
            "services.*.input_mb": "arithmetic: a picture of 224 x 224, 3 bytes a pixel",
            "workload.rate": "made up: 8 pictures/s at a device, more than a camera's head serves",
            "workload.kind": "chosen: Poisson counts around the mean",
            "workload.exponent": "chosen: popularity over services, in the order of the file",
        },
    }
