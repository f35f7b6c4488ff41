"""What ``idn-gym system run --output`` leaves: ``system.json``, ``measures.csv``, steps per policy, and a picture.

A policy that has a row in ``measures.csv`` is done, and is not evaluated again when a run is resumed. ``system.json``
comes first, and has its claims last, as the mark of completion.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from idn_agents.systems.frame import Claim, Measures, System
from idn_agents.systems.running.picture import draw
from idn_gym.common.files import read_text, write_text
from idn_gym.common.text import shown
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import (
    described,
    folder_name,
    locked,
    read_description,
    refuse_other_versions,
    resumed,
)

FORMAT = "idn-gym/system-1"


def recorded(
    output: Path,
    system: System[Any, Any, Any],
    stream: Any,
    trace: Path | None,
    command: Sequence[str],
    resume: bool = False,
) -> tuple[list[Measures], list[Claim]]:
    """Evaluate all policies on a stream, and keep what comes of each in a new or empty folder.

    Parameters
    ----------
    trace : the file of the stream, if it is in one.
    resume : keep the policies that are in the folder, and evaluate the others; the files end up the same.

    Raises
    ------
    IdnError
        If the folder holds files and is not resumed, or is of another run, or another process is at work there;
        nothing is written then.
    """
    description = output / "system.json"
    about = described(
        FORMAT,
        command,
        {
            "system": system.name,
            "settings": system.settings.model_dump(),
            "trace": None if trace is None else str(trace),
            "trace_sha256": None if trace is None else hashlib.sha256(trace.read_bytes()).hexdigest(),
        },
    )
    with locked(output):
        kept = dict[str, Measures]()
        if resumed(description, resume, "run"):
            there = read_description(description, FORMAT)
            _refuse_other(description, there, json.loads(json.dumps(about)))
            about["command"] = there["command"]
            kept = {one.policy: one for one in read_measures(output, type(system))}
        else:
            _write(description, about)
        results = list[Measures]()
        for policy in system.policies():
            result = kept.get(policy) or system.evaluate(policy, stream)
            results.append(result)
            if policy not in kept:
                if result.steps:
                    rows = zip(*(series.tolist() for series in result.steps.values()), strict=True)
                    names = result.labels or range(len(next(iter(result.steps.values()))))
                    text = _csv(["step", *result.steps], ([name, *row] for name, row in zip(names, rows, strict=True)))
                    write_text(_steps(output, policy), text)
                _write_measures(output / "measures.csv", system, results)
        claims = system.claims(results)
        draw(system, results, output / f"{system.name}.png")
        versions = about.pop("versions")
        _write(description, about | {"claims": [asdict(claim) for claim in claims], "versions": versions})
    return results, claims


def _refuse_other(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise an `IdnError` unless a description is of this run."""
    for key in ("system", "trace", "trace_sha256"):
        if there.get(key) != here[key]:
            raise IdnError(f"{path}: {key} {shown(there.get(key))} there and {shown(here[key])} here; a run has one")
    kept = there.get("settings")
    kept = kept if isinstance(kept, dict) else {}
    if other := [key for key in {**here["settings"], **kept} if kept.get(key) != here["settings"].get(key)]:
        theirs, ours = kept.get(other[0]), here["settings"].get(other[0])
        raise IdnError(f"{path}: {other[0]} {shown(theirs)} there and {shown(ours)} here; a run has one")
    refuse_other_versions(path, there.get("versions"), dict(here["versions"]))


def read_measures(output: Path, kind: type[System[Any, Any, Any]]) -> list[Measures]:
    """The policies of a system that are done; an `IdnError` if a file is not what a run leaves."""
    path = output / "measures.csv"
    if not path.exists():
        return []
    keys, found = [measure.key for measure in kind.measures], list[Measures]()
    for row in _rows(path, ["policy", *keys]):
        values = {key: _number(path, row[key]) if row[key] else None for key in keys}
        steps, labels = dict[str, Any](), list[str]()
        if (of_steps := _steps(output, row["policy"])).exists():
            rows = _rows(of_steps)
            names = [name for name in rows[0] if name != "step"] if rows else []
            steps = {name: np.array([_number(of_steps, each[name]) for each in rows]) for name in names}
            labels = [each["step"] for each in rows]
        numbered = labels == [str(n) for n in range(len(labels))]
        found.append(Measures(row["policy"], values, steps, () if numbered else labels))
    return found


def _number(path: Path, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise IdnError(f"{path}: {shown(text)}; must be a number") from None


def _rows(path: Path, header: Sequence[str] | None = None) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if header is not None and rows and list(rows[0]) != list(header):
        raise IdnError(f"{path}: columns {', '.join(rows[0])}; must be {', '.join(header)}")
    return rows


def _steps(output: Path, policy: str) -> Path:
    return output / f"{folder_name(policy, policy)}.csv"


def _write_measures(path: Path, system: System[Any, Any, Any], results: Sequence[Measures]) -> None:
    keys = [measure.key for measure in system.measures]
    rows = ([result.policy, *(result.values[key] for key in keys)] for result in results)
    write_text(path, _csv(["policy", *keys], rows))


def _write(path: Path, about: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(about, indent=1) + "\n")


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
