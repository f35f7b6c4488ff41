"""Tables of systems, as ``idn-gym system`` prints them for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from idn_agents.systems.frame import Check, Claim, Formula, Measure, Measures, System
from idn_gym.report.layout import Column, Table, words

_Kind = type[System[Any, Any, Any]]


def systems(kinds: Sequence[_Kind]) -> Table[_Kind]:
    """The systems there are."""
    columns = [
        Column[_Kind]("name", lambda kind: kind.name, left=True),
        Column[_Kind]("what it decides", lambda kind: words(kind.title), left=True),
        Column[_Kind]("paper", lambda kind: words(kind.paper), rank=1, left=True),
    ]
    return Table("systems", columns, kinds)


def formulas(kind: _Kind) -> Table[Formula]:
    """What a system is built on; below it, its stream and its form in the network."""
    columns = [
        Column[Formula]("what", lambda row: words(row.what), left=True),
        Column[Formula]("formula or value", lambda row: words(row.text), left=True),
        Column[Formula]("", lambda row: f"[{row.tag}]", left=True),
    ]
    tags = sorted({row.tag for row in kind.formulas})
    legend = "; ".join(f"[{tag}] {tag.meaning}" for tag in tags)
    captions = [legend, f"Stream: {kind.stream_format}", f"In the network: {kind.network}"]
    return Table(f"{kind.name}: {kind.title} ({kind.paper})", columns, kind.formulas, captions)


def settings(values: Mapping[str, Any]) -> Table[tuple[str, Any]]:
    """What --set sets, at its defaults."""
    columns = [
        Column[tuple[str, Any]]("setting", lambda row: row[0], left=True),
        Column[tuple[str, Any]]("default", lambda row: words(json.dumps(row[1])), left=True),
    ]
    return Table("settings", columns, list(values.items()))


def results(system: System[Any, Any, Any], rows: Sequence[Measures], stream: str) -> Table[Measures]:
    """Policies and what came of them."""

    def column(measure: Measure) -> Column[Measures]:
        def cell(row: Measures) -> str | None:
            value = row.values[measure.key]
            return None if value is None else format(value, measure.form)

        return Column(measure.header, cell)

    first = Column[Measures]("policy", lambda row: row.policy, left=True)
    return Table(f"{system.name} on {stream}", [first, *map(column, system.measures)], rows)


def claims(rows: Sequence[Claim]) -> Table[Claim]:
    """Claims and their outcomes."""
    columns = [
        Column[Claim]("claim", lambda row: words(row.text), left=True),
        Column[Claim]("source", lambda row: words(f"[{row.tag}] {row.source}"), rank=2, left=True),
        Column[Claim]("outcome", lambda row: row.outcome.value, left=True),
        Column[Claim]("because", lambda row: words(row.reason), rank=1, left=True),
    ]
    return Table("claims", columns, rows)


def checks(rows: Sequence[tuple[str, Check]]) -> Table[tuple[str, Check]]:
    """Golden numbers and what came out."""
    columns = [
        Column[tuple[str, Check]]("system", lambda row: row[0], left=True),
        Column[tuple[str, Check]]("check", lambda row: words(row[1].name), left=True),
        Column[tuple[str, Check]]("expected", lambda row: words(_value(row[1].expected))),
        Column[tuple[str, Check]]("got", lambda row: words(_value(row[1].got))),
        Column[tuple[str, Check]]("", lambda row: "holds" if row[1].holds else "missed", left=True),
        Column[tuple[str, Check]]("source", lambda row: words(row[1].source), rank=1, left=True),
    ]
    return Table("golden numbers", columns, rows)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value)
