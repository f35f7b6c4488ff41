"""The request types of a scenario: the service of each, the nodes on its path, and the time to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from idn_gym.scenario import Scenario, routes
from idn_gym.typing import FloatArray, IntArray


def request_paths(scenario: Scenario) -> tuple[IntArray, IntArray, FloatArray]:
    """Service (R,), path (R, J) and ms along it, transfers included (R, J), both padded as in `Network`."""
    service, paths, latencies = _default_paths(scenario) if scenario.requests is None else _listed_paths(scenario)
    input_mb = np.array([offered.input_mb for offered in scenario.offered])[service]
    if input_mb.any() and any(link.bandwidth for link in scenario.links or ()):
        latencies = latencies + input_mb[:, None] * _transfers(scenario, paths)
    return service, paths, latencies


def link_steps(scenario: Scenario, paths: IntArray) -> tuple[FloatArray, FloatArray]:
    """Of the link that leads to each node of paths (R, J): ms of latency, and ms per MB; 0 where padded."""
    links = scenario.links or ()
    latencies = _along(scenario, paths, [link.latency for link in links])
    return latencies, _along(scenario, paths, [1000.0 / link.bandwidth if link.bandwidth else 0.0 for link in links])


def _listed_paths(scenario: Scenario) -> tuple[IntArray, IntArray, FloatArray]:
    """The types that the file lists, in its order."""
    assert scenario.requests is not None
    services = {service.name: i for i, service in enumerate(scenario.offered)}
    nodes = {node.name: v for v, node in enumerate(scenario.nodes)}
    latency = {frozenset((link.source, link.target)): link.latency for link in scenario.links or ()}
    longest = max(len(request.path) for request in scenario.requests)
    paths = np.full((len(scenario.requests), longest), -1, dtype=np.int32)
    steps = np.zeros(paths.shape)
    for rho, request in enumerate(scenario.requests):
        path = request.path
        paths[rho, : len(path)] = [nodes[name] for name in path]
        steps[rho, 1 : len(path)] = [latency[frozenset(hop)] for hop in pairwise(path)]
    service = np.array([services[request.asks_for] for request in scenario.requests], dtype=np.int32)
    return service, paths, np.cumsum(steps, axis=1)


def _default_paths(scenario: Scenario) -> tuple[IntArray, IntArray, FloatArray]:
    """Every service from every entry node to its nearest repository, service by service."""
    entries = np.array(routes.entry_nodes(scenario), dtype=np.int64)
    holders = routes.holders(scenario).values()
    found = {held: routes.routes_to_nearest(scenario, entries, np.array(held)) for held in set(holders)}
    each = [found[held] for held in holders]
    longest = max(path.shape[1] for path, _ in each)
    paths = np.full((len(each) * len(entries), longest), -1, dtype=np.int32)
    latencies = np.zeros(paths.shape)
    for i, (path, latency) in enumerate(each):
        rows = slice(i * len(entries), (i + 1) * len(entries))
        paths[rows, : path.shape[1]] = path
        latencies[rows, : path.shape[1]] = latency
    return np.repeat(np.arange(len(each), dtype=np.int32), len(entries)), paths, latencies


def _transfers(scenario: Scenario, paths: IntArray) -> FloatArray:
    """(R, J) ms per MB from the entry to each node of the paths; 0 where padded."""
    return np.where(paths >= 0, np.cumsum(link_steps(scenario, paths)[1], axis=1), 0.0)


def _along(scenario: Scenario, paths: IntArray, values: Sequence[float]) -> FloatArray:
    """(R, J) the value of the link that leads to each node of the paths; 0 where padded, and at the entry."""
    if not values:
        return np.zeros(paths.shape)
    nodes = {node.name: v for v, node in enumerate(scenario.nodes)}
    width = len(nodes)
    ends = np.array([(nodes[link.source], nodes[link.target]) for link in scenario.links or ()], dtype=np.int64)
    hops = np.concatenate([ends[:, 0] * width + ends[:, 1], ends[:, 1] * width + ends[:, 0]])  # links are undirected
    order = np.argsort(hops)
    here, there = paths[:, :-1].astype(np.int64), paths[:, 1:]
    at = np.searchsorted(hops[order], np.where(there >= 0, here * width + there, hops[0]))
    steps = np.zeros(paths.shape)
    steps[:, 1:] = np.where(there >= 0, np.tile(values, 2)[order][at], 0.0)
    return steps
