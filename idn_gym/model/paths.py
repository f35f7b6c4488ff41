"""The request types of a scenario: the task of each, the nodes on its path, and the latency to each of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from idn_gym.scenario import Scenario, routes
from idn_gym.typing import FloatArray, IntArray


def request_paths(scenario: Scenario) -> tuple[IntArray, IntArray, FloatArray]:
    """Task (R,), path (R, J) and latency in ms along it (R, J), both padded as in `Network`."""
    if scenario.requests is None:
        return _default_paths(scenario)
    tasks = {task: i for i, task in enumerate(scenario.tasks)}
    nodes = {node.name: v for v, node in enumerate(scenario.nodes)}
    latency = {frozenset((link.source, link.target)): link.latency for link in scenario.links or ()}
    longest = max(len(request.path) for request in scenario.requests)
    paths = np.full((len(scenario.requests), longest), -1, dtype=np.int32)
    steps = np.zeros(paths.shape)
    for rho, request in enumerate(scenario.requests):
        path = request.path
        paths[rho, : len(path)] = [nodes[name] for name in path]
        steps[rho, 1 : len(path)] = [latency[frozenset(hop)] for hop in pairwise(path)]
    task = np.array([tasks[request.asks_for] for request in scenario.requests], dtype=np.int32)
    return task, paths, np.cumsum(steps, axis=1)


def _default_paths(scenario: Scenario) -> tuple[IntArray, IntArray, FloatArray]:
    """Every task from every entry node to its nearest repository, task by task."""
    entries = np.array(routes.entry_nodes(scenario), dtype=np.int64)
    task_of = {model.name: model.task for model in scenario.models}
    holders: dict[str, list[int]] = {task: [] for task in scenario.tasks}
    for v, node in enumerate(scenario.nodes):
        for task in dict.fromkeys(task_of[name] for name in node.repository or ()):
            holders[task].append(v)
    found = {held: routes.routes_to_nearest(scenario, entries, np.array(held)) for held in map(tuple, holders.values())}
    each = [found[tuple(held)] for held in holders.values()]
    longest = max(path.shape[1] for path, _ in each)
    paths = np.full((len(each) * len(entries), longest), -1, dtype=np.int32)
    latencies = np.zeros(paths.shape)
    for i, (path, latency) in enumerate(each):
        rows = slice(i * len(entries), (i + 1) * len(entries))
        paths[rows, : path.shape[1]] = path
        latencies[rows, : path.shape[1]] = latency
    return np.repeat(np.arange(len(each), dtype=np.int32), len(entries)), paths, latencies
