"""What the graph files of a folder hold: ``topologies``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import networkx as nx
import typer

from idn_gym.cli.options import AsJson, print_json
from idn_gym.cli.terminal import complain
from idn_gym.common.text import printable
from idn_gym.errors import IdnError
from idn_gym.topology import BACKBONES, backbone, read_graph

if TYPE_CHECKING:
    from idn_gym.report.layout import Table

_NOTE = (
    "placed: nodes with coordinates; parts: falls into so many, largest_part takes the largest; "
    "diameter: hops, of the largest part; a scenario takes one as topology: {file: ...}"
)


class _Row(NamedTuple):
    """A graph: its file, or the name of a backbone, and its sizes."""

    file: str
    nodes: int
    links: int
    parts: int
    degree: int  # the largest
    diameter: int
    placed: int


def topologies(
    folder: Annotated[
        Path | None, typer.Argument(help="with GML and GraphML files; default: the backbones inside")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Networks for a scenario's `topology`. Those inside, and the graph files of a folder."""
    from rich.progress import track

    from idn_gym.report.console import console

    rows = [_row(name, backbone(name)) for name in BACKBONES]
    unreadable: list[tuple[str, str]] = []
    for path in track(_files(folder), "reading", console=console(stderr=True), transient=True) if folder else ():
        try:
            rows.append(_row(str(path), read_graph(path)))
        except IdnError as error:
            unreadable.append((str(path), str(error)))
    if as_json:
        print_json(
            {
                "topologies": [row._asdict() for row in rows],
                "unreadable": [{"file": file, "error": why} for file, why in unreadable],
            }
        )
        return
    for _, why in unreadable:
        complain(why)
    console().print(_table(rows))


def _files(folder: Path) -> list[Path]:
    """The graph files of a folder and of those in it, by name."""
    if not folder.is_dir():
        raise IdnError(f"{folder}: not a folder; give one with .gml or .graphml files")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".gml", ".graphml"))
    if not found:
        raise IdnError(f"{folder}: no .gml or .graphml file in it")
    return found


def _row(file: str, graph: nx.Graph[Any]) -> _Row:
    simple: nx.Graph[Any] = nx.Graph(graph)
    parts = sorted(nx.connected_components(simple), key=len)
    return _Row(
        file,
        nodes=len(simple),
        links=simple.number_of_edges(),
        parts=len(parts),
        degree=max((degree for _, degree in simple.degree), default=0),
        diameter=nx.diameter(simple.subgraph(parts[-1])) if parts else 0,
        placed=sum({"Latitude", "Longitude"} <= data.keys() for _, data in simple.nodes(data=True)),
    )


def _table(rows: list[_Row]) -> Table[_Row]:
    from idn_gym.report.layout import Column, Table, words

    columns = [
        Column[_Row]("file", lambda row: printable(row.file), left=True),
        Column("nodes", lambda row: f"{row.nodes:,}"),
        Column("links", lambda row: f"{row.links:,}"),
        Column("parts", lambda row: f"{row.parts:,}", rank=2),
        Column("largest degree", lambda row: f"{row.degree:,}", rank=4),
        Column("diameter", lambda row: f"{row.diameter:,}", rank=3),
        Column("placed", lambda row: f"{row.placed:,}", rank=1),
    ]
    return Table("topologies", columns, rows, [words(_NOTE)])
