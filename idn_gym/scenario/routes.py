"""Where requests enter and how they travel: entry nodes, tiers and lowest-latency routes to repositories."""

from __future__ import annotations

import networkx as nx
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from idn_gym.scenario.schema import Content
from idn_gym.typing import FloatArray, IntArray


def link_graph(content: Content) -> nx.Graph[int]:
    """The links over node indices 0 ... V-1 in file order; edge attribute `latency`, round trip in ms."""
    index = {node.name: v for v, node in enumerate(content.nodes)}
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(len(index)))
    graph.add_edges_from(
        (index[link.source], index[link.target], {"latency": link.latency}) for link in content.links or ()
    )
    return graph


def entry_nodes(content: Content) -> list[int]:
    """Nodes where requests enter: those marked; else those of the highest tier; else all without a repository."""
    nodes = list(enumerate(content.nodes))
    marked = [v for v, node in nodes if node.entry]
    if marked:
        return marked
    tiers = [node.tier for _, node in nodes if node.tier is not None]
    if tiers:
        return [v for v, node in nodes if node.tier == max(tiers)]
    return [v for v, node in nodes if not node.repository]


def holders(content: Content) -> dict[str, tuple[int, ...]]:
    """Service -> nodes that have repository models of all its stages."""
    task_of = {model.name: model.task for model in content.models}
    held = [{task_of[name] for name in node.repository or ()} for node in content.nodes]
    return {
        service.name: tuple(v for v, tasks in enumerate(held) if tasks.issuperset(service.stages))
        for service in content.offered
    }


def tiers(content: Content) -> IntArray:
    """(V,) tier of each node: as given, else hops to the nearest repository (0 where none can be reached)."""
    repositories = [v for v, node in enumerate(content.nodes) if node.repository]
    hops = nx.multi_source_dijkstra_path_length(link_graph(content), repositories, weight=None) if repositories else {}
    given = [hops.get(v, 0) if node.tier is None else node.tier for v, node in enumerate(content.nodes)]
    return np.array(given, dtype=np.int32)


def routes_to_nearest(content: Content, sources: IntArray, repositories: IntArray) -> tuple[IntArray, FloatArray]:
    """Lowest-latency routes from each source to the nearest of the repositories.

    Returns
    -------
    path : (E, J) node indices from the source on, padded with -1.
    latency : (E, J) round trip in ms from the source to each node of the path; 0 where padded.
    """
    step, weight = _towards(content, repositories)
    columns = [sources]
    latencies = [np.zeros(len(sources))]
    while True:
        here = columns[-1]
        there = np.where(here >= 0, step[here], -1)
        if (there < 0).all():
            break
        columns.append(there)
        latencies.append(np.where(there >= 0, latencies[-1] + weight[here], 0.0))
    return np.stack(columns, axis=1).astype(np.int32), np.stack(latencies, axis=1)


def _towards(content: Content, repositories: IntArray) -> tuple[IntArray, FloatArray]:
    """(V,) next node towards the nearest repository (-1 at one) and latency of that link in ms."""
    index = {node.name: v for v, node in enumerate(content.nodes)}
    links = content.links or ()
    # int32: SciPy before 1.15 finds no routes over indices of 64 bits
    ends = np.array([(index[link.source], index[link.target]) for link in links], dtype=np.int32).reshape(-1, 2)
    latency = np.array([link.latency for link in links])
    matrix = csr_array((latency, (ends[:, 0], ends[:, 1])), shape=(len(index),) * 2)  # keeps links of 0 ms
    _, step, _ = dijkstra(matrix, directed=False, indices=repositories, return_predecessors=True, min_only=True)
    weight = np.zeros(len(index))
    for v, w, ms in zip(ends[:, 0], ends[:, 1], latency, strict=True):
        if step[v] == w:
            weight[v] = ms
        if step[w] == v:
            weight[w] = ms
    return np.where(step < 0, -1, step).astype(np.int64), weight
