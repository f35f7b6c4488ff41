"""The tables of ``idn-gym suite``, as the command line prints them for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idn_gym.library.cases import Case
from idn_gym.model.network import Network
from idn_gym.report.layout import Cell, Column, Table, agent
from idn_gym.report.tables import LEGEND, sizes
from idn_gym.suite.ranking import CLOSE

_CAPTIONS = (
    "behind: gain less than the best causal agent's, of that; worst: where it is most",
    f"rank, wins: among causal agents; close: cases in which it is behind by at most {CLOSE:.1%}",
    "of bound: total gain over what is certified that no static allocation exceeds; others may",
    "± half the width of the 95% interval of the mean over cases",
)
_HINDSIGHT = "* in hindsight: has seen the whole stream; in no ranking"

Standing = Mapping[str, Any]


def ranked(document: Mapping[str, Any], title: str) -> Table[Any]:
    """What agents come to over all cases; see `ranking.standings`."""
    rows = document["agents"]
    columns = [
        Column[Standing]("agent", lambda row: name(row), left=True),
        Column("behind", lambda row: spread(row, "behind")),
        Column("rank", lambda row: f"{row['rank']:.2f}" if "rank" in row else None),
        Column("wins", lambda row: str(row["wins"]) if "wins" in row else None, rank=1),
        Column("close", lambda row: str(row["close"]) if "close" in row else None, rank=2),
        Column("worst", lambda row: f"{row['worst']:.2%}" if "worst" in row else None, rank=3),
        Column("worst case", lambda row: row.get("worst_case"), left=True, rank=5),
        Column("of bound", lambda row: spread(row, "of_bound"), rank=4),
    ]
    captions: list[Cell] = [*_CAPTIONS, *([_HINDSIGHT] if any(row["hindsight"] for row in rows) else [])]
    return Table(title, columns, rows, captions)


def of_kinds(document: Mapping[str, Any], key: str, title: str) -> Table[Any]:
    """A figure of agents, ``behind`` or ``of_bound``, by the kind of workload."""
    kinds = {kind: {row["agent"]: row for row in rows} for kind, rows in document["kinds"].items()}

    def of_kind(kind: str) -> Column[Standing]:
        return Column(kind, lambda row: spread(kinds[kind][row["agent"]], key))

    rows = [row for row in document["agents"] if key in row]
    return Table(title, [Column[Standing]("agent", name, left=True), *map(of_kind, kinds)], rows)


def cases(drawn: Sequence[Case], title: str) -> Table[Any]:
    """Cases and their sizes."""

    def size(axis: str) -> Column[tuple[Case, Network]]:
        return Column(axis, lambda row: f"{sizes(row[1])[axis]:,}", rank=2)

    columns = [
        Column[tuple[Case, Network]]("case", lambda row: row[0].name, left=True),
        Column("workload", lambda row: row[0].kind, left=True),
        Column("network", lambda row: row[0].shape, left=True, rank=1),
        *map(size, ("V", "M", "P", "R")),
        Column("alpha", lambda row: f"{row[0].scenario.accuracy_weight:g}", rank=1),
    ]
    return Table(title, columns, [(case, Network.compile(case.scenario)) for case in drawn], [LEGEND])


def name(row: Standing) -> Cell:
    """An agent, marked where it is in hindsight."""
    pieces = agent(row["agent"])
    return [*pieces[:-1], pieces[-1] + " *" * row["hindsight"]]


def spread(row: Standing, key: str) -> str | None:
    """A share with half the width of its interval, where there is one."""
    if key not in row:
        return None
    ends = row["intervals"].get(key)
    return f"{row[key]:.2%}" + (f" ± {(ends[1] - ends[0]) / 2.0:.2%}" if ends else "")
