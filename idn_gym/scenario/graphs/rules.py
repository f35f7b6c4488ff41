"""The key `topology` of a scenario file: a graph file or a backbone, made into nodes and links by rules.

It is read, not kept: the scenario, and every record of it, has the nodes and links that came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import networkx as nx
from pydantic import Field, GetJsonSchemaHandler, ValidationError, model_validator

from idn_gym.common.text import allowed, did_you_mean, shown
from idn_gym.errors import IdnError
from idn_gym.scenario.faults import faults_of, refusal
from idn_gym.scenario.schema import Content, Node
from idn_gym.scenario.section import AsTuple, Count, Location, Name, NonNegative, Section
from idn_gym.topology import BACKBONES, backbone, largest, nodes_and_links, read_graph, with_geographic_latency

TOPOLOGY = "topology"  # the key


class _Short(Section):
    """A section that may be given as one plain value, that of the key `short`."""

    short: ClassVar[str]
    plain: ClassVar[str]  # the JSON type of that value

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        return value if isinstance(value, dict | cls) else {cls.short: value}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": cls.plain}, handler(schema)]}


class _Chosen(Section):
    """Nodes: those `given`, or as many as `degree` says of those with most links (of equals, the first listed)."""

    given: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description="these nodes, by name"
    )
    degree: Count | None = Field(default=None, description="so many of the nodes with most links")

    @model_validator(mode="after")
    def _one(self) -> _Chosen:
        if (self.given is None) == (self.degree is None):
            raise ValueError("must have one of given (names of nodes) and degree (how many, most links first)")
        return self

    def of(self, graph: nx.Graph[str], key: str) -> list[str]:
        """The nodes chosen."""
        if self.given is not None:
            return _known(self.given, graph, f"{key}.given")
        if self.degree is not None and self.degree > len(graph):
            raise IdnError(f"{key}.degree: {self.degree}; must be at most {len(graph)}, the number of nodes")
        return _by_degree(graph)[: self.degree]


class Repositories(_Chosen):
    """Nodes that hold models for good."""

    models: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description="what each holds; default: every model with a profile for its processor"
    )


class _Rule(_Short):
    """A value per node: those `given`, then by `tier` or `degree`, else that of `otherwise`."""

    short = "otherwise"

    @model_validator(mode="after")
    def _some(self) -> _Rule:
        said = {key for key in type(self).model_fields if getattr(self, key) is not None}
        if not said or {"tier", "degree"} <= said:
            raise ValueError("must have tier or degree (not both), or given and otherwise")
        return self

    def of(self, graph: nx.Graph[str], tiers: Mapping[str, int], key: str) -> dict[str, Any]:
        """The value of each node that the rule says something of."""
        tier, degree, given, otherwise = (getattr(self, name) for name in ("tier", "degree", "given", "otherwise"))
        values: dict[str, Any] = {}
        if tier is not None:
            values = {node: tier[min(tiers[node], len(tier) - 1)] for node in graph}
        elif degree is not None:
            ranked = _by_degree(graph)
            values = {node: degree[rank * len(degree) // len(ranked)] for rank, node in enumerate(ranked)}
        elif otherwise is not None:
            values = dict.fromkeys(graph, otherwise)
        _known(given or (), graph, f"{key}.given")
        return {**values, **(given or {})}


_TIER = "one per tier from the repositories (tier 0) outwards, the last for all beyond"
_DEGREE = "one per equal share of the nodes, those with most links first"


class Processors(_Rule):
    """A processor per node."""

    plain = "string"
    tier: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = Field(default=None, description=_TIER)
    degree: Annotated[tuple[Name, ...], AsTuple, Field(min_length=1)] | None = Field(default=None, description=_DEGREE)
    given: dict[Name, Name] | None = Field(default=None, description="node -> processor")
    otherwise: Name | None = Field(default=None, description="of nodes that nothing else names")


class Budgets(_Rule):
    """A budget per node, MB."""

    plain = "number"
    tier: Annotated[tuple[NonNegative, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description=_TIER
    )
    degree: Annotated[tuple[NonNegative, ...], AsTuple, Field(min_length=1)] | None = Field(
        default=None, description=_DEGREE
    )
    given: dict[Name, NonNegative] | None = Field(default=None, description="node -> budget, MB")
    otherwise: NonNegative | None = Field(default=None, description="of nodes that nothing else names, MB")


class Topology(_Short):
    """A network by name or file, and what its nodes are; what the file itself says of a node or link stays."""

    short, plain = "file", "string"

    file: Location = Field(description="a GML or GraphML file, beside the scenario's; or a backbone: abilene, geant")
    latency: NonNegative | None = Field(
        default=None, description="round trip of links with neither a latency nor coordinates at both ends, ms"
    )
    largest_part: bool = Field(default=False, description="of a graph that falls apart, take the largest part")
    repositories: Repositories | None = Field(default=None, description="nodes that hold models for good")
    processors: Processors | None = Field(default=None, description="of the nodes: one name for all, or a rule")
    budgets: Budgets | None = Field(default=None, description="of the nodes, MB: one number for all, or a rule")


class Written(Content):
    """A scenario file as it may be written: with a topology in place of nodes and links. Of its JSON Schema only."""

    nodes: Annotated[tuple[Node, ...], AsTuple, Field(min_length=1)] | None = Field(  # type: ignore[assignment]
        default=None, description="compute nodes; needed unless there is a topology"
    )
    topology: Topology | None = Field(default=None, description="a graph file or backbone, in place of nodes and links")


class _Holder(Section):
    """A scenario file as far as this key goes."""

    topology: Topology


def with_nodes_and_links(data: dict[str, Any], source: str, folder: Path = Path()) -> dict[str, Any]:
    """The values of a scenario file with `nodes` and `links` in place of `topology`; as they are without that key.

    Parameters
    ----------
    source : where the values came from, for the error message.
    folder : what the graph file's name is relative to.

    Raises
    ------
    IdnError
        If the section is not valid, the file cannot be read, or a rule names what the graph does not have.
    """
    if TOPOLOGY not in data:
        return data
    if found := [key for key in ("nodes", "links") if key in data]:
        raise IdnError(f"{source}: {found[0]}: not beside topology, which gives nodes and links; keep one of the two")
    section = {TOPOLOGY: data[TOPOLOGY]}
    try:
        topology = _Holder.model_validate(section).topology
    except ValidationError as error:
        raise refusal(source, faults_of(error, section, _Holder)) from None
    try:
        lists = _lists(topology, data.get("models"), folder)
    except IdnError as error:
        raise IdnError(f"{source}: topology: {error}") from None
    kept = {key: value for key, value in data.items() if key != TOPOLOGY}
    return {**kept, **lists}


def _lists(topology: Topology, models: Any, folder: Path) -> dict[str, Any]:
    """The nodes and links of a scenario whose models, as yet unchecked, are these."""
    graph = _read(topology, folder)
    held = topology.repositories
    chosen = held.of(graph, "repositories") if held is not None else []
    tiers = _tiers(graph, [*chosen, *(node for node, models in graph.nodes(data="repository") if models)])
    budgets = topology.budgets or Budgets(otherwise=0.0)
    for key, attribute, rule in (("processors", "processor", topology.processors), ("budgets", "budget", budgets)):
        values = rule.of(graph, tiers, key) if rule is not None else {}
        for node, data in graph.nodes(data=True):
            if data.get(attribute) is None and node not in values:
                raise IdnError(f"{key}: nothing says that of node {node!r}; give one for all, or a rule")
            data[attribute] = values[node] if data.get(attribute) is None else data[attribute]
    for node in chosen:
        processor = graph.nodes[node]["processor"]
        kept = held.models if held is not None and held.models is not None else _fitting(models, processor)
        if not kept:
            raise IdnError(f"repositories: no model has a profile for {shown(processor)}, the processor of {node!r}")
        graph.nodes[node]["repository"] = list(kept)
    return nodes_and_links(graph)


def _read(topology: Topology, folder: Path) -> nx.Graph[str]:
    """The graph, connected where that is asked for, with the latency of each link."""
    if topology.file in BACKBONES:
        return backbone(topology.file)
    if not Path(topology.file).suffix:
        known = f"a .gml or .graphml file, or a backbone: {', '.join(BACKBONES)}"
        raise IdnError(f"file: {shown(topology.file)}; {did_you_mean(topology.file, BACKBONES)}allowed: {known}")
    graph = read_graph(folder / topology.file)
    if topology.largest_part:
        graph = largest(graph)
    placed = {node for node, data in graph.nodes(data=True) if {"Latitude", "Longitude"} <= data.keys()}
    for source, target, data in graph.edges(data=True):
        if topology.latency is None and data.get("latency") is None and not {source, target} <= placed:
            raise IdnError(f"latency: missing, and link {source} - {target} has none, nor coordinates at both ends")
    return with_geographic_latency(graph, otherwise=topology.latency, keep=True)


def _tiers(graph: nx.Graph[str], repositories: Iterable[str]) -> dict[str, int]:
    """Hops of each node to the nearest repository; 0 where there is none to be reached."""
    hops = dict.fromkeys(graph, 0)
    there = list(repositories)
    if there:
        reach = nx.multi_source_dijkstra_path_length(graph.to_undirected(as_view=True), set(there), weight=None)
        hops.update({node: int(count) for node, count in reach.items()})
    return hops


def _by_degree(graph: nx.Graph[str]) -> list[str]:
    """The nodes, those with most neighbours first; of equals the first listed."""
    return sorted(graph, key=lambda node: -len(set(graph.to_undirected(as_view=True)[node])))


def _known(names: Iterable[str], graph: nx.Graph[str], key: str) -> list[str]:
    for name in names:
        if name not in graph:
            raise IdnError(f"{key}: unknown node {shown(name)}; {allowed(name, list(graph))}")
    return list(names)


def _fitting(models: Any, processor: Any) -> list[str]:
    """Names of the models, as yet unchecked, with a profile for a processor."""
    listed = models if isinstance(models, list) else []
    return [
        model["name"]
        for model in listed
        if isinstance(model, dict)
        and isinstance(model.get("name"), str)
        and isinstance(model.get("profiles"), dict)
        and processor in model["profiles"]
    ]
