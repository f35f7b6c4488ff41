"""Topologies: counts and round trips of paper.md section 4, link lengths as SNDlib publishes them, files of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from idn_gym.errors import IdnError
from idn_gym.scenario import Scenario, parse
from idn_gym.topology import backbone, grid, nodes_and_links, read_graph, tiers, tree, with_geographic_latency

# Link costs of SNDlib's instances: whole km along the great circle, on a sphere of the Earth's equatorial radius.
ABILENE_KM = {
    ("atlanta-m5", "atlanta"): 133,
    ("atlanta", "houston"): 1081,
    ("atlanta", "indianapolis"): 591,
    ("atlanta", "washington"): 901,
    ("chicago", "indianapolis"): 260,
    ("chicago", "new-york"): 1147,
    ("denver", "kansas-city"): 745,
    ("denver", "sunnyvale"): 1516,
    ("denver", "seattle"): 1573,
    ("houston", "kansas-city"): 1028,
    ("houston", "los-angeles"): 2196,
    ("indianapolis", "kansas-city"): 903,
    ("los-angeles", "sunnyvale"): 505,
    ("new-york", "washington"): 336,
    ("sunnyvale", "seattle"): 1138,
}
GEANT_KM = {
    ("vienna", "geneva"): 804,
    ("vienna", "frankfurt"): 598,
    ("vienna", "budapest"): 218,
    ("vienna", "new-york"): 6802,
    ("vienna", "ljubljana"): 277,
    ("brussels", "paris"): 264,
    ("brussels", "luxembourg"): 186,
    ("brussels", "amsterdam"): 169,
    ("geneva", "paris"): 410,
    ("geneva", "milan"): 250,
    ("prague", "frankfurt"): 411,
    ("prague", "poznan"): 309,
    ("prague", "bratislava"): 290,
    ("frankfurt", "paris"): 478,
    ("frankfurt", "athens"): 1794,
    ("frankfurt", "dublin"): 1088,
    ("frankfurt", "milan"): 518,
    ("frankfurt", "amsterdam"): 358,
    ("frankfurt", "stockholm"): 1184,
    ("madrid", "paris"): 1054,
    ("madrid", "milan"): 1189,
    ("madrid", "lisbon"): 503,
    ("paris", "luxembourg"): 287,
    ("paris", "london"): 343,
    ("athens", "milan"): 1453,
    ("zagreb", "budapest"): 304,
    ("zagreb", "ljubljana"): 115,
    ("budapest", "bratislava"): 163,
    ("dublin", "london"): 463,
    ("tel-aviv", "milan"): 2658,
    ("tel-aviv", "amsterdam"): 3296,
    ("amsterdam", "london"): 359,
    ("new-york", "london"): 5575,
    ("poznan", "stockholm"): 777,
    ("lisbon", "london"): 1588,
    ("stockholm", "london"): 1426,
}

GML = """graph [
  node [ id 0 label "São Paulo" Latitude 0.0 Longitude 0.0 ]
  node [ id 1 label "Rio" Latitude 0.0 Longitude 1.0 ]
  edge [ source 0 target 1 LinkSpeed "10" ]
]
"""
GRAPHML = """<?xml version="1.0" encoding="utf-8"?>{doctype}
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="d0" />
  <graph edgedefault="undirected">
    <node id="0"><data key="d0">{first}</data></node>
    <node id="1"><data key="d0">b</data></node>
    <edge source="0" target="{target}" />
  </graph>
</graphml>
"""


def written(folder: Path, text: str, name: str = "net.graphml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def graphml(doctype: str = "", first: str = "a", target: str = "1") -> str:
    return GRAPHML.format(doctype=doctype, first=first, target=target)


def test_tiers_of_topology_1() -> None:
    graph = tiers((1, 1, 2, 8, 24), (40, 15, 6, 6), budgets=(0, 12000, 6000, 3000, 1500))
    assert len(graph) == 36
    assert graph.number_of_edges() == 35
    stations = [node for node, entry in graph.nodes(data="entry") if entry]
    assert stations == [f"bs{i}" for i in range(24)]
    assert nx.shortest_path(graph, "bs23", "cloud") == ["bs23", "co7", "main-co1", "dc", "cloud"]
    assert {nx.shortest_path_length(graph, bs, "cloud", weight="latency") for bs in stations} == {67}
    assert {graph.degree(f"co{i}") for i in range(8)} == {4}  # three base stations and the office above
    assert graph.nodes["co0"] == {"tier": 3, "budget": 3000}


def test_tiers_spread_what_does_not_divide() -> None:
    graph = tiers((1, 2, 5), 1.0, names=("cloud", "co", "bs"))
    assert [graph.degree("co0") - 1, graph.degree("co1") - 1] == [3, 2]


def test_tiers_number_names_that_end_in_a_digit() -> None:
    assert list(tiers((1, 2), 1.0)) == ["tier0", "tier1-0", "tier1-1"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"counts": ()}, "must start with 1"),
        ({"counts": (2, 4)}, "must start with 1"),
        ({"counts": (1, 0, 2)}, "at least 1"),
        ({"round_trip_ms": (1.0, 2.0)}, "round_trip_ms .* 2 values; allowed: 1"),
        ({"budgets": (1.0,)}, "budgets .* 1 values; allowed: 2"),
        ({"names": ("a", "b", "c")}, "names .* 3 values; allowed: 2"),
        ({"names": ("bs1", "bs")}, "names .* different"),
    ],
)
def test_tiers_refuse(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(IdnError, match=says):
        tiers(**{"counts": (1, 3), "round_trip_ms": 1.0, **arguments})


def test_tree_is_a_hierarchy_of_powers() -> None:
    graph = tree(3, 2, (10.0, 2.0), processors="gpu")
    assert nx.is_tree(graph)
    assert [data["tier"] for _, data in graph.nodes(data=True)] == [0] + [1] * 3 + [2] * 9
    assert nx.shortest_path_length(graph, "tier2-8", "tier0", weight="latency") == 12.0
    with pytest.raises(IdnError, match="branching 0"):
        tree(0, 2, 1.0)


def test_grid_links_neighbours() -> None:
    graph = grid(2, 3, 4.0)
    assert list(graph) == ["r0c0", "r0c1", "r0c2", "r1c0", "r1c1", "r1c2"]
    assert graph.number_of_edges() == 7
    assert set(graph["r0c1"]) == {"r0c0", "r0c2", "r1c1"}
    assert nx.shortest_path_length(graph, "r0c0", "r1c2", weight="latency") == 12.0
    with pytest.raises(IdnError, match="columns 0"):
        grid(2, 0, 1.0)


@pytest.mark.parametrize(("name", "nodes", "lengths_km"), [("abilene", 12, ABILENE_KM), ("geant", 22, GEANT_KM)])
def test_backbones_are_those_of_sndlib(name: str, nodes: int, lengths_km: dict[tuple[str, str], int]) -> None:
    graph = backbone(name)
    assert len(graph) == nodes
    assert {frozenset(ends) for ends in graph.edges} == {frozenset(ends) for ends in lengths_km}
    for (source, target), km in lengths_km.items():
        length_km = graph.edges[source, target]["latency"] * 100 * 6378.137 / 6371
        # SNDlib rounds up in one file and down in the other, by less than 1 km; 0.01 ms is another half
        assert length_km == pytest.approx(km, rel=0, abs=1.51)


def test_no_other_backbone() -> None:
    with pytest.raises(IdnError, match=r"no backbone 'ring'; allowed: abilene, geant"):
        backbone("ring")


def test_geographic_latency_of_a_quarter_of_the_equator() -> None:
    graph = nx.Graph([("a", "b")])
    graph.add_node("a", Latitude=0.0, Longitude=-45.0)
    graph.add_node("b", Latitude=0.0, Longitude=45.0)
    # a quarter of 2 pi 6371 km = 10007.54 km; there and back at 200 km per ms
    assert with_geographic_latency(graph).edges["a", "b"]["latency"] == 100.08
    assert "latency" not in graph.edges["a", "b"]
    del graph.nodes["b"]["Longitude"]
    with pytest.raises(IdnError, match=r"node 'b': Longitude None; allowed: a number"):
        with_geographic_latency(graph)


@pytest.mark.parametrize("suffix", ["gml", "graphml"])
def test_a_graph_survives_its_file(tmp_path: Path, suffix: str) -> None:
    models = ["cars/small"]  # of one: networkx marks such lists in GML
    graph = tiers((1, 2), 5.5, names=("cloud", "bs"), processors="gpu", budgets=(0.0, 9.5), repository=models)
    expected = nodes_and_links(graph)
    if suffix == "graphml":
        graph.nodes["cloud"]["repository"] = "cars/small"
        nx.write_graphml(graph, tmp_path / "net.graphml")
    else:
        nx.write_gml(graph, tmp_path / "net.gml")
    assert nodes_and_links(read_graph(tmp_path / f"net.{suffix}")) == expected
    assert expected == {
        "nodes": [
            {"name": "cloud", "processor": "gpu", "budget": 0.0, "tier": 0, "repository": ["cars/small"]},
            {"name": "bs0", "processor": "gpu", "budget": 9.5, "tier": 1, "entry": True},
            {"name": "bs1", "processor": "gpu", "budget": 9.5, "tier": 1, "entry": True},
        ],
        "links": [
            {"source": "cloud", "target": "bs0", "latency": 5.5},
            {"source": "cloud", "target": "bs1", "latency": 5.5},
        ],
    }


def test_zoo_files_give_names_and_places(tmp_path: Path) -> None:
    graph = with_geographic_latency(read_graph(written(tmp_path, GML, "zoo.gml")))
    lists = nodes_and_links(graph, processor="gpu", budget=1)
    assert lists["nodes"][0] == {"name": "São Paulo", "processor": "gpu", "budget": 1.0}
    # a degree of the equator is 111.19 km
    assert lists["links"] == [{"source": "São Paulo", "target": "Rio", "latency": 1.11}]
    assert list(read_graph(written(tmp_path, graphml()))) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (graphml("<!DOCTYPE graphml>"), "net.graphml", "DOCTYPE"),
        (graphml('<!DOCTYPE g [<!ENTITY lol "lol">]>', "&lol;"), "net.graphml", "DOCTYPE or entities"),
        (graphml('<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/hostname">]>', "&x;"), "net.graphml", "DOCTYPE"),
        (graphml(first="b"), "net.graphml", "nodes '0' and '1' are both called 'b'"),
        (graphml(target="2"), "net.graphml", "link ends at '2', which is not listed"),
        (graphml().replace('"1"', '"0"'), "net.graphml", "node '0' is listed twice"),
        (graphml()[:-20], "net.graphml", "not XML"),
        ("", "net.graphml", "not XML"),
        ("<svg/>", "net.graphml", "not a graphml graph"),
        (GML.replace("Rio", "São Paulo"), "net.gml", "nodes 0 and 1 are both called 'São Paulo'"),
        (GML.replace("id 1", "id 0"), "net.gml", "not a gml graph"),
        (GML.replace("target 1", "target 7"), "net.gml", "not a gml graph"),
        ("graph [" * 5000, "net.gml", "not a gml graph"),
        ("", "net.gml", "not a gml graph"),
        ("a,b", "net.csv", r"allowed suffixes: \.gml, \.graphml"),
    ],
)
def test_bad_files_are_one_line_of_error(tmp_path: Path, text: str, name: str, says: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(IdnError, match=says) as caught:
        read_graph(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_files_have_a_size_limit(tmp_path: Path) -> None:
    path = tmp_path / "large.gml"
    with path.open("wb") as file:
        file.truncate(16 * 2**20 + 1)
    with pytest.raises(IdnError, match="larger than 16 MiB"):
        read_graph(path)
    with pytest.raises(IdnError, match="cannot be read"):
        read_graph(tmp_path / "missing.gml")


def test_any_networkx_graph_makes_a_scenario() -> None:
    graph = nx.Graph([((0, 0), 7), (7, frozenset())])
    graph.nodes[7].update(repository=("cars",), budget=0, colour="red")
    lists = nodes_and_links(graph, processor="gpu", budget=2.5, latency=3)
    profile = {"size": 1.0, "delay": 1.0, "throughput": 1.0}
    models = [{"name": "cars", "task": "cars", "accuracy": 50.0, "profiles": {"gpu": profile}}]
    scenario = parse(
        {"format": "idn-gym/scenario-1", "name": "mine", "tasks": ["cars"], "models": models, **lists}, "test"
    )
    assert isinstance(scenario, Scenario)
    assert [(node.name, node.budget) for node in scenario.nodes] == [("(0, 0)", 2.5), ("7", 0.0), ("frozenset()", 2.5)]


def test_directed_and_multigraphs_that_mean_undirected_links() -> None:
    both_ways: nx.MultiDiGraph[int] = nx.MultiDiGraph(
        [(0, 1, {"latency": 2}), (1, 0, {"latency": 2}), (0, 1, {"latency": 2})]
    )
    links = nodes_and_links(both_ways, processor="gpu", budget=1)["links"]
    assert links == [{"source": "0", "target": "1", "latency": 2.0}]


def test_a_single_node_has_no_links() -> None:
    assert nodes_and_links(nx.empty_graph(1), processor="gpu", budget=1).keys() == {"nodes"}


def changed(**attributes: Any) -> nx.Graph[int]:
    graph = nx.Graph([(0, 1)])
    graph.add_node(0, **attributes)
    return graph


@pytest.mark.parametrize(
    ("graph", "defaults", "says"),
    [
        (nx.Graph(), {}, "no nodes"),
        (nx.Graph([(1, "1")]), {}, "nodes 1 and '1' are both called '1'"),
        (nx.Graph([(0, 1), (2, 3), (3, 4)]), {}, "falls into 2 parts, the smallest with 0, 1"),
        (nx.Graph([(0, 0)]), {}, "link 0 - 0: joins a node to itself"),
        (nx.DiGraph([(0, 1)]), {}, "link 0 -> 1: has no way back"),
        (nx.DiGraph([(0, 1, {"latency": 2}), (1, 0, {})]), {}, "link 1 - 0: latencies of 2 and 1 ms"),
        (nx.MultiGraph([(0, 1, {"latency": 2}), (0, 1, {"latency": 3})]), {}, "latencies of 2 and 3 ms"),
        (nx.path_graph(2), {"latency": None}, "link 0 - 1: no latency"),
        (nx.path_graph(2), {"processor": None}, "node '0': no processor"),
        (nx.path_graph(2), {"budget": None}, "node '0': no budget"),
        (changed(budget="4 GB"), {}, "node '0': budget '4 GB'; allowed: a number"),
        (changed(budget=True), {}, "node '0': budget True; allowed: a number"),
        (changed(tier=1.5), {}, "node '0': tier 1.5; allowed: whole numbers"),
        (changed(entry="yes"), {}, "node '0': entry 'yes'; allowed: true, false"),
    ],
)
def test_graphs_that_make_no_network(graph: nx.Graph[Any], defaults: dict[str, Any], says: str) -> None:
    with pytest.raises(IdnError, match=says):
        nodes_and_links(graph, **{"processor": "gpu", "budget": 1.0, "latency": 1.0, **defaults})
