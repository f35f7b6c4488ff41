"""Networks in GML and GraphML files, as networkx graphs whose nodes have the names that people know."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, cast
from xml.parsers import expat

import networkx as nx

from idn_gym.common.files import read_text
from idn_gym.errors import IdnError
from idn_gym.scenario.kinds import GRAPH, expecting

_MAX_BYTES = 16 * 2**20
# strings, comments, where the graph begins, and the digits before an exponent; the first two are left as they are
_GML = re.compile(r'"[^"]*"|#.*|\b(?P<graph>graph\s*\[)|(?<![\w.])(?P<digits>[0-9]+)(?=[Ee][+-]?[0-9])')
_RENAMINGS = 9


def read_graph(path: str | os.PathLike[str]) -> nx.Graph[str]:
    """Read a ``.gml`` or ``.graphml`` file; a network in both formats is one and the same graph.

    Nodes are called by their `label`; those that share one by label and id, ``label (id)``, and those without one by
    their id. They are in the order of the file, links in that of their nodes. Links of a node to itself are left out.
    Parallel links make a multigraph; see `topology.nodes_and_links`.

    Raises
    ------
    IdnError
        If the file cannot be read, is larger than 16 MiB, is not of its format, declares a DOCTYPE or entities, links
        a node that it does not list, or gives an id twice.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".gml", ".graphml"):
        with expecting(path, GRAPH):
            raise IdnError(f"{path}: not a graph file; allowed suffixes: .gml, .graphml")
    text = read_text(path, _MAX_BYTES)
    listed = _listed_in_xml(text, path) if suffix == ".graphml" else None
    try:
        graph = _parsed_gml(text) if listed is None else nx.parse_graphml(text)
    except Exception as error:  # networkx's readers raise a dozen types on malformed text
        says = " ".join(str(error).split()) or type(error).__name__
        raise IdnError(f"{path}: not a {suffix[1:]} graph: {says}") from None
    strays = [node for node in graph if listed is not None and node not in listed]
    if strays:
        raise IdnError(f"{path}: a link ends at {strays[0]!r}, which is not listed as a node")
    return _ordered(graph, _names(graph, path))


def refuse_shared_names(names: dict[Any, str], where: str) -> None:
    """Raise `IdnError` naming two nodes of one name, after `where`."""
    first: dict[str, Any] = {}
    for node, name in names.items():
        if name in first:
            raise IdnError(f"{where}nodes {first[name]!r} and {node!r} are both called {name!r}; names must differ")
        first[name] = node


def _parsed_gml(text: str) -> nx.Graph[Any]:
    """A graph by ids; networkx takes parallel links only of a file that says that it has some, and 1e-3 for 1."""

    def mended(match: re.Match[str]) -> str:
        return match[0] + (" multigraph 1 " if match["graph"] else ".0" if match["digits"] else "")

    graph = nx.parse_gml(_GML.sub(mended, text), label=cast(str, None))
    simple = nx.DiGraph(graph) if graph.is_directed() else nx.Graph(graph)
    return simple if len(simple.edges) == len(graph.edges) else graph


def _names(graph: nx.Graph[Any], path: Path) -> dict[Any, str]:
    """What each node is called: its label, its id, or, where nodes would share a name, that and the id."""
    labels = {node: "" if label is None else str(label) for node, label in graph.nodes(data="label")}
    lines = {node: label if label.isprintable() else " ".join(label.split()) for node, label in labels.items()}
    names = {node: line if line.strip() else str(node) for node, line in lines.items()}
    for _ in range(_RENAMINGS):  # a name that is made up may be another node's label
        count = Counter(names.values())
        names = {node: f"{name} ({node})" if count[name] > 1 else name for node, name in names.items()}
    refuse_shared_names(names, f"{path}: ")
    return names


def _ordered(graph: nx.Graph[Any], names: dict[Any, str]) -> nx.Graph[str]:
    """A copy by name, with links sorted: files of one network list them in different orders."""
    place = {node: i for i, node in enumerate(graph)}
    ordered = graph.__class__()
    ordered.graph.update(graph.graph)
    ordered.add_nodes_from((names[node], data) for node, data in graph.nodes(data=True))
    links = [link for link in graph.edges(data=True) if link[0] != link[1]]
    links.sort(key=lambda link: (place[link[0]], place[link[1]]))
    ordered.add_edges_from((names[source], names[target], data) for source, target, data in links)
    return ordered


def _listed_in_xml(text: str, path: Path) -> set[str]:
    """Ids of the nodes that an XML file lists; networkx would quietly add a node for a typo in a link."""
    listed: set[str] = set()

    def refuse(*_: Any) -> None:
        raise IdnError(f"{path}: declares a DOCTYPE; GraphML with a DOCTYPE or entities is not allowed")

    def note(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "node":
            if attributes.get("id", "") in listed:
                raise IdnError(f"{path}: node {attributes.get('id', '')!r} is listed twice; ids must differ")
            listed.add(attributes.get("id", ""))

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = note
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise IdnError(f"{path}: not XML: {error}") from None
    return listed
