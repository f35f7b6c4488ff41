"""Who serves whom: the graph of requests of one node that another one serves, from a trace or from a record folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from idn_gym.experiment.folders import read_description
from idn_gym.experiment.record_files import FORMAT
from idn_gym.experiment.record_tables import Changes
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.scenario import parse
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import read_trace


def served_between(
    network: Network, requests: FloatArray, capacities: FloatArray, allocation: FloatArray | IntArray
) -> FloatArray:
    """(V, V) A_uv: requests of a slot that enter at v and are served at u; 0 for those that a node serves itself.

    Parameters
    ----------
    requests, capacities, allocation : (R,), (P,), (P,) of the slot.

    Raises
    ------
    IdnError
        If services have several stages, which several nodes may serve.
    """
    service = RankedService.of(network.service, "the service graph")
    potential = service.potential_capacities(requests, capacities)
    served = service.requests_served(requests, np.asarray(allocation, dtype=np.float64), potential)
    entries = np.broadcast_to(network.type_entry[:, None], served.shape)
    ends = service.option_nodes.astype(np.int64) * network.V + entries
    graph = np.bincount(ends.ravel(), served.ravel(), minlength=network.V**2).reshape(network.V, network.V)
    np.fill_diagonal(graph, 0.0)
    return graph


def service_graph(network: Network, trace: Trace, allocations: Iterable[FloatArray | IntArray]) -> FloatArray:
    """(V, V) the sum over a trace's slots, each served with an allocation of its own."""
    graph = np.zeros((network.V, network.V))
    for slot, allocation in zip(range(trace.slots), allocations, strict=True):
        capacities = trace.capacities[slot if trace.varying else 0]
        graph += served_between(network, trace.requests[slot], capacities, allocation)
    return graph


def recorded_graph(folder: Path, agent: str) -> tuple[Network, FloatArray]:
    """The network of a record folder, and the service graph of what an agent, by its folder there, had placed.

    Raises
    ------
    IdnError
        If it is no record folder, or has no such agent.
    """
    kept = read_description(folder / "run.json", FORMAT)
    network = Network.compile(parse(kept.get("scenario"), str(folder / "run.json")))
    capacities = folder / "capacities.csv"
    trace = read_trace(network, folder / "requests.csv", capacities if capacities.exists() else None)
    changes = dict(Changes(network, folder / agent / "allocations.csv", trace.slots))
    allocations, placed = [], np.zeros(network.P, dtype=np.int8)
    for slot in range(trace.slots):
        placed = changes.get(slot, placed)
        allocations.append(placed)
    return network, service_graph(network, trace, allocations)


def edges(network: Network, graph: FloatArray) -> list[tuple[str, str, float]]:
    """Its arcs as the state of ``system decide influence`` has them: who serves, whom, requests."""
    return [
        (network.node_names[u], network.node_names[v], float(graph[u, v])) for u, v in np.argwhere(graph > 0.0).tolist()
    ]
