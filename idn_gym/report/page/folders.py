"""What a record folder is of, and the part of a page that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idn_gym import plugins
from idn_gym.common.files import read_json
from idn_gym.common.text import printable
from idn_gym.errors import IdnError
from idn_gym.report import tables
from idn_gym.report.page.parts import Part, Picture
from idn_gym.report.page.runs import run_part, sweep_part

_OF_A_FIGURE = ("figure", "title", "slots", "streams", "runs", "checks")
_OUTCOMES = ("holds", "does not hold", "not decided")


def part_of(folder: Path) -> Part:
    """The part of a page that a record folder makes.

    Raises
    ------
    IdnError
        If it is no record folder, or one of its files is missing, damaged, or not as it was written.
    """
    if not folder.is_dir():
        raise IdnError(
            f"{folder}: {'is a file' if folder.exists() else 'there is no such folder'}; give a record folder"
        )
    for name in plugins.names(plugins.REPORTS):
        part: Part | None = plugins.load(plugins.REPORTS, name)(folder)
        if part is not None:
            return part
    if (folder / "run.json").exists():
        return run_part(folder)
    here = folder.resolve()
    beside = here.with_name(f"{here.name}.json") if here.name else here
    if (here / "table.csv").exists() and beside.is_file() and _is_figure(read_json(beside)):
        return _figure(here.parent, here.name)
    if (folder / "sweep.json").exists():
        return sweep_part(folder)
    return _reproduction(folder)


def _reproduction(folder: Path) -> Part:
    """The part about a folder of ``idn-gym reproduce``: its figures, in the order of their names."""
    found = [path for path in sorted(folder.glob("*.json")) if path.with_suffix("").is_dir()]
    names = [path.stem for path in found if _is_figure(read_json(path))]
    if not names:
        raise IdnError(
            f"{folder}: no record folder; it must hold run.json, sweep.json or system.json, or what reproduce writes"
        )
    if len(names) == 1:
        return _figure(folder, names[0])
    parts = [_figure(folder, name) for name in names]
    checks = [check for name in names for check in read_json(folder / f"{name}.json")["checks"]]
    return Part(
        title=f"Reproduction of {len(names)} figures",
        facts={"figures": ", ".join(map(printable, names)), "claims": _counted(checks)},
        command=parts[0].command,
        versions=parts[0].versions,
        parts=parts,
    )


def _is_figure(values: dict[str, Any]) -> bool:
    return all(key in values for key in _OF_A_FIGURE)


def _figure(folder: Path, name: str) -> Part:
    """The part about a figure: its claims, its picture and its sweep."""
    path = folder / f"{name}.json"
    document = read_json(path)
    checks = document["checks"]
    keys = {"claim", "outcome", "evidence"}
    if not isinstance(checks, list) or not all(isinstance(one, dict) and keys <= set(one) for one in checks):
        raise IdnError(f"{path}: checks: not what reproduce writes")
    drawn = folder / f"{name}.png"
    title = printable(f"{name}: {document['title']}")
    pictures = [Picture(drawn, title)] if drawn.exists() else []
    claims = tables.checks(document)
    if not (folder / name / "sweep.json").exists():
        return Part(title=title, facts={"claims": _counted(checks)}, tables=[claims], pictures=pictures)
    swept = sweep_part(folder / name)
    return Part(
        title=title,
        facts={"claims": _counted(checks), **swept.facts},
        command=swept.command,
        versions=swept.versions,
        digests=swept.digests,
        tables=[claims, *swept.tables],
        pictures=pictures,
        notes=swept.notes,
        views=swept.views,
        hindsight=swept.hindsight,
        rows=swept.rows,
    )


def _counted(checks: Sequence[dict[str, Any]]) -> str:
    outcomes = [printable(check["outcome"]) for check in checks]
    named = [*_OUTCOMES, *sorted(set(outcomes) - set(_OUTCOMES))]
    return f"{len(checks)}: " + ", ".join(f"{outcomes.count(one)} {one}" for one in named if one in outcomes)
