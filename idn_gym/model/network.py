"""The network: immutable arrays over nodes, placements, request types and options, compiled once from a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.scenario import routes
from idn_gym.scenario.rules import replica_name
from idn_gym.scenario.schema import Scenario
from idn_gym.typing import BoolArray, FloatArray, IntArray

BUDGET_SLACK = 1e-9  # relative to the budget: the rounding error of a sum, nothing more
_CHUNK = 2**22  # options ranked at a time, so that compiling stays far below the memory of the result


class Tables(NamedTuple):
    """The arrays of a network that kernels read; see `Network` for their shapes."""

    node_start: IntArray
    placement_node: IntArray
    placement_group: IntArray
    sizes: FloatArray
    inaccuracies: FloatArray
    fits: BoolArray
    budgets: FloatArray
    path_groups: IntArray
    options: IntArray
    costs: FloatArray
    option_count: IntArray
    repository_node: IntArray
    repository_inaccuracy: FloatArray
    groups: int


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """Axes: V nodes, M models (replicas included), N tasks, P placements, R request types, K options, J path nodes."""

    scenario: Scenario
    node_names: tuple[str, ...]
    model_names: tuple[str, ...]
    budgets: FloatArray  # (V,) MB
    tiers: IntArray  # (V,)
    model_task: IntArray  # (M,)

    node_start: IntArray  # (V+1,) the placements of node v are node_start[v]:node_start[v+1]
    placement_node: IntArray  # (P,)
    placement_model: IntArray  # (P,)
    placement_group: IntArray  # (P,) node * N + task
    sizes: FloatArray  # (P,) MB
    capacities: FloatArray  # (P,) nominal, requests per slot
    inaccuracies: FloatArray  # (P,) 100 - accuracy, percentage points
    fits: BoolArray  # (P,) no larger than the node's budget

    type_task: IntArray  # (R,)
    type_entry: IntArray  # (R,)
    paths: IntArray  # (R, J) nodes from the entry on, padded with -1
    path_groups: IntArray  # (R, J) the type's groups along its path, padded with V * N
    options: IntArray  # (R, K) placements by ascending cost, then P: the repository model and the padding
    costs: FloatArray  # (R, K) ms, ascending; padded with the repository model's
    option_count: IntArray  # (R,) ranks up to and including the repository model
    repository_node: IntArray  # (R,) where that repository model is
    repository_inaccuracy: FloatArray  # (R,) percentage points

    @classmethod
    def compile(cls, scenario: Scenario) -> Network:
        """Compile a valid scenario; 10,000 nodes with 200 models take seconds.

        Ranking: ascending cost; ties go to the nearer node, then to the order in the file.
        Source: design, scenario file and semantics; paper.md section 1 for options and cost.
        """
        return cls(scenario=scenario, **_compiled(scenario))

    def __post_init__(self) -> None:
        for array in (value for value in vars(self).values() if isinstance(value, np.ndarray)):
            array.setflags(write=False)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is computed on first use is computed again, over arrays that are read-only again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis}={getattr(self, axis)}" for axis in "VMNPRK")
        return f"Network({self.scenario.name!r}, {sizes})"

    @property
    def V(self) -> int:
        """Number of nodes."""
        return len(self.node_names)

    @property
    def M(self) -> int:
        """Number of models, replicas included."""
        return len(self.model_names)

    @property
    def N(self) -> int:
        """Number of tasks."""
        return len(self.scenario.tasks)

    @property
    def P(self) -> int:
        """Number of placements."""
        return len(self.placement_node)

    @property
    def R(self) -> int:
        """Number of request types."""
        return len(self.type_task)

    @property
    def K(self) -> int:
        """Largest number of options of a request type, the repository model included."""
        return int(self.options.shape[1])

    @property
    def accuracy_weight(self) -> float:
        """Alpha: ms per percentage point of inaccuracy."""
        return self.scenario.accuracy_weight

    @cached_property
    def spendable(self) -> FloatArray:
        """(V,) MB: min(budget, sum of the sizes that fit); what a state of mirror descent spends. paper.md 2."""
        total = np.bincount(self.placement_node, self.sizes * self.fits, minlength=self.V)
        return np.minimum(self.budgets, total)

    @cached_property
    def tables(self) -> Tables:
        """What the kernels read; indices unsigned, which spares them the test for a negative one."""
        arrays = {name: getattr(self, name) for name in Tables._fields[:-1]}
        unsigned = {name: array.view(np.uint32) for name, array in arrays.items() if array.dtype == np.int32}
        return Tables(**arrays | unsigned, groups=self.V * self.N)

    @cached_property
    def listing(self) -> tuple[IntArray, IntArray, IntArray]:
        """Options by placement, as (start (P+1,), type (n,), rank (n,)): who lists placement p, and where."""
        kept = self.options < self.P
        placement = self.options[kept]
        order = np.argsort(placement, kind="stable")
        types, ranks = np.nonzero(kept)
        start = np.concatenate(([0], np.cumsum(np.bincount(placement, minlength=self.P))))
        return start.astype(np.int64), types[order].astype(np.int32), ranks[order].astype(np.int32)

    @cached_property
    def placement_index(self) -> IntArray:
        """(V, M) number of each placement, -1 where there is none."""
        index = np.full((self.V, self.M), -1, dtype=np.int32)
        index[self.placement_node, self.placement_model] = np.arange(self.P)
        return index

    def is_permanent(self, node: int, model: int) -> bool:
        """Whether a node is a repository of a model (or of the model that it is a replica of)."""
        return self.scenario.models[model // self.scenario.replicas].name in (
            self.scenario.nodes[node].repository or ()
        )

    def to_matrix(self, values: FloatArray, fill: float = 0.0) -> FloatArray:
        """(..., P) values per placement as (..., V, M), with `fill` where there is no placement."""
        values = np.asarray(values)
        matrix = np.full((*values.shape[:-1], self.V, self.M), fill, dtype=np.result_type(values, type(fill)))
        matrix[..., self.placement_node, self.placement_model] = values
        return matrix

    def from_matrix(self, matrix: FloatArray) -> FloatArray:
        """(..., V, M) values as (..., P); entries that are no placement are left out."""
        matrix = np.asarray(matrix)
        if matrix.shape[-2:] != (self.V, self.M):
            raise IdnError(f"matrix of shape {matrix.shape}; the network's is (..., V, M) = (..., {self.V}, {self.M})")
        return matrix[..., self.placement_node, self.placement_model]

    def type_index(self) -> dict[tuple[str, str], int]:
        """Number of the request type of each (task, entry node), by name."""
        tasks, nodes = self.scenario.tasks, self.node_names
        return {
            (tasks[i], nodes[v]): rho
            for rho, (i, v) in enumerate(zip(self.type_task.tolist(), self.type_entry.tolist(), strict=True))
        }


def _compiled(scenario: Scenario) -> dict[str, Any]:
    offered = [(m, n) for m in range(len(scenario.models)) for n in range(scenario.replicas)]
    models = [scenario.models[m] for m, _ in offered]
    tasks = {task: i for i, task in enumerate(scenario.tasks)}
    model_task = np.array([tasks[model.task] for model in models], dtype=np.int32)
    inaccuracy = np.array([100.0 - model.accuracy for model in models])

    # profiles per processor (Q, M); nan where a model cannot run
    processors = {name: q for q, name in enumerate(dict.fromkeys(node.processor for node in scenario.nodes))}
    size, delay, throughput = np.full((3, len(processors), len(models)), np.nan)
    for m, model in enumerate(models):
        for name, profile in model.profiles.items():
            if name in processors:
                q = processors[name]
                size[q, m], delay[q, m], throughput[q, m] = profile.size, profile.delay, profile.throughput
    node_processor = np.array([processors[node.processor] for node in scenario.nodes])

    permanent = np.zeros((len(scenario.nodes), len(models)), dtype=np.bool_)
    offers = {model.name: m for m, model in enumerate(scenario.models)}
    for v, node in enumerate(scenario.nodes):
        for name in node.repository or ():
            first = offers[name] * scenario.replicas
            permanent[v, first : first + scenario.replicas] = True

    placement_node, placement_model = np.nonzero(~np.isnan(size)[node_processor] & ~permanent)
    index = np.full(permanent.shape, -1, dtype=np.int32)
    index[placement_node, placement_model] = np.arange(len(placement_node))
    processor = node_processor[placement_node]
    budgets = np.array([node.budget for node in scenario.nodes])
    sizes = size[processor, placement_model]

    type_task, paths, latencies = _paths(scenario)
    cost_at_node = delay + scenario.accuracy_weight * inaccuracy  # (Q, M), without the way there
    ranked = _Ranking(paths, latencies, node_processor, cost_at_node, permanent, index, len(placement_node))
    options = ranked.rank(type_task, model_task)
    groups = np.where(paths >= 0, paths * len(tasks) + type_task[:, None], len(budgets) * len(tasks))
    return {
        "node_names": tuple(node.name for node in scenario.nodes),
        "model_names": tuple(replica_name(scenario.models[m].name, n) for m, n in offered),
        "budgets": budgets,
        "tiers": routes.tiers(scenario),
        "model_task": model_task,
        "node_start": np.searchsorted(placement_node, np.arange(len(budgets) + 1)).astype(np.int32),
        "placement_node": placement_node.astype(np.int32),
        "placement_model": placement_model.astype(np.int32),
        "placement_group": (placement_node * len(tasks) + model_task[placement_model]).astype(np.int32),
        "sizes": sizes,
        "capacities": throughput[processor, placement_model] * scenario.slot_seconds,
        "inaccuracies": inaccuracy[placement_model],
        "fits": sizes <= budgets[placement_node] * (1.0 + BUDGET_SLACK),
        "type_task": type_task,
        "type_entry": paths[:, 0].copy(),
        "paths": paths,
        "path_groups": groups.astype(np.int32),
        "options": options.placement,
        "costs": options.cost,
        "option_count": options.count,
        "repository_node": options.repository_node,
        "repository_inaccuracy": inaccuracy[options.repository_model],
    }


def _paths(scenario: Scenario) -> tuple[IntArray, IntArray, FloatArray]:
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
    task = np.array([tasks[request.task] for request in scenario.requests], dtype=np.int32)
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


@dataclass(frozen=True)
class _Options:
    placement: IntArray  # (n, K)
    cost: FloatArray  # (n, K)
    count: IntArray  # (n,)
    repository_node: IntArray  # (n,)
    repository_model: IntArray  # (n,)

    @classmethod
    def concatenate(cls, parts: list[_Options], order: IntArray, padding: int) -> _Options:
        """Parts of differing K as one, padded with the repository model, rows put where `order` says."""
        widest = max(part.cost.shape[1] for part in parts)
        n = len(order)
        whole = cls(
            np.full((n, widest), padding, dtype=np.int32),
            np.empty((n, widest)),
            np.empty(n, dtype=np.int32),
            np.empty(n, dtype=np.int32),
            np.empty(n, dtype=np.int32),
        )
        done = 0
        for part in parts:
            rows, k = order[done : done + len(part.count)], part.cost.shape[1]
            whole.placement[rows, :k] = part.placement
            whole.cost[rows, :k] = part.cost
            whole.cost[rows, k:] = part.cost[:, -1:]
            for field in fields(cls)[2:]:
                getattr(whole, field.name)[rows] = getattr(part, field.name)
            done += len(rows)
        return whole


@dataclass(frozen=True)
class _Ranking:
    paths: IntArray  # (R, J)
    latencies: FloatArray  # (R, J)
    node_processor: IntArray  # (V,)
    cost_at_node: FloatArray  # (Q, M), nan where a model cannot run
    permanent: BoolArray  # (V, M)
    placement_index: IntArray  # (V, M)
    placements: int

    def rank(self, type_task: IntArray, model_task: IntArray) -> _Options:
        """The options of every type, a chunk of types of one task at a time."""
        parts, order = [], []
        for task in np.unique(type_task):
            models = np.flatnonzero(model_task == task)
            for rows in self._chunks(np.flatnonzero(type_task == task), len(models)):
                parts.append(self._rank_chunk(rows, models))
                order.append(rows)
        return _Options.concatenate(parts, np.concatenate(order), self.placements)

    def _chunks(self, rows: IntArray, models: int) -> Iterator[IntArray]:
        step = max(1, _CHUNK // (self.paths.shape[1] * models))
        yield from (rows[i : i + step] for i in range(0, len(rows), step))

    def _rank_chunk(self, rows: IntArray, models: IntArray) -> _Options:
        path = self.paths[rows]  # (n, J); candidates are (n, J, m), nearer nodes first, then file order
        cost = self.latencies[rows][:, :, None] + self.cost_at_node[self.node_processor[path][:, :, None], models]
        cost[(path < 0)[:, :, None] | np.isnan(cost)] = np.inf
        cost = cost.reshape(len(rows), -1)
        order = np.argsort(cost, axis=1, kind="stable")
        node = np.take_along_axis(np.repeat(path, len(models), axis=1), order, axis=1)
        model = models[order % len(models)]
        cost = np.take_along_axis(cost, order, axis=1)
        is_repository = self.permanent[node, model] & np.isfinite(cost)
        last = is_repository.argmax(axis=1)  # rank of the cheapest repository model; behind it nothing is reached
        k = last.max() + 1
        each = np.arange(len(rows))
        beyond = np.arange(k) >= last[:, None]
        placement = np.where(beyond, self.placements, self.placement_index[node, model][:, :k])
        cost = np.where(beyond, cost[each, last][:, None], cost[:, :k])
        return _Options(placement, cost, last + 1, node[each, last], model[each, last])
