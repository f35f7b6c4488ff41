"""Compilation against a slow reading of the file, default routes against networkx, sizes against the paper."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import networks, random_network, random_values, read

from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.scenario import parse


def star(**changes: Any) -> dict[str, Any]:
    """One task, three models, a leaf that every request enters at, and the hub that is its repository."""

    def model(name: str, delay: float) -> dict[str, Any]:
        profile = {"size": 2, "delay": delay, "throughput": 3}
        return {"name": name, "task": "t", "accuracy": 100.0, "profiles": {"p": profile}}

    return {
        "format": "idn-gym/scenario-1",
        "name": "star",
        "slot_seconds": 2.0,
        "tasks": ["t"],
        "models": [model("a", 4.0), model("b", 1.0), model("c", 3.0)],
        "nodes": [
            {"name": "hub", "processor": "p", "repository": ["b"]},
            {"name": "leaf", "processor": "p", "budget": 5.0},
        ],
        "links": [{"source": "leaf", "target": "hub", "latency": 2.0}],
    } | changes


def compiled(data: dict[str, Any]) -> Network:
    return Network.compile(parse(data, "test"))


def ranked(network: Network, rho: int = 0) -> list[tuple[str, str, float]]:
    """(node, model, cost) of the options of a type, without the padding."""
    options = []
    for k in range(network.service.option_count[rho] - 1):
        p = network.service.options[rho, k]
        v, m = network.placement_node[p], network.placement_model[p]
        options.append((network.node_names[v], network.model_names[m], float(network.service.costs[rho, k])))
    last = network.service.option_count[rho] - 1
    return [
        *options,
        (
            network.node_names[network.service.repository_node[rho]],
            "repository",
            float(network.service.costs[rho, last]),
        ),
    ]


def nodes_of(network: Network, rho: int) -> list[str]:
    return [network.node_names[v] for v in network.paths[rho] if v >= 0]


# --- the whole against the slow reading -------------------------------------------------------------------------


def same_as_the_reading(network: Network, exact: bool) -> None:
    reading = read(network.scenario)
    close = 0.0 if exact else 1e-12  # a cost is a sum of at most 6 figures, in whatever order
    names = [
        (network.node_names[v], network.model_names[m])
        for v, m in zip(network.placement_node, network.placement_model, strict=True)
    ]
    assert names == list(reading.size)
    assert network.sizes.tolist() == list(reading.size.values())
    assert network.capacities.tolist() == list(reading.capacity.values())
    assert network.inaccuracies.tolist() == [reading.inaccuracy[model] for _, model in names]
    budget = {node.name: node.budget for node in network.scenario.nodes}
    assert network.fits.tolist() == [size <= budget[node] for (node, _), size in reading.size.items()]
    assert network.budgets.tolist() == list(budget.values())

    starts = [[node for node, _ in names].count(name) for name in budget]
    assert network.node_start.tolist() == [sum(starts[:v]) for v in range(network.V + 1)]
    assert network.spendable.tolist() == pytest.approx(
        [min(b, sum(s for (v, _), s in reading.size.items() if v == name and s <= b)) for name, b in budget.items()]
    )

    assert (len(reading.types), max(len(rho.reached) for rho in reading.types)) == (network.R, network.service.K)
    for i, rho in enumerate(reading.types):
        assert nodes_of(network, i) == list(rho.path)
        assert (network.scenario.tasks[network.type_task[i]], network.node_names[network.type_entry[i]]) == rho.key
        assert network.type_index()[rho.key] == i
        reached = rho.reached
        count = len(reached)
        assert network.service.option_count[i] == count
        placements = [names[p] for p in network.service.options[i, : count - 1]]
        assert placements == [option.placement for option in reached[:-1]], f"ranking of type {rho.key}"
        assert network.service.options[i, count - 1 :].tolist() == [network.P] * (network.service.K - count + 1)
        costs = [option.cost for option in reached] + [reached[-1].cost] * (network.service.K - count)
        assert network.service.costs[i].tolist() == pytest.approx(costs, rel=close, abs=0.0)
        assert network.node_names[network.service.repository_node[i]] == reached[-1].node
        assert network.service.repository_inaccuracy[i] == reading.inaccuracy[reached[-1].model]
        # the groups of a type: its task at each node of its path
        groups = [network.node_names.index(v) * network.N + int(network.type_task[i]) for v in rho.path]
        padding = network.paths.shape[1] - len(groups)
        assert network.service.path_groups[i].tolist() == groups + [network.V * network.N] * padding
    tasks = network.model_task[network.placement_model]
    assert network.placement_group.tolist() == (network.placement_node * network.N + tasks).tolist()


@given(networks())
def test_compiles_to_what_the_file_says(network: Network) -> None:
    same_as_the_reading(network, exact=True)


@pytest.mark.parametrize("seed", range(30))
def test_compiles_uneven_figures(seed: int) -> None:
    same_as_the_reading(random_network(seed), exact=False)


def test_compiles_the_golden_scenarios(golden: Any) -> None:
    same_as_the_reading(Network.compile(load_scenario(golden / "scenario.json")), exact=False)


@given(networks())
def test_listing_is_the_options_by_placement(network: Network) -> None:
    start, types, ranks = network.service.listing
    assert (start[0], start[-1]) == (0, len(types))
    for p in range(network.P):
        entries = slice(start[p], start[p + 1])
        listed = list(zip(types[entries].tolist(), ranks[entries].tolist(), strict=True))
        assert sorted(listed) == [tuple(at) for at in np.argwhere(network.service.options == p).tolist()]


# --- ranking and trimming ---------------------------------------------------------------------------------------


def test_options_of_tiny_by_hand() -> None:
    network = Network.compile(load_scenario("tiny"))
    cars, people = network.type_index()["cars", "bs0"], network.type_index()["people", "bs1"]
    # way to bs0, co, cloud: 0, 5, 45 ms; cost = way + delay + (100 - accuracy)
    assert ranked(network, cars) == [
        ("bs0", "cars/large", 0 + 4 + 40),
        ("co", "cars/large", 5 + 2 + 40),
        ("bs0", "cars/medium", 0 + 2 + 50),
        ("co", "cars/medium", 5 + 1 + 50),
        ("bs0", "cars/small", 0 + 1 + 60),
        ("co", "cars/small", 5 + 1 + 60),
        ("cloud", "repository", 45 + 2 + 40),
    ]
    assert ranked(network, people) == [
        ("bs1", "people/large", 0 + 3 + 30),
        ("co", "people/large", 5 + 2 + 30),
        ("bs1", "people/small", 0 + 1 + 50),
        ("co", "people/small", 5 + 1 + 50),
        ("cloud", "repository", 45 + 2 + 30),
    ]
    # people have two options fewer: padded with the repository
    assert network.service.K == 7
    assert network.service.options[people].tolist()[4:] == [network.P] * 3
    assert network.service.costs[people].tolist()[4:] == [77.0] * 3
    assert network.service.option_count.tolist() == [7, 7, 5, 5]


def test_what_ranks_behind_the_repository_is_dropped() -> None:
    # repository b at the hub: 2 + 1 = 3, which ties with c at the leaf; a at the leaf costs 4 and is never reached
    network = compiled(star())
    assert ranked(network) == [("leaf", "b", 1.0), ("leaf", "c", 3.0), ("hub", "repository", 3.0)]


def test_cheapest_repository_model_of_several_is_the_last_resort() -> None:
    data = star()
    data["nodes"][0]["repository"] = ["a", "b", "c"]
    data["nodes"].append({"name": "mid", "processor": "p", "repository": ["c"]})
    data["links"] = [
        {"source": "leaf", "target": "mid", "latency": 1.0},
        {"source": "mid", "target": "hub", "latency": 0.5},
    ]
    data["requests"] = [{"task": "t", "path": ["leaf", "mid", "hub"]}]
    # hub offers b at 1.5 + 1; mid offers c at 1 + 3; at mid, b is a placement of 1 + 1
    assert ranked(compiled(data)) == [("leaf", "b", 1.0), ("mid", "b", 2.0), ("hub", "repository", 2.5)]


def test_a_tie_between_repositories_goes_to_the_nearer() -> None:
    data = star()
    data["nodes"].append({"name": "mid", "processor": "p", "repository": ["b"]})
    data["links"] = [
        {"source": "leaf", "target": "mid", "latency": 2.0},
        {"source": "mid", "target": "hub", "latency": 0.0},
    ]
    data["requests"] = [{"task": "t", "path": ["leaf", "mid", "hub"]}]
    assert ranked(compiled(data))[-1] == ("mid", "repository", 3.0)


def test_ties_go_to_the_nearer_node_then_to_the_order_in_the_file() -> None:
    data = star(accuracy_weight=0.0)
    for model, delay in zip(data["models"], (3.0, 3.0, 1.0), strict=True):
        model["profiles"]["p"]["delay"] = delay
    data["nodes"] = [
        {"name": "mid", "processor": "p", "budget": 5.0},  # first in the file, farther on the path
        {"name": "leaf", "processor": "p", "budget": 5.0},
        {"name": "hub", "processor": "p", "repository": ["a"]},
    ]
    data["links"] = [
        {"source": "leaf", "target": "mid", "latency": 2.0},
        {"source": "mid", "target": "hub", "latency": 9.0},
    ]
    data["requests"] = [{"task": "t", "path": ["leaf", "mid", "hub"]}]
    costs = [("leaf", "c", 1.0), ("leaf", "a", 3.0), ("leaf", "b", 3.0), ("mid", "c", 3.0), ("mid", "a", 5.0)]
    assert ranked(compiled(data))[:5] == costs
    data["models"] = [data["models"][n] for n in (1, 0, 2)]
    costs[1:3], costs[4] = [("leaf", "b", 3.0), ("leaf", "a", 3.0)], ("mid", "b", 5.0)
    assert ranked(compiled(data))[:5] == costs


def test_a_tie_with_the_repository_on_a_nearer_node_goes_to_the_repository() -> None:
    # at the leaf, repository a costs 4; at the hub, b costs 3 + 1
    data = star()
    data["nodes"] = [
        {"name": "hub", "processor": "p", "budget": 5.0, "repository": ["c"]},
        {"name": "leaf", "processor": "p", "repository": ["a"]},
    ]
    data["links"][0]["latency"] = 3.0
    data["requests"] = [{"task": "t", "path": ["leaf", "hub"]}]
    assert ranked(compiled(data)) == [("leaf", "b", 1.0), ("leaf", "c", 3.0), ("leaf", "repository", 4.0)]


def test_accuracy_weight_trades_ms_for_percentage_points() -> None:
    data = star(accuracy_weight=2.5)
    data["models"][0]["accuracy"] = 96.0
    data["nodes"][0]["repository"] = ["a"]
    # a costs its delay of 4 and 2.5 x 4 at the leaf, 2 ms more at the hub
    assert ranked(compiled(data))[-2:] == [("leaf", "a", 14.0), ("hub", "repository", 16.0)]


def test_models_run_where_they_have_a_profile() -> None:
    data = star()
    data["models"][2]["profiles"] = {"other": data["models"][2]["profiles"].pop("p")}
    data["models"][0]["profiles"]["other"] = {"size": 1.0, "delay": 8.0, "throughput": 0.5}
    data["nodes"].append({"name": "odd", "processor": "other", "budget": 1.0})
    data["nodes"].append({"name": "switch", "processor": "unheard-of"})
    data["links"].append({"source": "odd", "target": "switch", "latency": 0.0})
    data["links"].append({"source": "switch", "target": "hub", "latency": 0.0})
    network = compiled(data)
    index = network.placement_index
    assert (index >= 0).tolist() == [
        [True, False, False],  # hub: c cannot run there, b is permanent
        [True, True, False],
        [True, False, True],
        [False, False, False],
    ]
    assert network.capacities.tolist() == [6.0, 6.0, 6.0, 1.0, 6.0]  # throughput x 2 s
    assert network.fits.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize(("budget", "fits"), [(2.0, True), (2.0 - 1e-10, True), (2.0 - 1e-8, False), (0.0, False)])
def test_what_fits_allows_for_rounding_only(budget: float, fits: bool) -> None:
    data = star()
    data["nodes"][1]["budget"] = budget
    network = compiled(data)
    assert network.fits[network.placement_node == 1].tolist() == [fits] * 3


def test_spendable_is_the_budget_or_what_there_is_to_place() -> None:
    data = star()
    for budget, spendable in ((5.0, 5.0), (6.0, 6.0), (7.0, 6.0), (1.0, 0.0)):  # three models of 2 MB
        data["nodes"][1]["budget"] = budget
        assert compiled(data).spendable.tolist() == [0.0, spendable]


# --- replicas ---------------------------------------------------------------------------------------------------


def test_replicas_are_named_and_permanent_with_their_model() -> None:
    network = compiled(star(replicas=3))
    assert sorted(network.model_names) == ["a", "a#2", "a#3", "b", "b#2", "b#3", "c", "c#2", "c#3"]
    assert network.M == 9
    assert network.P == 6 + 9  # the hub holds all three of b
    held = {network.model_names[m] for m in np.flatnonzero(network.placement_index[0] < 0)}
    assert held == {"b", "b#2", "b#3"}
    assert [cost for _, _, cost in ranked(network)] == [1.0] * 3 + [3.0] * 3 + [3.0]
    assert {model for _, model, _ in ranked(network)[:3]} == {"b", "b#2", "b#3"}


def test_each_replica_is_like_its_model() -> None:
    one, three = compiled(star()), compiled(star(replicas=3))
    for p in range(three.P):
        v, name = three.placement_node[p], three.model_names[three.placement_model[p]].split("#")[0]
        q = one.placement_index[v, one.model_names.index(name)]
        for field in ("sizes", "capacities", "inaccuracies", "fits"):
            assert getattr(three, field)[p] == getattr(one, field)[q]


# --- routes, entries and tiers ----------------------------------------------------------------------------------


def default_routes_are_shortest(data: dict[str, Any]) -> None:
    """Every task from every entry node, on a lowest-latency route to the nearest repository. Oracle: networkx."""
    del data["requests"]
    scenario = parse(data, "test")
    network = Network.compile(scenario)
    graph = nx.Graph()
    graph.add_nodes_from(node.name for node in scenario.nodes)
    graph.add_weighted_edges_from((link.source, link.target, link.latency) for link in scenario.links or ())
    task_of = {model.name: model.task for model in scenario.models}
    entries = {node.name for node in scenario.nodes if node.entry} or {
        node.name for node in scenario.nodes if not node.repository
    }
    assert set(network.type_index()) == {(task, entry) for task in scenario.tasks for entry in entries}
    assert len(scenario.tasks) * len(entries) == network.R
    for (task, entry), rho in network.type_index().items():
        holders = {n.name for n in scenario.nodes if task in {task_of[m] for m in n.repository or ()}}
        path = nodes_of(network, rho)
        assert path[0] == entry
        assert path[-1] in holders
        assert not set(path[:-1]) & holders, "a route ends at the first repository it meets"
        shortest = nx.multi_source_dijkstra_path_length(graph, holders)[entry]
        assert nx.path_weight(graph, path, "weight") == pytest.approx(shortest, rel=1e-12)
        # the costs behind that path are those of the same path written into the file
        data["requests"] = [{"task": task, "path": path}]
        written = Network.compile(parse(data, "test"))
        count = network.service.option_count[rho]
        assert ranked(written) == [
            (node, model, pytest.approx(cost, rel=1e-12)) for node, model, cost in ranked(network, rho)
        ]
        assert written.service.option_count[0] == count


@pytest.mark.parametrize("seed", range(40))
def test_default_routes_are_those_of_networkx(seed: int) -> None:
    data = random_values(seed, ties=seed % 2 == 0)
    for node in data["nodes"][:: seed % 3 + 1]:  # marked, since in some draws every node has a repository
        node["entry"] = True
    default_routes_are_shortest(data)


@pytest.mark.parametrize("seed", range(10))
def test_default_routes_on_links_of_no_latency(seed: int) -> None:
    data = random_values(seed)
    data["nodes"][-1]["entry"] = True
    for link in data["links"]:
        link["latency"] = 0.0
    default_routes_are_shortest(data)


def test_a_link_of_no_latency_is_a_link() -> None:
    data = star()
    data["nodes"].append({"name": "mid", "processor": "p", "budget": 1.0})
    data["links"] += [
        {"source": "mid", "target": "leaf", "latency": 0.0},
        {"source": "mid", "target": "hub", "latency": 1.5},
    ]
    network = compiled(data)
    assert nodes_of(network, network.type_index()["t", "leaf"]) == ["leaf", "mid", "hub"]
    assert nodes_of(network, network.type_index()["t", "mid"]) == ["mid", "hub"]


def test_tasks_go_to_repositories_of_their_own() -> None:
    profile = {"p": {"size": 1.0, "delay": 0.0, "throughput": 1.0}}
    data = star(
        tasks=["s", "t"],
        models=[{"name": name, "task": name, "accuracy": 50.0, "profiles": profile} for name in ("t", "s")],
        nodes=[
            {"name": "left", "processor": "p", "repository": ["s"]},
            {"name": "middle", "processor": "p", "budget": 1.0},
            {"name": "right", "processor": "p", "repository": ["t"]},
            {"name": "far-right", "processor": "p", "repository": ["s", "t"]},
        ],
        links=[
            {"source": "left", "target": "middle", "latency": 3.0},
            {"source": "right", "target": "middle", "latency": 1.0},
            {"source": "right", "target": "far-right", "latency": 1.5},
        ],
    )
    network = compiled(data)
    index = network.type_index()
    assert nodes_of(network, index["t", "middle"]) == ["middle", "right"]
    assert nodes_of(network, index["s", "middle"]) == ["middle", "right", "far-right"]  # 2.5 ms against 3
    data["links"][2]["latency"] = 2.5
    network = compiled(data)
    assert nodes_of(network, network.type_index()["s", "middle"]) == ["middle", "left"]


def chain(**of_node: dict[str, Any]) -> Network:
    """The line a - b - c - d with its repository at a; further keys per node."""
    data = star(
        nodes=[{"name": name, "processor": "p", **of_node.get(name, {})} for name in "abcd"],
        links=[{"source": s, "target": t, "latency": 1.0} for s, t in ("ab", "bc", "cd")],
    )
    data["nodes"][0]["repository"] = ["b"]
    return compiled(data)


def entries(network: Network) -> list[str]:
    return sorted(entry for _, entry in network.type_index())


def test_entries_are_the_marked_nodes() -> None:
    network = chain(b={"entry": True, "tier": 0}, d={"tier": 9}, a={"entry": True})
    assert entries(network) == ["a", "b"]
    assert nodes_of(network, network.type_index()["t", "a"]) == ["a"]  # served on the spot


def test_else_entries_are_those_of_the_highest_tier() -> None:
    assert entries(chain(b={"tier": 3}, c={"tier": 3}, d={"tier": 2})) == ["b", "c"]
    assert entries(chain(a={"tier": 3})) == ["a"]


def test_else_entries_are_all_nodes_without_a_repository() -> None:
    assert entries(chain()) == ["b", "c", "d"]
    assert entries(chain(c={"repository": ["c"]})) == ["b", "d"]


def test_tiers_default_to_hops_to_the_nearest_repository() -> None:
    assert chain().tiers.tolist() == [0, 1, 2, 3]
    assert chain(d={"repository": ["c"]}).tiers.tolist() == [0, 1, 1, 0]
    assert chain(b={"tier": 7}).tiers.tolist() == [0, 7, 2, 3]


@pytest.mark.parametrize("seed", range(20))
def test_default_tiers_are_hops_of_networkx(seed: int) -> None:
    network = random_network(seed, ties=True)
    graph = nx.Graph([(link.source, link.target) for link in network.scenario.links or ()])
    holders = [node.name for node in network.scenario.nodes if node.repository]
    hops = {name: min(nx.shortest_path_length(graph, name, h) for h in holders) for name in network.node_names}
    assert network.tiers.tolist() == list(hops.values())


def test_one_node() -> None:
    only = {"name": "only", "processor": "p", "budget": 2.0, "repository": ["c"], "entry": True}
    data = star(nodes=[only], links=None)
    network = compiled(data)
    assert (network.V, network.P, network.R, network.service.K) == (1, 2, 1, 2)
    assert ranked(network) == [("only", "b", 1.0), ("only", "repository", 3.0)]
    assert network.tiers.tolist() == [0]


def test_no_placement_at_all() -> None:
    data = star(nodes=[{"name": "only", "processor": "p", "repository": ["a", "b", "c"], "entry": True}], links=None)
    network = compiled(data)
    assert (network.P, network.R, network.service.K) == (0, 1, 1)
    assert ranked(network) == [("only", "repository", 1.0)]


def test_nodes_that_no_route_passes_keep_their_placements() -> None:
    data = star()
    data["nodes"].append({"name": "island", "processor": "p", "budget": 2.0})
    data["nodes"][1]["entry"] = True
    network = compiled(data)
    assert (network.P, network.R) == (8, 1)
    assert network.tiers.tolist() == [0, 1, 0]
    assert not np.isin(network.service.options, np.flatnonzero(network.placement_node == 2)).any()


# --- arrays -----------------------------------------------------------------------------------------------------


@given(st.data())
def test_matrix_and_back(data: st.DataObject) -> None:
    network = data.draw(networks())
    array = np.arange(1.0, 1.0 + 2 * network.P).reshape(2, network.P)
    matrix = network.to_matrix(array, fill=-1.0)
    assert matrix.shape == (2, network.V, network.M)
    assert (network.from_matrix(matrix) == array).all()
    seen = 0
    for v, m in np.ndindex(network.V, network.M):
        p = int(network.placement_index[v, m])
        assert matrix[0, v, m] == (array[0, p] if p >= 0 else -1.0)
        seen += p >= 0
    assert seen == network.P
    assert (network.to_matrix(array[0]) == network.to_matrix(array)[0]).all()
    assert network.to_matrix(array[0]).sum() == array[0].sum()  # the rest is 0


def test_matrix_of_another_shape_is_refused() -> None:
    network = compiled(star())
    with pytest.raises(IdnError, match=r"\(2, 4\).*\(\.\.\., V, M\) = \(\.\.\., 2, 3\)"):
        network.from_matrix(np.zeros((2, 4)))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
@pytest.mark.parametrize("used", [False, True])
def test_arrays_are_read_only_also_after_pickling(clone: Any, used: bool) -> None:
    network = compiled(star())
    if used:  # with what is computed on first use
        for name in ("tables", "spendable", "placement_index"):
            getattr(network, name)
    twin = clone(network)
    assert repr(twin) == repr(network)
    assert twin.scenario == network.scenario
    for each in (network, twin):
        for name, array in vars(each).items():
            if isinstance(array, np.ndarray) and name in type(network).__dataclass_fields__:
                assert (array == getattr(network, name)).all(), name
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 0
        for tables, original in ((each.tables, network.tables), (each.service.tables, network.service.tables)):
            for name, array in tables._asdict().items():
                if name not in ("groups", "classes"):
                    assert (array == getattr(original, name)).all(), name
                    assert not array.flags.writeable, name


def test_kernels_tables_are_the_network() -> None:
    network = random_network(3)
    for tables in (network.tables, network.service.tables):
        for name, array in tables._asdict().items():
            if name not in ("groups", "classes"):
                expected = getattr(network if hasattr(network, name) else network.service, name)
                assert (array == expected).all(), name
                assert array.dtype.kind in "uifb", name
    assert (network.service.tables.groups, network.service.tables.classes) == (network.V * network.N, 1)


# --- packaged scenarios -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("tiny", (4, 5, 18, 4)),
        # the cloud holds all models; 35 nodes of 200 models, 20 tasks from 24 base stations
        ("topology-1-fixed", (36, 200, 7000, 480)),
        ("topology-1-sliding", (36, 200, 7000, 480)),
        ("topology-1-bursty", (36, 200, 7000, 480)),
        ("topology-2-fixed", (5, 200, 800, 20)),
        ("topology-2-sliding", (5, 200, 800, 20)),
        ("topology-2-bursty", (5, 200, 800, 20)),
        ("abilene-sliding", (13, 200, 2400, 240)),  # 12 nodes and a cloud
        ("geant-sliding", (23, 200, 4400, 440)),  # 22 nodes and a cloud
        ("abilene-social", (13, 200, 2400, 240)),
        ("sla-sliding", (5, 200, 800, 60)),  # three services per task
        # 3 variants x 4 numbers of cores x 2 batch sizes x 4 replicas per task, and one elastic model x 4
        ("autoscale-burst", (2, 300, 288, 3)),
        ("access-4g", (5, 100, 96, 3)),
        # 10 detectors and 3 classifiers of 4 kinds at 7 nodes, 5 services from 4 sites
        ("pipeline-video", (8, 22, 154, 20)),
        # of 2 networks 3 heads and 3 tails for 2 services; 2 heads, 3 middles and 2 tails for one; at 6 nodes
        ("partition-resnet", (7, 38, 228, 12)),
        # 2 domains of 4 drafts, of which 3 are not everywhere; 8 verifiers that run at 2 edge servers
        ("draft-and-verify", (7, 24, 2 * 6 * 3 + 2 * 16, 8)),
        # 2 services of 5 cuts, each with heads in 4 numbers of bits and a tail; at 6 nodes
        ("quantised-split", (7, 2 * 5 * (4 + 1), 6 * 50, 8)),
        # 5 variants on 2 to 20 cores, and late answers
        ("variants-cores", (2, 5 * 19 + 1, 5 * 19, 1)),
        # 3 variants of 2 stages x 2 batch sizes x 8 replicas, and late answers of each stage x 8
        ("pipeline-cores", (2, 14 * 8, 12 * 8, 1)),
        ("uploads-4g", (6, 8 * 5 + 1, 8 * 5, 4)),
        # 3 partitions x 2 replicas at 6 nodes, 3 sources at each of 4 devices
        ("partition-priority", (7, 6, 36, 12)),
    ],
)
def test_sizes_of_packaged_networks(name: str, sizes: tuple[int, int, int, int]) -> None:
    network = Network.compile(load_scenario(name))
    assert sizes == (network.V, network.M, network.P, network.R)


def test_three_replicas_of_topology_1() -> None:
    network = Network.compile(load_scenario("topology-1-fixed", ["replicas=3"]))
    assert (network.V, network.M, network.P, network.R) == (36, 600, 21000, 480)


def test_round_trips_of_topology_1() -> None:
    network = Network.compile(load_scenario("topology-1-fixed"))
    assert np.bincount(network.tiers).tolist() == [1, 1, 2, 8, 24]
    # five nodes on each path; without a model there, the cheapest one in the cloud is 6 + 6 + 15 + 40 ms away
    assert network.paths.shape == (480, 5)
    assert (network.tiers[network.paths] == [4, 3, 2, 1, 0]).all()
    cloud = min(m.profiles["rtx-2080-ti"].delay + 100 - m.accuracy for m in network.scenario.models)
    assert network.service.costs[:, -1] == pytest.approx(67.0 + cloud, rel=1e-12)
