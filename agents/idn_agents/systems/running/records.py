"""What ``idn-gym system run --output`` leaves: ``system.json``, ``measures.csv``, steps per policy, and a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from idn_agents.systems.frame import Claim, Measures, System
from idn_agents.systems.running.picture import draw
from idn_gym.common.files import write_text
from idn_gym.experiment.folders import described, folder_name, locked, resumed

FORMAT = "idn-gym/system-1"


def write_records(
    output: Path,
    system: System[Any, Any, Any],
    results: Sequence[Measures],
    claims: Sequence[Claim],
    trace: Path | None,
    command: Sequence[str],
) -> None:
    """Write the records of a run into a new or empty folder; ``system.json`` comes last, as the mark of completion.

    Raises
    ------
    IdnError
        If the folder holds files or another process is at work there; nothing is written then.
    """
    with locked(output):
        resumed(output / "system.json", False, "run")
        for result in results:
            if result.steps:
                rows = zip(*(series.tolist() for series in result.steps.values()), strict=True)
                names = result.labels or range(len(next(iter(result.steps.values()))))
                text = _csv(["step", *result.steps], ([name, *row] for name, row in zip(names, rows, strict=True)))
                write_text(output / f"{folder_name(result.policy, result.policy)}.csv", text)
        keys = [measure.key for measure in system.measures]
        text = _csv(["policy", *keys], ([result.policy, *(result.values[key] for key in keys)] for result in results))
        write_text(output / "measures.csv", text)
        draw(system, results, output / f"{system.name}.png")
        about = {
            "system": system.name,
            "settings": system.settings.model_dump(),
            "trace": None if trace is None else str(trace),
            "claims": [asdict(claim) for claim in claims],
        }
        write_text(output / "system.json", json.dumps(described(FORMAT, command, about), indent=1) + "\n")


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
