"""What ``idn-gym report`` shows of a folder of ``idn-gym suite``; found through the group ``idn_gym.reports``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from idn_gym.common.files import read_json
from idn_gym.report.page.parts import Part, Picture
from idn_gym.report.page.runs import sweep_part
from idn_gym.report.page.streams import read_streams

_LABELS = {"scenario", "workload", "shape", "seed"}


def part(folder: Path) -> Part | None:
    """The ranking, and all of its sweep; None where the folder is not of a suite."""
    path = folder / "sweep.json"
    if not path.exists():
        return None
    command = read_json(path).get("command")
    if not isinstance(command, list) or command[1:2] != ["suite"]:
        return None
    from idn_gym.suite import tables
    from idn_gym.suite.ranking import by_kind, standings  # here, since other folders need no statistics

    swept = sweep_part(folder)
    streams = [
        stream for stream in read_streams(folder)[1] if not stream.missing
    ]  # ranks are of agents that all played
    if not all(set(stream.labels) >= _LABELS for stream in streams) or not streams:
        return swept
    rows = [row for stream in streams for row in stream.rows]
    document = {"agents": standings(rows, swept.hindsight), "kinds": by_kind(rows, swept.hindsight)}
    cases, slots = len({row["scenario"] for row in rows}), rows[0]["slots"]
    title = f"Suite of {cases} cases, {slots} slots"
    ranked = [
        tables.ranked(document, title),
        *(
            tables.of_kinds(document, key, f"{about}, by workload")
            for key, about in (("behind", "behind the best causal agent"), ("of_bound", "share of the bound"))
            if any(key in row for row in document["agents"])
        ),
    ]
    drawn = folder / "suite.png"
    pictures = [Picture(drawn, f"{title}: how far causal agents are behind the best of them")] if drawn.exists() else []
    return replace(swept, title=title, tables=ranked, more=[*swept.tables, *swept.more], pictures=pictures)
