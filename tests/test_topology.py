"""Topologies: counts and round trips of docs/model.md#set-up, link lengths as SNDlib publishes them, files of users."""

from __future__ import annotations

import contextlib
import math
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idn_gym.catalog import detection_models
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


def both_formats(folder: Path, nodes: dict[str, dict[str, Any]], links: list[tuple[str, str, dict[str, Any]]]) -> Any:
    """The graphs that are read from a GML and a GraphML file of one network; the latter lists links the other way."""

    def gml(values: dict[str, Any]) -> str:
        numbers = {"nan": "NAN", "inf": "INF", "-inf": "-INF"}
        texts = {key: value if isinstance(value, str) else repr(value) for key, value in values.items()}
        texts |= {key: '"' + text.replace("\n", "&#10;") + '"' for key, text in texts.items() if key == "label"}
        return " ".join(f"{key} {numbers.get(text, text)}" for key, text in texts.items())

    def data(values: dict[str, Any]) -> str:
        return "".join(f'<data key="{key}">{value}</data>' for key, value in values.items())

    lines = [f"node [ id {node} {gml(values)} ]" for node, values in nodes.items()]
    lines += [f"edge [ source {source} target {target} {gml(values)} ]" for source, target, values in links]
    first = written(folder, 'Creator "graph [" # graph [\ngraph [ directed 0\n' + "\n".join(lines) + "\n]\n", "net.gml")

    kinds = {"label": "string", "Latitude": "double", "Longitude": "double", "latency": "double"}
    keys = "".join(
        f'<key id="{key}" attr.name="{key}" attr.type="{kind}" for="{"edge" if key == "latency" else "node"}"/>'
        for key, kind in kinds.items()
    )
    lines = [f'<node id="{node}">{data(values)}</node>' for node, values in nodes.items()]
    lines += [f'<edge source="{s}" target="{t}">{data(values)}</edge>' for s, t, values in reversed(links)]
    second = written(
        folder,
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        + f'{keys}<graph edgedefault="undirected">{"".join(lines)}</graph></graphml>',
    )
    return [read_graph(first), read_graph(second)]


def test_parallel_links_and_loops_of_a_file(tmp_path: Path) -> None:
    nodes = {"3": {"label": "a"}, "1": {"label": "b"}, "2": {"label": "c"}}
    links: list[tuple[str, str, dict[str, Any]]] = [
        ("1", "2", {}),
        ("3", "1", {"latency": 7.0}),
        ("1", "3", {"latency": 7.0}),
        ("2", "2", {}),
        ("2", "1", {}),
        ("3", "2", {"latency": 2.5}),
    ]
    first, second = (
        nodes_and_links(graph, processor="gpu", budget=1, latency=5) for graph in both_formats(tmp_path, nodes, links)
    )
    assert first == second
    assert [node["name"] for node in first["nodes"]] == ["a", "b", "c"]
    assert [(link["source"], link["target"], link["latency"]) for link in first["links"]] == [
        ("a", "b", 7.0),
        ("a", "c", 2.5),
        ("b", "c", 5.0),
    ]
    links[2] = ("1", "3", {"latency": 8.0})
    for graph in both_formats(tmp_path, nodes, links):
        with pytest.raises(IdnError, match=r"link a - b: latencies of [78] and [78] ms; keep one link of the two"):
            nodes_and_links(graph, processor="gpu", budget=1, latency=5)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["x", "x", "y"], ["x (0)", "x (1)", "y"]),
        (["", "x", None], ["0", "x", "2"]),
        ([" ", "0", ""], ["0 (0)", "0 (1)", "2"]),
        (["x", "x", "x (1)"], ["x (0)", "x (1) (1)", "x (1) (2)"]),
        (["New\nYork", "Int'l [/x]", " Liege 1 "], ["New York", "Int'l [/x]", " Liege 1 "]),
    ],
)
def test_every_node_of_a_file_has_a_name_of_its_own(tmp_path: Path, labels: list[str | None], names: list[str]) -> None:
    nodes = {str(i): {} if label is None else {"label": label} for i, label in enumerate(labels)}
    for graph in both_formats(tmp_path, nodes, [("0", "1", {}), ("1", "2", {})]):
        assert list(graph) == names
        assert [graph.has_edge(names[i], names[j]) for i, j in ((0, 1), (1, 2), (0, 2))] == [True, True, False]


BAD_PLACES = [
    (math.nan, 1.0, "Latitude nan; allowed: a number from -90 to 90"),
    (1.0, math.inf, "Longitude inf; allowed: a number from -180 to 180"),
    (-math.inf, 1.0, "Latitude -inf; allowed: a number from -90 to 90"),
    (200.0, 1.0, "Latitude 200.0; allowed: a number from -90 to 90"),
    (-90.001, 1.0, "Latitude -90.001; allowed"),
    (1.0, 180.5, "Longitude 180.5; allowed: a number from -180 to 180"),
]


@pytest.mark.parametrize(("north", "east", "says"), BAD_PLACES)
def test_places_on_no_globe_are_refused(tmp_path: Path, north: float, east: float, says: str) -> None:
    nodes = {"0": {"label": "here", "Latitude": 0.5, "Longitude": 0.0}}
    nodes["1"] = {"label": "there", "Latitude": north, "Longitude": east}
    mine = nx.Graph([("here", "there")])
    mine.add_node("here", Latitude=0, Longitude=0)
    mine.add_node("there", Latitude=np.float64(north), Longitude=east)
    for graph in (*both_formats(tmp_path, nodes, [("0", "1", {})]), mine):
        for otherwise in (None, 5.0):
            with pytest.raises(IdnError, match=rf"^node 'there': {says}".replace("200.0", r"(np.float64\()?200.0\)?")):
                with_geographic_latency(graph, otherwise=otherwise)


@pytest.mark.parametrize("latency", [math.nan, math.inf, -1.0, -1e-300, 1e16])
def test_latencies_that_are_none_are_refused(tmp_path: Path, latency: float) -> None:
    nodes = {"0": {"label": "a"}, "1": {"label": "b"}}
    links = [("0", "1", {"latency": latency}), ("1", "0", {"latency": latency})]
    mine = nx.MultiGraph([("a", "b", {"latency": latency})])
    says = re.escape(f"link a - b: latency {latency}; allowed: a number from 0 to 1e+15")
    for graph in (*both_formats(tmp_path, nodes, links), mine):
        with pytest.raises(IdnError, match=f"^{says}"):
            nodes_and_links(graph, processor="gpu", budget=1)
    with pytest.raises(IdnError, match=f"^{says}"):
        nodes_and_links(nx.Graph([("a", "b")]), processor="gpu", budget=1, latency=latency)
    with pytest.raises(IdnError, match=r"^otherwise: "):
        with_geographic_latency(mine, otherwise=latency)


@pytest.mark.parametrize(("text", "latency"), [("2e1", 20.0), ("5E-1", 0.5), ("+1e+1", 10.0), ("2.5e1", 25.0)])
def test_exponents_of_whole_numbers_in_gml(tmp_path: Path, text: str, latency: float) -> None:
    file = written(tmp_path, GML.replace("LinkSpeed", f'latency {text} note "1e9 graph [" LinkSpeed'), "net.gml")
    link = read_graph(file).edges["São Paulo", "Rio"]
    assert link == {"latency": latency, "note": "1e9 graph [", "LinkSpeed": "10"}


def test_links_without_a_length_have_the_latency_given() -> None:
    graph = nx.Graph([("a", "b"), ("b", "c"), ("b", "d", {"latency": 3.0})])
    graph.add_node("a", Latitude=0.0, Longitude=0.0)
    graph.add_node("b", Latitude=0.0, Longitude=1.0)
    graph.add_node("d", Latitude=0.0)
    placed = with_geographic_latency(graph, otherwise=9)
    # a degree of the equator is 111.19 km
    assert [placed.edges[ends]["latency"] for ends in (("a", "b"), ("b", "c"), ("b", "d"))] == [1.11, 9.0, 3.0]
    with pytest.raises(IdnError, match=r"^node 'c': Latitude None; allowed: a number, or .*otherwise="):
        with_geographic_latency(graph)


def test_the_largest_part_of_a_graph() -> None:
    graph = nx.Graph([(5, 6), (3, 4), (4, 2), (0, 1), (2, 9), (8, 7)])
    cut = nodes_and_links(graph, processor="gpu", budget=1, latency=1, largest_part=True)
    assert [node["name"] for node in cut["nodes"]] == ["3", "4", "2", "9"]
    assert len(cut["links"]) == 3
    graph.remove_nodes_from([2, 9])  # of equals the first
    cut = nodes_and_links(graph, processor="gpu", budget=1, latency=1, largest_part=True)
    assert [node["name"] for node in cut["nodes"]] == ["5", "6"]
    says = r"falls into 4 parts, .*\(largest_part=True takes the largest part\)"
    with pytest.raises(IdnError, match=says):
        nodes_and_links(graph, processor="gpu", budget=1, latency=1)


ZOO = Path(__file__).resolve().parents[2] / "shared" / "data" / "topology-zoo.tar.gz"


@pytest.mark.skipif(not ZOO.is_file(), reason="topology-zoo.tar.gz is kept outside the repository")
def test_the_internet_topology_zoo(tmp_path: Path) -> None:
    with tarfile.open(ZOO) as files:
        files.extractall(tmp_path, filter="data")
    models = detection_models(["person"])[:2]
    parts, scenarios = Counter[bool](), 0
    for file in sorted((tmp_path / "gml").iterdir()):
        both = [read_graph(file), read_graph(tmp_path / "graphml" / f"{file.stem}.graphml")]
        both = [with_geographic_latency(graph, otherwise=5.0) for graph in both]
        parts[nx.is_connected(both[0])] += 1
        first, second = (
            nodes_and_links(graph, processor="agx-xavier", budget=2000.0, largest_part=True) for graph in both
        )
        assert first == second, file.stem
        if not nx.is_connected(both[0]):
            with pytest.raises(IdnError, match="all nodes must be connected"):
                nodes_and_links(both[0], processor="gpu", budget=1)
            continue
        first["nodes"][0] |= {"repository": [model["name"] for model in models], "processor": "rtx-2080-ti"}
        about = {"format": "idn-gym/scenario-1", "name": file.stem, "tasks": ["person"], "models": models}
        scenarios += len(parse({**about, **first}, file.stem).nodes) == len(both[1])
    assert parts == {True: 253, False: 23}
    assert scenarios >= 0.98 * parts[True]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (graphml("<!DOCTYPE graphml>"), "net.graphml", "DOCTYPE"),
        (graphml('<!DOCTYPE g [<!ENTITY lol "lol">]>', "&lol;"), "net.graphml", "DOCTYPE or entities"),
        (graphml('<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/hostname">]>', "&x;"), "net.graphml", "DOCTYPE"),
        (graphml(target="2"), "net.graphml", "link ends at '2', which is not listed"),
        (graphml().replace('"1"', '"0"'), "net.graphml", "node '0' is listed twice"),
        (graphml()[:-20], "net.graphml", "not XML"),
        ("", "net.graphml", "not XML"),
        ("<svg/>", "net.graphml", "not a graphml graph"),
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
        (changed(budget=math.nan), {}, "node '0': budget nan; allowed: a number from 0"),
        (changed(budget=-1), {}, "node '0': budget -1; allowed: a number from 0"),
        (changed(budget=10**5000), {}, "node '0': budget of hundreds of digits; allowed: a number from 0"),
        (changed(tier=math.inf), {}, "node '0': tier inf; allowed: a number from 0"),
        (changed(repository=7), {}, "node '0': repository 7; allowed: a list of models"),
    ],
)
def test_graphs_that_make_no_network(graph: nx.Graph[Any], defaults: dict[str, Any], says: str) -> None:
    with pytest.raises(IdnError, match=says):
        nodes_and_links(graph, **{"processor": "gpu", "budget": 1.0, "latency": 1.0, **defaults})


# --- whatever a file holds ---------------------------------------------------------------------------------------

VALUES = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "1.5",
        "NAN",
        "INF",
        "-INF",
        "NaN",
        '"a"',
        '""',
        '"nan"',
        "[",
        "]",
        "1e400",
        "9" * 30,
        "é",
        "[ x 1 ]",
    ]
)
KEYS = st.sampled_from(
    [
        *("id", "label", "source", "target", "latency", "Latitude", "Longitude", "budget", "tier", "entry"),
        *("repository", "processor", "key", "directed", "multigraph", "node_for_adding", "u_of_edge"),
    ]
)
PAIRS = st.lists(st.tuples(KEYS, VALUES).map(" ".join), max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


def read_or_refused(path: Path) -> None:
    """A file ends as a network that a scenario takes, or as an `IdnError`, whatever it holds."""
    try:
        graph = read_graph(path)
        with contextlib.suppress(IdnError):
            graph = with_geographic_latency(graph, otherwise=1.0)
        lists = nodes_and_links(graph, processor="gpu", budget=1.0, latency=1.0, largest_part=True)
    except IdnError:
        return
    names = [node["name"] for node in lists["nodes"]]
    assert len(set(names)) == len(names)
    assert all(0.0 <= link["latency"] <= 1e15 for link in lists.get("links", []))


@given(
    about=PAIRS,
    items=st.lists(st.tuples(st.sampled_from(["node", "edge"]), PAIRS), max_size=5),
    tail=st.text(max_size=3),
)
def test_any_gml_is_read_or_refused(folder: Path, about: str, items: list[tuple[str, str]], tail: str) -> None:
    numbered = [f"node [ id {i} {pairs} ]" for i, (_, pairs) in enumerate(items)]
    loose = [f"{kind} [ {pairs} source 0 target 1 ]" for kind, pairs in items]
    for lines in ([*numbered, *loose], loose, numbered):
        text = f"graph [ {about}\n" + "\n".join(lines) + f"\n]{tail}"
        (folder / "any.gml").write_bytes(text.encode("utf-8", "surrogatepass"))
        read_or_refused(folder / "any.gml")


CUTS = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.integers(0, 30),
        st.sampled_from(["", "<", ">", "&", '"', "\0", "<node/>", "<graph>", "nan", "double", "boolean", "port"]),
    ),
    max_size=4,
)


@given(cuts=CUTS)
def test_any_graphml_is_read_or_refused(folder: Path, cuts: list[tuple[int, int, str]]) -> None:
    both_formats(
        folder,
        {"0": {"label": "a", "Latitude": 1.0, "Longitude": 2.0}, "1": {"Latitude": 3.0}, "2": {"label": ""}},
        [("0", "1", {"latency": 2.0}), ("1", "2", {})],
    )
    text = (folder / "net.graphml").read_text("utf-8")
    for at, length, instead in cuts:
        at %= len(text)
        text = text[:at] + instead + text[at + length :]
    (folder / "any.graphml").write_bytes(text.encode("utf-8", "surrogatepass"))
    read_or_refused(folder / "any.graphml")
