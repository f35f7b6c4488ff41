"""Small random scenarios, and a slow reading of a scenario in plain Python: the oracle of the tests of the core.

The reading is written from the scenario file's description and the paper's formulas, over dictionaries keyed by
names. It shares no code with the library beyond the parsed scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
from hypothesis import strategies as st

from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, parse

EPSILON = float(np.finfo(np.float64).eps)
Whole = Callable[[int, int], int]  # draws a whole number from a closed range
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from((10**400, -(10**30)))
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
Pair = tuple[str, str]  # (node, model) of a placement, or (task, entry node) of a request type


def values(whole: Whole, ties: bool = True) -> dict[str, Any]:
    """The content of a valid scenario file of 2 to 5 nodes, 1 to 3 tasks and 1 to 3 models each.

    With `ties`, every figure is a small multiple of a half: sums are exact and equal costs are common. Without, no
    two costs or sums of sizes coincide but by accident.
    """

    def figure(low: int, high: int) -> float:
        return whole(2 * low, 2 * high) / 2 if ties else whole(low * 10**6, high * 10**6) / 10**6

    tasks = [f"task{i}" for i in range(whole(1, 3))]
    models = []
    for task in tasks:
        for n in range(whole(1, 3)):
            # the first model of each task runs everywhere, so that the root can be its repository
            runs_on = ("edge", "server") if n == 0 else (("edge", "server"), ("edge",), ("server",))[whole(0, 2)]
            profiles = {
                processor: {"size": figure(1, 4), "delay": figure(0, 4), "throughput": figure(0, 12)}
                for processor in runs_on
            }
            models.append({"name": f"{task}/m{n}", "task": task, "accuracy": figure(90, 100), "profiles": profiles})
    models = _shuffled(models, whole)

    nodes: list[dict[str, Any]] = []
    links = []
    for v in range(whole(2, 5)):
        node: dict[str, Any] = {"name": f"n{v}", "processor": "server", "budget": figure(0, 9)}
        held = [model["name"] for model in models if "server" in model["profiles"] and whole(0, 2) == 0]
        if v == 0:
            held += [f"{task}/m0" for task in tasks if f"{task}/m0" not in held]
        elif whole(0, 3) > 0:
            held = []
            node["processor"] = "edge" if whole(0, 3) else "server"
            if whole(0, 9) == 0:
                node |= {"processor": "switch", "budget": 0.0}  # neither models nor memory: it only passes requests on
        if held:
            node["repository"] = held
        if v > 0:
            links.append({"source": f"n{whole(0, v - 1)}", "target": f"n{v}", "latency": figure(0, 8)})
        nodes.append(node)
    for v in range(2, len(nodes)):  # beyond the tree
        u = whole(0, v - 1)
        if whole(0, 2) == 0 and not any({link["source"], link["target"]} == {f"n{u}", f"n{v}"} for link in links):
            links.append({"source": f"n{v}", "target": f"n{u}", "latency": figure(0, 8)})

    data = {
        "format": "idn-gym/scenario-1",
        "name": "random",
        "slot_seconds": (0.5, 1.0, 2.0)[whole(0, 2)],
        "replicas": 1 + (whole(0, 3) == 0),
        "accuracy_weight": (0.0, 0.5, 1.0, 2.0)[whole(0, 3)],
        "tasks": _shuffled(tasks, whole),
        "models": models,
        "nodes": _shuffled(nodes, whole),
        "links": _shuffled(links, whole),
    }
    data["requests"] = _requests(data, whole)
    return data


def _requests(data: dict[str, Any], whole: Whole) -> list[dict[str, Any]]:
    """Some task and entry node pairs, each on any simple path to a repository."""
    graph = nx.Graph([(link["source"], link["target"]) for link in data["links"]])
    task_of = {model["name"]: model["task"] for model in data["models"]}
    requests = []
    for task in data["tasks"]:
        holders = [n["name"] for n in data["nodes"] if task in {task_of[m] for m in n.get("repository", ())}]
        for node in data["nodes"]:
            paths = [
                path
                for holder in holders
                for path in ([[holder]] if holder == node["name"] else nx.all_simple_paths(graph, node["name"], holder))
            ]
            if whole(0, 1):
                requests.append({"task": task, "path": sorted(paths)[whole(0, len(paths) - 1)]})
            last = {"task": task, "path": min(paths)}
    return _shuffled(requests, whole) or [last]


def _shuffled(items: list[Any], whole: Whole) -> list[Any]:
    items = list(items)
    for k in range(len(items) - 1, 0, -1):
        other = whole(0, k)
        items[k], items[other] = items[other], items[k]
    return items


def random_values(seed: int, ties: bool = False) -> dict[str, Any]:
    """`values` from a seed."""
    generator = np.random.default_rng(seed)
    return values(lambda low, high: int(generator.integers(low, high + 1)), ties)


def random_network(seed: int, ties: bool = False) -> Network:
    """The network of `random_values`."""
    return Network.compile(parse(random_values(seed, ties), f"seed {seed}"))


def small_network(seed: int, services: bool) -> Network:
    """A random network, with ties where the seed is even; with services of several classes if asked."""
    network = random_network(seed, ties=seed % 2 == 0)
    return with_services(network, seed) if services else network


def with_services(network: Network, seed: int, classes: int = 3) -> Network:
    """A network whose request types are of several classes, weigh their costs and inaccuracies, and have deadlines.

    Here in the compiled service, where what reads it is held against its formulas; files have keys for all of this.
    """
    service, generator = network.service, np.random.default_rng(seed)
    of_type = generator.integers(0, classes, service.R)
    inside = service.path_groups < service.groups
    groups = np.where(inside, service.path_groups + of_type[:, None] * service.groups, classes * service.groups)
    weights, accuracy_weights = generator.uniform(0.5, 2.0, (2, service.R))
    typical = float(np.median(service.option_latencies))
    deadlines = generator.choice([np.inf, 0.5 * typical, typical, 1.5 * typical], service.R)
    changed = replace(
        service,
        classes=classes,
        groups=classes * service.groups,
        type_class=of_type.astype(np.int32),
        path_groups=groups.astype(np.int32),
        costs=service.costs * weights[:, None],
        weights=weights,
        accuracy_weights=accuracy_weights,
        repository_inaccuracy=service.repository_inaccuracy * accuracy_weights,
        deadlines=deadlines,
    )
    return replace(network, service=changed)


@st.composite
def scenario_values(draw: st.DrawFn) -> dict[str, Any]:
    """`values` with ties, drawn by hypothesis."""
    return values(lambda low, high: draw(st.integers(low, high)))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Compiled networks of `scenario_values`."""
    return Network.compile(parse(draw(scenario_values()), "drawn"))


@st.composite
def batches(draw: st.DrawFn, network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Requests (R,) and capacities (P,) in multiples of a half, zeros among both."""
    requests = draw(st.lists(st.integers(0, 20), min_size=network.R, max_size=network.R))
    capacities = draw(st.lists(st.integers(0, 30), min_size=network.P, max_size=network.P))
    return np.array(requests) / 2, np.array(capacities, dtype=np.float64) / 2


def integral(network: Network) -> st.SearchStrategy[np.ndarray]:
    """(P,) of 0 and 1, not necessarily within the budgets: laws of the gain hold all the same."""
    bits = st.lists(st.booleans(), min_size=network.P, max_size=network.P)
    return bits.map(lambda held: np.array(held, dtype=np.float64))


def fractional(network: Network) -> st.SearchStrategy[np.ndarray]:
    """(P,) in [0, 1], in eighths or anything."""
    entry = st.one_of(st.integers(0, 8).map(lambda n: n / 8), st.floats(0.0, 1.0, allow_subnormal=False))
    return st.lists(entry, min_size=network.P, max_size=network.P).map(np.array)


@dataclass(frozen=True)
class Option:
    """A model at a node on a type's path."""

    cost: float
    node: str
    model: str
    permanent: bool

    @property
    def placement(self) -> Pair:
        """The key of a placement."""
        return self.node, self.model


@dataclass(frozen=True)
class Type:
    """A request type with every option on its path in rank order, those behind the repository model included."""

    task: str
    path: tuple[str, ...]
    options: tuple[Option, ...]

    @property
    def key(self) -> Pair:
        """The key of a request type."""
        return self.task, self.path[0]

    @property
    def reached(self) -> tuple[Option, ...]:
        """Options up to the cheapest repository model, which takes all that is left."""
        last = [option.permanent for option in self.options].index(True)
        return self.options[: last + 1]


@dataclass(frozen=True)
class Reading:
    """A scenario as its file says, by name."""

    scenario: Scenario
    size: dict[Pair, float]  # MB per placement, in the order of the placements
    capacity: dict[Pair, float]  # nominal, requests per slot
    inaccuracy: dict[str, float]  # per model
    types: list[Type]

    def shares(self, requests: dict[Pair, float], capacities: dict[Pair, float]) -> dict[Pair, float]:
        """min(1, L/S) per placement that any request comes by."""
        task_of = _task_of(self.scenario)
        shares = {}
        for node, model in self.size:
            passing = sum(requests[rho.key] for rho in self.types if rho.task == task_of[model] and node in rho.path)
            if passing > 0:
                shares[node, model] = min(1.0, capacities[node, model] / passing)
        return shares

    def potential(self, rho: Type, requests: dict[Pair, float], shares: dict[Pair, float]) -> list[float]:
        """L per option; a repository model serves whatever reaches it."""
        r = requests[rho.key]
        return [r if k.permanent else r * shares.get(k.placement, 1.0) for k in rho.options]

    def served(
        self, requests: dict[Pair, float], capacities: dict[Pair, float], held: dict[Pair, float]
    ) -> dict[tuple[Pair, Option], float]:
        """Requests each option serves: min{r - sum of z before, z} while that sum is below r. Paper, C(r, l, x)."""
        shares = self.shares(requests, capacities)
        served = {}
        for rho in self.types:
            before = 0.0
            for option, potential in zip(rho.options, self.potential(rho, requests, shares), strict=True):
                z = potential * (1.0 if option.permanent else held[option.placement])
                r = requests[rho.key]
                served[rho.key, option] = min(r - before, z) if before < r else 0.0
                before += z
        return served

    def cost(self, requests: dict[Pair, float], capacities: dict[Pair, float], held: dict[Pair, float]) -> float:
        """C(r, l, x)."""
        served = self.served(requests, capacities, held)
        return sum(option.cost * count for (_, option), count in served.items())

    def gain(self, requests: dict[Pair, float], capacities: dict[Pair, float], held: dict[Pair, float]) -> float:
        """C(r, l, omega) - C(r, l, x)."""
        return self.cost(requests, capacities, dict.fromkeys(held, 0.0)) - self.cost(requests, capacities, held)

    def subgradient(
        self,
        requests: dict[Pair, float],
        capacities: dict[Pair, float],
        held: dict[Pair, float],
        tolerance: float = 0.0,
    ) -> dict[Pair, float]:
        """g_m^v with K* = min{k in [K - 1] : sum of z up to k >= r (1 - tolerance)}, else K. Paper, section 2."""
        shares = self.shares(requests, capacities)
        gradient = dict.fromkeys(self.size, 0.0)
        for rho in self.types:
            options = rho.reached
            potential = self.potential(rho, requests, shares)
            total, star = 0.0, len(options) - 1
            for k, option in enumerate(options[:-1]):
                total += potential[k] * held[option.placement]
                if total >= requests[rho.key] * (1.0 - tolerance):
                    star = k
                    break
            for k in range(star):
                gradient[options[k].placement] += potential[k] * (options[star].cost - options[k].cost)
        return gradient


def read(scenario: Scenario) -> Reading:
    """Read a scenario that lists its requests."""
    assert scenario.requests is not None
    latency = {frozenset((link.source, link.target)): link.latency for link in scenario.links or ()}
    models = [
        (model.name if n == 0 else f"{model.name}#{n + 1}", model)
        for model in scenario.models
        for n in range(scenario.replicas)
    ]
    nodes = {node.name: node for node in scenario.nodes}
    runs = {
        (v, name): model.profiles[nodes[v].processor]
        for v in nodes
        for name, model in models
        if nodes[v].processor in model.profiles
    }
    permanent = {(v, name) for v in nodes for name, model in models if model.name in (nodes[v].repository or ())}
    types = []
    for request in scenario.requests:
        options = []
        way = 0.0
        for j, v in enumerate(request.path):
            way += latency[frozenset(request.path[j - 1 : j + 1])] if j > 0 else 0.0
            for name, model in models:
                if model.task == request.task and (v, name) in runs:
                    inaccuracy = 100.0 - model.accuracy
                    cost = way + (runs[v, name].delay + scenario.accuracy_weight * inaccuracy)
                    options.append(Option(cost, v, name, (v, name) in permanent))
        # Python's sort is stable: equal costs stay in order of the path, then of the file
        types.append(Type(request.task, request.path, tuple(sorted(options, key=lambda option: option.cost))))
    placements = [pair for pair in runs if pair not in permanent]
    return Reading(
        scenario=scenario,
        size={pair: runs[pair].size for pair in placements},
        capacity={pair: runs[pair].throughput * scenario.slot_seconds for pair in placements},
        inaccuracy={name: 100.0 - model.accuracy for name, model in models},
        types=types,
    )


def _task_of(scenario: Scenario) -> dict[str, str]:
    return {
        (model.name if n == 0 else f"{model.name}#{n + 1}"): model.task
        for model in scenario.models
        for n in range(scenario.replicas)
    }


def by_placement(network: Network, array: np.ndarray) -> dict[Pair, float]:
    """(P,) values keyed by node and model."""
    names = zip(network.placement_node.tolist(), network.placement_model.tolist(), strict=True)
    keys = [(network.node_names[v], network.model_names[m]) for v, m in names]
    return dict(zip(keys, np.asarray(array).tolist(), strict=True))


def by_type(network: Network, array: np.ndarray) -> dict[Pair, float]:
    """(R,) values keyed by task and entry node."""
    names = zip(network.type_task.tolist(), network.type_entry.tolist(), strict=True)
    keys = [(network.scenario.tasks[i], network.node_names[v]) for i, v in names]
    return dict(zip(keys, np.asarray(array).tolist(), strict=True))


def allocation(network: Network, held: dict[str, Any]) -> np.ndarray:
    """(P,) of an allocation file's content: node -> names of models, or node -> {model: fraction}."""
    array = np.zeros(network.P)
    for node, models in held.items():
        v = network.node_names.index(node)
        for model in models:
            p = network.placement_index[v, network.model_names.index(model)]
            if p >= 0:  # naming a repository model at its own node changes nothing
                array[p] = models[model] if isinstance(models, dict) else 1.0
    return array


def rounding(network: Network, requests: np.ndarray) -> float:
    """Bound in ms on the rounding error of any sum over a batch.

    Each of K terms per type goes through at most 32 roundings of numbers no larger than r times the highest cost.
    """
    return 32 * EPSILON * network.service.K * float(np.sum(requests)) * max(1.0, float(network.service.costs.max()))
