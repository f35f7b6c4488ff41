"""Networks as networkx graphs: tiers, trees, grids, two real backbones, and any GML, GraphML or networkx graph.

Node attributes are named as the keys of a scenario file's nodes (processor, budget, tier, entry, repository), and
links carry `latency`, the round trip in ms; `nodes_and_links` turns such a graph into the lists of a scenario file.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import product
from numbers import Real
from typing import Any

import networkx as nx

from idn_gym.errors import IdnError
from idn_gym.scenario.graphs.graph_file import read_graph as read_graph  # users have it from here
from idn_gym.scenario.graphs.graph_file import refuse_shared_names

FIVE_TIERS = ("cloud", "dc", "main-co", "co", "bs")  # co: central office, bs: base station

_EARTH_RADIUS_KM = 6371.0
_FIBRE_KM_PER_MS = 200.0  # about two thirds of the speed of light
_LARGEST = 1e15  # as in a scenario file

# City, latitude, longitude: the cities it is linked to, each link once.
_BACKBONES = {
    "abilene": """
        atlanta 34.5 -85.5: houston indianapolis washington
        atlanta-m5 33.75 -84.3833: atlanta
        chicago 41.8333 -87.6167: indianapolis new-york
        denver 40.75 -105.0: kansas-city sunnyvale seattle
        houston 29.770031 -95.517364: kansas-city los-angeles
        indianapolis 39.780622 -86.159535: kansas-city
        kansas-city 38.961694 -96.596704:
        los-angeles 34.05 -118.25: sunnyvale
        new-york 40.7833 -73.9667: washington
        sunnyvale 37.38575 -122.02553: seattle
        seattle 47.6 -122.3:
        washington 38.897303 -77.026842:""",
    "geant": """
        vienna 48.2091 16.3729: geneva frankfurt budapest new-york ljubljana
        brussels 50.8469 4.3518: paris luxembourg amsterdam
        geneva 46.2038 6.1399: paris milan
        prague 50.0785 14.4423: frankfurt poznan bratislava
        frankfurt 50.1122 8.6842: paris athens dublin milan amsterdam stockholm
        madrid 40.4167 -3.7033: paris milan lisbon
        paris 48.8566 2.351: luxembourg london
        athens 37.9778 23.5808: milan
        zagreb 45.8071 15.9644: budapest ljubljana
        budapest 47.4976 19.0936: bratislava
        dublin 53.3416 -6.2573: london
        tel-aviv 32.0714 34.8097: milan amsterdam
        milan 45.4642 9.19:
        luxembourg 49.6112 6.1296:
        amsterdam 52.3236 4.9407: london
        new-york 40.6698 -73.94384: london
        poznan 52.3963 16.8874: stockholm
        lisbon 38.7073 -9.1363: london
        stockholm 59.3617 17.8742: london
        ljubljana 46.0574 14.5148:
        bratislava 48.1531 17.1297:
        london 51.5086 -0.1264:""",
}

BACKBONES = tuple(_BACKBONES)


def tiers(
    counts: Sequence[int],
    round_trip_ms: float | Sequence[float],
    *,
    names: Sequence[str] | None = None,
    processors: str | Sequence[str] | None = None,
    budgets: float | Sequence[float] | None = None,
    repository: Sequence[str] = (),
) -> nx.Graph[str]:
    """A hierarchy, from the cloud (tier 0) down to the entry nodes (the last tier).

    Parameters
    ----------
    counts : nodes of each tier, the first 1; the nodes of a tier are spread evenly under the tier above.
    round_trip_ms : of the links below each tier but the last, or one value for all.
    names : of each tier, numbered where it has several nodes; default: `FIVE_TIERS` for five tiers, else ``tier0``, ...
    processors, budgets : of the nodes of each tier, or one value for all; default: the attribute is left out.
    repository : models that the cloud holds permanently.

    Raises
    ------
    IdnError
        If a count is below 1, the first is not 1, or a list has not one value per tier.

    Examples
    --------
    >>> sorted(tiers((1, 2, 4), (40, 6), names=("cloud", "co", "bs")).neighbors("co1"))
    ['bs2', 'bs3', 'cloud']
    """
    depth = len(counts)
    if not counts or counts[0] != 1 or min(counts) < 1:
        raise IdnError(f"counts {list(counts)}: must start with 1, the cloud, and be at least 1 in every tier")
    names = names or (FIVE_TIERS if depth == len(FIVE_TIERS) else [f"tier{t}" for t in range(depth)])
    members = [
        [name] if count == 1 else [_numbered(name, i) for i in range(count)]
        for name, count in zip(_per_tier("names", names, depth), counts, strict=True)
    ]
    held = zip(_per_tier("processors", processors, depth), _per_tier("budgets", budgets, depth), strict=True)
    latencies = _per_tier("round_trip_ms", round_trip_ms, depth - 1)

    graph: nx.Graph[str] = nx.Graph()
    for tier, (nodes, (processor, budget)) in enumerate(zip(members, held, strict=True)):
        attributes = {"tier": tier, "processor": processor, "budget": budget}
        graph.add_nodes_from(nodes, **{key: value for key, value in attributes.items() if value is not None})
    if len(graph) != sum(counts):
        raise IdnError(f"names {list(names)}: numbered within their tier, all nodes must have different names")
    graph.add_nodes_from(members[-1], entry=True)
    if repository:
        graph.nodes[members[0][0]]["repository"] = list(repository)
    for above, below, latency in zip(members, members[1:], latencies, strict=False):
        for i, node in enumerate(below):
            graph.add_edge(above[i * len(above) // len(below)], node, latency=latency)
    return graph


def tree(branching: int, depth: int, round_trip_ms: float | Sequence[float], **attributes: Any) -> nx.Graph[str]:
    """A tree in which every node above the last tier has `branching` children; `depth` tiers below the cloud.

    `attributes` and errors are those of `tiers`.
    """
    if branching < 1 or depth < 0:
        raise IdnError(f"branching {branching}, depth {depth}: branching must be at least 1 and depth at least 0")
    return tiers([branching**tier for tier in range(depth + 1)], round_trip_ms, **attributes)


def grid(rows: int, columns: int, round_trip_ms: float) -> nx.Graph[str]:
    """A mesh of nodes ``r0c0``, ``r0c1``, ..., each linked to its neighbours in row and column.

    Give one of them a repository: ``graph.nodes["r0c0"]["repository"] = [...]``.
    """
    if rows < 1 or columns < 1:
        raise IdnError(f"rows {rows}, columns {columns}: both must be at least 1")
    graph: nx.Graph[str] = nx.Graph()
    for r, c in product(range(rows), range(columns)):
        graph.add_node(f"r{r}c{c}")
        # links go back to nodes that are there already, which keeps the nodes in reading order
        neighbours = [(f"r{r - 1}c{c}", r > 0), (f"r{r}c{c - 1}", c > 0)]
        graph.add_edges_from(((n, f"r{r}c{c}") for n, inside in neighbours if inside), latency=round_trip_ms)
    return graph


def backbone(name: str) -> nx.Graph[str]:
    """A real backbone: ``abilene`` (12 nodes, 15 links; two of the nodes in Atlanta) or ``geant`` (22 nodes, 36 links).

    Nodes have `Latitude` and `Longitude`, links the latency of `with_geographic_latency`.

    Source: coordinates and links of the instances abilene and geant of SNDlib 1.0 (sndlib.zib.de; Orlowski, Pioro,
    Tomaszewski, Wessaely, Networks 55(3), 2010). Nodes are called by their city here.
    """
    if name not in BACKBONES:
        raise IdnError(f"no backbone {name!r}; allowed: {', '.join(BACKBONES)}")
    lines = [line.split(":") for line in _BACKBONES[name].strip().splitlines()]
    places = [place.split() for place, _ in lines]
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from((city, {"Latitude": float(north), "Longitude": float(east)}) for city, north, east in places)
    graph.add_edges_from((place.split()[0], neighbour) for place, linked in lines for neighbour in linked.split())
    return with_geographic_latency(graph)


def with_geographic_latency(
    graph: nx.Graph[Any], *, otherwise: float | None = None, keep: bool = False
) -> nx.Graph[Any]:
    """A copy whose links have the round trip of light in fibre along the great circle, in ms.

    latency = 2 x km / 200 km per ms, rounded to 0.01 ms, from the node attributes `Latitude` and `Longitude`
    (degrees), as files of the Internet Topology Zoo have them.

    Parameters
    ----------
    otherwise : round trip in ms of links with an end that has no coordinates, unless they have a `latency` of their
        own; default: all nodes must have coordinates.
    keep : whether links that have a `latency` keep it, and so need no coordinates.

    Raises
    ------
    IdnError
        Naming the node and the value, if coordinates are missing, no numbers, or on no globe.
    """
    if otherwise is not None:
        otherwise = _number("otherwise:", otherwise, 0.0)
    placed = graph.copy()
    lacking = [link for link in placed.edges(data=True) if not keep or link[2].get("latency") is None]
    ends = {node for source, target, _ in lacking for node in (source, target)} if keep else set(placed)
    places = {
        node: _place(node, data)
        for node, data in placed.nodes(data=True)
        if node in ends
        and (otherwise is None or (data.get("Latitude") is not None and data.get("Longitude") is not None))
    }
    for source, target, data in lacking:
        if source in places and target in places:
            data["latency"] = round(2.0 * _great_circle_km(places[source], places[target]) / _FIBRE_KM_PER_MS, 2)
        elif data.get("latency") is None:
            data["latency"] = otherwise
    return placed


def nodes_and_links(
    graph: nx.Graph[Any],
    *,
    processor: str | None = None,
    budget: float | None = None,
    latency: float | None = None,
    largest_part: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """The `nodes` and `links` of a scenario file, from any networkx graph.

    Nodes are called ``str(node)``. Attributes other than the scenario file's are ignored. In a directed graph every
    link must run both ways. All links between two nodes become one and must have the same latency. `repository` is a
    list of models or, as GraphML knows no lists, their names separated by commas.

    Parameters
    ----------
    processor, budget : for nodes without the attribute; budget in MB.
    latency : round trip in ms for links without the attribute.
    largest_part : of a graph that is not connected, take the part with most nodes (of equals the first).

    Returns
    -------
    ``{"nodes": [...], "links": [...]}``, in the graph's order; no `links` if the graph has none.

    Raises
    ------
    IdnError
        If the graph is empty or not connected, two nodes have the same name, a link joins a node to itself or runs
        one way, or an attribute is missing, of the wrong type, not finite or negative.
    """
    if len(graph) == 0:
        raise IdnError("graph: has no nodes; at least one is needed")
    if largest_part:
        graph = largest(graph)
    names = {node: str(node) for node in graph}
    refuse_shared_names(names, "graph: ")
    defaults = {"processor": processor, "budget": budget}
    nodes = [_node(names[node], {**defaults, **data}) for node, data in graph.nodes(data=True)]

    links: dict[frozenset[str], dict[str, Any]] = {}
    for source, target, data in graph.edges(data=True):
        link = _link(names[source], names[target], data.get("latency", latency))
        known = links.setdefault(frozenset((link["source"], link["target"])), link)
        if known["latency"] != link["latency"]:
            both = f"{known['latency']:g} and {link['latency']:g} ms"
            raise IdnError(f"link {link['source']} - {link['target']}: latencies of {both}; keep one link of the two")
        if graph.is_directed() and not graph.has_edge(target, source):
            raise IdnError(
                f"link {link['source']} -> {link['target']}: has no way back, and links are undirected; "
                "networkx.Graph(graph) (in a file: directed 0) reads every link both ways"
            )
    parts = sorted(nx.connected_components(graph.to_undirected(as_view=True)), key=lambda part: len(part))
    if len(parts) > 1:
        lost = ", ".join(sorted(names[node] for node in parts[0])[:3])
        raise IdnError(
            f"graph: falls into {len(parts)} parts, the smallest with {lost}; all nodes must be connected "
            "(largest_part=True takes the largest part)"
        )
    return {"nodes": nodes, "links": list(links.values())} if links else {"nodes": nodes}


def largest(graph: nx.Graph[Any]) -> nx.Graph[Any]:
    """A copy of the part with most nodes (of equals the first), in the graph's order."""
    kept = max(nx.connected_components(graph.to_undirected(as_view=True)), key=len, default=set())
    part = graph.copy()
    part.remove_nodes_from([node for node in graph if node not in kept])
    return part


def _per_tier(key: str, value: Any, depth: int) -> list[Any]:
    if value is None or isinstance(value, str | Real):
        return [value] * depth
    if len(value) != depth:
        raise IdnError(f"{key} {list(value)}: {len(value)} values; allowed: {depth}, from the cloud down")
    return list(value)


def _numbered(name: str, index: int) -> str:
    return f"{name}-{index}" if name[-1:].isdigit() else f"{name}{index}"


def _place(node: Hashable, data: dict[str, Any]) -> tuple[float, float]:
    """Latitude and longitude of a node, in radians."""
    where = f"node {str(node)!r}"
    for key in ("Latitude", "Longitude"):
        if data.get(key) is None:
            hint = "or with_geographic_latency(..., otherwise=...) for links that have no length"
            raise IdnError(f"{where}: {key} None; allowed: a number, {hint}")
    latitude = _number(f"{where}: Latitude", data.get("Latitude"), -90.0, 90.0)
    return math.radians(latitude), math.radians(_number(f"{where}: Longitude", data.get("Longitude"), -180.0, 180.0))


def _great_circle_km(here: tuple[float, float], there: tuple[float, float]) -> float:
    """The haversine formula, well conditioned for near cities too; places in radians."""
    chord = math.sin((there[0] - here[0]) / 2) ** 2
    chord += math.cos(here[0]) * math.cos(there[0]) * math.sin((there[1] - here[1]) / 2) ** 2
    return 2.0 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


def _node(name: str, data: dict[str, Any]) -> dict[str, Any]:
    where = f"node {name!r}"
    for key in ("processor", "budget"):
        if data[key] is None:
            raise IdnError(f"{where}: no {key}; set the node's attribute, or nodes_and_links(..., {key}=...) for all")
    node = {
        "name": name,
        "processor": str(data["processor"]),
        "budget": _number(f"{where}: budget", data["budget"], 0.0),
    }
    if data.get("tier") is not None:
        tier = _number(f"{where}: tier", data["tier"], 0.0)
        if not tier.is_integer():
            raise IdnError(f"{where}: tier {data['tier']!r}; allowed: whole numbers from 0")
        node["tier"] = int(tier)
    if data.get("entry") is not None:
        if data["entry"] not in (0, 1):  # GML writes true as 1
            raise IdnError(f"{where}: entry {data['entry']!r}; allowed: true, false")
        node["entry"] = bool(data["entry"])
    held = data.get("repository")
    if held is None or held == "":
        held = []
    if not isinstance(held, Iterable):
        raise IdnError(f"{where}: repository {held!r}; allowed: a list of models, or their names separated by commas")
    listed = held.split(",") if isinstance(held, str) else list(held)
    if listed:
        node["repository"] = [str(model).strip() for model in listed]
    return node


def _link(source: str, target: str, latency: Any) -> dict[str, Any]:
    where = f"link {source} - {target}"
    if source == target:
        raise IdnError(f"{where}: joins a node to itself; a link joins two nodes")
    if latency is None:
        raise IdnError(f"{where}: no latency; set the link's attribute, or nodes_and_links(..., latency=...) for all")
    return {"source": source, "target": target, "latency": _number(f"{where}: latency", latency, 0.0)}


def _number(where: str, value: Any, lowest: float, highest: float = _LARGEST) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise IdnError(f"{where} {value!r}; allowed: a number")
    if not bool(lowest <= value <= highest):  # type: ignore[operator]  # also refuses nan
        huge = isinstance(value, int) and value.bit_length() > 1024  # beyond floats, and beyond what repr writes
        shown = "of hundreds of digits" if huge else str(value)
        raise IdnError(f"{where} {shown}; allowed: a number from {lowest:g} to {highest:g}")
    return float(value)
