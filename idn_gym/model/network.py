"""The network: placements and how requests are served over them, compiled once from a scenario."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from idn_gym.common.arrays import refuse_inconsistent
from idn_gym.model.chains import ChainCatalog
from idn_gym.model.paths import request_paths
from idn_gym.model.placements import Placements, room
from idn_gym.model.ranked import RankedService
from idn_gym.model.ranking import Ranking, latest
from idn_gym.model.routed import with_chains
from idn_gym.model.service import Service
from idn_gym.scenario import Scenario, routes
from idn_gym.scenario.rules import replica_name
from idn_gym.typing import BoolArray, FloatArray, IntArray

_SHAPES = {
    "model_base": "M", "model_replica": "M", "model_task": "M",
    "capacities": "P", "inaccuracies": "P", "prices": "P", "placement_group": "P",
    "type_service": "R", "type_task": "R", "type_entry": "R", "paths": "RJ",
}  # fmt: skip
_RANGES = {
    "model_base": (0, "M"), "model_replica": (0, "M"), "model_task": (0, "N"),
    "placement_group": (0, "G"), "type_service": (0, "S"), "type_task": (0, "N"), "type_entry": (0, "V"),
    "paths": (-1, "V"),
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Network(Placements):
    """What each node may hold, and how requests are served: the arrays of a scenario.

    Axes: V nodes, M models (replicas included), N tasks, P placements, R request types, J path nodes.
    """

    scenario: Scenario
    tiers: IntArray  # (V,)
    model_base: IntArray  # (M,) number of the scenario's model that it is a replica of
    model_replica: IntArray  # (M,) which of that model's replicas, counted from 0
    model_task: IntArray  # (M,)
    placement_group: IntArray  # (P,) node * N + task
    capacities: FloatArray  # (P,) nominal, requests per slot
    inaccuracies: FloatArray  # (P,) 100 - accuracy, percentage points
    prices: FloatArray  # (P,) currency per slot of holding each placement

    type_service: IntArray  # (R,)
    type_task: IntArray  # (R,) of the service's stage
    type_entry: IntArray  # (R,)
    paths: IntArray  # (R, J) nodes from the entry on, padded with -1
    service: Service

    @classmethod
    def compile(cls, scenario: Scenario) -> Network:
        """Compile a valid scenario; 10,000 nodes with 200 models take seconds.

        Ranking: ascending cost; ties go to the nearer node, then to the order in the file.
        Source: docs/model.md#options-and-ranking, docs/model.md#cost.
        """
        return cls(scenario=scenario, **_compiled(scenario))

    def __post_init__(self) -> None:
        super().__post_init__()
        axes = {axis: getattr(self, axis) for axis in "VMNPR"} | {"J": self.paths.shape[-1]}
        axes |= {"G": self.V * self.N, "S": len(self.service_names)}
        refuse_inconsistent("network", self, axes, _SHAPES, _RANGES)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis}={getattr(self, axis)}" for axis in "VMNPRK")
        return f"Network({self.scenario.name!r}, {sizes})"

    @property
    def N(self) -> int:
        """Number of tasks."""
        return len(self.scenario.tasks)

    @property
    def R(self) -> int:
        """Number of request types."""
        return len(self.type_task)

    @property
    def K(self) -> int:
        """Largest number of ways to serve a request type, repositories included."""
        return self.service.K

    @property
    def accuracy_weight(self) -> float:
        """Alpha: ms per percentage point of inaccuracy."""
        return self.scenario.accuracy_weight

    @property
    def price_weight(self) -> float:
        """Ms of gain per unit of currency."""
        return self.scenario.price_weight

    @cached_property
    def holding(self) -> FloatArray:
        """(P,) ms per slot that holding each placement takes off the net gain: price_weight x price."""
        return self.price_weight * self.prices

    @cached_property
    def priced(self) -> bool:
        """Whether the net gain is another than the gain."""
        return bool(self.holding.any())

    @cached_property
    def timed(self) -> BoolArray:
        """(R,) whether the service of a type has a deadline, by which its requests may be missed."""
        return np.array([service.counted_deadline is not None for service in self.scenario.offered])[self.type_service]

    def is_permanent(self, node: int, model: int) -> bool:
        """Whether a node is a repository of a model (or of the model that it is a replica of)."""
        return self.scenario.models[self.model_base[model]].name in (self.scenario.nodes[node].repository or ())

    @cached_property
    def service_names(self) -> tuple[str, ...]:
        """What requests may ask for, in the order of the file: services, or tasks where none are listed."""
        return tuple(service.name for service in self.scenario.offered)

    @cached_property
    def type_names(self) -> tuple[tuple[str, str], ...]:
        """Service and entry node of each request type."""
        services, nodes = self.service_names, self.node_names
        return tuple((services[i], nodes[v]) for i, v in zip(self.type_service, self.type_entry, strict=True))

    def type_index(self) -> dict[tuple[str, str], int]:
        """Number of the request type of each (service, entry node), by name."""
        return {names: rho for rho, names in enumerate(self.type_names)}


def _compiled(scenario: Scenario) -> dict[str, Any]:
    base = np.repeat(np.arange(len(scenario.models), dtype=np.int32), scenario.replicas)
    replica = np.tile(np.arange(scenario.replicas, dtype=np.int32), len(scenario.models))
    models = [scenario.models[m] for m in base]
    tasks = {task: i for i, task in enumerate(scenario.tasks)}
    model_task = np.array([tasks[model.task] for model in models], dtype=np.int32)
    inaccuracy = np.array([100.0 - model.accuracy for model in models])

    # profiles per processor (Q, M); nan where a model cannot run
    processors = {name: q for q, name in enumerate(dict.fromkeys(node.processor for node in scenario.nodes))}
    size, delay, throughput, price = np.full((4, len(processors), len(models)), np.nan)
    for m, model in enumerate(models):
        for name, profile in model.profiles.items():
            if name in processors:
                q = processors[name]
                size[q, m], delay[q, m], throughput[q, m] = profile.size, profile.delay, profile.throughput
                price[q, m] = profile.price
    node_processor = np.array([processors[node.processor] for node in scenario.nodes])

    permanent = np.zeros((len(scenario.nodes), len(models)), dtype=np.bool_)
    number = {model.name: m for m, model in enumerate(scenario.models)}
    for v, node in enumerate(scenario.nodes):
        if node.repository:
            permanent[v] = np.isin(base, [number[name] for name in node.repository])

    placement_node, placement_model = np.nonzero(~np.isnan(size)[node_processor] & ~permanent)
    processor = node_processor[placement_node]
    budgets = np.array([node.budget for node in scenario.nodes])
    sizes = size[processor, placement_model]
    held: dict[str, Any] = {
        "node_names": tuple(node.name for node in scenario.nodes),
        "model_names": tuple(replica_name(model.name, n) for model, n in zip(models, replica.tolist(), strict=True)),
        "budgets": budgets,
        "node_start": np.searchsorted(placement_node, np.arange(len(budgets) + 1)).astype(np.int32),
        "placement_node": placement_node.astype(np.int32),
        "placement_model": placement_model.astype(np.int32),
        "sizes": sizes,
        "fits": sizes <= room(budgets[placement_node]),
    }
    placements = Placements(**held)
    placement_group = (placement_node * len(tasks) + model_task[placement_model]).astype(np.int32)

    services = scenario.offered
    type_service, paths, latencies = request_paths(scenario)
    type_task = np.array([tasks[service.stages[0]] for service in services], dtype=np.int32)[type_service]
    ranking = Ranking(
        paths,
        latencies,
        node_processor,
        delay,
        inaccuracy,
        scenario.accuracy_weight,
        scenario.violation_ms,
        permanent,
        placements.placement_index,
        len(placement_node),
    )
    models_of = [np.flatnonzero(model_task == tasks[service.stages[0]]) for service in services]
    options = ranking.rank(services, models_of, type_service)

    def of_type(values: Iterable[float]) -> FloatArray:
        """(R,) values of services."""
        return np.array(list(values))[type_service]

    # the highest priority is class 0
    priorities, ranks = np.unique(-of_type(service.priority for service in services), return_inverse=True)
    type_class, each_class = ranks.reshape(-1).astype(np.int32), len(budgets) * len(tasks)
    groups = np.where(
        paths >= 0,
        type_class[:, None] * each_class + paths * len(tasks) + type_task[:, None],
        len(priorities) * each_class,
    )
    accuracy_weights = of_type((service.accuracy_weights or (1.0,))[0] for service in services)
    at_repository = (paths == options.repository_node[:, None]).argmax(axis=1)[:, None]
    way = np.take_along_axis(latencies, at_repository, axis=1)[:, 0]
    service = RankedService(
        placements=placements,
        groups=len(priorities) * each_class,
        placement_group=placement_group,
        delays=delay[processor, placement_model],
        inaccuracies=inaccuracy[placement_model],
        paths=paths,
        path_latencies=latencies,
        path_groups=groups.astype(np.int32),
        options=options.placement,
        costs=options.cost,
        option_count=options.count,
        repository_node=options.repository_node,
        repository_latency=way + delay[node_processor[options.repository_node], options.repository_model],
        repository_inaccuracy=accuracy_weights * inaccuracy[options.repository_model],
        classes=len(priorities),
        type_class=type_class,
        weights=of_type(service.weight for service in services),
        accuracy_weights=accuracy_weights,
        deadlines=of_type(latest(service.counted_deadline) for service in services),
    )
    chained = np.array([len(service.stages) > 1 for service in services])[type_service]
    if chained.any():
        catalog = ChainCatalog(
            names=[model.name for model in models],
            after=[None if model.after is None else frozenset(model.after) for model in models],
            trips=np.array([model.trips for model in models]),
            output_mb=np.array([model.output_mb for model in models]),
            task=model_task,
            inaccuracy=inaccuracy,
            delay=delay[node_processor],
            permanent=permanent,
            placement=placements.placement_index,
            placements=placements.P,
            alpha=scenario.accuracy_weight,
        )
        stages = [[tasks[task] for task in service.stages] for service in services]
        service = with_chains(service, catalog, np.flatnonzero(chained), type_service, stages, scenario, len(tasks))
    return held | {
        "tiers": routes.tiers(scenario),
        "model_base": base,
        "model_replica": replica,
        "model_task": model_task,
        "placement_group": placement_group,
        "capacities": throughput[processor, placement_model] * scenario.slot_seconds,
        "inaccuracies": inaccuracy[placement_model],
        "prices": price[processor, placement_model] * (scenario.slot_seconds / 3600.0),
        "type_service": type_service,
        "type_task": type_task,
        "type_entry": paths[:, 0].copy(),
        "paths": paths,
        "service": service,
    }
